import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createApp } from '../../api/app.ts'
import { eq, everything, not } from '../../src/core/predicate.ts'
import { TimeRange } from '../../src/core/time-range.ts'
import { type Context, seesEverything } from '../../src/domain/context.ts'
import { createDomain } from '../../src/domain/index.ts'
import { restoreUseCases } from '../../src/domain/restore.ts'
import { allocationSweepWorker } from '../../src/workers/allocation-sweep.ts'
import { deletionWorker } from '../../src/workers/deletion-requests.ts'
import { mediaRemovalWorker } from '../../src/workers/media-removals.ts'
import { purgeWorker } from '../../src/workers/purge.ts'
import { restoreWorker } from '../../src/workers/restores.ts'
import { storeTotals } from '../../src/workers/store-totals.ts'
import { type Json, list, object } from '../support/answers.ts'
import { openApp, origin, type TestApp } from '../support/app.ts'
import { inconsistencies, strayBytes } from '../support/consistency.ts'
import {
  allocate,
  createFlow,
  expectStatus,
  external,
  ids,
  multiFlow,
  postSegment,
  readFlow,
  register,
  seconds,
  timerangesOf,
  uuid,
  videoFlow,
} from '../support/fixtures.ts'
import { call, deletionOf, deletions, restore, workOff } from '../support/trash.ts'
import { runUntilIdle, step } from '../support/workers.ts'

let app: TestApp
const open = async (asyncDeletionThreshold = 10) => {
  app = await openApp({ settings: { strict: false, softDeleteDefault: true, asyncDeletionThreshold } })
}
beforeEach(() => open())
afterEach(async () => {
  await consistent()
  await app.close()
})

const consistent = async () => expect(await inconsistencies(app.deps.tables)).toEqual([])
const filled = async (count = 3, body = videoFlow()) => {
  const flow = await createFlow(app, body)
  return { flow, id: flow.id, objects: await register(app, flow.id, ...seconds(count)) }
}
const remove = (path: string, status = 204) => call(app, 'DELETE', path, status)
const purger = (batch = 2) => purgeWorker({ ...app.deps, retentionMs: 0 }, batch)
const purge = () => runUntilIdle(app.deps, purger())
const count = (table: 'flows' | 'segments' | 'objects' | 'object_refs' | 'deletions' | 'collections' | 'tags' | 'sources') =>
  app.deps.tables.read((tx) => tx.count(table, everything))
const context: Context = { principal: { name: 'tester' }, visible: seesEverything, requestId: 'a request', baseUrl: origin }
/** Types of the log in order, with the ids of objects. */
const told = async (from = 0): Promise<string[]> => {
  const rows = await app.deps.tables.read((tx) => tx.readLog(0n, 100_000))
  return rows.slice(from).map(({ type, body }) => {
    const { event } = JSON.parse(body) as { event: { objects?: { id: string }[]; object_ids?: string[] } }
    const of = event.objects?.map(({ id }) => id) ?? event.object_ids
    return of ? `${type} ${of.toSorted().join()}` : type
  })
}

