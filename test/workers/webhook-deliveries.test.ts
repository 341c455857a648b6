import { afterEach, beforeEach, describe, expect, setSystemTime, test } from 'bun:test'
import { Webhook } from 'standardwebhooks'
import { eq } from '../../src/core/predicate.ts'
import type { WebhookBacklog } from '../../src/telemetry/metrics.ts'
import { LeaseLost } from '../../src/workers/lease.ts'
import { webhookDeliveryWorker } from '../../src/workers/webhook-deliveries.ts'
import type { Worker } from '../../src/workers/worker.ts'
import { type Json, list, object } from '../support/answers.ts'
import { openApp, primaryStorage, type TestApp } from '../support/app.ts'
import { allocateOne, createFlow, expectStatus, external, multiFlow, postSegment, register, uuid, videoFlow } from '../support/fixtures.ts'
import { openReceiver, type Receiver } from '../support/receiver.ts'
import { validate } from '../support/schemas.ts'
import { step, takeLease } from '../support/workers.ts'

const ALL = [
  'flows/created',
  'flows/updated',
  'flows/deleted',
  'flows/segments_added',
  'flows/segments_deleted',
  'sources/created',
  'sources/updated',
  'sources/deleted',
]

let app: TestApp
let receiver: Receiver
let worker: Worker
const newWorker = () => webhookDeliveryWorker({ ...app.deps, baseUrl: 'http://store.example.com', random: () => 0.5 })
beforeEach(async () => {
  app = await openApp({ settings: { strict: false, webhookAllowedHosts: ['127.0.0.1'] } })
  receiver = openReceiver()
  worker = newWorker()
})
afterEach(async () => {
  setSystemTime()
  await app.close()
  await receiver.close()
})

const hook = async (over: Json = {}): Promise<string> =>
  String(object(expectStatus(await app.post('/service/webhooks', { url: receiver.url, events: ALL, ...over }), 201)).id)
const read = async (id: string) => object(expectStatus(await app.get(`/service/webhooks/${id}`), 200))
const deliveries = async (id: string) => list(expectStatus(await app.get(`/service/webhooks/${id}/deliveries`), 200))
const put = async (id: string, over: Json) => {
  const { error: _, ...webhook } = await read(id)
  return app.put(`/service/webhooks/${id}`, { ...webhook, status: 'created', ...over })
}
const deliver = () => step(app.deps, worker)

