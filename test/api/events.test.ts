import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createApp } from '../../api/app.ts'
import { EventFeed } from '../../src/domain/event-feed.ts'
import { appendEvents } from '../../src/domain/record.ts'
import { eventRetentionWorker } from '../../src/workers/event-retention.ts'
import { type Json, list, object } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import {
  allocateOne,
  createFlow,
  expectInvalid,
  expectStatus,
  external,
  multiFlow,
  postSegment,
  register,
  uuid,
  walk,
} from '../support/fixtures.ts'
import { readStream, type StreamReader } from '../support/streams.ts'
import { runUntilIdle } from '../support/workers.ts'

let app: TestApp
let readers: StreamReader[] = []
beforeEach(async () => {
  app = await openApp({ settings: { strict: false } })
})
afterEach(async () => {
  for (const reader of readers) await reader.close()
  readers = []
  await app.close()
})

const open = async (query = '', headers: Record<string, string> = {}): Promise<StreamReader> => {
  const response = await app.fetch(`/events/stream${query}`, { headers })
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
  const reader = readStream(response)
  readers.push(reader)
  await reader.opened
  return reader
}
const typesOf = (items: readonly Json[]) => items.map((item) => item.event_type)
const label = (id: string, text: string) => app.put(`/flows/${id}/label`, text)
/** So many events, each with a text of this length, as if they had just happened. */
const append = (count: number, length = 0): Promise<void> =>
  app.deps.tables.write((tx) =>
    appendEvents(tx, app.clock.nowUs(), Array(count).fill({ type: 'flows/updated', event: { note: 'x'.repeat(length) } })),
  )

