import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { TimeRange } from '../../src/core/time-range.ts'
import { deletionWorker } from '../../src/workers/deletion-requests.ts'
import { mediaRemovalWorker } from '../../src/workers/media-removals.ts'
import { list, object } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { inconsistencies, strayBytes } from '../support/consistency.ts'
import { faultyTables, InjectedFault } from '../support/faulty-tables.ts'
import { type Allocated, allocate, createFlow, expectStatus, multiFlow, postSegment, register, seconds } from '../support/fixtures.ts'
import { runUntilIdle, step } from '../support/workers.ts'

let app: TestApp
beforeEach(async () => {
  app = await openApp({ settings: { softDeleteDefault: false, asyncDeletionThreshold: 10 } })
})
afterEach(async () => {
  expect(await inconsistencies(app.deps.tables)).toEqual([])
  await app.close()
})

/** Seven segments a step, so that every request takes several. */
const worker = () => deletionWorker(app.deps, 7)
const workOff = (between?: () => Promise<void>) => runUntilIdle(app.deps, worker(), between)

const filled = async (count = 25) => {
  const flow = await createFlow(app)
  return { flow, id: flow.id, objects: await register(app, flow.id, ...seconds(count)) }
}
const removeRange = async (id: string, timerange = '_'): Promise<string> =>
  String(object(expectStatus(await app.delete(`/flows/${id}/segments?timerange=${timerange}`), 202)).id)
const removeFlow = async (id: string): Promise<string> => String(object(expectStatus(await app.delete(`/flows/${id}`), 202)).id)
const requestOf = async (id: string) => object(expectStatus(await app.get(`/flow-delete-requests/${id}`), 200))
const rowsOf = (flowId: string) =>
  app.deps.tables.read((tx) => tx.count('segments', { kind: 'compare', column: 'flow_id', op: '=', value: flowId }))

interface Logged {
  readonly type: string
  readonly source_id: string | null
  readonly body: { readonly event: { readonly timerange?: string }; readonly collected_by?: { readonly flow: string[] } }
}
const eventsOf = async (flowId: string, type: string): Promise<Logged[]> => {
  const rows = await app.deps.tables.read((tx) => tx.readLog(0n, 100_000))
  return rows
    .filter((row) => row.flow_id === flowId && row.type === type)
    .map((row) => ({ type: row.type, source_id: row.source_id, body: JSON.parse(row.body) as Logged['body'] }))
}
interface Deletion {
  readonly what: string
  readonly remove: (id: string) => Promise<string>
  readonly deletesFlow: boolean
  /** Of segments at [0:0_10:0) and [20:0_30:0), worked off by sevens. */
  readonly runs: readonly string[]
  /** Of 25 segments. */
  readonly left: number
}
const whole = ['[0:0_7:0)', '[7:0_10:0)', '[20:0_24:0)', '[24:0_30:0)']
const deletions: Deletion[] = [
  { what: 'a flow', remove: removeFlow, deletesFlow: true, runs: whole, left: 0 },
  { what: 'all segments of a flow', remove: removeRange, deletesFlow: false, runs: whole, left: 0 },
  {
    what: 'a range of segments',
    remove: (id) => removeRange(id, '[0:0_24:500000000)'),
    deletesFlow: false,
    runs: ['[0:0_7:0)', '[7:0_10:0)', '[20:0_24:0)'],
    left: 1,
  },
]

