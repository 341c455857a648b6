import { afterAll, expect, test } from 'bun:test'
import { startEmulator } from '../emulators/vast/index.ts'
import { startCollector } from '../support/collector.ts'
import { videoFlow } from '../support/fixtures.ts'
import { startService, temporaryDirectory } from '../support/service-process.ts'

const KEYS = { accessKey: 'test', secretKey: 'test' }
const [INTERNAL, SERVER, CLIENT] = [1, 2, 3]

const closing: (() => Promise<unknown>)[] = []
afterAll(async () => {
  for (const close of closing.reverse()) await close()
})

test('the spans of requests side by side and of their calls to VAST reach the collector by the time that the service has ended', async () => {
  const emulator = await startEmulator({ port: 0, buckets: ['tams'], credentials: KEYS })
  closing.push(() => emulator.close())
  const collector = startCollector()
  closing.push(collector.stop)
  const directory = await temporaryDirectory()
  closing.push(() => directory.remove())
  const service = await startService(directory.path, {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
    VAST_ENDPOINT: emulator.url,
    VAST_ACCESS_KEY: KEYS.accessKey,
    VAST_SECRET_KEY: KEYS.secretKey,
    VAST_BUCKET: 'tams',
    SECRET_KEY: 'a-secret-of-more-than-thirty-two-bytes',
  })
  closing.push(() => service.end('SIGKILL'))
  const flows = Array.from({ length: 8 }, () => videoFlow())
  const put = await Promise.all(flows.map((flow) => service.call('PUT', `/flows/${flow.id}`, flow)))
  expect(put.map(({ status }) => status)).toEqual(flows.map(() => 201))
  for (const { id } of flows) expect((await service.call('GET', `/flows/${id}`)).status).toBe(200)
  const { request_id, trace_id } = await service.line('request')
  expect(await service.end('SIGTERM')).toBe(0)

  const spans = collector.spans()
  const requests = spans.filter(({ kind }) => kind === SERVER)
  expect(requests.map(({ name }) => name).toSorted()).toEqual([
    ...flows.map(() => 'GET /flows/:flowId'),
    ...flows.map(() => 'PUT /flows/:flowId'),
  ])
  expect(request_id).toBeString()
  expect(requests.map(({ traceId }) => traceId)).toContain(String(trace_id))
  // Each request has a trace of its own, and in it a transaction.
  for (const request of requests) {
    const own = spans.filter(({ traceId }) => traceId === request.traceId)
    expect(own.filter(({ kind }) => kind === SERVER)).toEqual([request])
    const transactions = own.filter(({ kind, parentSpanId }) => kind === INTERNAL && parentSpanId === request.spanId)
    expect(transactions.map(({ name }) => name)).toContain(request.name.startsWith('GET') ? 'database read' : 'database write')
  }
  // Those that share a transaction share its calls, which are in one of their traces.
  const calls = spans.filter(({ kind }) => kind === CLIENT)
  const parents = new Map(spans.map((span) => [span.spanId, span.name]))
  expect(calls.length).toBeGreaterThanOrEqual(2 * flows.length)
  for (const { name, parentSpanId = '' } of calls) {
    expect(name).toStartWith('VAST ')
    expect(['database read', 'database write']).toContain(parents.get(parentSpanId) ?? 'no transaction')
  }
}, 120_000)
