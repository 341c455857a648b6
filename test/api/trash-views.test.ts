import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { type Json, list, object } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { inconsistencies } from '../support/consistency.ts'
import {
  createFlow,
  expectStatus,
  external,
  ids,
  postSegment,
  readFlow,
  register,
  seconds,
  segmentsOf,
  uuid,
  videoFlow,
  walk,
} from '../support/fixtures.ts'
import { call, deletionOf, deletions, restore } from '../support/trash.ts'

let app: TestApp
beforeEach(async () => {
  app = await openApp({ settings: { strict: false, softDeleteDefault: true } })
})
afterEach(async () => {
  expect(await inconsistencies(app.deps.tables)).toEqual([])
  await app.close()
})

const get = async (path: string): Promise<Json[]> => list(await call(app, 'GET', path, 200))
const remove = (path: string, status = 204) => call(app, 'DELETE', path, status)
const states = (items: readonly Json[]) => items.map((item) => item.deleted)

/** Flows 0 to `count`, of which every second is deleted. */
const half = async (count: number) => {
  const flows: string[] = []
  for (let n = 0; n < count; n++) {
    const { id } = await createFlow(app, videoFlow({ label: `flow ${String(n).padStart(3, '0')}`, tags: { n: n < 3 ? 'few' : 'many' } }))
    flows.push(id)
    if (n % 2 === 1) await remove(`/flows/${id}?deleted_by=me`)
  }
  return flows
}

describe('listings of flows and sources', () => {
  test('show live records, deleted ones or both, and without a word nothing of deletion', async () => {
    const flows = await half(6)
    for (const [query, expected] of [
      ['', [0, 2, 4]],
      ['deleted_state=active', [0, 2, 4]],
      ['deleted_only=false', [0, 2, 4]],
      ['deleted_state=deleted', [1, 3, 5]],
      ['deleted_only=true', [1, 3, 5]],
      ['include_deleted=true', [0, 1, 2, 3, 4, 5]],
      ['deleted_state=all', [0, 1, 2, 3, 4, 5]],
    ] as const) {
      expect(ids(await get(`/flows?reverse_order=true&${query}`))).toEqual(expected.map((n) => flows[n]))
      expect(await get(`/sources?${query}`)).toHaveLength(expected.length)
    }
    expect(states(await get('/flows'))).toEqual([undefined, undefined, undefined])
    const [last, first] = await get('/flows?include_deleted=true&limit=2')
    expect(last).toMatchObject({ deleted: true, deleted_by: 'me', deletion_id: (await deletionOf(app, flows[5] ?? '')).id })
    expect(String(last?.deleted_at)).toMatch(/^2026-01-02T03:04:05Z$/)
    expect(first?.deleted).toBe(false)
    expect(await get('/flows?deleted_only=true&tag.n=few')).toHaveLength(1)
    expect(await get('/flows?include_deleted=true&tag.n=few')).toHaveLength(3)
    expect(await get('/flows?include_deleted=true&tag_exists.n=false')).toEqual([])
    expect(object(await call(app, 'GET', '/flows?deleted_state=gone', 400)).summary).toContain('deleted_state')
  })

  test.each(['created', 'metadata_updated', 'label'])('are paged in one order, by %s, whatever changes meanwhile', async (sort) => {
    const flows = await half(23)
    for (const reverse of [false, true]) {
      const path = `/flows?include_deleted=true&sort_by=${sort}&reverse_order=${reverse}`
      const whole = ids(await get(path))
      expect(whole).toHaveLength(23)
      expect(ids(await walk(app, `${path}&limit=4`))).toEqual(whole)
    }
    const seen = ids(await walk(app, '/flows?include_deleted=true&limit=5&sort_by=created', async () => void (await createFlow(app))))
    expect(seen.toSorted()).toEqual(flows.toSorted())
  })

  test('show every deleted one of an id, and the item the last of them', async () => {
    const flow = videoFlow({ label: 'first' })
    for (const label of ['first', 'second', 'third']) {
      await createFlow(app, { ...flow, label })
      await remove(`/flows/${flow.id}`)
    }
    expect(await get('/flows?deleted_only=true')).toHaveLength(3)
    expect(ids(await walk(app, '/flows?deleted_only=true&limit=1'))).toEqual([flow.id, flow.id, flow.id])
    expectStatus(await app.get(`/flows/${flow.id}`), 404)
    expect(await readFlow(app, flow.id, '?include_deleted=true')).toMatchObject({ label: 'third', deleted: true })
    await createFlow(app, { ...flow, label: 'live' })
    expect(await readFlow(app, flow.id, '?include_deleted=true')).toMatchObject({ label: 'live', deleted: false })
    expect(await readFlow(app, flow.id, '?deleted_only=true')).toMatchObject({ label: 'third', deleted: true })
    expect(object(await app.get(`/sources/${flow.source_id}?deleted_only=true`))).toMatchObject({ label: 'third', deleted: true })
    expectStatus(await app.get(`/flows/${uuid()}?include_deleted=true`), 404)
    expectStatus(await app.get(`/sources/${uuid()}?include_deleted=perhaps`), 404)
  })
})