describe('GET /events', () => {
  test('lists what happened in order, with ids that grow and the bodies of webhooks', async () => {
    const flow = await createFlow(app)
    await register(app, flow.id, '[0:0_1:0)')
    expectStatus(await app.delete(`/flows/${flow.id}?soft_delete=false`), 204)
    const items = list(expectStatus(await app.get('/events'), 200))
    expect(typesOf(items)).toEqual([
      'sources/created',
      'flows/created',
      'objects/created',
      'flows/segments_added',
      'objects/deleted',
      'flows/segments_deleted',
      'flows/deleted',
      'sources/deleted',
    ])
    const ids = items.map(({ id }) => Number(id))
    expect(ids).toEqual(ids.toSorted((a, b) => a - b))
    expect(items[6]?.event).toEqual({ flow_id: flow.id })
    expect(items[0]?.event_timestamp).toMatch(/^2026-01-02T03:04:05\.\d{6}Z$/)
  })

  test('tells of objects when they are registered first and when they go, not of what they are used for again', async () => {
    const one = await createFlow(app)
    const two = await createFlow(app)
    const init = await allocateOne(app, one.id)
    const segment = external('[0:0_1:0)')
    expectStatus(await postSegment(app, one.id, segment), 201)
    expectStatus(await postSegment(app, two.id, { object_id: segment.object_id, timerange: '[5:0_6:0)', ts_offset: '5:0' }), 201)
    await register(app, one.id, '[1:0_2:0)', '[2:0_3:0)')
    const about = async () =>
      list(await app.get('/events?type=objects/created,objects/deleted')).map(({ event_type, event }) => [event_type, event])
    const created = (object_ids: readonly string[]) =>
      object_ids.map((id) => expect.objectContaining({ id, first_referenced_by_flow: one.id }))
    const added = await about()
    expect(added[0]).toEqual(['objects/created', { objects: created([segment.object_id]) }])
    expect(added.flatMap(([, event]) => ((event as Json).objects as Json[]).map(({ id }) => id))).not.toContain(init.object_id)
    expect(added).toHaveLength(2)
    expectStatus(await app.delete(`/flows/${one.id}?soft_delete=false`), 204)
    expect((await about())[2]).toEqual(['objects/deleted', { object_ids: expect.not.arrayContaining([segment.object_id]) }])
    expectStatus(await app.delete(`/flows/${two.id}?soft_delete=false`), 204)
    expect((await about())[3]).toEqual(['objects/deleted', { object_ids: [segment.object_id] }])
  })

  test('tells of collections as they come, change and go, also with a member that is deleted', async () => {
    const [one, two] = [await createFlow(app), await createFlow(app)]
    const parent = await createFlow(app, multiFlow({ label: 'a', flow_collection: [{ id: one.id, role: 'main' }] }))
    const path = `/flows/${parent.id}/flow_collection`
    expectStatus(await app.put(path, [{ id: one.id, role: 'main' }, { id: two.id }]), 204)
    expectStatus(await label(parent.id, 'b'), 204)
    expectStatus(await app.delete(`/flows/${two.id}`), 204)
    expectStatus(await app.delete(path), 204)
    expectStatus(await app.put(path, [{ id: one.id }]), 204)
    expectStatus(await app.delete(`/flows/${parent.id}`), 204)
    const items = list(await app.get(`/events?type=collections/created,collections/updated,collections/deleted&flow_id=${parent.id}`))
    const collection = (name: string, flow_collection: readonly Json[]) => ({
      collection: { id: parent.id, source_id: parent.source_id, label: name, flow_collection },
    })
    expect(items.map(({ event_type, event }) => [event_type, event])).toEqual([
      ['collections/created', collection('a', [{ id: one.id, role: 'main' }])],
      ['collections/updated', collection('a', [{ id: one.id, role: 'main' }, { id: two.id }])],
      ['collections/updated', collection('b', [{ id: one.id, role: 'main' }])],
      ['collections/deleted', { collection_id: parent.id }],
      ['collections/created', collection('b', [{ id: one.id }])],
      ['collections/deleted', { collection_id: parent.id }],
    ])
  })

  test('filters by type, flow, source and time, pages, and turns round', async () => {
    const one = await createFlow(app)
    app.clock.advance(100)
    const between = new Date(Number(app.clock.nowUs() / 1000n)).toISOString()
    app.clock.advance(100)
    const two = await createFlow(app)
    const types = async (query: string) => typesOf(list(expectStatus(await app.get(`/events?${query}`), 200)))
    expect(await types(`type=flows/created`)).toEqual(['flows/created', 'flows/created'])
    expect(await types(`type=flows/created,sources/created&since=${between}`)).toEqual(['sources/created', 'flows/created'])
    expect(await types(`until=${between}&flow_id=${two.id}`)).toEqual([])
    expect(await types(`flow_id=${one.id},${two.id}`)).toHaveLength(2)
    expect(await types(`source_id=${one.source_id}`)).toEqual(['sources/created', 'flows/created'])
    const all = list(await app.get('/events'))
    expect(await walk(app, '/events?limit=1')).toEqual(all)
    expect(await walk(app, '/events?limit=3&reverse_order=true')).toEqual(all.toReversed())
  })

  test('shows segments with the URL options of the request', async () => {
    const { id } = await createFlow(app)
    await register(app, id, '[0:0_1:0)')
    const segment = async (query: string) => {
      const [item] = list(await app.get(`/events?type=flows/segments_added&${query}`))
      return ((item?.event as Json | undefined)?.segments as Json[] | undefined)?.[0]
    }
    expect(await segment('')).toEqual(list(await app.get(`/flows/${id}/segments`))[0])
    expect((await segment('accept_get_urls='))?.get_urls).toEqual([])
    expect((await segment('include_object_timerange=true'))?.object_timerange).toBe('[0:0_1:0)')
  })

  test.each([
    ['type=flows/x', 'type'],
    ['flow_id=x', 'flow_id'],
    ['since=now', 'since'],
    ['limit=0', 'limit'],
    ['page=x', 'page'],
  ])('refuses %s', async (query, field) => {
    expectInvalid(await app.get(`/events?${query}`), field)
  })
})

