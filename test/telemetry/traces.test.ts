import { afterEach, expect, test } from 'bun:test'
import { connect } from 'node:net'
import { observedBoth } from '../../api/observed-calls.ts'
import { isServerFailure } from '../../api/plugins/errors.ts'
import { tracedTables } from '../../api/traced-tables.ts'
import { notFound, TamsError } from '../../src/core/errors.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { createTraces, type Traces } from '../../src/telemetry/traces.ts'
import { openApp } from '../support/app.ts'
import { attribute, startCollector } from '../support/collector.ts'
import { createFlow } from '../support/fixtures.ts'

const [SERVER, CLIENT] = [2, 3]
const ERROR = 2

const ending: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end()
})

// Secrets in queries are not logged.
const pathOf = (url: string): string => url.split('?', 1).join()

const open = async () => {
  const collector = startCollector()
  ending.push(collector.stop)
  const lines: string[] = []
  const waiting = new Map<string, () => void>()
  const onLog = (line: string): void => {
    lines.push(line)
    const { msg, url = '' } = JSON.parse(line) as { msg: string; url?: string }
    if (msg === 'request') waiting.get(pathOf(url))?.()
  }
  const log = createLog({ level: 'info', format: 'json', destination: { write: onLog } })
  const traces = createTraces({ endpoint: `${collector.endpoint}/`, serviceVersion: '1.2.3', isFailure: isServerFailure, log })
  const app = await openApp({ traces, onLog })
  ending.push(app.close)
  /** The answer, once the service is done with the request too: its line is written and its span has ended. */
  const fetched = async (path: string, headers: Readonly<Record<string, string>> = {}) => {
    const done = Promise.withResolvers<void>()
    waiting.set(pathOf(path), done.resolve)
    const response = await fetch(`http://127.0.0.1:${app.listen()}${path}`, { headers })
    await response.text()
    await done.promise
    await new Promise((resolve) => setImmediate(resolve))
    return response
  }
  return { collector, traces, app, lines, fetched }
}

/** Ids as `traceparent` has them: trace and caller's span. */
const caller = (n: number) => ({ trace: n.toString(16).padStart(32, '1'), span: n.toString(16).padStart(16, '2') })
const traced = (n: number) => ({ traceparent: `00-${caller(n).trace}-${caller(n).span}-01` })

test('a request is a span by the template of its route, in the trace of its caller, and its transactions are in it', async () => {
  const { collector, traces, app, fetched } = await open()
  const { id } = await createFlow(app)
  await fetched(`/flows/${id}?access_token=very-secret`, { ...traced(7), authorization: 'Bearer very-secret' })
  await traces.close()
  const spans = collector.spans().filter(({ traceId }) => traceId === caller(7).trace)
  const server = spans.find(({ kind }) => kind === SERVER)
  expect(server).toMatchObject({ name: 'GET /flows/:flowId', parentSpanId: caller(7).span, status: { code: 0 } })
  expect(attribute(server, 'http.route')).toBe('/flows/:flowId')
  expect(attribute(server, 'url.path')).toBe(`/flows/${id}`)
  expect(Number(attribute(server, 'http.response.status_code'))).toBe(200)
  const reads = spans.filter(({ name }) => name === 'database read')
  expect(reads.length).toBeGreaterThan(0)
  for (const read of reads) expect(read.parentSpanId).toBe(server?.spanId)
  expect(collector.paths).toContain('/v1/traces')
  expect(collector.text()).toContain('vast-tams')
  expect(collector.text()).not.toContain('very-secret')
})

test('lines of the log name the trace, also of a request that fails', async () => {
  const { fetched, traces, lines } = await open()
  await fetched('/service', traced(3))
  await fetched('/nothing-here', traced(4))
  await traces.close()
  const logged = lines.map((line) => JSON.parse(line) as { msg: string; url: string; trace_id?: string })
  const of = (url: string) => logged.find((line) => line.msg === 'request' && line.url === url)?.trace_id
  expect(of('/service')).toBe(caller(3).trace)
  expect(of('/nothing-here')).toBe(caller(4).trace)
})

test('requests side by side do not get each other’s transactions', async () => {
  const { collector, app, traces, fetched } = await open()
  const ids = (await Promise.all(Array.from({ length: 30 }, () => createFlow(app)))).map(({ id }) => id)
  await Promise.all(ids.map((id, n) => fetched(`/flows/${id}`, traced(n + 100))))
  await traces.close()
  for (const [n, id] of ids.entries()) {
    const own = collector.spans().filter(({ traceId }) => traceId === caller(n + 100).trace)
    const server = own.find(({ kind }) => kind === SERVER)
    expect(attribute(server, 'url.path')).toBe(`/flows/${id}`)
    expect(own.filter(({ name }) => name === 'database read').map(({ parentSpanId }) => parentSpanId)).toContain(server?.spanId ?? '')
  }
})

test('what nobody asked for over HTTP is no span', async () => {
  const { collector, app, traces } = await open()
  await tracedTables(app.deps.tables, traces, 'sqlite').read(async (tx) => tx.count('flows', { kind: 'and', terms: [] }))
  traces.called({ name: 'S3 GetObject', attributes: {}, seconds: 0.1, failed: false })
  await traces.close()
  expect(collector.spans()).toEqual([])
})

