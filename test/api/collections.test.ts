import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { eq } from '../../src/core/predicate.ts'
import { list, object } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import {
  createFlow,
  expectInvalid,
  expectStatus,
  format,
  ids,
  multiFlow,
  readFlow,
  readSource,
  uuid,
  videoFlow,
  walk,
} from '../support/fixtures.ts'

let app: TestApp
beforeEach(async () => {
  app = await openApp({ settings: { strict: false } })
})
afterEach(() => app.close())

describe('collections of flows as resources', () => {
  test('a posted collection is a multi flow', async () => {
    const [a, b] = [await createFlow(app), await createFlow(app)]
    const members = [{ id: a.id, role: 'video' }, { id: b.id }]
    const answer = expectStatus(await app.post('/collections', { label: 'Programme', members }), 201)
    const collection = object(answer)
    expect(collection).toMatchObject({ label: 'Programme', format: format.multi, members })
    expect(answer.headers.get('location')).toEndWith(`/collections/${collection.id}`)
    expect(await readFlow(app, String(collection.id))).toMatchObject({ format: format.multi, flow_collection: members })
    expect((await readFlow(app, a.id)).collected_by).toEqual([String(collection.id)])
    expect(object(await app.get(`/collections/${collection.id}`))).toEqual(collection)
  })

  test('posted again with the id it is extended', async () => {
    const [a, b] = [await createFlow(app), await createFlow(app)]
    const { id } = object(await app.post('/collections', { id: uuid(), members: [{ id: a.id }] }))
    const again = expectStatus(await app.post('/collections', { id, label: 'New', members: [{ id: b.id }, { id: a.id, role: 'x' }] }), 200)
    expect(object(again)).toMatchObject({ label: 'New', members: [{ id: a.id, role: 'x' }, { id: b.id }] })
  })

  test('lists hold what collects, and nothing else', async () => {
    const member = await createFlow(app)
    const made = await Promise.all(Array.from({ length: 5 }, () => app.post('/collections', { members: [{ id: member.id }] })))
    const all = await walk(app, '/collections?limit=2')
    expect(new Set(ids(all))).toEqual(new Set(made.map((answer) => object(answer).id)))
  })

  test('members come and go one by one, and are read as flows in order', async () => {
    const flows = [await createFlow(app), await createFlow(app), await createFlow(app)]
    const { id } = object(await app.post('/collections', { members: [{ id: flows[0]?.id }] }))
    expectStatus(await app.put(`/collections/${id}/flows/${flows[1]?.id}`, { role: 'r' }), 201)
    expectStatus(await app.request('PUT', `/collections/${id}/flows/${flows[2]?.id}`), 201)
    expectStatus(await app.put(`/collections/${id}/flows/${flows[1]?.id}`, {}), 204)
    expect(object(await app.get(`/collections/${id}`)).members).toEqual(flows.map((flow) => ({ id: flow.id })))
    expect(ids(await walk(app, `/collections/${id}/flows?limit=2`))).toEqual(flows.map((flow) => flow.id))
    expectInvalid(await app.put(`/collections/${id}/flows/${flows[1]?.id}`, null), 'body')
    expectStatus(await app.delete(`/collections/${id}/flows/${flows[0]?.id}`), 204)
    expectStatus(await app.delete(`/collections/${id}/flows/${flows[0]?.id}`), 404)
    expect(ids(list(await app.get(`/collections/${id}/flows`)))).toEqual([flows[1]?.id, flows[2]?.id])
  })

  test('a dissolved collection is a flow like any other', async () => {
    const member = await createFlow(app)
    const { id } = object(await app.post('/collections', { members: [{ id: member.id }] }))
    expectStatus(await app.delete(`/collections/${id}`), 204)
    expectStatus(await app.get(`/collections/${id}`), 404)
    expect(await readFlow(app, String(id))).not.toHaveProperty('flow_collection')
    expectStatus(await app.get(`/flows/${member.id}`), 200)
  })

  test('the rules of flow_collection hold', async () => {
    const flow = await createFlow(app)
    const { id } = object(await app.post('/collections', { members: [{ id: flow.id }] }))
    expectInvalid(await app.post('/collections', { members: [{ id: uuid() }] }), 'flow_collection')
    expectInvalid(await app.post('/collections', { members: [] }), 'members')
    expectInvalid(await app.post('/collections', { id: flow.id, members: [{ id }] }), 'flow_collection')
    expectStatus(await app.put(`/collections/${id}/flows/${uuid()}`, {}), 404)
    expectStatus(await app.put(`/collections/${uuid()}/flows/${flow.id}`, {}), 404)
    expectInvalid(await app.put(`/collections/${id}/flows/${flow.id}`, { role: 1 }), 'role')
    const locked = await createFlow(app, multiFlow({ flow_collection: [{ id: flow.id }], read_only: true }))
    expectStatus(await app.post('/collections', { id: locked.id, members: [] }), 403)
    expectStatus(await app.delete(`/collections/${locked.id}`), 403)
    expectStatus(await app.get(`/collections/${flow.id}`), 404)
    const twice = [{ id: flow.id }, { id: flow.id, role: 'x' }]
    expectInvalid(await app.post('/collections', { members: twice }), 'members[1].id')
    expectInvalid(await app.post('/collections', { id, members: twice }), 'members[1].id')
    expectInvalid(await app.post('/collections', { id: (await createFlow(app)).id, members: [] }), 'members')
  })

  test('nothing but what is documented is taken over into a new flow', async () => {
    const member = await createFlow(app)
    const body = { members: [{ id: member.id }], read_only: true, created_by: 'somebody else', tags: { a: 'b' } }
    const flow = await readFlow(app, String(object(expectStatus(await app.post('/collections', body), 201)).id))
    expect(flow).toMatchObject({ tags: {}, created_by: 'anonymous', read_only: false })
  })

  test('of many posts with one id one makes the collection and the others extend it', async () => {
    const flows = await Promise.all(Array.from({ length: 5 }, () => createFlow(app)))
    const id = uuid()
    const answers = await Promise.all(flows.map((flow) => app.post('/collections', { id, members: [{ id: flow.id }] })))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 201])
    const { members } = object(await app.get(`/collections/${id}`)) as { members: { id: string }[] }
    expect(members.map((member) => member.id).sort()).toEqual(flows.map((flow) => flow.id).sort())
  })

  test('a page of members begins behind the last one seen, whatever went meanwhile', async () => {
    const flows = await Promise.all(Array.from({ length: 6 }, () => createFlow(app)))
    const all = flows.map((flow) => flow.id)
    const { id } = object(await app.post('/collections', { members: all.map((member) => ({ id: member })) }))
    const path = `/collections/${id}/flows`
    const keyOfFirst = async () => (await app.get(`${path}?limit=2`)).headers.get('x-paging-nextkey')
    const behindSecond = await keyOfFirst()
    expectStatus(await app.delete(`${path}/${all[0]}`), 204)
    expect(ids(list(await app.get(`${path}?limit=2&page=${behindSecond}`)))).toEqual([all[2], all[3]])
    const behindThird = await keyOfFirst()
    expectStatus(await app.delete(`${path}/${all[2]}`), 204)
    expect(ids(list(await app.get(`${path}?limit=2&page=${behindThird}`)))).toEqual([all[3], all[4]])
    expectInvalid(await app.get(`${path}?page=x`), 'page')
  })

  test('a member can be taken out although the rest contradicts another collection of the source', async () => {
    const [x, y, z, w] = [await createFlow(app), await createFlow(app), await createFlow(app), await createFlow(app)]
    const of = (...flows: { readonly id: string }[]) => flows.map(({ id }) => ({ id }))
    const one = await createFlow(app, multiFlow({ flow_collection: of(y) }))
    const two = await createFlow(app, multiFlow({ source_id: one.source_id, flow_collection: of(z, y) }))
    expectStatus(await app.delete(`/flows/${y.id}?soft_delete=true`), 204)
    expectStatus(await app.put(`/flows/${one.id}/flow_collection`, of(x, w)), 204)
    expectStatus(await app.put(`/flows/${two.id}/flow_collection`, of(x, z)), 204)
    expectStatus(await app.post(`/flows/${y.id}/restore`), 200)
    expect((await readFlow(app, one.id)).flow_collection).toEqual(of(y, x, w))
    expect((await readFlow(app, two.id)).flow_collection).toEqual(of(x, y, z))
    expectStatus(await app.delete(`/collections/${one.id}/flows/${w.id}`), 204)
    expectStatus(await app.delete(`/collections/${one.id}`), 204)
  })
})