describe('ranges and flows deleted and restored one over the other', () => {
  test('come back as far as their place is free, and a purge takes one deletion and not the other', async () => {
    const { id, objects } = await filled(4)
    await remove(`/flows/${id}/segments?timerange=[1:0_3:0)`)
    const first = await deletionOf(app, id)
    const [, newer] = await register(app, id, '[1:0_1:500000000)', '[1:500000000_3:0)')
    await remove(`/flows/${id}`)
    await call(app, 'POST', `/deletions/${first.id}/restore`, 409)
    await restore(app, `/flows/${id}/restore`)
    const live = await timerangesOf(app, id)
    expect(live).toEqual(['[0:0_1:0)', '[1:0_1:500000000)', '[1:500000000_3:0)', '[3:0_4:0)'])
    const refused = object(await call(app, 'POST', `/flows/${id}/segments/restore`, 409)).summary
    expect(refused).toContain('[1:500000000_3:0)')
    await remove(`/flows/${id}/segments?timerange=[1:0_3:0)`)
    const second = await deletionOf(app, id)
    expect(object(await call(app, 'POST', `/flows/${id}/segments/restore`, 409)).summary).toContain('deletion_id=')
    expect(await timerangesOf(app, id)).toEqual(['[0:0_1:0)', '[3:0_4:0)'])
    await call(app, 'POST', `/flows/${id}/segments/restore?deletion_id=${first.id}`, 200)
    expect(await timerangesOf(app, id)).toEqual(seconds(4))
    await purge()
    expect(await deletions(app)).toEqual([])
    await call(app, 'POST', `/deletions/${second.id}/restore`, 404)
    expect(await timerangesOf(app, id)).toEqual(seconds(4))
    const row = (object = '') => app.deps.tables.read((tx) => tx.find('objects', [object, '']))
    expect([(await row(objects[1])) === undefined, (await row(newer)) === undefined]).toEqual([false, true])
  })

  test('of a flow made anew do not wait for what its predecessor has in the trash', async () => {
    const { flow, id } = await filled(3)
    await remove(`/flows/${id}/segments?timerange=[0:0_1:0)`)
    await remove(`/flows/${id}?soft_delete=false`)
    await createFlow(app, flow)
    await call(app, 'POST', `/flows/${id}/segments/restore`, 409)
    await register(app, id, ...seconds(2))
    await remove(`/flows/${id}/segments?timerange=[1:0_2:0)`)
    expect(list(await call(app, 'POST', `/flows/${id}/segments/restore`, 200))).toHaveLength(1)
    expect(await timerangesOf(app, id)).toEqual(seconds(2))
  })

  test('are found again where a flow came back alone from the deletion of its source', async () => {
    const { flow, id } = await filled(3)
    await remove(`/sources/${flow.source_id}`)
    await restore(app, `/flows/${id}/restore?cascade=false`)
    expect(list(await call(app, 'GET', `/flows/${id}/segments?deleted_only=true`, 200))).toHaveLength(3)
    expect(list(await call(app, 'POST', `/flows/${id}/segments/restore?timerange=[0:0_2:0)`, 200))).toMatchObject([{ status: 'deleted' }])
    await remove(`/flows/${id}`)
    expect(list(await call(app, 'GET', `/flows/${id}/segments?deleted_only=true`, 200))).toHaveLength(3)
    await restore(app, `/flows/${id}/restore`)
    expect(list(await call(app, 'POST', `/flows/${id}/segments/restore`, 200))).toMatchObject([{ status: 'restored' }])
    expect(await timerangesOf(app, id)).toEqual(seconds(3))
  })

  test('stay restored although an older request for the same object is still worked off', async () => {
    const { id } = await filled(0)
    const [shared] = await register(app, id, '[0:0_1:0)')
    const use = (at: number) => ({ object_id: shared, timerange: `[${at}:0_${at + 1}:0)`, ts_offset: `${at}:0` })
    await remove(`/flows/${id}/segments`)
    const early = await deletionOf(app, id)
    expectStatus(await postSegment(app, id, [0, ...Array.from({ length: 30 }, (_, n) => n + 1)].map(use)), 201)
    await remove(`/flows/${id}/segments?object_id=${shared}`, 202)
    await step(app.deps, deletionWorker(app.deps, 5))
    await call(app, 'POST', `/deletions/${early.id}/restore`, 200)
    await workOff(app, 5, consistent)
    expect(await timerangesOf(app, id)).toEqual(['[0:0_1:0)'])
    expect(list(await call(app, 'GET', '/flow-delete-requests', 200))).toMatchObject([{ status: 'done' }])
  })
})