describe('GET /events/stream', () => {
  test('sends what happens from now on, as it happens', async () => {
    await createFlow(app)
    const reader = await open()
    const flow = await createFlow(app)
    const events = await reader.have(2)
    expect(events.map(({ type }) => type)).toEqual(['sources/created', 'flows/created'])
    expect(events[1]?.data).toMatchObject({ event_type: 'flows/created', event: { flow: { id: flow.id } } })
  })

  test('with Last-Event-ID goes on behind it without gap or repetition, also in a new process', async () => {
    const { id } = await createFlow(app)
    const reader = await open()
    for (let index = 0; index < 5; index++) await label(id, `${index}`)
    await reader.have(3)
    await reader.close()
    for (let index = 5; index < 300; index++) await label(id, `${index}`)
    const feed = new EventFeed(app.deps.tables)
    const restarted = createApp({ ...app.deps, feed })
    const last = reader.events[2]?.id ?? ''
    const again = readStream(await restarted.handle(new Request('http://localhost/events/stream', { headers: { 'last-event-id': last } })))
    readers.push(again)
    await again.have(200)
    await label(id, 'the last')
    await again.have(298)
    const labels = [...reader.events.slice(0, 3), ...again.events].map(({ data }) => (data.event.flow as Json).label)
    expect(labels).toEqual([...Array.from({ length: 300 }, (_, index) => `${index}`), 'the last'])
    feed.close()
  })

  test('gives a reader that saw no event the place to come back to', async () => {
    await createFlow(app)
    const reader = await open('?type=flows/deleted')
    const place = reader.lastId() ?? ''
    await reader.close()
    const flow = await createFlow(app)
    const again = await open('?type=flows/created', { 'last-event-id': place })
    expect((await again.have(1))[0]?.data.event.flow).toMatchObject({ id: flow.id })
  })

  test('filters as the list does', async () => {
    const one = await createFlow(app)
    const two = await createFlow(app)
    const reader = await open(`?flow_id=${two.id}&type=flows/updated`)
    await label(one.id, 'x')
    expectStatus(await app.put(`/sources/${two.source_id}/label`, 'x'), 204)
    await label(two.id, 'wanted')
    expect((await reader.have(1)).map(({ data }) => (data.event.flow as Json).label)).toEqual(['wanted'])
  })

  test('says so when what was asked for is not stored any more', async () => {
    const { id } = await createFlow(app)
    app.clock.advance(1000)
    await label(id, 'kept')
    await runUntilIdle(app.deps, eventRetentionWorker({ ...app.deps, retentionMs: 500_000 }))
    const reader = await open('', { 'last-event-id': '1' })
    expect((await reader.have(2)).map(({ type }) => type)).toEqual(['stream/gap', 'flows/updated'])
    expect(reader.events[0]?.data.event).toEqual({ after: '1', before: '3' })
  })

  test('ends with the service', async () => {
    const reader = await open()
    app.deps.feed.close()
    await reader.ended
    expect(reader.events).toEqual([])
  })

  test.each(['x', '-1', '1.5'])('refuses the Last-Event-ID %p', async (id) => {
    expectInvalid(await app.request('GET', `/events/stream?last_event_id=${id}`, { head: false }), 'last_event_id')
  })

  test('answers HEAD with its headers alone', async () => {
    const response = await app.fetch('/events/stream', { method: 'HEAD' })
    expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([200, 'text/event-stream', ''])
  })
})