describe('collections of sources as resources', () => {
  const source = async (): Promise<string> => String(object(await app.post('/sources', { format: format.video })).id)

  test('a posted collection is a source whose members are named', async () => {
    const [a, b] = [await source(), await source()]
    const answer = expectStatus(await app.post('/source-collections', { label: 'Site', members: [{ id: a, role: 'x' }, { id: b }] }), 201)
    const { id } = object(answer)
    expect(object(answer).members).toEqual([
      { id: a, role: 'x', inferred: false },
      { id: b, inferred: false },
    ])
    expect((await readSource(app, String(id))).source_collection).toEqual([{ id: a, role: 'x' }, { id: b }])
    expect((await readSource(app, a)).collected_by).toEqual([String(id)])
    expect(ids(list(await app.get(`/sources?collected_by_ids=${id}`))).sort()).toEqual([a, b].sort())
    expect(await app.events(String(id))).toEqual(['sources/created', 'sources/updated'])
  })

  test('named members are united with those that follow from flows, and outlive them', async () => {
    const child = await createFlow(app, videoFlow())
    const parent = await createFlow(app, multiFlow({ flow_collection: [{ id: child.id }] }))
    const named = await source()
    expectStatus(await app.put(`/source-collections/${parent.source_id}/sources/${named}`, { role: 'n' }), 201)
    const { members } = object(await app.get(`/source-collections/${parent.source_id}`))
    expect(members).toHaveLength(2)
    expect(members).toContainEqual({ id: named, role: 'n', inferred: false })
    expect(members).toContainEqual({ id: child.source_id, inferred: true })
    expectStatus(await app.delete(`/source-collections/${parent.source_id}/sources/${child.source_id}`), 409)
    expectStatus(await app.put(`/flows/${parent.id}/flow_collection`, []), 204)
    expect((await readSource(app, parent.source_id)).source_collection).toEqual([{ id: named, role: 'n' }])
    expectStatus(await app.delete(`/source-collections/${parent.source_id}/sources/${named}`), 204)
    expectStatus(await app.get(`/source-collections/${parent.source_id}`), 404)
  })

  test('a named membership never keeps a flow from its collection', async () => {
    const [a, b] = [await createFlow(app), await createFlow(app)]
    const parent = await createFlow(app, multiFlow())
    await app.post('/source-collections', { id: parent.source_id, members: [{ id: b.source_id, role: 'q' }, { id: a.source_id }] })
    const members = [{ id: a.id }, { id: b.id, role: 'other' }]
    expectStatus(await app.put(`/flows/${parent.id}/flow_collection`, members), 204)
    expect((await readFlow(app, parent.id)).flow_collection).toEqual(members)
  })

  test('no cycle, no stranger, no self', async () => {
    const [a, b, c] = [await source(), await source(), await source()]
    await app.post('/source-collections', { id: a, members: [{ id: b }] })
    await app.post('/source-collections', { id: b, members: [{ id: c }] })
    expectInvalid(await app.post('/source-collections', { id: c, members: [{ id: a }] }), 'members')
    expectInvalid(await app.post('/source-collections', { id: a, members: [{ id: a }] }), 'members')
    expectInvalid(await app.post('/source-collections', { id: a, members: [{ id: uuid() }] }), 'members')
    expectStatus(await app.put(`/source-collections/${c}/sources/${a}`, {}), 400)
    expectStatus(await app.get(`/source-collections/${c}`), 404)
  })

  test('lists, pages of members and dissolving', async () => {
    const members = [await source(), await source(), await source()]
    const { id } = object(await app.post('/source-collections', { members: members.map((member) => ({ id: member })) }))
    expect(ids(await walk(app, '/source-collections?limit=1'))).toEqual([id])
    expect(ids(await walk(app, `/source-collections/${id}/sources?limit=2`))).toEqual(members)
    expectStatus(await app.delete(`/source-collections/${id}`), 204)
    expectStatus(await app.get(`/source-collections/${id}`), 404)
    expectStatus(await app.get(`/sources/${id}`), 200)
    expect(await readSource(app, members[0] ?? '')).not.toHaveProperty('collected_by')
  })

  test('a name given twice and nothing at all are refused', async () => {
    const [a, b] = [await source(), await source()]
    expectInvalid(await app.post('/source-collections', { members: [{ id: a }, { id: b }, { id: a }] }), 'members[2].id')
    expectInvalid(await app.post('/source-collections', { members: [] }), 'members')
    expectInvalid(await app.post('/source-collections', { id: a, label: 'no', members: [] }), 'members')
    expect(await readSource(app, a)).not.toHaveProperty('label')
    expectStatus(await app.post('/source-collections', { id: a, members: [{ id: b }] }), 200)
    expectStatus(await app.post('/source-collections', { id: a, label: 'yes', members: [] }), 200)
    expect(await readSource(app, a)).toMatchObject({ label: 'yes', source_collection: [{ id: b }] })
  })

  const rowsOf = (deletionId?: string) =>
    app.deps.tables.read(async (tx) => {
      const { rows } = await tx.list('collections', { where: eq('via', ''), limit: 1000 })
      return rows.filter((row) => deletionId === undefined || row.deletion_id === deletionId)
    })
  const makeTrio = async () => {
    const [parent, middle, child] = [await source(), await source(), await source()]
    await app.post('/source-collections', { id: parent, members: [{ id: middle, role: 'm' }] })
    await app.post('/source-collections', { id: middle, members: [{ id: child, role: 'c' }] })
    return { parent, middle, child }
  }

  test('a source from the trash is in its collections again and collects again', async () => {
    const { parent, middle, child } = await makeTrio()
    expectStatus(await app.delete(`/sources/${middle}?soft_delete=true`), 204)
    expect(await readSource(app, parent)).not.toHaveProperty('source_collection')
    expect(await readSource(app, child)).not.toHaveProperty('collected_by')
    expect(await rowsOf('')).toEqual([])
    expectStatus(await app.post(`/sources/${middle}/restore`), 200)
    expect(await readSource(app, parent)).toMatchObject({ source_collection: [{ id: middle, role: 'm' }] })
    expect(await readSource(app, middle)).toMatchObject({ source_collection: [{ id: child, role: 'c' }], collected_by: [parent] })
    expect(await rowsOf()).toHaveLength(2)
  })

  test('it is so only as far as the other sides live, and nothing is left of the rest', async () => {
    const { parent, middle, child } = await makeTrio()
    expectStatus(await app.delete(`/sources/${middle}?soft_delete=true`), 204)
    expectStatus(await app.delete(`/sources/${parent}?soft_delete=false`), 204)
    expectStatus(await app.post(`/sources/${middle}/restore`), 200)
    expect(await readSource(app, middle)).toMatchObject({ source_collection: [{ id: child, role: 'c' }] })
    expect(await rowsOf()).toHaveLength(1)
  })

  test('a source that is restored never closes a circle', async () => {
    const { parent, middle, child } = await makeTrio()
    expectStatus(await app.delete(`/sources/${middle}?soft_delete=true`), 204)
    expectStatus(await app.put(`/source-collections/${child}/sources/${parent}`, {}), 201)
    expectStatus(await app.post(`/sources/${middle}/restore`), 200)
    expect(await readSource(app, middle)).not.toHaveProperty('collected_by', [parent])
    const collections = list(await app.get('/source-collections')).map(({ id }) => id)
    expect(collections).toHaveLength(2)
    expect(collections).toContain(child)
  })

  test('a source that goes for good leaves no membership behind', async () => {
    const { middle } = await makeTrio()
    expectStatus(await app.delete(`/sources/${middle}?soft_delete=false`), 204)
    expect(await rowsOf()).toEqual([])
  })

  test('it goes from a collection that is extended in the same moment', async () => {
    const { parent, middle } = await makeTrio()
    const more = await Promise.all([source(), source(), source()])
    await Promise.all([
      ...more.map((id) => app.put(`/source-collections/${parent}/sources/${id}`, {})),
      app.request('DELETE', `/sources/${middle}?soft_delete=false`),
    ])
    const { members } = object(await app.get(`/source-collections/${parent}`)) as { members: { id: string }[] }
    expect(members.map(({ id }) => id).sort()).toEqual(more.sort())
  })
})
