import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { list, object } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { inconsistencies } from '../support/consistency.ts'
import {
  audioFlow,
  createFlow,
  expectStatus,
  external,
  ids,
  multiFlow,
  postSegment,
  readFlow,
  readSource,
  register,
  seconds,
  segmentsOf,
  timerangesOf,
  uuid,
  videoFlow,
} from '../support/fixtures.ts'
import { call, deletionOf, deletions, restore, workOff } from '../support/trash.ts'

let app: TestApp
beforeEach(async () => {
  app = await openApp({ settings: { strict: false, softDeleteDefault: true, asyncDeletionThreshold: 10 } })
})
afterEach(async () => {
  expect(await inconsistencies(app.deps.tables)).toEqual([])
  await app.close()
})

const filled = async (count = 3, body = videoFlow()) => {
  const flow = await createFlow(app, body)
  return { flow, id: flow.id, objects: await register(app, flow.id, ...seconds(count)) }
}
const remove = (path: string, status = 204) => call(app, 'DELETE', path, status)
const eventsSince = async (before: readonly string[], ...of: readonly string[]) => (await app.events(...of)).slice(before.length)

describe('a soft-deleted flow', () => {
  test('is invisible everywhere and comes back as it was', async () => {
    const { flow, id, objects } = await filled(3, videoFlow({ tags: { a: ['b', 'c'] }, label: 'one' }))
    const before = await readFlow(app, id, '?include_timerange=true')
    const segments = await segmentsOf(app, id)
    await remove(`/flows/${id}`)
    for (const path of [`/flows/${id}`, `/flows/${id}/tags`, `/sources/${flow.source_id}`, `/objects/${objects[0]}`])
      expectStatus(await app.get(path), 404)
    expect(await segmentsOf(app, id)).toEqual([])
    for (const path of ['/flows', '/sources', '/flows?tag.a=b', '/flows?tag_exists.a=true']) expect(list(await app.get(path))).toEqual([])
    expectStatus(await app.put(`/flows/${id}/label`, 'two'), 404)
    expect(await restore(app, `/flows/${id}/restore`)).toMatchObject({ status: 'restored', entity_type: 'flow', entity_id: id })
    expect(await readFlow(app, id, '?include_timerange=true')).toEqual(before)
    expect(await segmentsOf(app, id)).toEqual(segments)
    expect(ids(list(await app.get('/flows?tag.a=c')))).toEqual([id])
    expectStatus(await app.get(`/sources/${flow.source_id}`), 200)
    expectStatus(await app.get(`/objects/${objects[0]}`), 200)
  })

  test('is told of like one that is gone, and its restore like one that is new', async () => {
    const { flow, id } = await filled()
    const before = await app.events(id, flow.source_id)
    await remove(`/flows/${id}`)
    expect(await eventsSince(before, id, flow.source_id)).toEqual(['flows/segments_deleted', 'flows/deleted', 'sources/deleted'])
    const deleted = await app.events(id, flow.source_id)
    await restore(app, `/flows/${id}/restore`)
    expect(await eventsSince(deleted, id, flow.source_id)).toEqual(['sources/created', 'flows/created', 'flows/segments_added'])
    const log = await app.deps.tables.read((tx) => tx.readLog(0n, 1000))
    expect(log.map((row) => row.type)).toEqual(expect.arrayContaining(['sources/restored', 'flows/restored']))
  })

  test('with more segments than are worked off at once is told of by a worker, and cannot come back before that is done', async () => {
    const { id } = await filled(25)
    const before = await app.events(id)
    const location = (await remove(`/flows/${id}`, 202)).headers.get('location')
    await call(app, 'POST', `/flows/${id}/restore`, 409)
    expect(await eventsSince(before, id)).toEqual(['flows/deleted'])
    await workOff(app)
    expect(object(await app.get(new URL(location ?? '').pathname))).toMatchObject({ status: 'done', timerange_remaining: '()' })
    expect((await eventsSince(before, id)).filter((type) => type === 'flows/segments_deleted')).toHaveLength(4)
    const deleted = await app.events(id)
    const answer = await call(app, 'POST', `/flows/${id}/restore`, 202)
    expect(await timerangesOf(app, id)).toEqual(seconds(25))
    expect(object(answer).status).toBe('restoring')
    await workOff(app)
    const { pathname } = new URL(answer.headers.get('location') ?? '')
    expect(object(await call(app, 'GET', pathname, 200)).status).toBe('restored')
    expect((await eventsSince(deleted, id)).filter((type) => type === 'flows/segments_added')).toHaveLength(4)
  })

  test('leaves its collections and takes its place again, once the collector lives', async () => {
    const [one, two, three] = [await createFlow(app), await createFlow(app, audioFlow()), await createFlow(app)]
    const members = [{ id: one.id, role: 'video' }, { id: two.id }, { id: three.id }]
    const parent = await createFlow(app, multiFlow({ flow_collection: members }))
    await remove(`/flows/${two.id}`)
    await remove(`/flows/${one.id}`)
    expect((await readFlow(app, parent.id)).flow_collection).toEqual([{ id: three.id }])
    await restore(app, `/flows/${one.id}/restore`)
    await restore(app, `/flows/${two.id}/restore`)
    expect((await readFlow(app, parent.id)).flow_collection).toEqual(members)
    expect((await readSource(app, parent.source_id)).source_collection).toHaveLength(3)
    await remove(`/flows/${one.id}`)
    await remove(`/flows/${parent.id}`)
    await restore(app, `/flows/${one.id}/restore`)
    await restore(app, `/flows/${parent.id}/restore`)
    expect((await readFlow(app, parent.id)).flow_collection).toEqual(members)
  })

  test('is not given back a collector that it collects itself by now', async () => {
    const inner = await createFlow(app, multiFlow())
    const middle = await createFlow(app, multiFlow({ flow_collection: [{ id: inner.id }] }))
    const outer = await createFlow(app, multiFlow({ flow_collection: [{ id: middle.id }] }))
    await remove(`/flows/${middle.id}`)
    expectStatus(await app.put(`/flows/${inner.id}/flow_collection`, [{ id: outer.id }]), 204)
    await call(app, 'POST', `/flows/${middle.id}/restore`, 409)
    expectStatus(await app.delete(`/flows/${inner.id}/flow_collection`), 204)
    await restore(app, `/flows/${middle.id}/restore`)
    expect((await readFlow(app, outer.id)).flow_collection).toEqual([{ id: middle.id }])
  })

  test('does not stand in the way of a new one with its id, and cannot come back beside it', async () => {
    const { flow, id } = await filled()
    await remove(`/flows/${id}`)
    await createFlow(app, flow)
    expect(await segmentsOf(app, id)).toEqual([])
    await register(app, id, '[0:0_10:0)')
    await call(app, 'POST', `/flows/${id}/restore`, 409)
    await remove(`/flows/${id}`)
    const [second, first] = await deletions(app, `?entity_id=${id}`)
    await restore(app, `/flows/${id}/restore?deletion_id=${first?.id}`)
    expect(await timerangesOf(app, id)).toEqual(seconds(3))
    await remove(`/flows/${id}`)
    await restore(app, `/deletions/${second?.id}/restore`)
    expect(await timerangesOf(app, id)).toEqual(['[0:0_10:0)'])
  })

  test('comes back without its segments, and these later by the same deletion', async () => {
    const { id, objects } = await filled()
    await remove(`/flows/${id}`)
    const deletion = await deletionOf(app, id)
    expect(await restore(app, `/flows/${id}/restore?cascade=false`)).toMatchObject({ id: deletion.id, status: 'deleted' })
    expect(await segmentsOf(app, id)).toEqual([])
    expectStatus(await app.get(`/objects/${objects[0]}`), 404)
    expect(await restore(app, `/deletions/${deletion.id}/restore`)).toMatchObject({ status: 'restored' })
    expect(await timerangesOf(app, id)).toEqual(seconds(3))
    await call(app, 'POST', `/deletions/${deletion.id}/restore`, 409)
  })

  test('gets its source back: the live one, the deleted one, or one made anew', async () => {
    const { flow, id } = await filled(1, videoFlow({ label: 'flow' }))
    expectStatus(await app.put(`/sources/${flow.source_id}/label`, 'source'), 204)
    await remove(`/flows/${id}`)
    await restore(app, `/flows/${id}/restore`)
    expect((await readSource(app, flow.source_id)).label).toBe('source')
    await remove(`/flows/${id}`)
    const other = await createFlow(app, videoFlow({ source_id: flow.source_id, label: 'other' }))
    await restore(app, `/flows/${id}/restore`)
    expect((await readSource(app, flow.source_id)).label).toBe('other')
    await remove(`/flows/${id}?soft_delete=true`)
    await remove(`/flows/${other.id}?soft_delete=false`)
    await restore(app, `/flows/${id}/restore`)
    expect((await readSource(app, flow.source_id)).label).toBe('source')
  })

  test('that is not deleted, or never was there, cannot be restored', async () => {
    const { id } = await filled(0)
    expect(object(await call(app, 'POST', `/flows/${id}/restore`, 409)).summary).toContain('not deleted')
    await call(app, 'POST', `/flows/${uuid()}/restore`, 404)
    await call(app, 'POST', '/flows/nonsense/restore?cascade=perhaps', 404)
    await remove(`/flows/${id}?soft_delete=false`)
    await call(app, 'POST', `/flows/${id}/restore`, 404)
    await call(app, 'POST', `/deletions/${uuid()}/restore`, 404)
  })
})

