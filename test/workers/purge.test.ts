import { afterEach, beforeEach, expect, test } from 'bun:test'
import { everything } from '../../src/core/predicate.ts'
import { mediaRemovalWorker } from '../../src/workers/media-removals.ts'
import { purgeWorker } from '../../src/workers/purge.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { inconsistencies, strayBytes } from '../support/consistency.ts'
import { allocate, createFlow, expectStatus, multiFlow, postSegment, register, seconds, videoFlow } from '../support/fixtures.ts'
import { call, deletionOf, deletions, restore, workOff } from '../support/trash.ts'
import { runUntilIdle, step } from '../support/workers.ts'

const DAY_MS = 86_400_000
let app: TestApp
beforeEach(async () => {
  app = await openApp({ settings: { strict: false, softDeleteDefault: true, asyncDeletionThreshold: 10 } })
})
afterEach(async () => {
  await consistent()
  await app.close()
})

const consistent = async () => expect(await inconsistencies(app.deps.tables)).toEqual([])
const purger = (retentionMs = DAY_MS) => purgeWorker({ ...app.deps, retentionMs }, 7)
const purge = (between = consistent, retentionMs = DAY_MS) => runUntilIdle(app.deps, purger(retentionMs), between)
const TABLES = ['flows', 'sources', 'segments', 'objects', 'object_refs', 'object_instances', 'tags', 'collections', 'deletions'] as const
const counts = () =>
  app.deps.tables.read(async (tx) =>
    Object.fromEntries(await Promise.all(TABLES.map(async (table) => [table, await tx.count(table, everything)] as const))),
  )
const remove = (path: string, status = 204) => call(app, 'DELETE', path, status)
const log = () => app.deps.tables.read((tx) => tx.readLog(0n, 100_000))

test('what lies in the trash goes when its time is over, with its bytes, and nobody is told', async () => {
  const { id } = await createFlow(app, videoFlow({ tags: { a: ['b', 'c'] } }))
  const parent = await createFlow(app, multiFlow({ flow_collection: [{ id }] }))
  const [allocated] = await allocate(app, id)
  const headers = { 'content-type': 'video/mp2t', ...allocated?.put_url.headers }
  await app.fetch(allocated?.put_url.url ?? '', { method: 'PUT', body: 'bytes', headers })
  expectStatus(await postSegment(app, id, { object_id: allocated?.object_id, timerange: '[-1:0_0:0)' }), 201)
  await register(app, id, ...seconds(30))
  await remove(`/flows/${id}/segments?timerange=[0:0_3:0)`)
  await remove(`/flows/${id}`, 202)
  await workOff(app)
  const told = await log()
  await purge()
  expect(await counts()).toMatchObject({ flows: 2, deletions: 2, segments: 31 })
  app.clock.advance(DAY_MS / 1000 + 1)
  await purge()
  expect(await counts()).toEqual({
    ...{ flows: 1, sources: 1, segments: 0, objects: 0, object_refs: 0, object_instances: 0, tags: 0, collections: 0, deletions: 0 },
  })
  expect(await log()).toEqual(told)
  await runUntilIdle(app.deps, mediaRemovalWorker(app.deps))
  expect(await strayBytes(app.deps.tables, app.deps.backends)).toEqual([])
  for (const { store } of app.deps.backends) for await (const { key } of store.list({})) throw new Error(`${key} is left`)
  expectStatus(await app.get(`/flows/${parent.id}`), 200)
})

test('objects that live segments use stay, and those that other trash uses go with the last of it', async () => {
  const [one, two, three] = [await createFlow(app), await createFlow(app), await createFlow(app)]
  const [shared, kept] = await register(app, one.id, ...seconds(2))
  expectStatus(await postSegment(app, two.id, { object_id: shared, timerange: '[0:0_1:0)' }), 201)
  expectStatus(await postSegment(app, three.id, { object_id: kept, timerange: '[1:0_2:0)' }), 201)
  await remove(`/flows/${one.id}`)
  app.clock.advance(3600)
  await remove(`/flows/${two.id}`)
  app.clock.advance(DAY_MS / 1000 - 1800)
  await purge()
  const row = (id: string | undefined) => app.deps.tables.read((tx) => tx.find('objects', [id ?? '', '']))
  expect([await row(shared), await row(kept)]).not.toContain(undefined)
  await restore(app, `/flows/${two.id}/restore`)
  await remove(`/flows/${two.id}`)
  await purge(consistent, 0)
  expect([(await row(shared)) === undefined, (await row(kept)) === undefined]).toEqual([true, false])
})

test('a purge that has begun cannot be undone, and goes on whoever finishes it', async () => {
  const { id } = await createFlow(app)
  await register(app, id, ...seconds(20))
  await remove(`/flows/${id}`, 202)
  await workOff(app)
  app.clock.advance(DAY_MS / 1000 + 1)
  const deletion = await deletionOf(app, id)
  await step(app.deps, purger())
  expect(await deletionOf(app, id)).toMatchObject({ status: 'purging' })
  await call(app, 'POST', `/deletions/${deletion.id}/restore`, 404)
  await call(app, 'POST', `/flows/${id}/restore`, 404)
  await purge()
  expect(await counts()).toMatchObject({ flows: 0, segments: 0, deletions: 0 })
})

test('what is still being worked off waits, and what is restored only loses its record', async () => {
  const [one, two] = [await createFlow(app), await createFlow(app)]
  await register(app, one.id, ...seconds(20))
  await register(app, two.id, ...seconds(3))
  await remove(`/flows/${one.id}/segments`, 202)
  await remove(`/flows/${two.id}`)
  await restore(app, `/flows/${two.id}/restore`)
  await purge(consistent, 0)
  expect(await deletions(app)).toMatchObject([{ entity_id: one.id }])
  await workOff(app)
  await purge(consistent, 0)
  expect(await counts()).toMatchObject({ flows: 2, segments: 3, deletions: 0 })
  expectStatus(await app.get(`/flows/${two.id}`), 200)
})
