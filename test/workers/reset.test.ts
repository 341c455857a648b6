import { afterEach, beforeEach, expect, setDefaultTimeout, test } from 'bun:test'
import { eq, everything } from '../../src/core/predicate.ts'
import { contentsOf, emptied, refuseServed, reset } from '../../src/workers/reset.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { inconsistencies } from '../support/consistency.ts'
import { allocateOne, createFlow, expectStatus, multiFlow, postSegment, register, seconds, videoFlow } from '../support/fixtures.ts'
import { call } from '../support/trash.ts'
import { takeLease } from '../support/workers.ts'

// Much of the time of these tests is the disk's.
setDefaultTimeout(120_000)

let app: TestApp
beforeEach(async () => {
  app = await openApp({ settings: { strict: false, softDeleteDefault: true } })
})
afterEach(() => app.close())

const deps = () => ({ tables: app.deps.tables, backends: app.deps.backends, storagePath: 'tams' })
const keys = async () => {
  const found: string[] = []
  for (const { store } of app.deps.backends) for await (const { key } of store.list({})) found.push(key)
  return found
}

const fill = async () => {
  const { id } = await createFlow(app, videoFlow({ tags: { kind: 'x' } }))
  const { object_id, put_url } = await allocateOne(app, id)
  const headers = { 'content-type': 'video/mp2t', ...put_url.headers }
  expect((await app.fetch(put_url.url, { method: 'PUT', body: 'bytes', headers })).status).toBe(200)
  expectStatus(await postSegment(app, id, { object_id, timerange: '[0:0_1:0)' }), 201)
  await register(app, id, ...seconds(100, 1))
  await createFlow(app, multiFlow({ flow_collection: [{ id }] }))
  await call(app, 'DELETE', `/flows/${id}/segments?timerange=[50:0_60:0)`, 204)
  return id
}

test('a reset takes every row and every byte of the program, and says beforehand how many', async () => {
  await fill()
  await app.deps.backends[0]?.store.put('of somebody else', new Blob(['x']).stream(), { contentType: 'text/plain' })
  const before = await contentsOf(deps())
  expect(before.rows.get('segments')).toBe(101)
  expect(before.media[0]).toMatchObject({ objects: 1, bytes: 5 })
  await reset(deps())
  expect((await contentsOf(deps())).rows.size).toBe(0)
  expect(await keys()).toEqual(['of somebody else'])
})

test('the store goes on afterwards as a new one, with the same storage backends', async () => {
  const backends = (await app.get('/service/storage-backends')).body
  await app.post('/service', { name: 'Old' })
  await fill()
  await reset(deps())
  expect((await app.get('/service/storage-backends')).body).toEqual(backends)
  expect((await app.get('/service')).text).not.toContain('Old')
  const id = await fill()
  expectStatus(await app.get(`/flows/${id}`), 200)
  expect(await inconsistencies(app.deps.tables)).toEqual([])
})

test('many rows go in batches, in the order of their keys', async () => {
  const { id } = await createFlow(app)
  const ranges = seconds(6000)
  await register(app, id, ...ranges)
  await reset(deps())
  for (const table of emptied()) expect([table, await app.deps.tables.read((tx) => tx.count(table, everything))]).toEqual([table, 0])
}, 120_000)

test('a reset that broke off goes on', async () => {
  await fill()
  const { backends } = deps()
  const broken = backends.map(({ info, store }) => ({ info, store: { ...store, delete: () => Promise.reject(new Error('away')) } }))
  await expect(reset({ ...deps(), backends: broken })).rejects.toThrow('away')
  await reset(deps())
  expect(await keys()).toEqual([])
  expect((await contentsOf(deps())).rows.size).toBe(0)
})

test('where many serve, a lease that runs says that somebody does', async () => {
  const { tables, clock } = app.deps
  await takeLease(tables, clock, 'work')
  await expect(refuseServed(tables, clock.nowUs())).rejects.toThrow('work')
  app.clock.advance(31)
  await refuseServed(tables, clock.nowUs())
  expect(await tables.read((tx) => tx.count('leases', eq('name', 'work')))).toBe(1)
})