describe('the parameters of a deletion', () => {
  test.each(['soft_delete', 'cascade', 'deleted_by'])('%s are checked, and named where they are wrong', async (name) => {
    const { flow, id } = await filled(1)
    for (const path of [`/flows/${id}`, `/flows/${id}/segments`, `/sources/${flow.source_id}`])
      expect(object(await call(app, 'DELETE', `${path}?${name}=${name === 'deleted_by' ? '' : 'perhaps'}`, 400)).summary).toContain(name)
    expectStatus(await app.get(`/flows/${id}`), 200)
  })

  test('cascade=false refuses what would take something along, and says what and how many', async () => {
    const { flow, id } = await filled(3)
    expect(object(await call(app, 'DELETE', `/flows/${id}?cascade=false`, 409)).summary).toMatch(/3 segments/)
    expect(object(await call(app, 'DELETE', `/sources/${flow.source_id}?cascade=false`, 409)).summary).toMatch(/1 flows/)
    await remove(`/flows/${id}/segments?cascade=false`)
    await remove(`/flows/${id}?cascade=false`)
  })

  test('deleted_by is shown, the audit names the principal', async () => {
    const { id } = await filled(1)
    await remove(`/flows/${id}?deleted_by=a%20person`)
    expect(await deletionOf(app, id)).toMatchObject({ deleted_by: 'a person', counts: { flows: 1, segments: 1, sources: 1 } })
    const { rows } = await app.deps.tables.read((tx) => tx.list('audit', { where: { kind: 'and', terms: [] }, limit: 100 }))
    expect(rows.findLast((row) => row.action === 'flow.delete')).toMatchObject({ principal: 'anonymous', entity_id: id })
    await remove(`/flows/${(await filled(1)).id}`)
    expect((await deletions(app))[0]).toMatchObject({ deleted_by: 'system' })
  })

  test('soft_delete=false removes the record for good, but nothing that lies in the trash already', async () => {
    const { id, objects } = await filled(3)
    await remove(`/flows/${id}/segments?timerange=[0:0_1:0)`)
    const taken = await deletionOf(app, id)
    await remove(`/flows/${id}?soft_delete=false`)
    await call(app, 'POST', `/deletions/${taken.id}/restore`, 409)
    const kept = async (id = '') => app.deps.tables.read((tx) => tx.find('objects', [id, '']))
    expect(await kept(objects[0])).toBeDefined()
    expect(await kept(objects[1])).toBeUndefined()
  })

  test('also keeps what a large deletion has only hidden so far', async () => {
    const { id, objects } = await filled(25)
    await remove(`/flows/${id}/segments?timerange=[0:0_20:0)`, 202)
    await remove(`/flows/${id}?soft_delete=false`)
    await workOff(app)
    const kept = await app.deps.tables.read((tx) => tx.count('objects', { kind: 'in', column: 'id', values: objects }))
    expect(kept).toBe(20)
  })
})

