import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { object } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { createFlow, expectInvalid, expectStatus, multiFlow, register, uuid, videoFlow } from '../support/fixtures.ts'
import { methodsOf, routes } from '../support/specification.ts'

let app: TestApp
let flow: { id: string; source_id: string }
let segmentObject: string
beforeAll(async () => {
  app = await openApp({ settings: { strict: true } })
  flow = await createFlow(app, videoFlow({ tags: { x: 'y' } }))
  await app.put(`/sources/${flow.source_id}/tags/x`, 'y')
  segmentObject = (await register(app, flow.id, '[0:0_1:0)'))[0] ?? ''
})
afterAll(() => app.close())

const concrete = (path: string): string =>
  path
    .replace('{flowId}', flow.id)
    .replace('{sourceId}', flow.source_id)
    .replace('{objectId}', segmentObject)
    .replace('{name}', 'x')
    .replace(/\{[^}]+\}/, uuid())

const all = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH']
const isWebhook = (path: string) => path.startsWith('/service/webhooks')
const wrong = routes
  .filter((route) => !isWebhook(route.path))
  .flatMap((route) =>
    all.filter((method) => !methodsOf(route).some((own) => own === method)).map((method) => [method, route.path] as const),
  )

describe('methods', () => {
  test.each(wrong)('%s %s is 405 and Allow names what there is [1.4] [B] [1.3-M1]', async (method, path) => {
    const answer = await app.request(method, concrete(path), method === 'HEAD' ? {} : { body: {} })
    expectStatus(answer, 405)
    const allowed = (answer.headers.get('allow') ?? '').split(',').map((name) => name.trim())
    const route = routes.find((each) => each.path === path)
    expect(allowed.filter((name) => name !== 'OPTIONS').sort()).toEqual(route ? [...methodsOf(route)].map(String).sort() : [])
  })

  test.each(routes.filter((route) => route.operations.GET && !isWebhook(route.path)).map((route) => [route.path]))(
    'HEAD %s answers as GET does, without a body [1.3] [1.3-M1]',
    async (path) => {
      // Every GET of the test app is followed by the same HEAD and both are compared; here with an answer that is no 404.
      const target = concrete(path)
      const answer = await app.get(target)
      if (!/profileId|requestId/.test(path)) expectStatus(answer, 200)
      expect((await app.request('HEAD', target)).status).toBe(answer.status)
    },
  )

  test('HEAD of something missing is 404 and of an invalid query 400 [1.3] [1.3-M2]', async () => {
    expect((await app.request('HEAD', `/flows/${uuid()}`)).status).toBe(404)
    expect((await app.request('HEAD', '/flows?limit=0')).status).toBe(400)
    expect((await app.request('HEAD', `/sources/${uuid()}/label`)).status).toBe(404)
  })
})

describe('error bodies', () => {
  test('have type, summary, time and message, and nothing of the inside [1.1] [1.1-M5]', async () => {
    for (const [method, path, body] of [
      ['GET', `/flows/${uuid()}`],
      ['PUT', `/flows/${flow.id}/label`, 5],
      ['POST', '/flows', {}],
      ['GET', '/nowhere'],
    ] as const) {
      const answer = await app.request(method, path, body === undefined ? {} : { body })
      const error = object(answer)
      expect(Object.keys(error).sort()).toEqual(['message', 'summary', 'time', 'type'])
      expect(error.message).toBe(error.summary as string)
      expect(Number.isNaN(Date.parse(String(error.time)))).toBe(false)
      expect(answer.headers.get('content-type')).toBe('application/json')
    }
  })

  test.each([
    [
      () => app.put(`/flows/${flow.id}`, { ...videoFlow(), id: flow.id, essence_parameters: { frame_width: -1, frame_height: 1 } }),
      'frame_width',
    ],
    [() => app.post(`/flows/${flow.id}/segments`, { object_id: 'x', timerange: '[1_2)' }), 'timerange'],
    [() => app.post(`/flows/${flow.id}/storage`, { limit: 'many' }), 'limit'],
    [() => app.get('/flows?sort_by=size'), 'sort_by'],
    [() => app.put(`/flows/${flow.id}/max_bit_rate`, -5), '-5'],
  ])('a 400 names the field and the reason [1.4] [1.1] [1.4-M1]', async (send, field) => {
    expectInvalid(await send(), field)
  })
})