describe('collections', () => {
  const orders = ([first, ...rest]: readonly number[]): number[][] =>
    first === undefined
      ? [[]]
      : orders(rest).flatMap((order) => order.map((_, at) => order.toSpliced(at, 0, first)).concat([[...order, first]]))

  test.each(orders([0, 1, 2]))('are whole again in whatever order their flows went and come (%i, %i, %i)', async (...order) => {
    const [member, other] = [await createFlow(app), await createFlow(app)]
    const both = [{ id: member.id, role: 'video' }, { id: other.id }]
    const one = await createFlow(app, multiFlow({ flow_collection: both }))
    const two = await createFlow(app, multiFlow({ flow_collection: both.toReversed() }))
    const flows = [member, one, two]
    const before = await count('collections')
    for (const back of orders([0, 1, 2])) {
      for (const n of order) await remove(`/flows/${flows[n]?.id}`)
      for (const n of back) await restore(app, `/flows/${flows[n]?.id}/restore`)
      await consistent()
      expect((await readFlow(app, one.id)).flow_collection).toEqual(both)
      expect((await readFlow(app, two.id)).flow_collection).toEqual(both.toReversed())
      expect(await count('collections')).toBe(before)
    }
  })

  test('leave nothing behind where one side is purged', async () => {
    const member = await createFlow(app)
    const parent = await createFlow(app, multiFlow({ flow_collection: [{ id: member.id }] }))
    await remove(`/flows/${member.id}`)
    await remove(`/flows/${parent.id}`)
    await restore(app, `/flows/${member.id}/restore`)
    await purge()
    expect(await count('collections')).toBe(0)
    expectStatus(await app.get(`/flows/${member.id}`), 200)
  })
})

describe('at the same moment', () => {
  test('of two restores one succeeds', async () => {
    const { id } = await filled(3)
    await remove(`/flows/${id}`)
    const { id: deletion } = await deletionOf(app, id)
    const answers = await Promise.all(
      [`/flows/${id}/restore`, `/deletions/${deletion}/restore`, `/flows/${id}/restore`].map((path) =>
        app.fetch(`${origin}${path}`, { method: 'POST' }),
      ),
    )
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409, 409])
    expect(await timerangesOf(app, id)).toEqual(seconds(3))
  })

  test.each([true, false])('of a purge and a restore one wins wholly (the purge asked first: %p)', async (purgeFirst) => {
    const { id } = await filled(6)
    await remove(`/flows/${id}`)
    const restoring = () => app.fetch(`${origin}/flows/${id}/restore`, { method: 'POST' })
    const [answer] = purgeFirst
      ? (await Promise.all([step(app.deps, purger()), restoring()])).toReversed()
      : await Promise.all([restoring(), step(app.deps, purger())])
    const isBack = answer instanceof Response && answer.status === 200
    await purge()
    expect(await timerangesOf(app, id)).toEqual(isBack ? seconds(6) : [])
    expect([await count('segments'), await count('flows'), await count('objects'), await count('deletions')]).toEqual(
      isBack ? [6, 1, 6, 0] : [0, 0, 0, 0],
    )
  })

  test('a purge leaves a deleted flow alone as long as a restore still brings segments to it', async () => {
    const { id } = await filled(9)
    await remove(`/flows/${id}/segments?timerange=[1:0_9:0)`)
    const large = restoreUseCases(app.deps, 5)
    expect(await large.segments(context, id, () => ({ timerange: TimeRange.eternity }))).toMatchObject([{ status: 'restoring' }])
    await step(app.deps, restoreWorker(app.deps, 3))
    await remove(`/flows/${id}`)
    await purge()
    expect(await deletions(app, `?entity_type=flow`)).toMatchObject([{ status: 'deleted' }])
    await workOff(app, 3, consistent)
    await restore(app, `/flows/${id}/restore`)
    expect(await timerangesOf(app, id)).toEqual(seconds(9))
  })
})

