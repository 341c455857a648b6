import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { object } from '../support/answers.ts'
import { openApp, primaryStorage, secondaryStorage, strictByDefault, type TestApp } from '../support/app.ts'
import {
  allocateOne,
  createFlow,
  expectInvalid,
  expectStatus,
  external,
  nextLink,
  postSegment,
  register,
  uuid,
  videoFlow,
} from '../support/fixtures.ts'

let app: TestApp
beforeAll(async () => {
  app = await openApp()
})
afterAll(() => app.close())

const newFlow = async (over: Record<string, unknown> = {}): Promise<string> => (await createFlow(app, videoFlow(over))).id
const read = async (id: string, query = '') => object(expectStatus(await app.get(`/objects/${encodeURIComponent(id)}${query}`), 200))

/** One object used by `count` new flows, in order. */
const shared = async (count: number, tags: (index: number) => Record<string, unknown> = () => ({})) => {
  const flows: string[] = []
  const segment = external('[0:0_1:0)')
  for (let index = 0; index < count; index++) {
    const id = await newFlow({ tags: tags(index) })
    expectStatus(await postSegment(app, id, index === 0 ? segment : { object_id: segment.object_id, timerange: '[0:0_1:0)' }), 201)
    flows.push(id)
  }
  return { id: segment.object_id, flows }
}