describe('listings of segments', () => {
  test('show deleted ones by time among the others, page by page', async () => {
    const { id } = await createFlow(app)
    await register(app, id, ...seconds(12))
    await remove(`/flows/${id}/segments?timerange=[2:0_4:0)`)
    await remove(`/flows/${id}/segments?timerange=[6:0_9:0)`)
    await register(app, id, '[3:0_4:0)')
    await remove(`/flows/${id}/segments?timerange=[3:0_4:0)`)
    const times = (items: readonly Json[]) => items.map((item) => `${item.timerange} ${item.deleted}`)
    const all = await get(`/flows/${id}/segments?include_deleted=true`)
    expect(all).toHaveLength(13)
    expect(times(all).slice(1, 6)).toEqual(['[1:0_2:0) false', '[2:0_3:0) true', '[3:0_4:0) true', '[3:0_4:0) true', '[4:0_5:0) false'])
    expect(all[2]).toMatchObject({ deleted: true, deletion_id: expect.any(String), deleted_by: 'system' })
    expect(await get(`/flows/${id}/segments?deleted_only=true`)).toHaveLength(6)
    for (const reverse of [false, true]) {
      const path = `/flows/${id}/segments?include_deleted=true&reverse_order=${reverse}`
      expect(await walk(app, `${path}&limit=2`)).toEqual(await get(path))
    }
    const [newest] = await deletions(app, `?flow_id=${id}`)
    expect(await get(`/flows/${id}/segments?deleted_only=true&deletion_id=${newest?.id}`)).toHaveLength(1)
    expect(states(await segmentsOf(app, id))).toEqual(Array.from({ length: 7 }, () => undefined))
  })

  test('of a deleted flow are there for those who ask', async () => {
    const { id } = await createFlow(app)
    const [known] = await register(app, id, ...seconds(3))
    await remove(`/flows/${id}`)
    expect(await segmentsOf(app, id)).toEqual([])
    expect(states(await get(`/flows/${id}/segments?include_deleted=true`))).toEqual([true, true, true])
    expectStatus(await app.get(`/objects/${known}`), 404)
    expect(object(await call(app, 'GET', `/objects/${known}?include_deleted=true`, 200))).toMatchObject({
      deleted: true,
      deletion_id: (await deletionOf(app, id)).id,
      referenced_by_flows: [],
    })
    expectStatus(await app.get(`/objects/${uuid()}?include_deleted=true`), 404)
  })
})

describe('the record of deletions', () => {
  test('tells what was taken, by whom, filtered and page by page', async () => {
    const flows = await half(10)
    const { id } = await createFlow(app)
    await register(app, id, ...seconds(4))
    await remove(`/flows/${id}/segments?timerange=[1:0_3:0)`)
    expect(await deletions(app, '?entity_type=segments')).toMatchObject([
      { entity_id: id, flow_id: id, timerange: '[1:0_3:0)', counts: { segments: 2 }, status: 'deleted', deleted_by: 'system' },
    ])
    expect(await deletions(app, '?deleted_by=me')).toHaveLength(5)
    await restore(app, `/flows/${flows[1]}/restore`)
    expect(await deletions(app, '?status=restored')).toMatchObject([{ entity_id: flows[1], restored_at: expect.any(String) }])
    expect(ids(await walk(app, '/deletions?limit=2'))).toEqual(ids(await deletions(app)))
    expect(object(await call(app, 'GET', '/deletions?status=lost', 400)).summary).toContain('status')
    await call(app, 'GET', `/deletions/${uuid()}`, 404)
    expect(await deletions(app, '?until=2026-01-01T00:00:00Z')).toEqual([])
  })

  test('takes several flows or sources at once, with a result for each', async () => {
    const flows = await Promise.all([createFlow(app), createFlow(app), createFlow(app)])
    expectStatus(await app.put(`/flows/${flows[1]?.id}/read_only`, true), 204)
    const flow_ids = [...flows.map((flow) => flow.id), uuid()]
    const answer = object(await call(app, 'POST', '/deletions?deleted_by=me', 200, { flow_ids }))
    expect(answer.deleted).toMatchObject([{ id: flow_ids[0] }, { id: flow_ids[2] }])
    expect(answer.failed).toMatchObject([
      { index: 1, id: flow_ids[1], error: { type: 'read_only' } },
      { index: 3, id: flow_ids[3], error: { type: 'not_found' } },
    ])
    expect(await deletions(app, `?group_id=${answer.group_id}`)).toHaveLength(2)
    const source_ids = [flows[1]?.source_id]
    expect(object(await call(app, 'POST', '/deletions', 200, { source_ids })).failed).toHaveLength(1)
    for (const body of [{}, { flow_ids, source_ids }, { flow_ids: [] }, { flow_ids: ['x'] }, []])
      await call(app, 'POST', '/deletions', 400, body)
    const real = object(await call(app, 'POST', '/deletions?soft_delete=false', 200, { source_ids: [(await createFlow(app)).source_id] }))
    expect(real.deleted).toEqual([{ id: expect.any(String) }])
  })
})