describe('a delivery', () => {
  test('is a POST of JSON with type, time and content; 200 is success and starts the webhook [10.1-M1] [10.4-M2]', async () => {
    const id = await hook()
    expect((await read(id)).status).toBe('created')
    const flow = await createFlow(app)
    await deliver()
    expect(receiver.types()).toEqual(['sources/created', 'flows/created'])
    const message = receiver.received[1]
    expect(message?.headers.get('content-type')).toBe('application/json')
    expect(Object.keys(message?.body ?? {}).sort()).toEqual(['event', 'event_timestamp', 'event_type'])
    expect(message?.body.event_timestamp).toMatch(/^2026-01-02T03:04:05\.\d{6}Z$/)
    validate('flow-get', message?.body.event.flow)
    expect(message?.body.event.flow).toEqual((await app.get(`/flows/${flow.id}`)).body)
    expect((await read(id)).status).toBe('started')
    await deliver()
    expect(receiver.received).toHaveLength(2)
  })

  test('carries the key in its header, the client as its name [10.4-S1]', async () => {
    await hook({ api_key_name: 'X-Key', api_key_value: 'the value' })
    await createFlow(app)
    await deliver()
    expect(receiver.received[0]?.headers.get('x-key')).toBe('the value')
  })

  test('is signed as the published library of Standard Webhooks verifies; after a rotation by both secrets for a day', async () => {
    const id = await hook()
    const before = String(object(await app.get(`/service/webhooks/${id}/signing-secret`)).secret)
    const after = String(object(await app.request('POST', `/service/webhooks/${id}/signing-secret/rotate`)).secret)
    expect(after).not.toBe(before)
    const verifies = (secret: string) => {
      const message = receiver.received.at(-1)
      setSystemTime(new Date(Number(app.clock.nowUs() / 1000n)))
      new Webhook(secret).verify(message?.text ?? '', Object.fromEntries(message?.headers.entries() ?? []))
    }
    await createFlow(app)
    await deliver()
    verifies(before)
    verifies(after)
    app.clock.advance(24 * 3600 + 1)
    await createFlow(app)
    await deliver()
    verifies(after)
    expect(() => verifies(before)).toThrow('No matching signature')
  })

  test('keeps its id in every try, and each event has its own', async () => {
    await hook()
    await createFlow(app)
    receiver.answer = (_, index) => new Response(null, { status: index === 0 ? 500 : 200 })
    await deliver()
    app.clock.advance(10)
    await deliver()
    const ids = receiver.received.map(({ headers }) => headers.get('webhook-id'))
    expect(ids[0]).toBe(ids[1] ?? '')
    expect(ids[2]).not.toBe(ids[1])
    expect(receiver.types()).toEqual(['sources/created', 'sources/created', 'flows/created'])
  })

  test('of segments shows them as the listing does, with the options of the webhook [10.1-S1]', async () => {
    const { id: flow } = await createFlow(app, videoFlow({ container: 'video/mp4' }))
    const { object_id } = await allocateOne(app, flow)
    const segment = { object_id, timerange: '[0:0_1:0)', ts_offset: '5:0', key_frame_count: 3, sample_count: 25 }
    const other = openReceiver()
    await hook({ events: ['flows/segments_added'], verbose_storage: true, include_object_timerange: true })
    await hook({ events: ['flows/segments_added'], accept_get_urls: [], url: other.url })
    expectStatus(await postSegment(app, flow, segment), 201)
    await deliver()
    const shown = (from: Receiver) => ((from.received[0]?.body.event.segments ?? []) as Json[])[0] ?? {}
    const listed = list(await app.get(`/flows/${flow}/segments?verbose_storage=true&include_object_timerange=true`))[0] ?? {}
    const { get_urls: urls, ...rest } = shown(receiver)
    const { get_urls: _, ...expected } = listed
    expect(rest).toEqual(expected)
    validate('flow-segment', shown(receiver))
    expect((urls as Json[]).map(({ label, storage_id, presigned }) => [label, storage_id, presigned])).toEqual([
      ['primary', primaryStorage, true],
    ])
    expect(String((urls as Json[])[0]?.url)).toStartWith('http://store.example.com/media/')
    expect(shown(other).get_urls).toEqual([])
    expect(receiver.received).toHaveLength(1)
    await other.close()
  })

  test('of a bulk registration too large for one message comes in several that together hold every segment', async () => {
    const { id: flow } = await createFlow(app)
    await hook({ events: ['flows/segments_added'], accept_get_urls: [] })
    const segments = Array.from({ length: 120 }, (_, index) =>
      external(`[${index}:0_${index + 1}:0)`, { object_id: `${index}`.padEnd(1000, 'x') }),
    )
    expectStatus(await postSegment(app, flow, segments), 201)
    await deliver()
    expect(receiver.received.length).toBeGreaterThan(1)
    const delivered = receiver.received.flatMap(({ body }) => body.event.segments as Json[])
    expect(delivered.map(({ object_id }) => object_id)).toEqual(segments.map(({ object_id }) => object_id))
  })
})