describe('a soft-deleted source', () => {
  test('goes and comes with its flows, those that collect each other included', async () => {
    const source_id = uuid()
    const one = await filled(2, videoFlow({ source_id }))
    const two = await filled(1, videoFlow({ source_id, tags: { x: 'y' } }))
    const parent = await createFlow(app, multiFlow({ flow_collection: [{ id: one.id }, { id: two.id }] }))
    await remove(`/sources/${source_id}`)
    for (const path of [`/sources/${source_id}`, `/flows/${one.id}`, `/flows/${two.id}`]) expectStatus(await app.get(path), 404)
    expect((await readFlow(app, parent.id)).flow_collection).toBeUndefined()
    expect(await deletionOf(app, source_id)).toMatchObject({ entity_type: 'source', counts: { sources: 1, flows: 2, segments: 3 } })
    expect(await restore(app, `/sources/${source_id}/restore`)).toMatchObject({ status: 'restored' })
    expect(await timerangesOf(app, one.id)).toEqual(seconds(2))
    expect((await readFlow(app, two.id)).tags).toEqual({ x: 'y' })
    expect((await readFlow(app, parent.id)).flow_collection).toEqual([{ id: one.id }, { id: two.id }])
  })

  test('comes back alone, then a flow without its segments, then the rest', async () => {
    const source_id = uuid()
    const one = await filled(2, videoFlow({ source_id }))
    const two = await filled(1, videoFlow({ source_id }))
    await remove(`/sources/${source_id}`)
    const { id } = await deletionOf(app, source_id)
    expect(await restore(app, `/sources/${source_id}/restore?cascade=false`)).toMatchObject({ status: 'deleted' })
    expectStatus(await app.get(`/flows/${one.id}`), 404)
    await restore(app, `/flows/${one.id}/restore?cascade=false`)
    expect(await segmentsOf(app, one.id)).toEqual([])
    expect(await restore(app, `/deletions/${id}/restore`)).toMatchObject({ status: 'restored' })
    expect(await timerangesOf(app, one.id)).toEqual(seconds(2))
    expect(await timerangesOf(app, two.id)).toEqual(seconds(1))
  })

  test('that went with its last flow brings it back', async () => {
    const { flow, id } = await filled(2)
    await remove(`/flows/${id}`)
    await restore(app, `/sources/${flow.source_id}/restore`)
    expect(await timerangesOf(app, id)).toEqual(seconds(2))
  })

  test('gives a collection its members back in their order, whichever of them comes first', async () => {
    for (const order of [[], [0, 1, 2], [1, 2, 0], [2, 1, 0]]) {
      const source_id = uuid()
      const [a, b, c] = await Promise.all([0, 1, 2].map(() => createFlow(app, videoFlow({ source_id }))))
      const other = await createFlow(app, videoFlow())
      const members = ids([c, a, other, b].filter((flow) => flow !== undefined)).map((id) => ({ id }))
      const parent = await createFlow(app, multiFlow({ flow_collection: members }))
      await remove(`/sources/${source_id}`)
      expect((await readFlow(app, parent.id)).flow_collection).toEqual([{ id: other.id }])
      if (order.length === 0) await restore(app, `/sources/${source_id}/restore`)
      for (const index of order) await restore(app, `/flows/${[a, b, c][index]?.id}/restore`)
      expect((await readFlow(app, parent.id)).flow_collection).toEqual(members)
    }
  })

  test('with a read-only flow stays', async () => {
    const { flow, id } = await filled(1)
    expectStatus(await app.put(`/flows/${id}/read_only`, true), 204)
    await call(app, 'DELETE', `/sources/${flow.source_id}`, 403)
    await call(app, 'DELETE', `/sources/${uuid()}`, 404)
  })

  test('of large flows is told of by a worker', async () => {
    const source_id = uuid()
    const flows = [
      await filled(8, videoFlow({ source_id })),
      await filled(8, videoFlow({ source_id })),
      await filled(25, videoFlow({ source_id })),
    ]
    expect(list(await remove(`/sources/${source_id}`, 202))).toHaveLength(flows.length)
    await call(app, 'POST', `/sources/${source_id}/restore`, 409)
    await workOff(app)
    await restore(app, `/sources/${source_id}/restore`, 202)
    await workOff(app)
    for (const [index, { id }] of flows.entries()) {
      expect(await timerangesOf(app, id)).toEqual(seconds([8, 8, 25][index] ?? 0))
      expect((await app.events(id)).filter((type) => type === 'flows/deleted')).toHaveLength(1)
    }
  })
})