describe('ids in paths', () => {
  const bad = [
    'nonsense',
    '123',
    uuid().toUpperCase(),
    '00000000-0000-0000-0000-000000000000',
    `${uuid()}0`,
    '01890a5d-ac96-774b-bcce-b302099a8057',
    '%20',
  ]
  const paths = routes.filter((route) => /\{(flowId|sourceId|profileId|requestId)\}/.test(route.path))
  test.each(paths.map((route) => [route.path]))('%s: an id that is no UUID is 404 for every method [1.2] [14.2] [1.2-M1]', async (path) => {
    const route = paths.find((each) => each.path === path)
    for (const id of bad)
      for (const method of route ? methodsOf(route) : []) {
        const target = path.replace(/\{(flowId|sourceId|profileId|requestId)\}/, id).replace('{name}', 'x')
        expect([method, id, (await app.request(method, target, method === 'PUT' || method === 'POST' ? { body: {} } : {})).status]).toEqual(
          [method, id, 404],
        )
      }
  })

  test('an unknown path is 404 [1.4]', async () => {
    for (const path of [
      '/nowhere',
      '/flow',
      '/flows/x/y/z',
      `/flows/${flow.id}/nothing`,
      '/service/nothing',
      `/objects/${segmentObject}/nothing`,
    ])
      expect((await app.request('GET', path)).status).toBe(404)
  })
})

