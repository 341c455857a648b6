import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Json, list, object } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { expectInvalid, expectStatus, ids, uuid, walk } from '../support/fixtures.ts'
import { example } from '../support/schemas.ts'

let app: TestApp
beforeAll(async () => {
  app = await openApp({ settings: { strict: false } })
})
afterAll(() => app.close())

const path = '/service/webhooks'
const body = (over: Json = {}) => ({ url: 'https://hooks.example.com/', events: ['flows/created'], ...over })
const create = async (over: Json = {}) => object(expectStatus(await app.post(path, body(over)), 201))
const read = async (id: unknown) => object(expectStatus(await app.get(`${path}/${id}`), 200))
const put = async (webhook: Json, over: Json = {}) => app.put(`${path}/${webhook.id}`, { ...webhook, status: 'created', ...over })
const stored = async (id: unknown) => app.deps.tables.read((tx) => tx.find('webhooks', [String(id)]))
const setStatus = (id: unknown, status: string) =>
  app.deps.tables.write((tx) =>
    tx.update('webhooks', { kind: 'compare', column: 'id', op: '=', value: String(id) }, { status, error: ERROR }),
  )
const ERROR = JSON.stringify({ type: 'delivery_failed', summary: 'x', time: '2026-01-02T03:04:05Z' })

const filters = {
  flow_ids: [uuid()],
  source_ids: [uuid()],
  flow_collected_by_ids: [],
  source_collected_by_ids: [uuid()],
  accept_get_urls: ['primary'],
  accept_storage_ids: [],
  presigned: true,
  verbose_storage: true,
  include_object_timerange: false,
}

describe('POST /service/webhooks', () => {
  test('answers 201 with the webhook, its id and its status, and it reads the same [10.3-M2] [10.3-M4] [10.4-M1]', async () => {
    const given = body({ ...filters, tags: { team: ['a', 'b'] }, api_key_name: 'X-Key' })
    const made = await create(given)
    expect(made).toEqual({ ...given, id: expect.any(String), status: 'created' })
    expect(await read(made.id)).toEqual(made)
    expect((await create({ status: 'disabled' })).status).toBe('disabled')
  })

  test('twice with one url makes two webhooks [10.3-M4] [13-1]', async () => {
    const [one, two] = [await create(), await create()]
    expect(one.id).not.toBe(two.id)
    expect([(await read(one.id)).url, (await read(two.id)).url]).toEqual([body().url, body().url])
  })

  test('never gives the value of the key back, in no answer [10.3-M8]', async () => {
    const secret = `secret ${uuid()}`
    const made = await create({ api_key_name: 'X-Key', api_key_value: secret })
    const answers = [await app.get(path), await app.get(`${path}/${made.id}`), await put(made), await put(made, { api_key_value: secret })]
    expect(JSON.stringify([made, ...answers.map(({ text }) => text)])).not.toContain(secret)
    expect((await stored(made.id))?.api_key_value).toBe(secret)
    const audit = await app.deps.tables.read(async (tx) => tx.list('audit', { where: { kind: 'and', terms: [] }, limit: 1000 }))
    expect(JSON.stringify(audit.rows.map(({ detail }) => detail))).not.toContain(secret)
  })

  test.each([
    ['no url', { url: undefined }, 'url'],
    ['no events', { events: undefined }, 'events'],
    ['a url that is no text', { url: 5 }, 'url'],
    ['an address of this machine', { url: 'http://127.0.0.1/' }, 'url'],
    ['credentials in the url', { url: 'https://a:b@hooks.example.com/' }, 'url'],
    ['an id that is no UUID', { flow_ids: ['x'] }, 'flow_ids'],
    ['one id in place of a list', { source_ids: uuid() }, 'source_ids'],
    ['a flag that is a text', { presigned: 'true' }, 'presigned'],
    ['tags that are a list', { tags: [] }, 'tags'],
    ['a header name with a space', { api_key_name: 'X Key', api_key_value: 'x' }, 'api_key_name'],
    ['a header that is ours', { api_key_name: 'Content-Length', api_key_value: '1' }, 'api_key_name'],
    ['a header value with a line break', { api_key_name: 'X-Key', api_key_value: 'a\r\nb: c' }, 'api_key_value'],
  ])('refuses %s [10.3-M1]', async (_, over, field) => {
    const before = list(await app.get(`${path}?limit=1000`)).length
    expectInvalid(await app.post(path, body(over)), field)
    expect(list(await app.get(`${path}?limit=1000`))).toHaveLength(before)
  })

  test.each([['flows/unknown'], ['objects/created'], ['webhooks/test'], ['FLOWS/created'], ['']])(
    'refuses the event type %p [10.3-M3] [13-2]',
    async (type) => {
      expectInvalid(await app.post(path, body({ events: ['flows/created', type] })), 'events')
    },
  )

  test.each(['started', 'error', 'x', null])('refuses the status %p [10.3]', async (status) => {
    expectInvalid(await app.post(path, body({ status })), 'status')
  })

  test('accepts empty events, members it does not know, and the example of the specification [1.4-M2]', async () => {
    await create({ events: [], colour: 'red' })
    const given = example('webhook-post')
    if (given) expectStatus(await app.post(path, given), 201)
  })

  test.each(Object.keys(filters))('keeps the filter or option %s as it was given: each is supported [10.3-M7]', async (name) => {
    const value = filters[name as keyof typeof filters]
    expect(await create({ [name]: value })).toHaveProperty(name, value)
  })

  test('is bounded: one owner has at most a thousand', async () => {
    const own = await openApp()
    try {
      const made = object(expectStatus(await own.post(path, body()), 201))
      const row = await own.deps.tables.read((tx) => tx.find('webhooks', [String(made.id)]))
      if (!row) throw new Error('no row')
      await own.deps.tables.write(async (tx) => {
        const rows = Array.from({ length: 999 }, () => ({ ...row, id: uuid() }))
        await tx.lock(rows.map(({ id }) => `webhook:${id}`))
        await tx.insert('webhooks', rows)
      })
      expectInvalid(await own.post(path, body()), '1000')
    } finally {
      await own.close()
    }
  })
})