describe('soft-deleted segments', () => {
  const extent = async (id: string) => (await readFlow(app, id, '?include_timerange=true')).timerange

  test('leave room for others and come back where that is free', async () => {
    const { id, objects } = await filled(6)
    await remove(`/flows/${id}/segments?timerange=[1:0_5:0)`)
    expect(await timerangesOf(app, id)).toEqual(['[0:0_1:0)', '[5:0_6:0)'])
    expectStatus(await app.get(`/objects/${objects[1]}`), 404)
    await register(app, id, '[2:0_2:500000000)')
    const refused = object(await call(app, 'POST', `/flows/${id}/segments/restore`, 409)).summary
    expect(refused).toContain('[2:0_2:500000000)')
    expect(await timerangesOf(app, id)).toHaveLength(3)
    const [back] = list(await call(app, 'POST', `/flows/${id}/segments/restore?timerange=[3:0_5:0)`, 200))
    expect(back).toMatchObject({ status: 'deleted', counts: { segments: 4 } })
    await remove(`/flows/${id}/segments?timerange=[2:0_3:0)&soft_delete=false`)
    expect(list(await call(app, 'POST', `/flows/${id}/segments/restore`, 200))[0]).toMatchObject({ status: 'restored' })
    expect(await timerangesOf(app, id)).toEqual(seconds(6))
    expect(await extent(id)).toBe('[0:0_6:0)')
    await call(app, 'POST', `/flows/${id}/segments/restore`, 404)
  })

  test('above the threshold are hidden at once and carried to the trash behind that', async () => {
    const { id } = await filled(40)
    const before = await app.events(id)
    await remove(`/flows/${id}/segments?timerange=[5:0_35:0)`, 202)
    expect(await timerangesOf(app, id)).toEqual([...seconds(5), ...seconds(5, 35)])
    await call(app, 'POST', `/flows/${id}/segments/restore`, 409)
    await register(app, id, '[10:0_11:0)')
    await workOff(app, 7, async () => expect(await inconsistencies(app.deps.tables)).toEqual([]))
    expect(await deletionOf(app, id)).toMatchObject({ counts: { segments: 30 }, timerange: '[5:0_35:0)' })
    const told = (await eventsSince(before, id)).filter((type) => type === 'flows/segments_deleted')
    expect(told.length).toBeGreaterThan(3)
    await call(app, 'POST', `/flows/${id}/segments/restore`, 409)
    await remove(`/flows/${id}/segments?timerange=[10:0_11:0)&soft_delete=false`)
    await call(app, 'POST', `/flows/${id}/segments/restore`, 200)
    expect(await timerangesOf(app, id, '?limit=100')).toEqual(seconds(40))
  })

  test('go on to the trash although their flow is deleted meanwhile', async () => {
    const { id } = await filled(40)
    await remove(`/flows/${id}/segments?timerange=[5:0_35:0)`, 202)
    await remove(`/flows/${id}`, 202)
    await workOff(app, 7, async () => expect(await inconsistencies(app.deps.tables)).toEqual([]))
    await call(app, 'POST', `/flows/${id}/segments/restore`, 409)
    await restore(app, `/flows/${id}/restore`)
    expect(await timerangesOf(app, id)).toEqual([...seconds(5), ...seconds(5, 35)])
    await call(app, 'POST', `/flows/${id}/segments/restore`, 200)
    expect(await timerangesOf(app, id, '?limit=100')).toEqual(seconds(40))
  })

  test('of one object go in steps where they are many', async () => {
    const { id } = await filled(0)
    const [shared] = await register(app, id, '[0:0_1:0)')
    const uses = Array.from({ length: 30 }, (_, at) => ({
      object_id: shared,
      timerange: `[${at + 1}:0_${at + 2}:0)`,
      ts_offset: `${at + 1}:0`,
    }))
    expectStatus(await postSegment(app, id, uses), 201)
    await register(app, id, '[40:0_41:0)')
    await remove(`/flows/${id}/segments?object_id=${shared}`, 202)
    expectStatus(await postSegment(app, id, { object_id: shared, timerange: '[50:0_51:0)', ts_offset: '50:0' }), 201)
    await workOff(app, 7, async () => expect(await inconsistencies(app.deps.tables)).toEqual([]))
    expect(await timerangesOf(app, id)).toEqual(['[40:0_41:0)', '[50:0_51:0)'])
    expect(await deletionOf(app, id)).toMatchObject({ counts: { segments: 31 } })
    await call(app, 'POST', `/flows/${id}/segments/restore`, 200)
    expect(await timerangesOf(app, id, '?limit=100')).toHaveLength(33)
  })

  test('cannot come back to a flow that was made anew', async () => {
    const { flow, id } = await filled(3)
    await remove(`/flows/${id}/segments`)
    const { id: deletion } = await deletionOf(app, id)
    await remove(`/flows/${id}?soft_delete=false`)
    await call(app, 'POST', `/flows/${id}/segments/restore`, 404)
    await createFlow(app, flow)
    await call(app, 'POST', `/deletions/${deletion}/restore`, 409)
  })

  test('use objects that a new segment takes out of the trash', async () => {
    const { id, objects } = await filled(2)
    const [known] = objects
    await remove(`/flows/${id}`)
    const other = await createFlow(app)
    expectStatus(await postSegment(app, other.id, external('[0:0_1:0)', { object_id: known })), 201)
    expect(object(await app.get(`/objects/${known}`))).toMatchObject({
      referenced_by_flows: [other.id],
      first_referenced_by_flow: other.id,
    })
    await restore(app, `/flows/${id}/restore`)
    expect(object(await app.get(`/objects/${known}`)).referenced_by_flows).toHaveLength(2)
  })
})