describe('a media object that was made directly', () => {
  const make = async (id = uuid()): Promise<string> => {
    const { get_urls } = external('_')
    await call(app, 'POST', '/objects', 201, { id, get_urls, timerange: '[0:0_10:0)' })
    return id
  }

  test('is deleted, restored, and taken out of the trash by a segment', async () => {
    const id = await make()
    await remove(`/objects/${id}`)
    expectStatus(await app.get(`/objects/${id}`), 404)
    expect(object(await call(app, 'GET', `/objects/${id}?include_deleted=true`, 200))).toMatchObject({
      deleted: true,
      deleted_by: 'system',
    })
    expect(await restore(app, `/objects/${id}/restore`)).toMatchObject({ status: 'restored', entity_type: 'object' })
    expectStatus(await app.get(`/objects/${id}`), 200)
    await call(app, 'POST', `/objects/${id}/restore`, 409)
    await remove(`/objects/${id}`)
    const flow = await createFlow(app)
    expectStatus(await postSegment(app, flow.id, { object_id: id, timerange: '[0:0_1:0)' }), 201)
    expect(object(await app.get(`/objects/${id}`)).referenced_by_flows).toEqual([flow.id])
    expect(await deletionOf(app, id)).toMatchObject({ status: 'restored' })
    expect(object(await call(app, 'DELETE', `/objects/${id}`, 409)).summary).toContain('1 flows')
  })

  test('goes for good with the last segment in the trash that refers to it', async () => {
    const [one, two] = [await make(), await make()]
    await remove(`/objects/${one}?soft_delete=false`)
    expect(await app.deps.tables.read((tx) => tx.find('objects', [one, '']))).toBeUndefined()
    const flow = await createFlow(app)
    expectStatus(await postSegment(app, flow.id, { object_id: two, timerange: '[0:0_1:0)' }), 201)
    await remove(`/flows/${flow.id}`)
    await remove(`/objects/${two}?soft_delete=false`)
    await restore(app, `/flows/${flow.id}/restore`)
    expectStatus(await app.get(`/objects/${two}`), 200)
    await remove(`/flows/${flow.id}?soft_delete=false`)
    expect(await app.deps.tables.read((tx) => tx.find('objects', [two, '']))).toBeUndefined()
    await call(app, 'DELETE', `/objects/${uuid()}`, 404)
  })
})

test('in strict mode there is no trash: every deletion is a real one and parameters say nothing', async () => {
  const strict = await openApp({ settings: { strict: true } })
  try {
    const flow = await createFlow(strict)
    await register(strict, flow.id, ...seconds(2))
    expectStatus(await strict.delete(`/flows/${flow.id}/segments?soft_delete=perhaps&timerange=[0:0_1:0)`), 204)
    expectStatus(await strict.get(`/flows?deleted_state=perhaps`), 200)
    expectStatus(await strict.delete(`/flows/${flow.id}?soft_delete=true&cascade=false`), 204)
    for (const path of ['/deletions', `/deletions/${uuid()}`]) expectStatus(await strict.get(path), 404)
    expectStatus(await strict.post(`/flows/${flow.id}/restore`), 404)
    expectStatus(await strict.delete(`/sources/${flow.source_id}`), 405)
    expect(list(await strict.get('/flows?include_deleted=true'))).toEqual([])
    const { tables } = strict.deps
    for (const table of ['flows', 'sources', 'segments', 'objects', 'object_refs', 'deletions'] as const)
      expect(await tables.read((tx) => tx.count(table, { kind: 'and', terms: [] }))).toBe(0)
  } finally {
    await strict.close()
  }
})