describe('filters', () => {
  const sent = async (over: Json): Promise<void> => {
    const own = openReceiver()
    receivers.push(own)
    await hook({ ...over, url: own.url })
  }
  const receivers: Receiver[] = []
  afterEach(async () => {
    for (const each of receivers.splice(0)) await each.close()
  })

  test('let through only the listed types, all filters together [10.4-M1]', async () => {
    const one = await createFlow(app)
    const two = await createFlow(app)
    await sent({ events: ['flows/updated', 'sources/updated'] })
    await sent({ events: [] })
    await sent({ events: ALL, flow_ids: [one.id] })
    await sent({ events: ALL, source_ids: [two.source_id] })
    await sent({ events: ALL, flow_ids: [one.id], source_ids: [two.source_id] })
    await sent({ events: ALL, flow_ids: [] })
    for (const flow of [one, two]) {
      expectStatus(await app.put(`/flows/${flow.id}/label`, 'x'), 204)
      expectStatus(await app.put(`/sources/${flow.source_id}/label`, 'x'), 204)
      await register(app, flow.id, '[0:0_1:0)')
    }
    await deliver()
    const got = receivers.map(({ received }) =>
      received.map(({ body }) => {
        const subject = body.event.flow_id ?? ((body.event.flow ?? body.event.source) as Json).id
        return `${body.event_type} ${subject === one.id || subject === one.source_id ? 1 : 2}`
      }),
    )
    expect(got).toEqual([
      ['flows/updated 1', 'sources/updated 1', 'flows/updated 2', 'sources/updated 2'],
      [],
      ['flows/updated 1', 'sources/updated 1', 'flows/segments_added 1', 'sources/updated 2'],
      ['flows/updated 2', 'sources/updated 2', 'flows/segments_added 2'],
      ['sources/updated 2'],
      ['sources/updated 1', 'sources/updated 2'],
    ])
  })

  test('by collection; an empty list is what nobody collects; deletions by the state before [10.4-M1] [13-26]', async () => {
    const child = await createFlow(app)
    const free = await createFlow(app)
    const parent = await createFlow(app, multiFlow({ flow_collection: [{ id: child.id }] }))
    await register(app, child.id, '[0:0_1:0)')
    const events = ['flows/segments_added', 'flows/segments_deleted', 'flows/deleted', 'sources/deleted']
    await sent({ events, flow_collected_by_ids: [parent.id] })
    await sent({ events, flow_collected_by_ids: [] })
    await sent({ events, source_collected_by_ids: [parent.source_id] })
    await sent({ events, source_collected_by_ids: [] })
    await register(app, child.id, '[1:0_2:0)')
    await deliver()
    expectStatus(await app.delete(`/flows/${child.id}`), 204)
    expectStatus(await app.delete(`/flows/${free.id}`), 204)
    await deliver()
    const ofChild = ['flows/segments_added', 'flows/segments_deleted', 'flows/deleted', 'sources/deleted']
    const ofFree = ['flows/deleted', 'sources/deleted']
    // A filter of flows has no effect on source events.
    expect(receivers.map((each) => each.types())).toEqual([
      [...ofChild, 'sources/deleted'],
      ['sources/deleted', ...ofFree],
      ofChild,
      ofFree,
    ])
  })

  test('by collection are judged by what collected it when it happened, not at delivery', async () => {
    const child = await createFlow(app)
    const parent = await createFlow(app, multiFlow())
    await sent({ events: ['flows/updated', 'sources/updated'], flow_collected_by_ids: [parent.id] })
    await sent({ events: ['flows/updated'], flow_ids: [child.id], flow_collected_by_ids: [] })
    await sent({ events: ['sources/updated'], source_collected_by_ids: [parent.source_id] })
    const change = async (text: string) => {
      expectStatus(await app.put(`/flows/${child.id}/label`, text), 204)
      expectStatus(await app.put(`/sources/${child.source_id}/label`, text), 204)
    }
    await change('before')
    expectStatus(await app.put(`/flows/${parent.id}/flow_collection`, [{ id: child.id }]), 204)
    await change('within')
    expectStatus(await app.delete(`/flows/${parent.id}/flow_collection`), 204)
    await change('after')
    await deliver()
    const labels = ({ received }: Receiver) => received.map(({ body }) => ((body.event.flow ?? body.event.source) as Json).label)
    expect(receivers.map(labels)).toEqual([['before', 'within', 'within', 'after'], ['before', 'after'], ['within']])
  })

  test('never let the events of ours through: those are for the streams', async () => {
    await sent({ events: ALL })
    const child = await createFlow(app)
    await createFlow(app, multiFlow({ flow_collection: [{ id: child.id }] }))
    await register(app, child.id, '[0:0_1:0)')
    await deliver()
    const logged = await app.deps.tables.read((tx) => tx.readLog(0n, 100))
    expect(logged.map(({ type }) => type)).toEqual(expect.arrayContaining(['objects/created', 'collections/created']))
    expect(receivers[0]?.types().filter((type) => !ALL.includes(type))).toEqual([])
    expect(receivers[0]?.received).toHaveLength(5)
  })

  test('of segments of a large flow that is deleted in the background are judged by the state before [10.4-M1]', async () => {
    await app.close()
    app = await openApp({ settings: { webhookAllowedHosts: ['127.0.0.1'], asyncDeletionThreshold: 1 } })
    worker = newWorker()
    const flow = await createFlow(app)
    await register(app, flow.id, '[0:0_1:0)', '[1:0_2:0)', '[2:0_3:0)')
    await hook({ events: ['flows/segments_deleted'], source_ids: [flow.source_id], flow_collected_by_ids: [] })
    expectStatus(await app.delete(`/flows/${flow.id}`), 202)
    const { deletionWorker } = await import('../../src/workers/deletion-requests.ts')
    while (await step(app.deps, deletionWorker(app.deps))) await Promise.resolve()
    await deliver()
    expect(receiver.received.map(({ body }) => body.event)).toEqual([{ flow_id: flow.id, timerange: '[0:0_3:0)' }])
  })
})