describe('media objects', () => {
  test('are told of when the last live use goes to the trash, and when one comes back', async () => {
    const { id, flow } = await filled(2)
    const two = await createFlow(app)
    const [known] = await register(app, id, '[2:0_3:0)')
    const [a, b] = (await app.deps.tables.read((tx) => tx.list('segments', { where: eq('flow_id', id), limit: 2 }))).rows.map(
      (row) => row.object_id,
    )
    expectStatus(await postSegment(app, two.id, { object_id: known, timerange: '[2:0_3:0)' }), 201)
    const since = (await told()).length
    await remove(`/flows/${id}/segments?timerange=[0:0_1:0)`)
    await remove(`/flows/${id}`)
    await restore(app, `/flows/${id}/restore`)
    await call(app, 'POST', `/flows/${id}/segments/restore`, 200)
    expect(await told(since)).toEqual([
      ...[`objects/deleted ${a}`, 'flows/segments_deleted'],
      ...[`objects/deleted ${b}`, 'flows/segments_deleted', 'flows/deleted', 'sources/deleted'],
      ...['sources/created', 'sources/restored', 'flows/created', 'flows/restored', `objects/created ${b}`, 'flows/segments_added'],
      ...[`objects/created ${a}`, 'flows/segments_added'],
    ])
    expect(await app.events(id, flow.source_id)).not.toContain('objects/deleted')
  })

  test('of large deletions and restores are told of as often', async () => {
    const { id, objects } = await filled(25)
    const since = (await told()).length
    await remove(`/flows/${id}`, 202)
    await workOff(app)
    await restore(app, `/flows/${id}/restore`, 202)
    await workOff(app)
    await remove(`/flows/${id}/segments`, 202)
    await workOff(app)
    await restoreUseCases(app.deps, 5).segments(context, id, () => ({ timerange: TimeRange.eternity }))
    await workOff(app)
    const about = async (type: string) =>
      (await told(since)).flatMap((line) => (line.startsWith(type) ? line.split(' ')[1]?.split(',') : []))
    const twice = [...objects, ...objects].toSorted()
    expect((await about('objects/deleted')).toSorted()).toEqual(twice)
    expect((await about('objects/created')).toSorted()).toEqual(twice)
  })

  test('made directly are told of once when they come, and again when they are restored', async () => {
    const id = uuid()
    const { get_urls } = external('_')
    await call(app, 'POST', '/objects', 201, { id, get_urls, timerange: '[0:0_10:0)' })
    const flow = await createFlow(app)
    expectStatus(await postSegment(app, flow.id, { object_id: id, timerange: '[0:0_1:0)' }), 201)
    await remove(`/flows/${flow.id}`)
    await remove(`/objects/${id}`)
    await restore(app, `/objects/${id}/restore`)
    expect((await told()).filter((line) => line.startsWith('objects/'))).toEqual([
      `objects/created ${id}`,
      `objects/deleted ${id}`,
      `objects/created ${id}`,
    ])
  })

  test('that only the trash uses are registered again as they were, and not otherwise', async () => {
    const { id, objects } = await filled(1)
    const [known = ''] = objects
    await remove(`/flows/${id}`)
    const { get_urls } = external('_')
    const refused = object(await call(app, 'POST', '/objects', 409, { id: known, get_urls, timerange: '[0:0_1:0)' })).summary
    expect(refused).toContain('in the trash')
    const other = await createFlow(app)
    for (const over of [{ object_timerange: '[0:0_5:0)' }, { key_frame_count: 3 }])
      expectStatus(await postSegment(app, other.id, external('[0:0_1:0)', { object_id: known, ...over })), 400)
    expectStatus(await app.get(`/objects/${known}`), 404)
    expectStatus(await postSegment(app, other.id, { object_id: known, timerange: '[0:0_1:0)' }), 201)
    expect((await told()).findLast((line) => line.startsWith('objects/'))).toBe(`objects/created ${known}`)
    await remove(`/flows/${other.id}?soft_delete=false`)
    expect((await told()).findLast((line) => line.startsWith('objects/'))).toBe(`objects/deleted ${known}`)
    expectStatus(await app.get(`/objects/${known}`), 404)
    await restore(app, `/flows/${id}/restore`)
    expectStatus(await app.get(`/objects/${known}`), 200)
  })

  test('and what they begin with stay with the last of several flows and deletions that use them', async () => {
    const body = videoFlow()
    const flow = { ...body, essence_parameters: { ...(body.essence_parameters as Json), init_segments: true } }
    await createFlow(app, flow)
    const other = { ...flow, id: uuid() }
    await createFlow(app, other)
    const [init, media] = await allocate(app, flow.id, { limit: 2 })
    for (const { put_url } of [init, media].flatMap((one) => one ?? [])) {
      const headers = { 'content-type': 'video/mp2t', ...put_url.headers }
      await app.fetch(put_url.url, { method: 'PUT', body: 'bytes', headers })
    }
    const first = { object_id: media?.object_id, init_object_id: init?.object_id, timerange: '[0:0_1:0)' }
    expectStatus(await postSegment(app, flow.id, first), 201)
    expectStatus(await postSegment(app, other.id, { object_id: media?.object_id, timerange: '[0:0_1:0)' }), 201)
    await remove(`/flows/${flow.id}/segments`)
    await remove(`/flows/${other.id}`)
    for (const id of [init?.object_id, media?.object_id]) expectStatus(await app.get(`/objects/${id}`), 404)
    await call(app, 'POST', `/flows/${flow.id}/segments/restore`, 200)
    expect(object(await app.get(`/objects/${media?.object_id}`))).toMatchObject({
      referenced_by_flows: [flow.id],
      init_object: { id: init?.object_id, get_urls: [expect.anything()] },
    })
    await purge()
    await runUntilIdle(app.deps, mediaRemovalWorker(app.deps))
    expectStatus(await app.get(`/objects/${media?.object_id}`), 200)
    await remove(`/flows/${flow.id}`)
    await purge()
    await runUntilIdle(app.deps, mediaRemovalWorker(app.deps))
    expect([await count('objects'), await count('object_refs')]).toEqual([0, 0])
    expect(await strayBytes(app.deps.tables, app.deps.backends)).toEqual([])
    for (const { store } of app.deps.backends) for await (const { key } of store.list({})) throw new Error(`${key} is left`)
  })

  test('allocated for a flow that goes to the trash are swept, bytes that come later included', async () => {
    const flow = await createFlow(app)
    const [kept, late] = await allocate(app, flow.id, { limit: 2 })
    await remove(`/flows/${flow.id}`)
    const upload = async (put_url = late?.put_url) =>
      (
        await app.fetch(put_url?.url ?? '', {
          method: 'PUT',
          body: 'bytes',
          headers: { 'content-type': 'video/mp2t', ...put_url?.headers },
        })
      ).status
    expect([await upload(), await upload(kept?.put_url)]).toEqual([200, 200])
    await restore(app, `/flows/${flow.id}/restore`)
    expectStatus(await postSegment(app, flow.id, { object_id: kept?.object_id, timerange: '[0:0_1:0)' }), 201)
    await remove(`/flows/${flow.id}`)
    app.clock.advance(2 * 3600)
    await runUntilIdle(app.deps, allocationSweepWorker(app.deps))
    await runUntilIdle(app.deps, mediaRemovalWorker(app.deps))
    expect(await count('objects')).toBe(1)
    expect(await strayBytes(app.deps.tables, app.deps.backends)).toEqual([])
  })
})