test('a new segment across more deleted ones than are cleared away at once has to wait for the worker', async () => {
  const { id } = await filled(5010)
  await remove(`/flows/${id}/segments`, 202)
  const long = external('[0:0_6000:0)')
  const refused = await call(app, 'POST', `/flows/${id}/segments`, 503, long)
  expect(refused.headers.get('retry-after')).toBe('5')
  expectStatus(await postSegment(app, id, external('[0:500000000_1:500000000)')), 201)
  await remove(`/flows/${id}/segments?soft_delete=false`, 202)
  await call(app, 'DELETE', `/flows/${id}?soft_delete=false`, 503)
  await workOff(app, 2000)
  expectStatus(await postSegment(app, id, long), 201)
}, 120_000)

describe('a restore of more segments than come back at once', () => {
  const COUNT = 5003
  const far = { timeout: 120_000 }

  test(
    'happens behind a curtain that opens when all are there',
    async () => {
      const { id } = await filled(COUNT + 2)
      await remove(`/flows/${id}/segments?timerange=[1:0_${COUNT + 1}:0)`, 202)
      await workOff(app, 2000)
      const before = await app.events(id)
      await call(app, 'POST', `/flows/${id}/segments/restore`, 202)
      await call(app, 'POST', `/flows/${id}/segments/restore`, 404)
      await call(app, 'POST', `/deletions/${(await deletionOf(app, id)).id}/restore`, 409)
      expect(await timerangesOf(app, id)).toEqual(['[0:0_1:0)', `[${COUNT + 1}:0_${COUNT + 2}:0)`])
      let steps = 0
      await workOff(app, 2000, async () => {
        expect(await inconsistencies(app.deps.tables)).toEqual([])
        // None of them, or all.
        expect((await timerangesOf(app, id, '?limit=1000')).length).toBeOneOf([2, 1000])
        if (++steps !== 2) return
        expect(object(expectStatus(await postSegment(app, id, external('[10:0_11:0)')), 400)).summary).toContain('already exist')
        await call(app, 'DELETE', `/flows/${id}?soft_delete=false`, 503)
      })
      expect(await timerangesOf(app, id, '?limit=1000&timerange=[4500:0_5005:0)')).toEqual(seconds(505, 4500))
      const added = (await eventsSince(before, id)).filter((type) => type === 'flows/segments_added')
      expect(added.length).toBeGreaterThan(2)
    },
    far.timeout,
  )

  test(
    'is refused where something lies between them, and goes on where the flow is deleted meanwhile',
    async () => {
      const { id } = await filled(COUNT)
      await remove(`/flows/${id}/segments`, 202)
      await workOff(app, 2000)
      await register(app, id, '[100:0_100:500000000)')
      expect(object(await call(app, 'POST', `/flows/${id}/segments/restore`, 409)).summary).toContain('timerange=')
      await remove(`/flows/${id}/segments?soft_delete=false`)
      await call(app, 'POST', `/flows/${id}/segments/restore`, 202)
      await remove(`/flows/${id}`)
      await workOff(app, 2000, async () => expect(await inconsistencies(app.deps.tables)).toEqual([]))
      await call(app, 'POST', `/flows/${id}/restore`, 202)
      expect(await timerangesOf(app, id, '?limit=2&reverse_order=true')).toEqual(seconds(2, COUNT - 2).toReversed())
    },
    far.timeout,
  )
})
