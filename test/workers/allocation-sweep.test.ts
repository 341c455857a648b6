import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { allocationSweepWorker } from '../../src/workers/allocation-sweep.ts'
import { mediaRemovalWorker } from '../../src/workers/media-removals.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { inconsistencies, strayBytes } from '../support/consistency.ts'
import { type Allocated, allocate, allocateOne, createFlow, expectInvalid, expectStatus, postSegment } from '../support/fixtures.ts'
import { runUntilIdle } from '../support/workers.ts'

let app: TestApp
beforeEach(async () => {
  app = await openApp()
})
afterEach(async () => {
  expect(await inconsistencies(app.deps.tables)).toEqual([])
  await app.close()
})

const HOUR = 3600
const sweep = () => runUntilIdle(app.deps, allocationSweepWorker(app.deps))
const removeBytes = () => runUntilIdle(app.deps, mediaRemovalWorker(app.deps))
const put = async ({ put_url }: Allocated, body = 'the bytes'): Promise<number> =>
  (await app.fetch(put_url.url, { method: 'PUT', body, headers: { 'content-type': 'video/mp2t', ...put_url.headers } })).status
const isKnown = async (id: string) => (await app.deps.tables.read((tx) => tx.find('objects', [id, '']))) !== undefined
const storedKeys = async (): Promise<string[]> => {
  const keys: string[] = []
  for (const { store } of app.deps.backends) for await (const { key } of store.list({})) keys.push(key)
  return keys
}

describe('the sweep of allocations', () => {
  test('takes those that lapsed, their bytes included, and no others [7] [11.7] [7-S3]', async () => {
    const { id } = await createFlow(app)
    const [used, unused, empty] = await allocate(app, id, { limit: 3 })
    if (!used || !unused || !empty) throw new Error('nothing was allocated')
    expect([await put(used), await put(unused)]).toEqual([200, 200])
    expectStatus(await postSegment(app, id, { object_id: used.object_id, timerange: '[0:0_1:0)' }), 201)
    app.clock.advance(HOUR + 299)
    const young = await allocateOne(app, id)
    await sweep()
    expect(await Promise.all([used, unused, empty, young].map((object) => isKnown(object.object_id)))).toEqual([true, true, true, true])
    app.clock.advance(2)
    await sweep()
    expect(await Promise.all([used, unused, empty, young].map((object) => isKnown(object.object_id)))).toEqual([true, false, false, true])
    await removeBytes()
    expect(await storedKeys()).toHaveLength(1)
    expect(await strayBytes(app.deps.tables, app.deps.backends)).toEqual([])
    expectStatus(await app.get(`/objects/${used.object_id}`), 200)
    expectInvalid(await postSegment(app, id, { object_id: unused.object_id, timerange: '[1:0_2:0)' }), 'object_id')
  })

  test('spares one that is registered after the sweep has found it', async () => {
    const { id } = await createFlow(app)
    const allocated = await allocateOne(app, id)
    const registerNow = async () =>
      expectStatus(await postSegment(app, id, { object_id: allocated.object_id, timerange: '[0:0_1:0)' }), 201)
    // The clock of the sweep is ahead: the service may still register what the sweep holds for lapsed.
    const clock = { nowUs: () => app.clock.nowUs() + BigInt(2 * HOUR) * 1_000_000n }
    const { tables } = app.deps
    const racing = {
      ...app.deps,
      clock,
      tables: {
        read: async <T>(work: Parameters<typeof tables.read<T>>[0]) => {
          const found = await tables.read(work)
          if (!(await isRegistered(allocated.object_id))) await registerNow()
          return found
        },
        write: tables.write.bind(tables),
        version: tables.version.bind(tables),
        check: tables.check.bind(tables),
        close: tables.close.bind(tables),
      },
    }
    await runUntilIdle(app.deps, allocationSweepWorker(racing))
    expectStatus(await app.get(`/objects/${allocated.object_id}`), 200)
  })

  test('takes thousands in bounded steps', async () => {
    const { id } = await createFlow(app)
    await allocate(app, id, { limit: 1000 })
    await allocate(app, id, { limit: 200 })
    app.clock.advance(2 * HOUR)
    await sweep()
    expect(await app.deps.tables.read((tx) => tx.count('objects', { kind: 'and', terms: [] }))).toBe(0)
  })
})

const isRegistered = async (id: string) => (await app.deps.tables.read((tx) => tx.find('objects', [id, ''])))?.state === 'registered'

describe('the removal of media', () => {
  test('cannot take the bytes of an object that has the id of a removed one', async () => {
    const { id } = await createFlow(app)
    const object_ids = ['again']
    expect(await put(await allocateOne(app, id, { object_ids }), 'old')).toBe(200)
    app.clock.advance(2 * HOUR)
    await sweep()
    const second = await allocateOne(app, id, { object_ids })
    expect(await put(second, 'new')).toBe(200)
    expectStatus(await postSegment(app, id, { object_id: 'again', timerange: '[0:0_1:0)' }), 201)
    await removeBytes()
    const [key = '', ...more] = await storedKeys()
    expect(more).toEqual([])
    const body = await app.deps.backends[0]?.store.get(key)
    expect(await new Response(body?.body).text()).toBe('new')
    expect(await app.deps.tables.read((tx) => tx.count('media_removals', { kind: 'and', terms: [] }))).toBe(0)
  })

  test('is tried again until the backend has done it', async () => {
    const { id } = await createFlow(app)
    expect(await put(await allocateOne(app, id))).toBe(200)
    app.clock.advance(2 * HOUR)
    await sweep()
    const backends = app.deps.backends.map(({ info, store }) => ({
      info,
      store: { ...store, delete: () => Promise.reject(new Error('the backend is away')) },
    }))
    const away = runUntilIdle(app.deps, mediaRemovalWorker({ ...app.deps, backends }))
    expect(away).rejects.toThrow('the backend is away')
    await away.catch(() => undefined)
    expect(await storedKeys()).toHaveLength(1)
    await removeBytes()
    expect(await storedKeys()).toEqual([])
    expect(await strayBytes(app.deps.tables, app.deps.backends)).toEqual([])
  })

  test('leaves what lies in a backend that is not configured', async () => {
    const { id } = await createFlow(app)
    expect(await put(await allocateOne(app, id))).toBe(200)
    app.clock.advance(2 * HOUR)
    await sweep()
    await runUntilIdle(app.deps, mediaRemovalWorker({ ...app.deps, backends: app.deps.backends.slice(1) }))
    expect(await app.deps.tables.read((tx) => tx.count('media_removals', { kind: 'and', terms: [] }))).toBe(1)
    await removeBytes()
    expect(await storedKeys()).toEqual([])
  })
})