test.each([0, 1])('with ASYNC_DELETION_THRESHOLD=%i everything goes and comes back all the same', async (threshold) => {
  await app.close()
  await open(threshold)
  const { id, flow } = await filled(3)
  const since = (await told()).length
  await remove(`/flows/${id}/segments?timerange=[1:0_3:0)`, 202)
  await workOff(app, 1, consistent)
  await remove(`/flows/${id}`, threshold === 0 ? 202 : 204)
  await workOff(app, 1, consistent)
  await restore(app, `/flows/${id}/restore`, threshold === 0 ? 202 : 200)
  await workOff(app, 1, consistent)
  await call(app, 'POST', `/flows/${id}/segments/restore`, 200)
  await workOff(app, 1, consistent)
  expect(await timerangesOf(app, id)).toEqual(seconds(3))
  const types = (await told(since)).map((line) => line.split(' ')[0])
  for (const type of ['flows/deleted', 'flows/created', 'sources/deleted', 'sources/created'])
    expect(types.filter((each) => each === type)).toHaveLength(1)
  await remove(`/sources/${flow.source_id}`, 202)
  await workOff(app, 1, consistent)
  await purge()
  expect([await count('flows'), await count('segments'), await count('objects'), await count('deletions')]).toEqual([0, 0, 0, 0])
})

