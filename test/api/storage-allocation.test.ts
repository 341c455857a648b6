import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { openApp, primaryStorage, secondaryStorage, standardBackends, type TestApp } from '../support/app.ts'
import { allocate, allocateOne, createFlow, expectInvalid, expectStatus, readFlow, uuid, videoFlow } from '../support/fixtures.ts'

let app: TestApp
beforeAll(async () => {
  app = await openApp()
})
afterAll(() => app.close())

const newFlow = async (over: Record<string, unknown> = {}): Promise<string> => (await createFlow(app, videoFlow(over))).id
const upload = (url: string, body: string, headers: Record<string, string> = {}) => app.fetch(url, { method: 'PUT', body, headers })

describe('POST /flows/{id}/storage', () => {
  test('gives as many objects as asked for, each with a PUT URL and content type [7] [7-M6] [7-M7] [7-M8] [7-M10] [13-23]', async () => {
    const id = await newFlow()
    const objects = await allocate(app, id, { limit: 3 })
    expect(new Set(objects.map((object) => object.object_id)).size).toBe(3)
    for (const { put_url, presigned } of objects) {
      expect(URL.canParse(put_url.url)).toBe(true)
      expect(put_url['content-type']).toBe('video/mp2t')
      expect(presigned).toBe(true)
    }
  })

  test('without limit or ids, and without a body, gives the server’s default number [7] [7-M3]', async () => {
    const id = await newFlow()
    expect(await allocate(app, id, {})).toHaveLength(10)
    const answer = expectStatus(await app.post(`/flows/${id}/storage`), 201)
    expect(Object(answer.body).media_objects).toHaveLength(10)
  })

  test('takes the ids of the client, in order [7]', async () => {
    const object_ids = [`client/${uuid()}`, uuid(), `Ünïcode ☂ ${uuid()}`]
    expect((await allocate(app, await newFlow(), { object_ids })).map((object) => object.object_id)).toEqual(object_ids)
  })

  test('an id that is in use refuses the whole request, whether allocated or registered [7] [7-M2]', async () => {
    const id = await newFlow()
    const [taken, free] = [uuid(), uuid()]
    await allocate(app, id, { object_ids: [taken] })
    expectInvalid(await app.post(`/flows/${id}/storage`, { object_ids: [free, taken] }), 'object_ids')
    expect(await allocate(app, id, { object_ids: [free] })).toHaveLength(1)
    expectStatus(await app.post(`/flows/${id}/segments`, { object_id: taken, timerange: '[0:0_1:0)' }), 201)
    expectInvalid(await app.post(`/flows/${await newFlow()}/storage`, { object_ids: [taken] }), 'object_ids')
  })

  test.each([
    ['limit and object_ids together', { limit: 1, object_ids: ['a'] }, 'object_ids'],
    ['an id twice', { object_ids: ['same', 'same'] }, 'object_ids'],
    ['an id that is no text', { object_ids: [5] }, 'object_ids'],
    ['limit 0', { limit: 0 }, 'limit'],
    ['a negative limit', { limit: -1 }, 'limit'],
    ['a fraction as limit', { limit: 1.5 }, 'limit'],
    ['a text as limit', { limit: '5' }, 'limit'],
    ['an unknown storage backend', { limit: 1, storage_id: uuid() }, 'storage_id'],
    ['a storage id that is no UUID', { limit: 1, storage_id: 'primary' }, 'storage_id'],
    ['a content type that is none', { limit: 1, content_type: 'mp4' }, 'content_type'],
    ['a presigned that is no boolean', { limit: 1, presigned: 'yes' }, 'presigned'],
  ])('refuses %s, naming the member [7] [1.4] [7-M1] [7-M4]', async (_, body, field) => {
    expectInvalid(await app.post(`/flows/${await newFlow()}/storage`, body), field)
  })

  test.each([['[]'], ['"x"'], ['{'], ['null']])('refuses the body %s [7]', async (raw) => {
    expectStatus(await app.request('POST', `/flows/${await newFlow()}/storage`, { raw }), 400)
  })

  test('needs a container on the flow [7] [5.1] [7-M5]', async () => {
    expectInvalid(await app.post(`/flows/${await newFlow({ container: undefined })}/storage`, { limit: 1 }), 'container')
  })

  test.each([[uuid()], ['nonsense']])('of the unknown flow %s is 404, before the body is looked at [7] [1.4] [7-M5]', async (id) => {
    expectStatus(await app.post(`/flows/${id}/storage`, { limit: -1 }), 404)
  })

  test('a named backend is used, the default one otherwise [7] [6.1] [7-M4]', async () => {
    const id = await newFlow()
    for (const [body, expected] of [
      [{ limit: 1 }, primaryStorage],
      [{ limit: 1, storage_id: secondaryStorage }, secondaryStorage],
    ] as const) {
      const { object_id } = await allocateOne(app, id, body)
      expectStatus(
        await app.post(`/flows/${id}/segments`, {
          object_id,
          timerange: body.limit && expected === primaryStorage ? '[0:0_1:0)' : '[1:0_2:0)',
        }),
        201,
      )
      const answer = await app.get(`/objects/${object_id}?verbose_storage=true`)
      expect(answer.body).toMatchObject({ get_urls: [{ storage_id: expected, controlled: true }] })
    }
  })

  test('without a default backend the request must name one [7] [3.3]', async () => {
    const other = await openApp({ backends: standardBackends.map(({ default_storage: _, ...rest }) => rest) })
    try {
      const { id } = await createFlow(other)
      expectInvalid(await other.post(`/flows/${id}/storage`, { limit: 1 }), 'storage_id')
      expect(await allocate(other, id, { limit: 1, storage_id: primaryStorage })).toHaveLength(1)
    } finally {
      await other.close()
    }
  })

  test('answers with the content type that was asked for [7] [7-M8]', async () => {
    const { put_url } = await allocateOne(app, await newFlow(), { limit: 1, content_type: 'video/mp4' })
    expect(put_url['content-type']).toBe('video/mp4')
  })

  test('presigned=true gives signed URLs; false is refused where only those can be served [7] [7-M9] [7-M10]', async () => {
    const id = await newFlow()
    expect(await allocateOne(app, id, { limit: 1, presigned: true })).toMatchObject({ presigned: true })
    const answer = await app.post(`/flows/${id}/storage`, { limit: 1, presigned: false })
    if (answer.status === 201) expect(Object(answer.body).media_objects[0].presigned ?? false).toBe(false)
    else expectInvalid(answer, 'presigned')
  })

  test('an allocated object is 404 until a segment registers it [7] [8.1] [11.7] [7-M12] [8.1-M1] [13-17]', async () => {
    const id = await newFlow()
    const { object_id } = await allocateOne(app, id)
    expectStatus(await app.get(`/objects/${object_id}`), 404)
    expectStatus(await app.post(`/flows/${id}/segments`, { object_id, timerange: '[0:0_1:0)' }), 201)
    expectStatus(await app.get(`/objects/${object_id}`), 200)
  })

  test('and its URLs are still good somewhat after the times the service tells [3.2-S1]', async () => {
    const id = await newFlow()
    const { object_id, put_url } = await allocateOne(app, id)
    app.clock.advance(3600 + 30)
    expect((await upload(put_url.url, 'bytes', { 'content-type': 'video/mp2t', ...put_url.headers })).status).toBe(200)
    expectStatus(await app.post(`/flows/${id}/segments`, { object_id, timerange: '[0:0_1:0)' }), 201)
    const [segment] = Object(await app.get(`/flows/${id}/segments`)).body
    app.clock.advance(3600 + 30)
    expect((await app.fetch(segment.get_urls[0].url)).status).toBe(200)
  })

  test('accepts members it does not know, and has no others in its answer [1.4-M2] [7-M6] [13-4]', async () => {
    const answer = expectStatus(await app.post(`/flows/${await newFlow()}/storage`, { limit: 1, colour: 'red' }), 201)
    expect(Object.keys(Object(answer.body))).toEqual(['media_objects'])
    expect(Object.keys(Object(answer.body).media_objects[0]).sort()).toEqual(['object_id', 'presigned', 'put_url'])
  })

  test('changes nothing in the flow and tells of nothing [7] [10.2]', async () => {
    const id = await newFlow()
    const [before, told] = [await readFlow(app, id), await app.events(id)]
    app.clock.advance(5)
    await allocate(app, id)
    expect([await readFlow(app, id), await app.events(id)]).toEqual([before, told])
  })

  test('registering after the object timeout and its grace is refused [7] [11.7] [7-S3]', async () => {
    const id = await newFlow()
    const [inTime, late] = await allocate(app, id, { limit: 2 })
    app.clock.advance(3000)
    expectStatus(await app.post(`/flows/${id}/segments`, { object_id: inTime?.object_id, timerange: '[0:0_1:0)' }), 201)
    app.clock.advance(24 * 3600)
    expectInvalid(await app.post(`/flows/${id}/segments`, { object_id: late?.object_id, timerange: '[1:0_2:0)' }), 'object_id')
  })
})