describe('over a socket', () => {
  test('a reader that does not read costs no memory: it is sent only what it takes', async () => {
    const COUNT = 600
    const taken = new Map<AbortSignal, number>()
    const first = Promise.withResolvers<void>()
    const { feed } = app.deps
    const next = feed.next.bind(feed)
    feed.next = async (after, waitMs, signal) => {
      const rows = await next(after, waitMs, signal)
      taken.set(signal, (taken.get(signal) ?? 0) + rows.length)
      first.resolve()
      return rows
    }
    const port = app.listen()
    const begun = Promise.withResolvers<void>()
    const socket = await Bun.connect({ hostname: '127.0.0.1', port, socket: { data: () => begun.resolve() } })
    socket.write(`GET /events/stream?last_event_id=0 HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`)
    await begun.promise
    socket.pause()
    // More than the kernel keeps for a connection. When a reader that begins later has all, the other one has had its turns.
    await append(COUNT, 100_000)
    await first.promise
    await (await open('?last_event_id=0')).have(COUNT)
    const [slow, quick] = [...taken.values()]
    expect(quick).toBe(COUNT)
    expect(slow).toBeLessThan(COUNT / 2)
    socket.end()
  })

  test('a WebSocket has the same messages and filters', async () => {
    const port = app.listen()
    const flow = await createFlow(app)
    const messages: Json[] = []
    const socket = new WebSocket(`ws://127.0.0.1:${port}/events/ws?type=flows/created,flows/updated&last_event_id=0`)
    const three = new Promise<void>((resolve) => {
      socket.onmessage = ({ data }) => {
        messages.push(JSON.parse(String(data)) as Json)
        if (messages.length === 3) resolve()
      }
    })
    await label(flow.id, 'one')
    await label(flow.id, 'two')
    await three
    expect(messages).toEqual(list(await app.get('/events?type=flows/created,flows/updated')))
    const closed = new Promise<number>((resolve) => {
      socket.onclose = ({ code }) => resolve(code)
    })
    app.deps.feed.close()
    expect(await closed).toBe(1001)
  })

  test('a WebSocket with a bad filter is refused', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${app.listen()}/events/ws?type=x`)
    const outcome = await new Promise<string>((resolve) => {
      socket.onopen = () => resolve('open')
      socket.onerror = () => resolve('error')
    })
    expect(outcome).toBe('error')
  })
})

describe('events in strict mode', () => {
  test('are absent, and announced only without it', async () => {
    const names = async (of: TestApp) => (object(await of.get('/service')).event_stream_mechanisms as Json[]).map(({ name }) => name)
    expect(await names(app)).toEqual(['webhooks', 'server-sent-events', 'websocket'])
    const strict = await openApp({ settings: { strict: true } })
    try {
      for (const path of ['/events', '/events/stream', '/events/ws']) expectStatus(await strict.get(path), 404)
      expect(await names(strict)).toEqual(['webhooks'])
    } finally {
      await strict.close()
    }
  })
})

describe('retention', () => {
  const count = async () => list(await app.get('/events?limit=1000')).length
  const retain = () => runUntilIdle(app.deps, eventRetentionWorker({ ...app.deps, retentionMs: 1_000_000 }))

  test('removes what is older and no younger event', async () => {
    await createFlow(app)
    app.clock.advance(2000)
    await createFlow(app)
    await retain()
    expect(await count()).toBe(2)
    app.clock.advance(2000)
    await retain()
    expect(await count()).toBe(0)
    await createFlow(app)
    expect(list(await app.get('/events'))[0]?.id).toBe('5')
  })

  test('removes thousands in steps', async () => {
    await append(1100)
    app.clock.advance(2000)
    await retain()
    expect(await count()).toBe(0)
  })

  test('keeps what an active webhook has not got yet, and not for one that is disabled', async () => {
    const webhook = { url: 'https://hooks.example.com/', events: ['flows/created'] }
    const { id } = object(expectStatus(await app.post('/service/webhooks', webhook), 201))
    await createFlow(app)
    app.clock.advance(2000)
    await retain()
    expect(await count()).toBe(2)
    expectStatus(await app.put(`/service/webhooks/${id}`, { ...webhook, id, status: 'disabled' }), 201)
    await retain()
    expect(await count()).toBe(0)
    expectStatus(await app.get(`/service/webhooks/${uuid()}`), 404)
  })
})