describe('PUT /service/webhooks/{id}', () => {
  test('replaces the whole webhook and answers 201 with it [10.3-M5]', async () => {
    const made = await create({ ...filters, tags: { a: 'b' } })
    const answer = expectStatus(
      await app.put(`${path}/${made.id}`, { ...body({ url: 'https://b.example.com/' }), id: made.id, status: 'created' }),
      201,
    )
    expect(answer.body).toEqual({ id: made.id, url: 'https://b.example.com/', events: ['flows/created'], tags: {}, status: 'created' })
    expect(await read(made.id)).toEqual(object(answer))
  })

  test.each([
    ['id', undefined],
    ['id', uuid()],
    ['status', undefined],
    ['status', 'started'],
    ['status', 'error'],
    ['url', undefined],
    ['events', undefined],
    ['events', ['x']],
  ])('refuses %s as %p and changes nothing [10.3-M1] [10.3-M5]', async (name, value) => {
    const made = await create()
    expectInvalid(await app.put(`${path}/${made.id}`, { ...made, label: 'x', [name]: value }), name)
    expect(await read(made.id)).toEqual(made)
  })

  test('keeps the stored key where its name is the same and no value is given [10.3]', async () => {
    const made = await create({ api_key_name: 'X-Key', api_key_value: 'kept' })
    expectStatus(await put(made), 201)
    expect((await stored(made.id))?.api_key_value).toBe('kept')
    expectStatus(await put(made, { api_key_value: 'new' }), 201)
    expect((await stored(made.id))?.api_key_value).toBe('new')
    expectStatus(await put(made, { api_key_name: 'X-Other' }), 201)
    expect((await stored(made.id))?.api_key_value).toBeNull()
  })

  test.each([
    ['created', 'created', 201, 'created'],
    ['created', 'disabled', 201, 'disabled'],
    ['started', 'created', 201, 'started'],
    ['started', 'disabled', 201, 'disabled'],
    ['disabled', 'created', 201, 'created'],
    ['disabled', 'disabled', 201, 'disabled'],
    ['error', 'created', 201, 'created'],
  ])('a webhook that is %s and set to %s: %d, then %s [10.3]', async (from, to, code, then) => {
    const made = await create()
    await setStatus(made.id, from)
    expectStatus(await put(made, { status: to }), code)
    const after = await read(made.id)
    expect(after.status).toBe(then)
    expect(after).not.toHaveProperty('error')
  })

  test('refuses to disable a webhook in error, and leaves it so [10.3-S3]', async () => {
    const made = await create()
    await setStatus(made.id, 'error')
    expectInvalid(await put(made, { status: 'disabled' }), 'status')
    expect(await read(made.id)).toMatchObject({ status: 'error', error: JSON.parse(ERROR) })
  })
})