describe.each(deletions)('a delete request for $what', ({ remove, deletesFlow, runs, left }) => {
  test('moves from created over started to done, and what remains only shrinks [9] [9-M2] [9-M3]', async () => {
    const { id } = await filled()
    const request = await remove(id)
    const seen = [await requestOf(request)]
    await workOff(async () => void seen.push(await requestOf(request)))
    expect(seen[0]).toMatchObject({ status: 'created', delete_flow: deletesFlow })
    const order = ['created', 'started', 'done']
    const statuses = seen.map(({ status }) => order.indexOf(String(status)))
    expect(statuses).toEqual(statuses.toSorted())
    expect(new Set(statuses)).toEqual(new Set([0, 1, 2]))
    const remaining = seen.map((record) => TimeRange.parse(String(record.timerange_remaining)))
    for (const [index, range] of remaining.entries()) expect((remaining[index - 1] ?? TimeRange.eternity).covers(range)).toBe(true)
    expect(new Set(remaining.map(String)).size).toBeGreaterThan(3)
    expect(seen.at(-1)).toMatchObject({ status: 'done', timerange_remaining: '()', expiry: expect.any(String) })
    for (const record of seen) expect('expiry' in record).toBe(record.status === 'done')
    expect(await rowsOf(id)).toBe(left)
  })

  test('says exactly what is left [9]', async () => {
    const { id } = await filled(20)
    const request = await remove(id)
    await step(app.deps, worker())
    expect((await requestOf(request)).timerange_remaining).toBe('[7:0_20:0)')
    await step(app.deps, worker())
    expect((await requestOf(request)).timerange_remaining).toBe('[14:0_20:0)')
  })

  test('has a record until its expiry and none after [9] [9-M4]', async () => {
    const { id } = await filled()
    const request = await remove(id)
    await workOff()
    const expiry = Date.parse(String((await requestOf(request)).expiry))
    app.clock.advance(Math.floor((expiry - Number(app.clock.nowUs() / 1000n)) / 1000) - 1)
    await workOff()
    expectStatus(await app.get(`/flow-delete-requests/${request}`), 200)
    app.clock.advance(2)
    expectStatus(await app.get(`/flow-delete-requests/${request}`), 404)
    expect(list(await app.get('/flow-delete-requests'))).toEqual([])
    await workOff()
    expect(await app.deps.tables.read((tx) => tx.find('deletion_requests', [request]))).toBeUndefined()
  })

  test('takes objects with their last reference, and their bytes behind it [5.5] [11.7] [5.5-M2] [6.3-M3]', async () => {
    const { id } = await filled(12)
    const objects = await Promise.all((await allocate(app, id, { limit: 3 })).map(uploaded))
    for (const [index, object_id] of objects.entries())
      expectStatus(await postSegment(app, id, { object_id, timerange: `[${12 + index}:0_${13 + index}:0)` }), 201)
    const [shared, ...own] = objects
    const other = await createFlow(app)
    expectStatus(await postSegment(app, other.id, { object_id: shared, timerange: '[5:0_6:0)', ts_offset: '-7:0' }), 201)
    await remove(id)
    await workOff()
    expect(object(await app.get(`/objects/${shared}`)).referenced_by_flows).toEqual([other.id])
    for (const gone of own) expectStatus(await app.get(`/objects/${gone}`), 404)
    expect(await storedKeys()).toHaveLength(3)
    await runUntilIdle(app.deps, mediaRemovalWorker(app.deps))
    expect(await storedKeys()).toHaveLength(1)
    expect(await strayBytes(app.deps.tables, app.deps.backends)).toEqual([])
    const [url] = object(await app.get(`/objects/${shared}`)).get_urls as { url: string }[]
    expect(await (await app.fetch(url?.url ?? '')).text()).toBe('the bytes')
  })

  test('tells of each run that was really deleted, once, with source and collectors [10.1] [10.1-M2]', async () => {
    const { flow, id } = await filled(0)
    await register(app, id, ...seconds(10), ...seconds(10, 20))
    const collector = await createFlow(app, multiFlow({ flow_collection: [{ id }] }))
    await remove(id)
    expect(await eventsOf(id, 'flows/segments_deleted')).toEqual([])
    await workOff()
    const events = await eventsOf(id, 'flows/segments_deleted')
    expect(events.map(({ body }) => body.event.timerange)).toEqual([...runs])
    for (const event of events) expect(event.source_id).toBe(flow.source_id)
    expect(await eventsOf(id, 'flows/deleted')).toHaveLength(deletesFlow ? 1 : 0)
    if (deletesFlow) for (const { body } of events) expect(body.collected_by?.flow).toEqual([collector.id])
  })

  test('is done at once where another deletion has taken everything', async () => {
    const { id } = await filled()
    const request = await remove(id)
    const again = deletesFlow ? undefined : await removeFlow(id)
    await workOff()
    expect(await requestOf(request)).toMatchObject({ status: 'done', timerange_remaining: '()' })
    if (again) expect(await requestOf(again)).toMatchObject({ status: 'done', timerange_remaining: '()' })
    expect(await rowsOf(id)).toBe(0)
  })
})

test('a request that keeps failing ends as error, tells why, and does not hold up the next one [9] [9-M2]', async () => {
  const [poisoned, healthy] = [await filled(), await filled()]
  const first = await removeFlow(poisoned.id)
  const second = await removeFlow(healthy.id)
  const faulty = faultyTables(app.deps.tables)
  const failing = deletionWorker({ ...app.deps, tables: faulty.tables }, 7)
  for (let tries = 0; (await requestOf(first)).status !== 'error'; tries++) {
    expect(tries).toBeLessThan(50)
    faulty.arm(5)
    await step(app.deps, failing).catch((error: unknown) => expect(error).toBeInstanceOf(InjectedFault))
  }
  expect(await requestOf(first)).toMatchObject({ timerange_remaining: '[0:0_25:0)', error: { summary: 'an injected fault' } })
  faulty.arm(0)
  await runUntilIdle(app.deps, failing)
  expect(await requestOf(second)).toMatchObject({ status: 'done' })
})

const uploaded = async ({ object_id, put_url }: Allocated): Promise<string> => {
  const headers = { 'content-type': put_url['content-type'] ?? '', ...put_url.headers }
  const { status } = await app.fetch(put_url.url, { method: 'PUT', body: 'the bytes', headers })
  expect(status).toBe(200)
  return object_id
}

const storedKeys = async (): Promise<string[]> => {
  const keys: string[] = []
  for (const { store } of app.deps.backends) for await (const { key } of store.list({})) keys.push(key)
  return keys
}