describe('failures', () => {
  const fail = (status: number, headers: Record<string, string> = {}) => {
    receiver.answer = () => new Response(null, { status, headers })
  }

  test('are tried again by the schedule, in order, before the webhook is in error; created resumes where it stood [10.4-S2]', async () => {
    const id = await hook({ events: ['flows/created', 'flows/updated'] })
    const flow = await createFlow(app)
    expectStatus(await app.put(`/flows/${flow.id}/label`, 'x'), 204)
    fail(503)
    await deliver()
    expect(receiver.received).toHaveLength(1)
    for (const [index, seconds] of [5, 300, 1800, 7200, 18_000, 36_000, 36_000].entries()) {
      app.clock.advance(seconds - 2)
      await deliver()
      expect(receiver.received).toHaveLength(index + 1)
      expect((await read(id)).status).toBe('started')
      app.clock.advance(3)
      await deliver()
      expect(receiver.received).toHaveLength(index + 2)
    }
    const failed = await read(id)
    expect(failed.status).toBe('error')
    expect(failed.error).toMatchObject({
      type: 'delivery_failed',
      summary: expect.stringContaining('status 503'),
      time: expect.any(String),
    })
    app.clock.advance(1_000_000)
    await deliver()
    expect(receiver.received).toHaveLength(8)
    expectStatus(await put(id, { status: 'disabled' }), 400)
    const enabled = object(expectStatus(await put(id, {}), 201))
    expect(enabled.status).toBe('created')
    expect(enabled).not.toHaveProperty('error')
    receiver.answer = () => new Response('ok')
    await deliver()
    expect(receiver.types()).toEqual([...Array(9).fill('flows/created'), 'flows/updated'])
  })

  test('wait for as long as Retry-After says, and are forgotten after a success', async () => {
    const id = await hook({ events: ['flows/created'] })
    await createFlow(app)
    fail(429, { 'retry-after': '600' })
    await deliver()
    app.clock.advance(590)
    await deliver()
    expect(receiver.received).toHaveLength(1)
    receiver.answer = () => new Response('ok')
    app.clock.advance(20)
    await deliver()
    expect(receiver.received).toHaveLength(2)
    expect((await deliveries(id)).map(({ status, failures, response_status }) => [status, failures, response_status])).toEqual([
      ['delivered', 0, 200],
      ['failed', 1, 429],
    ])
  })

  test.each([[301], [302], [304], [400], [404]])('are all answers but 2xx: %d', async (status) => {
    const id = await hook({ events: ['flows/created'] })
    await createFlow(app)
    fail(status, { location: `${receiver.url}/elsewhere` })
    await deliver()
    expect(receiver.received.map(({ path }) => path)).toEqual(['/hook'])
    expect((await deliveries(id))[0]).toMatchObject({ status: 'failed', response_status: status })
  })

  test('with 410 disable the webhook at once', async () => {
    const id = await hook()
    await createFlow(app)
    fail(410)
    await deliver()
    expect((await read(id)).status).toBe('disabled')
    app.clock.advance(1_000_000)
    await deliver()
    expect(receiver.received).toHaveLength(1)
  })

  test('of a receiver that is not there say so in the log of tries', async () => {
    const id = await hook()
    await receiver.close()
    await createFlow(app)
    await deliver()
    const [entry] = await deliveries(id)
    expect(entry).toMatchObject({ status: 'failed', failures: 1 })
    expect(String(entry?.error)).not.toBe('')
    expect(entry).not.toHaveProperty('response_status')
    receiver = openReceiver()
  })

  test('are kept to the last hundred', async () => {
    const id = await hook({ events: ['flows/updated'] })
    const flow = await createFlow(app)
    // More than are remembered between two writes, and together with those that follow one by one more than are kept.
    for (let index = 0; index < 30; index++) expectStatus(await app.put(`/flows/${flow.id}/label`, `${index}`), 204)
    await deliver()
    await step(app.deps, newWorker())
    expect(receiver.received).toHaveLength(30)
    for (let index = 0; index < 90; index++) {
      expectStatus(await app.put(`/flows/${flow.id}/label`, `again ${index}`), 204)
      await deliver()
    }
    const kept = await deliveries(id)
    expect(kept).toHaveLength(100)
    const numbers = kept.map(({ event }) => Number(event))
    expect(numbers).toEqual(numbers.toSorted((a, b) => b - a))
  }, 120_000)
})