describe('GET /objects/{id}', () => {
  test('shows range, key frames, URLs and who refers to it [8.1] [8.1-M1] [8.1-M2] [13-10]', async () => {
    const flow = await newFlow()
    const segment = external('[10:0_20:0)', { ts_offset: '10:0', key_frame_count: 3 })
    await postSegment(app, flow, segment)
    expect(await read(segment.object_id)).toEqual({
      id: segment.object_id,
      timerange: '[0:0_10:0)',
      key_frame_count: 3,
      referenced_by_flows: [flow],
      first_referenced_by_flow: flow,
      get_urls: [expect.objectContaining({ label: 'example' })],
    })
  })

  test.each([[uuid()], ['nonsense'], ['a%2Fb'], ['%F0%9F%8E%AC'], ['a%00b']])(
    'the unknown id %s is 404 [8.1] [1.2] [8.1-M1]',
    async (id) => {
      expectStatus(await app.get(`/objects/${id}`), 404)
    },
  )

  test('lists each flow once, and pages through them [8.1] [A] [8.1-M1] [8.1-M4]', async () => {
    const { id, flows } = await shared(5)
    expect([...Object(await read(id)).referenced_by_flows].sort()).toEqual([...flows].sort())
    const seen: string[] = []
    let target: string | undefined = `/objects/${id}?limit=2`
    while (target !== undefined) {
      const answer = expectStatus(await app.get(target), 200)
      expect(answer.headers.get('x-paging-limit')).toBe('2')
      seen.push(...Object(answer.body).referenced_by_flows)
      target = nextLink(answer)
    }
    expect(seen.sort()).toEqual([...flows].sort())
  })

  test('lists more flows than a default page has, unless a limit is asked for [8.1-S1]', async () => {
    const { id, flows } = await shared(33)
    const answer = expectStatus(await app.get(`/objects/${id}`), 200)
    expect([...Object(answer.body).referenced_by_flows].sort()).toEqual([...flows].sort())
    expect(nextLink(answer)).toBeUndefined()
    expect(Object(await read(id, '?limit=5')).referenced_by_flows).toHaveLength(5)
  })

  test('flow_tag filters keep flows by their tags; none left is an empty list, not 404 [8.1] [1.7]', async () => {
    const { id, flows } = await shared(3, (index) => (index === 0 ? { a: 'x' } : index === 1 ? { a: ['y', 'z'], b: '' } : {}))
    expect((await read(id, '?flow_tag.a=x')).referenced_by_flows).toEqual([flows[0]])
    expect((await read(id, '?flow_tag.a=z')).referenced_by_flows).toEqual([flows[1]])
    expect((await read(id, '?flow_tag_exists.a=false')).referenced_by_flows).toEqual([flows[2]])
    expect((await read(id, '?flow_tag_exists.b=true&flow_tag.a=y')).referenced_by_flows).toEqual([flows[1]])
    expect((await read(id, '?flow_tag.a=nobody')).referenced_by_flows).toEqual([])
  })

  test('first_referenced_by_flow is the first one, and never null once that flow is gone [8.1]', async () => {
    const { id, flows } = await shared(2)
    expect((await read(id)).first_referenced_by_flow).toBe(flows[0])
    await app.delete(`/flows/${flows[0]}`)
    const after = await read(id)
    expect(after.referenced_by_flows).toEqual([flows[1]])
    expect([flows[0], undefined]).toContain(after.first_referenced_by_flow as string | undefined)
  })

  test('URL filters work as for segments [8.1] [6.1]', async () => {
    const flow = await newFlow()
    const { object_id } = await allocateOne(app, flow)
    await postSegment(app, flow, { object_id, timerange: '[0:0_1:0)' })
    expect(await read(object_id)).toMatchObject({ get_urls: [{ label: 'primary', presigned: true }] })
    expect(await read(object_id, '?verbose_storage=true')).toMatchObject({
      get_urls: [{ storage_id: primaryStorage, controlled: true, store_product: 'disk' }],
    })
    for (const query of [
      '?accept_get_urls=',
      '?accept_get_urls=other',
      `?accept_storage_ids=${secondaryStorage}`,
      '?presigned=false',
      '?storage_backend_tag.site=london',
    ])
      expect((await read(object_id, query)).get_urls ?? []).toEqual([])
    expect(await read(object_id, '?storage_backend_tag.site=salford&accept_storage_ids=')).toMatchObject({
      get_urls: [{ label: 'primary' }],
    })
  })

  test.each([
    ['verbose_storage=x', 'verbose_storage'],
    ['accept_storage_ids=x', 'accept_storage_ids'],
    ['presigned=x', 'presigned'],
    ['limit=0', 'limit'],
    ['page=x', 'page'],
    ['flow_tag_exists.a=x', 'flow_tag_exists'],
  ])('refuses %s, naming the parameter [8.1] [1.4] [8.1-M1]', async (query, field) => {
    const [id = ''] = await register(app, await newFlow(), '[0:0_1:0)')
    expectInvalid(await app.get(`/objects/${id}?${query}`), field)
  })

  test('ids with slashes, percent signs and spaces are whole path segments [1.2] [8.1] [1.2-M2]', async () => {
    const flow = await newFlow()
    for (const [index, name] of ['a/b', '/', '100%', 'x y', '☂', 'a%2Fb', 'a+b', 'a?b#c'].entries()) {
      const object_id = name === '/' ? '/' : `${name}${uuid()}`
      expectStatus(await postSegment(app, flow, external(`[${index}:0_${index + 1}:0)`, { object_id })), 201)
      expect((await read(object_id)).id).toBe(object_id)
    }
  })

  test.if(strictByDefault)('there is no listing and no other method [B]', async () => {
    const [id = ''] = await register(app, await newFlow(), '[0:0_1:0)')
    for (const method of ['PUT', 'POST', 'DELETE']) expectStatus(await app.request(method, `/objects/${id}`), 405)
  })
})

describe('the bytes of an object', () => {
  test('are there while a segment refers to them [11.7] [8.1]', async () => {
    const [first, second] = [await newFlow(), await newFlow()]
    const { object_id, put_url } = await allocateOne(app, first)
    const put = await app.fetch(put_url.url, {
      method: 'PUT',
      body: 'bytes',
      headers: { 'content-type': 'video/mp2t', ...put_url.headers },
    })
    expect(put.status).toBeLessThan(300)
    await postSegment(app, first, { object_id, timerange: '[0:0_1:0)' })
    await postSegment(app, second, { object_id, timerange: '[0:0_1:0)' })
    await app.delete(`/flows/${first}`)
    const [url] = Object(await read(object_id)).get_urls
    expect(await (await app.fetch(url.url)).text()).toBe('bytes')
  })
})
