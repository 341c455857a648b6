import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { object } from '../support/answers.ts'
import { openApp, primaryStorage, secondaryStorage, type TestApp } from '../support/app.ts'
import { allocateOne, createFlow, expectInvalid, expectStatus, external, postSegment, segmentsOf, uuid } from '../support/fixtures.ts'

let app: TestApp
beforeAll(async () => {
  app = await openApp()
})
afterAll(() => app.close())

const controlled = async () => {
  const { id: flow } = await createFlow(app)
  const { object_id, put_url } = await allocateOne(app, flow)
  const put = await app.fetch(put_url.url, {
    method: 'PUT',
    body: 'the bytes',
    headers: { 'content-type': 'video/mp2t', ...put_url.headers },
  })
  expect(put.status).toBeLessThan(300)
  expectStatus(await postSegment(app, flow, { object_id, timerange: '[0:0_1:0)' }), 201)
  return { flow, id: object_id, path: `/objects/${object_id}/instances` }
}
const cdn = (label = 'cdn') => ({ url: `https://cdn.example.com/${uuid()}`, label })
const labelsOf = async (id: string): Promise<unknown[]> =>
  Object(object(await app.get(`/objects/${id}`))).get_urls.map((url: { label?: string }) => url.label)

describe('POST /objects/{id}/instances', () => {
  test('an uncontrolled instance shows up in get_urls of object and segments, as not pre-signed [8.2] [6.1] [8.2-M1]', async () => {
    const { flow, id, path } = await controlled()
    const instance = cdn()
    expectStatus(await app.post(path, instance), 201)
    const [, added] = Object(await app.get(`/objects/${id}`)).body.get_urls
    expect(added).toMatchObject(instance)
    expect(added.presigned ?? false).toBe(false)
    expect(await segmentsOf(app, flow, '?accept_get_urls=cdn')).toMatchObject([{ get_urls: [instance] }])
  })

  test.each([
    ['both forms at once', { storage_id: secondaryStorage, ...cdn() }],
    ['neither form', {}],
    ['a url without label', { url: 'https://cdn.example.com/x' }],
    ['a label without url', { label: 'x' }],
    ['an unknown storage_id', { storage_id: uuid() }],
    ['a storage_id that is no UUID', { storage_id: 'primary' }],
    ['the backend that holds it already', { storage_id: primaryStorage }],
    ['a label of a storage backend', cdn('secondary')],
    ['a label that is no text', { url: 'https://cdn.example.com/x', label: 5 }],
    ['a list', [cdn()]],
  ])('refuses %s [8.2] [8.2-M1] [8.2-S2]', async (_, body) => {
    const { id, path } = await controlled()
    expectStatus(await app.post(path, body), 400)
    expect(await labelsOf(id)).toEqual(['primary'])
  })

  test('refuses a label that the object has already [8.2]', async () => {
    const { path } = await controlled()
    expectStatus(await app.post(path, cdn('mine')), 201)
    expectInvalid(await app.post(path, cdn('mine')), 'label')
  })

  test('of an unknown or unregistered object is 404 [8.2] [1.4] [8.2-M1] [8.3-M2]', async () => {
    const { id: flow } = await createFlow(app)
    const { object_id } = await allocateOne(app, flow)
    for (const id of [uuid(), object_id]) {
      expectStatus(await app.post(`/objects/${id}/instances`, cdn()), 404)
      expectStatus(await app.post(`/objects/${id}/instances`, {}), 404)
      expectStatus(await app.delete(`/objects/${id}/instances?label=cdn`), 404)
    }
  })

  test('works for ids with special characters [1.2] [8.2]', async () => {
    const { id: flow } = await createFlow(app)
    const object_id = `a/b %${uuid()}`
    await postSegment(app, flow, external('[0:0_1:0)', { object_id }))
    expectStatus(await app.post(`/objects/${encodeURIComponent(object_id)}/instances`, cdn()), 201)
    expectStatus(await app.delete(`/objects/${encodeURIComponent(object_id)}/instances?label=cdn`), 204)
  })
})

describe('DELETE /objects/{id}/instances', () => {
  test('by label takes it out of get_urls [8.3] [8.3-M2]', async () => {
    const { id, path } = await controlled()
    await app.post(path, cdn())
    expectStatus(await app.delete(`${path}?label=cdn`), 204)
    expect(await labelsOf(id)).toEqual(['primary'])
    expectStatus(await app.delete(`${path}?label=cdn`), 404)
  })

  test('by storage_id takes the controlled one out; the object lives on with the other [8.3]', async () => {
    const { id, path } = await controlled()
    await app.post(path, cdn())
    expectStatus(await app.delete(`${path}?storage_id=${primaryStorage}`), 204)
    expect(await labelsOf(id)).toEqual(['cdn'])
  })

  test('refuses to delete the last instance [8.3] [8.3-S1]', async () => {
    const { id, path } = await controlled()
    expectStatus(await app.delete(`${path}?storage_id=${primaryStorage}`), 400)
    expect(await labelsOf(id)).toEqual(['primary'])
  })

  test('needs storage_id or label; one it does not have is 404 [8.3] [8.3-M1] [8.3-M2]', async () => {
    const { path } = await controlled()
    await app.post(path, cdn())
    expectStatus(await app.delete(path), 400)
    expectStatus(await app.delete(`${path}?storage_id=nonsense`), 400)
    expectStatus(await app.delete(`${path}?label=other`), 404)
    expectStatus(await app.delete(`${path}?storage_id=${secondaryStorage}`), 404)
  })

  test('both parameters: 400, or only an instance that matches both [8.3]', async () => {
    const { id, path } = await controlled()
    await app.post(path, cdn())
    expect((await app.delete(`${path}?label=cdn&storage_id=${primaryStorage}`)).status).toBeOneOf([400, 404])
    expect(await labelsOf(id)).toEqual(['primary', 'cdn'])
  })

  test('no event tells of instances [8.3] [10.2]', async () => {
    const { flow, path } = await controlled()
    const told = await app.events(flow)
    await app.post(path, cdn())
    await app.delete(`${path}?label=cdn`)
    expect(await app.events(flow)).toEqual(told)
  })
})