describe('a webhook that is not there', () => {
  test.each([[uuid()], ['nonsense'], [uuid().toUpperCase()]])('is 404 everywhere: %s [10.3] [1.2]', async (id) => {
    expectStatus(await app.get(`${path}/${id}`), 404)
    expectStatus(await app.put(`${path}/${id}`, { nonsense: true }), 404)
    expectStatus(await app.delete(`${path}/${id}`), 404)
    for (const tool of ['deliveries', 'signing-secret']) expectStatus(await app.get(`${path}/${id}/${tool}`), 404)
    for (const tool of ['signing-secret/rotate', 'test', 'replay?since=2026-01-01T00:00:00Z'])
      expectStatus(await app.request('POST', `${path}/${id}/${tool}`), 404)
  })

  test('DELETE is 204, then 404 [10.3-M6]', async () => {
    const made = await create({ tags: { gone: 'yes' } })
    expectStatus(await app.delete(`${path}/${made.id}`), 204)
    expectStatus(await app.get(`${path}/${made.id}`), 404)
    expectStatus(await app.delete(`${path}/${made.id}`), 404)
    expect(list(await app.get(`${path}?tag.gone=yes`))).toEqual([])
  })
})

describe('GET /service/webhooks', () => {
  test('lists by url, filters by tags, pages and turns round [10.3] [1.6-M1] [1.7-M3]', async () => {
    const tag = uuid()
    const made: Json[] = []
    for (const host of ['c', 'a', 'b', 'a']) made.push(await create({ url: `https://${host}.example.com/`, tags: { [tag]: host } }))
    const listed = list(await app.get(`${path}?tag_exists.${tag}=true`))
    expect(listed.map(({ url }) => String(url)[8])).toEqual(['a', 'a', 'b', 'c'])
    expect(ids(await walk(app, `${path}?tag_exists.${tag}=true&limit=1`))).toEqual(ids(listed))
    expect(ids(await walk(app, `${path}?tag_exists.${tag}=true&limit=3&reverse_order=true`))).toEqual(ids(listed).toReversed())
    expect(ids(list(await app.get(`${path}?tag.${tag}=b,c`)))).toEqual([made[2]?.id, made[0]?.id])
    expect(ids(list(await app.get(`${path}?tag_exists.${tag}=false&limit=1000`)))).not.toContain(made[0]?.id)
  })

  test.each([
    ['limit=0', 'limit'],
    ['page=x', 'page'],
    ['reverse_order=x', 'reverse_order'],
    ['tag_exists.a=x', 'tag_exists'],
  ])('refuses %s [1.4]', async (query, field) => {
    expectInvalid(await app.get(`${path}?${query}`), field)
  })
})

describe('extensions', () => {
  test('are absent in strict mode; the standard resource stays', async () => {
    const strict = await openApp({ settings: { strict: true } })
    try {
      const { id } = object(expectStatus(await strict.post(path, body()), 201))
      for (const [method, tool] of [
        ['GET', 'deliveries'],
        ['GET', 'signing-secret'],
        ['POST', 'signing-secret/rotate'],
        ['POST', 'test'],
        ['POST', 'replay?since=2026-01-01T00:00:00Z'],
      ] as const)
        expectStatus(await strict.request(method, `${path}/${id}/${tool}`), 404)
    } finally {
      await strict.close()
    }
  })

  test.each(['', 'since=yesterday', 'since=2026-13-01T00:00:00Z', 'since=2026-01-01'])('a replay refuses %p', async (query) => {
    const made = await create()
    expectInvalid(await app.request('POST', `${path}/${made.id}/replay?${query}`), 'since')
  })

  test('a replay of a webhook that is disabled is refused', async () => {
    const made = await create({ status: 'disabled' })
    expectStatus(await app.request('POST', `${path}/${made.id}/replay?since=2026-01-01T00:00:00Z`), 409)
  })
})