test('a receiver that never answers delays no other: one black hole and 50 healthy ones', async () => {
  const hole = openReceiver()
  hole.answer = () => new Promise(() => undefined)
  await hook({ url: hole.url })
  const ids = await Promise.all(
    Array.from({ length: 50 }, (_, index) => hook({ url: `${receiver.url}/${index}`, events: ['flows/created'] })),
  )
  const stop = new AbortController()
  const lease = await takeLease(app.deps.tables, app.deps.clock, worker.name)
  await createFlow(app)
  const running = worker.step(lease, stop.signal)
  await hole.have(1)
  for (let round = 1; round <= 5; round++) {
    await receiver.have(50 * round)
    if (round < 5) await createFlow(app)
  }
  expect(hole.received).toHaveLength(1)
  expect(new Set(receiver.received.map(({ path }) => path)).size).toBe(ids.length)
  stop.abort()
  await running
  await hole.close()
})

describe('positions', () => {
  test('are kept: a new process goes on where the former stood, and a new webhook begins at the present', async () => {
    await createFlow(app)
    await hook({ events: ['flows/created'] })
    await createFlow(app)
    await deliver()
    worker = newWorker()
    await createFlow(app)
    await deliver()
    expect(receiver.received).toHaveLength(2)
  })

  test('are not written by a process whose lease another one has taken', async () => {
    const id = await hook({ events: ['flows/created'] })
    await createFlow(app)
    const lease = await takeLease(app.deps.tables, app.deps.clock, worker.name)
    app.clock.advance(60)
    await takeLease(app.deps.tables, app.deps.clock, worker.name, 'another')
    await expect(worker.step(lease, new AbortController().signal)).rejects.toBeInstanceOf(LeaseLost)
    expect((await read(id)).status).toBe('created')
    app.clock.advance(60)
    await deliver()
    expect(receiver.types()).toEqual(['flows/created', 'flows/created'])
  })

  test('stay while disabled ends: what happened meanwhile is not sent', async () => {
    const id = await hook({ events: ['flows/created'] })
    expectStatus(await put(id, { status: 'disabled' }), 201)
    await createFlow(app)
    await deliver()
    expectStatus(await put(id, { status: 'created' }), 201)
    await deliver()
    expect(receiver.received).toHaveLength(0)
    await createFlow(app)
    await deliver()
    expect(receiver.received).toHaveLength(1)
  })

  test('go back with a replay, also while a worker knows better', async () => {
    const id = await hook({ events: ['flows/created'] })
    await createFlow(app)
    await deliver()
    app.clock.advance(100)
    const since = new Date(Number(app.clock.nowUs() / 1000n)).toISOString()
    await createFlow(app)
    await createFlow(app)
    await deliver()
    expect(receiver.received).toHaveLength(3)
    const answer = await app.request('POST', `/service/webhooks/${id}/replay?since=${since}`)
    expect(object(expectStatus(answer, 200)).events).toBe(4)
    await deliver()
    expect(receiver.received).toHaveLength(5)
    const ids = receiver.received.map(({ headers }) => headers.get('webhook-id'))
    expect(ids.slice(3)).toEqual(ids.slice(1, 3))
  })

  test('of an edited webhook stay; the edit counts for what comes next', async () => {
    const id = await hook({ events: ['flows/created'] })
    receiver.answer = () => new Response(null, { status: 500 })
    await createFlow(app)
    await deliver()
    const other = openReceiver()
    expectStatus(await put(id, { url: other.url }), 201)
    await deliver()
    expect(other.types()).toEqual(['flows/created'])
    await other.close()
  })

  test('of a deleted webhook end', async () => {
    const id = await hook()
    await createFlow(app)
    await deliver()
    expectStatus(await app.delete(`/service/webhooks/${id}`), 204)
    await createFlow(app)
    await deliver()
    expect(receiver.received).toHaveLength(2)
    const left = await app.deps.tables.read(async (tx) => [
      await tx.count('webhook_cursors', eq('webhook_id', id)),
      await tx.count('deliveries', eq('webhook_id', id)),
    ])
    expect(left).toEqual([0, 0])
  })
})