test('what a request has set going is no part of it after its answer', async () => {
  const { collector, traces } = await open()
  const request = new Request('http://x/flows')
  const later = Promise.withResolvers<void>()
  const done = traces.serve(request, async () => {
    await later.promise
    traces.called({ name: 'VAST GET data', attributes: {}, seconds: 0.1, failed: false })
    await traces.within('database read', {}, async () => {})
  })
  traces.answered(request, { method: 'GET', route: '/flows', status: 200 })
  later.resolve()
  await done
  await traces.close()
  expect(collector.spans().map(({ name }) => name)).toEqual(['GET /flows'])
})

test('a caller who does not sample gets no spans', async () => {
  const { collector, traces, fetched } = await open()
  await fetched('/service', { traceparent: traced(5).traceparent.replace(/01$/, '00') })
  await traces.close()
  expect(collector.spans()).toEqual([])
})

test('calls to other servers are spans of the request they are made for, and are counted as before', async () => {
  const { collector, traces } = await open()
  const metrics = createMetrics()
  const observer = observedBoth(metrics, traces)
  const request = new Request('http://x/flows', { headers: traced(9) })
  traces.serve(request, () => {
    observer.vastRequest({ method: 'GET', command: 'data', status: 200, seconds: 0.25 })
    observer.vastRequest({ method: 'POST', command: 'rows', status: undefined, seconds: 0.1 })
    observer.s3Operation('GetObject', 0.5, false)
  })
  traces.answered(request, { method: 'GET', route: '/flows', status: 503 })
  await traces.close()
  const calls = collector.spans().filter(({ kind }) => kind === CLIENT)
  expect(calls.map(({ name, status }) => [name, status.code === ERROR])).toEqual([
    ['VAST GET data', false],
    ['VAST POST rows', true],
    ['S3 GetObject', true],
  ])
  for (const { traceId } of calls) expect(traceId).toBe(caller(9).trace)
  const server = collector.spans().find(({ kind }) => kind === SERVER)
  expect(server?.status.code).toBe(ERROR)
  expect(attribute(server, 'error.type')).toBe('503')
  expect(await metrics.text()).toContain('tams_s3_operation_duration_seconds_count{operation="GetObject",outcome="error"} 1')
})

test('a span that fails says so and gives the failure on', async () => {
  const { collector, traces } = await open()
  const request = new Request('http://x/flows')
  const failure = new Error('with a secret')
  await traces.serve(request, async () => {
    const work = traces.within('database read', {}, () => Promise.reject(failure))
    expect(await work.catch((error: unknown) => error)).toBe(failure)
  })
  traces.answered(request, { method: 'GET', route: 'unmatched', status: 404 })
  await traces.close()
  expect(collector.spans().map(({ name, status }) => [name, status.code])).toEqual([
    ['database read', ERROR],
    ['GET', 0],
  ])
  expect(collector.text()).not.toContain('secret')
})

test.each(['', 'a b', '[::'])('a Host header that names no host (%p) is refused as without traces', async (host) => {
  const { app, traces, collector } = await open()
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect(app.listen(), '127.0.0.1', () =>
      socket.write(`GET /flows HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
    )
    let text = ''
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString()
    })
    socket.on('close', () => resolve(text))
    socket.on('error', reject)
  })
  expect(answer).toStartWith('HTTP/1.1 400')
  await new Promise((resolve) => setImmediate(resolve))
  await traces.close()
  expect(collector.spans().map(({ name }) => name)).toEqual(['GET'])
})

test('preflights are answered, and are no span', async () => {
  const { app, traces, collector } = await open()
  const response = await fetch(`http://127.0.0.1:${app.listen()}/flows`, {
    method: 'OPTIONS',
    headers: { origin: 'https://a.example.com', 'access-control-request-method': 'GET' },
  })
  expect(response.status).toBe(204)
  await traces.close()
  expect(collector.spans()).toEqual([])
})

test('a transaction in which a client’s wish is refused has not failed, one that the store could not carry out has', async () => {
  const { collector, traces } = await open()
  const request = new Request('http://x/flows')
  await traces.serve(request, async () => {
    for (const error of [notFound('flow f'), new TamsError('conflict', 'no'), new TamsError('unavailable', 'away')])
      expect(await traces.within('database write', {}, () => Promise.reject(error)).catch((thrown: unknown) => thrown)).toBe(error)
  })
  await traces.close()
  expect(collector.spans().map(({ status }) => status.code)).toEqual([0, 0, ERROR])
})

test('a collector that refuses is named once in the log and keeps nobody waiting', async () => {
  const { collector, traces, fetched, lines } = await open()
  collector.state.refusing = true
  expect((await fetched('/service')).status).toBe(200)
  await traces.close()
  expect(lines.filter((line) => line.includes('traces cannot be sent'))).toHaveLength(1)
  expect(collector.spans()).toEqual([])
})

test('without a collector that listens, closing ends all the same', async () => {
  const lines: string[] = []
  const log = createLog({ level: 'info', format: 'json', destination: { write: (line) => void lines.push(line) } })
  const collector = startCollector()
  await collector.stop()
  const traces: Traces = createTraces({ endpoint: collector.endpoint, serviceVersion: '1', isFailure: isServerFailure, log })
  const request = new Request('http://x/')
  traces.serve(request, () => {})
  traces.answered(request, { method: 'GET', route: '/', status: 200 })
  const began = performance.now()
  await traces.close()
  expect(performance.now() - began).toBeLessThan(5000)
})