describe('bodies', () => {
  const targets = [
    ['PUT', () => `/flows/${flow.id}`],
    ['POST', () => `/flows/${flow.id}/segments`],
    ['POST', () => `/flows/${flow.id}/storage`],
    ['PUT', () => `/flows/${flow.id}/label`],
    ['PUT', () => `/flows/${flow.id}/tags/x`],
    ['PUT', () => `/flows/${flow.id}/flow_collection`],
    ['PUT', () => `/sources/${flow.source_id}/description`],
    ['POST', () => '/service'],
    ['POST', () => `/service/profiles/${uuid()}`],
    ['POST', () => `/objects/${segmentObject}/instances`],
    ['PUT', () => `/flows/${flow.id}/max_bit_rate`],
    ['PUT', () => `/flows/${flow.id}/read_only`],
  ] as const

  test.each(targets)('%s: malformed JSON is 400 [1.4] [1.4-M1] [6.2-M5]', async (method, path) => {
    for (const raw of ['{', '{"a":}', "{'a':1}", 'NaN', '[1,]', '"\u0001"', '{"a":1}x', 'undefined', '\uFEFF\uFEFF{}'])
      expect([raw, (await app.request(method, path(), { raw })).status]).toEqual([raw, 400])
  })

  test.each(targets)('%s: ill-formed Unicode is 400 [1.4]', async (method, path) => {
    const answer = await app.request(method, path(), { raw: new Uint8Array([0x22, 0xff, 0xfe, 0x22]) })
    expectStatus(answer, 400)
  })

  test('a flow without a body is 400 [5.4-M1]', async () => {
    const id = uuid()
    expectStatus(await app.request('PUT', `/flows/${id}`), 400)
    expectStatus(await app.get(`/flows/${id}`), 404)
  })

  test('a form is 400 or 415 wherever JSON is expected [1.1-M1]', async () => {
    for (const [method, path] of targets) {
      const form = await app.request(method, path(), {
        raw: '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n',
        headers: { 'content-type': 'multipart/form-data; boundary=x' },
      })
      expect(form.status, `${method} ${path()}`).toBeOneOf([400, 415])
    }
  })

  test('a lone surrogate in a text is 400, in a path 404 [1.4]', async () => {
    expectStatus(await app.request('PUT', `/flows/${flow.id}/label`, { raw: '"\\ud800"' }), 400)
    expectStatus(await app.request('PUT', `/flows/${flow.id}/tags/x`, { raw: '["\\udfff"]' }), 400)
    expectStatus(await app.request('PUT', `/flows/${flow.id}/tags/%ED%A0%80`, { body: 'x' }), 404)
  })

  test('no JSON at all is 400 or 415 [14.1] [1.1-M1]', async () => {
    const answer = await app.request('PUT', `/flows/${flow.id}/label`, {
      raw: 'label=x',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    expect(answer.status).toBeOneOf([400, 415])
  })

  test('JSON without a content type or with a charset is read all the same [1.1]', async () => {
    for (const type of ['application/json; charset=utf-8', 'application/json'])
      expectStatus(await app.request('PUT', `/flows/${flow.id}/label`, { raw: '"x"', headers: { 'content-type': type } }), 204)
  })

  test('a body above the limit is 413, and deep nesting is no 5xx [1.4]', async () => {
    const small = await openApp({ http: { bodyLimit: 10_000 } })
    try {
      const { id } = await createFlow(small)
      expectStatus(await small.put(`/flows/${id}/label`, 'x'.repeat(20_000)), 413)
      expectStatus(await small.put(`/flows/${id}/label`, 'x'.repeat(5_000)), 204)
    } finally {
      await small.close()
    }
    const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`
    expectStatus(await app.request('PUT', `/flows/${flow.id}/tags/x`, { raw: deep }), 400)
  })

  test('a text above what a cell holds is 400 or 413, one below is kept [1.4]', async () => {
    expect((await app.put(`/flows/${flow.id}/description`, 'x'.repeat(200_000))).status).toBeOneOf([400, 413])
    const long = '☂'.repeat(30_000)
    expectStatus(await app.put(`/flows/${flow.id}/description`, long), 204)
    expect((await app.get(`/flows/${flow.id}/description`)).body).toBe(long)
  })
})

describe('the order of checks', () => {
  test('404 comes before 400 [1.4]', async () => {
    const id = uuid()
    expectStatus(await app.request('PUT', `/flows/${id}/label`, { raw: '{' }), 404)
    expectStatus(await app.put(`/flows/${id}/tags/x`, 5), 404)
    expectStatus(await app.post(`/flows/${id}/segments`, 5), 404)
    expectStatus(await app.delete(`/flows/${id}/segments?timerange=x`), 404)
    expectStatus(await app.get(`/flows/${id}?include_timerange=x`), 404)
    expectStatus(await app.get(`/objects/${id}?presigned=x`), 404)
  })
})

describe('what one request may cost', () => {
  test.each(['.', '..'])('the object id %p is refused: no path could reach it [7]', async (id) => {
    const flow = await createFlow(app)
    expectInvalid(await app.post(`/flows/${flow.id}/storage`, { object_ids: [id] }), 'object_ids')
  })

  test('more URLs for one object than make sense are refused [6.2]', async () => {
    const flow = await createFlow(app)
    const get_urls = Array.from({ length: 101 }, (_, index) => ({ url: `https://example.com/${index}`, label: `label ${index}` }))
    expectInvalid(await app.post(`/flows/${flow.id}/segments`, { object_id: uuid(), timerange: '[0:0_1:0)', get_urls }), 'get_urls')
  })

  test('a collection of more than 1000 members is refused [5.8]', async () => {
    const flow = await createFlow(app, multiFlow())
    expectInvalid(
      await app.put(
        `/flows/${flow.id}/flow_collection`,
        Array.from({ length: 1001 }, () => ({ id: uuid() })),
      ),
      'body',
    )
  })

  test('a query with more than 32 tag filters is refused [1.7]', async () => {
    expectInvalid(await app.get(`/flows?${Array.from({ length: 33 }, (_, index) => `tag.t${index}=x`).join('&')}`), 'tag')
  })

  test('a media type that could be no header is refused when the flow is put [5.1]', async () => {
    const flow = videoFlow({ container: 'video/é' })
    expectInvalid(await app.put(`/flows/${flow.id}`, flow), 'container')
  })
})