describe('the URLs of an allocation', () => {
  test('take one whole object, which get_urls then give back with its type, with Range [7] [6.1] [14.20] [6.1-M5] [6.1-S1] [7-M11] [7-S1]', async () => {
    const id = await newFlow()
    const { object_id, put_url } = await allocateOne(app, id)
    const put = await upload(put_url.url, 'the bytes of a segment', { 'content-type': 'video/mp2t', ...put_url.headers })
    expect(put.status).toBeLessThan(300)
    expectStatus(await app.post(`/flows/${id}/segments`, { object_id, timerange: '[0:0_1:0)' }), 201)
    const [segment] = Object(await app.get(`/flows/${id}/segments`)).body
    const url: string = segment.get_urls[0].url
    const whole = await app.fetch(url)
    expect([whole.status, whole.headers.get('content-type'), await whole.text()]).toEqual([200, 'video/mp2t', 'the bytes of a segment'])
    const part = await app.fetch(url, { headers: { range: 'bytes=4-8' } })
    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([206, 'bytes 4-8/22', 'bytes'])
  })

  test('refuse a second PUT once the object is registered [14.19]', async () => {
    const id = await newFlow()
    const { object_id, put_url } = await allocateOne(app, id)
    const headers = { 'content-type': 'video/mp2t', ...put_url.headers }
    expect((await upload(put_url.url, 'first', headers)).status).toBeLessThan(300)
    expectStatus(await app.post(`/flows/${id}/segments`, { object_id, timerange: '[0:0_1:0)' }), 201)
    const again = await upload(put_url.url, 'second', headers)
    expect(again.status).toBeGreaterThanOrEqual(400)
    expect(again.status).toBeLessThan(500)
    const [segment] = Object(await app.get(`/flows/${id}/segments`)).body
    expect(await (await app.fetch(segment.get_urls[0].url)).text()).toBe('first')
  })

  test('are good for one object and method only: a changed path, signature or method is refused [7]', async () => {
    const id = await newFlow()
    const [first, second] = await allocate(app, id, { limit: 2 })
    const url = new URL(first?.put_url.url ?? '')
    const other = new URL(second?.put_url.url ?? '')
    const swapped = new URL(url)
    swapped.pathname = other.pathname
    const tampered = new URL(url)
    for (const [name, value] of url.searchParams) tampered.searchParams.set(name, `${value}0`)
    for (const forged of [swapped, tampered]) expect((await upload(forged.href, 'x')).status).toBeOneOf([400, 403])
    expect((await app.fetch(url.href)).status).toBeOneOf([400, 403, 404, 405])
  })

  test('expire, but not before min_presigned_url_timeout [7] [3.2] [7-M11]', async () => {
    const id = await newFlow()
    const [early, late] = await allocate(app, id, { limit: 2 })
    const send = (allocated: typeof early) =>
      upload(allocated?.put_url.url ?? '', 'x', { 'content-type': 'video/mp2t', ...allocated?.put_url.headers })
    const timeout = Number(String(Object((await app.get('/service')).body).min_presigned_url_timeout).split(':')[0])
    app.clock.advance(timeout - 1)
    expect((await send(early)).status).toBeLessThan(300)
    app.clock.advance(48 * 3600)
    expect((await send(late)).status).toBeOneOf([400, 403])
  })

  test('for reading stay valid for min_presigned_url_timeout, and expire [6.1] [3.2] [6.1-M8]', async () => {
    const id = await newFlow()
    const { object_id, put_url } = await allocateOne(app, id)
    await upload(put_url.url, 'bytes', { 'content-type': 'video/mp2t', ...put_url.headers })
    expectStatus(await app.post(`/flows/${id}/segments`, { object_id, timerange: '[0:0_1:0)' }), 201)
    const [segment] = Object(await app.get(`/flows/${id}/segments`)).body
    const url: string = segment.get_urls[0].url
    const timeout = Number(String(Object((await app.get('/service')).body).min_presigned_url_timeout).split(':')[0])
    app.clock.advance(timeout - 1)
    expect((await app.fetch(url)).status).toBe(200)
    app.clock.advance(7 * 24 * 3600)
    expect((await app.fetch(url)).status).toBeOneOf([400, 403])
  })
})