describe('for those who may not see it', () => {
  test('in strict mode the trash of before is not there, and is purged', async () => {
    const { id, flow, objects } = await filled(3, videoFlow({ tags: { a: 'b' } }))
    const live = await filled(1)
    await remove(`/flows/${live.id}/segments`)
    await remove(`/flows/${id}`)
    const settings = { ...app.deps.settings, strict: true }
    const strict = createApp({ ...app.deps, settings })
    const get = async (path: string) => strict.handle(new Request(`${origin}${path}`))
    const all = '?include_deleted=true&deleted_state=all'
    for (const path of [`/flows/${id}`, `/sources/${flow.source_id}`, `/objects/${objects[0]}`])
      expect((await get(`${path}${all}`)).status).toBe(404)
    expect(await (await get(`/flows${all}&tag.a=b`)).json()).toEqual([])
    expect(ids((await (await get(`/sources${all}`)).json()) as Json[])).toEqual([live.flow.source_id])
    for (const flowId of [id, live.id]) expect(await (await get(`/flows/${flowId}/segments${all}`)).json()).toEqual([])
    for (const path of [`/flows/${id}/restore`, `/flows/${live.id}/segments/restore`])
      expect((await strict.handle(new Request(`${origin}${path}`, { method: 'POST' }))).status).toBe(404)
    expect(await storeTotals(app.deps.tables, new AbortController().signal)).toMatchObject({ flows: 1, sources: 1, segments: 0 })
    await purge()
    expect([await count('segments'), await count('objects'), await count('tags'), await count('flows')]).toEqual([0, 0, 0, 1])
  })

  test('a principal finds, lists and restores nothing of what it may not see', async () => {
    const { id, flow } = await filled(2)
    const other = await filled(1)
    await remove(`/flows/${id}`)
    await remove(`/flows/${other.id}`)
    const { id: deletion } = await deletionOf(app, id)
    const visible = { ...seesEverything, flows: not(eq('id', id)), sources: not(eq('id', flow.source_id)) }
    const domain = createDomain(app.deps)
    const blind: Context = { ...context, visible }
    const { items } = await domain.flows.list(blind, { tags: [], view: 'all' }, 'created', {})
    expect(items.map((item) => item.id)).toEqual([other.id])
    const { items: sources } = await domain.sources.list(blind, { tags: [], view: 'deleted' }, 'created', {})
    expect(sources.map((item) => item.id)).toEqual([other.flow.source_id])
    const missing = { code: 'not_found' }
    await expect(domain.restore.flow(blind, id, () => ({}))).rejects.toMatchObject(missing)
    await expect(domain.restore.source(blind, flow.source_id, () => ({}))).rejects.toMatchObject(missing)
    await expect(domain.restore.deletion(blind, deletion, () => ({}))).rejects.toMatchObject(missing)
    const seen = (await domain.deletions.list(blind, {}, {})).items.map((item) => item.entity_id)
    expect(seen).toEqual([other.id])
    await expect(domain.deletions.get(blind, deletion)).rejects.toMatchObject(missing)
  })
})

test('a flow comes back linked to its profile, and what it lost before not while it is read-only', async () => {
  const profile = uuid()
  const { format, codec, essence_parameters } = videoFlow()
  const flow_metadata = { format, codec, container: 'video/mp2t', essence_parameters }
  expectStatus(await app.post(`/service/profiles/${profile}`, { id: profile, flow_metadata }), 201)
  const { id } = await filled(2, { id: uuid(), source_id: uuid(), profile_id: profile })
  const before = await readFlow(app, id)
  await remove(`/flows/${id}`)
  expect(list(await app.get(`/flows?profile_id=${profile}`))).toEqual([])
  await restore(app, `/flows/${id}/restore`)
  expect(await readFlow(app, id)).toEqual(before)
  await remove(`/flows/${id}/segments`)
  expectStatus(await app.put(`/flows/${id}/read_only`, true), 204)
  await call(app, 'POST', `/flows/${id}/segments/restore`, 403)
  await call(app, 'POST', `/deletions/${(await deletionOf(app, id)).id}/restore`, 403)
  await remove(`/flows/${id}`, 403)
  expectStatus(await app.put(`/flows/${id}/read_only`, false), 204)
  await call(app, 'POST', `/flows/${id}/segments/restore`, 200)
  expect(await timerangesOf(app, id)).toEqual(seconds(2))
})