test('one connection serves many deliveries to a host', async () => {
  const ports = new Set<number>()
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request, self) => {
      ports.add(self.requestIP(request)?.port ?? 0)
      return new Response('ok')
    },
  })
  await hook({ url: `http://127.0.0.1:${server.port}/`, events: ['flows/updated'] })
  const flow = await createFlow(app)
  for (let index = 0; index < 30; index++) expectStatus(await app.put(`/flows/${flow.id}/label`, `${index}`), 204)
  await deliver()
  expect(ports.size).toBe(1)
  await server.stop(true)
})

test('what waits to be delivered, its age and how tries end are told', async () => {
  const backlogs: WebhookBacklog[] = []
  const statuses: (number | undefined)[] = []
  const observer = {
    backlog: (each: WebhookBacklog) => backlogs.push(each),
    webhookAttempt: (each: number | undefined) => statuses.push(each),
  }
  await hook({ events: ['flows/created'] })
  await createFlow(app)
  app.clock.advance(60)
  receiver.answer = () => new Response(null, { status: 503 })
  await step(app.deps, webhookDeliveryWorker({ ...app.deps, baseUrl: '', observer }))
  expect(backlogs[0]?.events).toBe(2)
  expect(backlogs[0]?.oldestSeconds).toBeWithin(60, 61)
  expect(statuses).toEqual([503])
})

test('a test message goes out at once and tells how that ended', async () => {
  const id = await hook({ events: [], status: 'disabled' })
  const sendTest = async () => app.request('POST', `/service/webhooks/${id}/test`)
  expect(object(expectStatus(await sendTest(), 200))).toMatchObject({ delivered: true, status: 200 })
  expect(receiver.received[0]?.body).toMatchObject({ event_type: 'webhooks/test', event: { webhook_id: id } })
  receiver.answer = () => new Response(null, { status: 500 })
  expect(object(await sendTest())).toMatchObject({ delivered: false, status: 500 })
  for (let index = 0; index < 8; index++) await sendTest()
  expectStatus(await sendTest(), 429)
  expectStatus(await app.request('POST', `/service/webhooks/${uuid()}/test`), 404)
})
