import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { list, object } from '../support/answers.ts'
import { openApp, primaryStorage, type TestApp } from '../support/app.ts'
import { allocateOne, createFlow, expectInvalid, expectStatus, postSegment, segmentsOf, uuid } from '../support/fixtures.ts'

describe('objects registered without a segment', () => {
  let app: TestApp
  beforeEach(async () => {
    app = await openApp({ settings: { strict: false } })
  })
  afterEach(() => app.close())

  const body = (over = {}) => ({
    id: `archive/${uuid()}`,
    get_urls: [{ url: 'https://archive.example.com/1.ts', label: 'archive' }],
    timerange: '[0:0_10:0)',
    ...over,
  })
  const read = (id: string) => app.get(`/objects/${encodeURIComponent(id)}`)

  test('an external object is readable before a segment uses it', async () => {
    const made = body({ key_frame_count: 5 })
    const answer = expectStatus(await app.post('/objects', made), 201)
    expect(answer.headers.get('location')).toEndWith(`/objects/${encodeURIComponent(made.id)}`)
    expect(object(expectStatus(await read(made.id), 200))).toMatchObject({
      id: made.id,
      referenced_by_flows: [],
      timerange: '[0:0_10:0)',
      key_frame_count: 5,
      get_urls: [{ url: 'https://archive.example.com/1.ts', label: 'archive' }],
    })
  })

  test('a segment re-uses it without URLs of its own, by the rules of re-use', async () => {
    const made = body()
    await app.post('/objects', made)
    const flow = await createFlow(app)
    expectInvalid(await postSegment(app, flow.id, { object_id: made.id, timerange: '[0:0_11:0)' }), 'timerange')
    expectInvalid(await postSegment(app, flow.id, { object_id: made.id, timerange: '[0:0_10:0)', get_urls: made.get_urls }), 'get_urls')
    expectStatus(await postSegment(app, flow.id, { object_id: made.id, timerange: '[100:0_110:0)', ts_offset: '100:0' }), 201)
    expect(await segmentsOf(app, flow.id)).toMatchObject([{ object_id: made.id, get_urls: [{ label: 'archive' }] }])
    expect(object(await read(made.id))).toMatchObject({ referenced_by_flows: [flow.id], first_referenced_by_flow: flow.id })
  })

  test('it outlives its last segment', async () => {
    const made = body()
    await app.post('/objects', made)
    const flow = await createFlow(app)
    await postSegment(app, flow.id, { object_id: made.id, timerange: '[0:0_10:0)' })
    expectStatus(await app.delete(`/flows/${flow.id}?soft_delete=false`), 204)
    expect(object(expectStatus(await read(made.id), 200)).referenced_by_flows).toEqual([])
  })

  test('one in the trash is 409, which says where it is', async () => {
    const made = body()
    await app.post('/objects', made)
    expectStatus(await app.delete(`/objects/${encodeURIComponent(made.id)}?soft_delete=true`), 204)
    expect(object(expectStatus(await app.post('/objects', made), 409)).summary).toContain('in the trash')
    expectStatus(await app.post(`/objects/${encodeURIComponent(made.id)}/restore`), 200)
    expectStatus(await read(made.id), 200)
  })

  test('an id that is there or allocated is 409', async () => {
    const made = body()
    await app.post('/objects', made)
    expectStatus(await app.post('/objects', made), 409)
    const { object_id } = await allocateOne(app, (await createFlow(app)).id)
    expectStatus(await app.post('/objects', body({ id: object_id })), 409)
  })

  test.each([
    ['id', { id: '..' }],
    ['id', { id: '' }],
    ['get_urls', { get_urls: [] }],
    ['get_urls', { get_urls: undefined }],
    [
      'get_urls',
      {
        get_urls: [
          { url: 'https://a', label: 'x' },
          { url: 'https://b', label: 'x' },
        ],
      },
    ],
    ['get_urls', { get_urls: [{ url: 'https://a', label: 'primary' }] }],
    ['timerange', { timerange: undefined }],
    ['timerange', { timerange: '_' }],
    ['timerange', { timerange: '()' }],
  ])('a wrong %s is 400 and registers nothing', async (field, over) => {
    const made = body(over)
    expectInvalid(await app.post('/objects', made), field)
    if (made.id.length > 2) expectStatus(await read(made.id), 404)
  })

  test('a batch keeps what is good', async () => {
    const [first, second] = [body(), body()]
    const answer = expectStatus(await app.post('/objects/batch', [first, { ...second, timerange: 3 }, second]), 200)
    expect(object(answer)).toMatchObject({ created: [first.id, second.id], failed: [{ index: 1, id: second.id }] })
  })

  test('details tell size, type, checksum and place of each instance', async () => {
    const flow = await createFlow(app)
    const { object_id, put_url } = await allocateOne(app, flow.id)
    const bytes = 'sixteen bytes ok'
    const put = await app.fetch(put_url.url, { method: 'PUT', body: bytes, headers: { 'content-type': 'video/mp2t' } })
    expect(put.status).toBeLessThan(300)
    expectStatus(await postSegment(app, flow.id, { object_id, timerange: '[0:0_1:0)' }), 201)
    const details = object(expectStatus(await app.get(`/objects/${object_id}/details`), 200))
    expect(details).toMatchObject({
      id: object_id,
      content_type: 'video/mp2t',
      size: 16,
      instances: [
        {
          storage_id: primaryStorage,
          path: expect.stringMatching(new RegExp(`^tams/\\d{4}/\\d\\d/\\d\\d/${object_id}$`)),
          status: 'ready',
          size: 16,
          checksum: new Bun.CryptoHasher('md5').update(bytes).digest('hex'),
        },
      ],
    })
    expectStatus(await app.get('/objects/unknown/details'), 404)
  })

  test('details of an external object name its URL', async () => {
    const made = body()
    await app.post('/objects', made)
    const details = object(expectStatus(await app.get(`/objects/${encodeURIComponent(made.id)}/details`), 200))
    expect(details).toMatchObject({ access_count: 0, instances: [{ url: 'https://archive.example.com/1.ts', label: 'archive' }] })
    expect(list(expectStatus(await app.get('/events?type=objects/created'), 200))).toHaveLength(1)
  })
})
