import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
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
})
