import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { list, object } from '../support/answers.ts'
import { openApp, primaryStorage, type TestApp } from '../support/app.ts'
import {
  allocate,
  createFlow,
  expectInvalid,
  expectStatus,
  external,
  multiFlow,
  postSegment,
  readFlow,
  register,
  segmentsOf,
  timerangesOf,
  uuid,
  videoFlow,
} from '../support/fixtures.ts'

/* What a client written for TAMS 7.0 does, and what it meets here; the numbers are those of the list of changes from 7.0 to 8.2. */

let app: TestApp
beforeAll(async () => {
  app = await openApp()
})
afterAll(() => app.close())

describe('a client of 7.0', () => {
  test('ingests: flow with frame rate, storage, upload, one segment and a list, and reads all back [13-4] [13-10] [13-23]', async () => {
    const flow = videoFlow({ label: 'Camera 1', tags: { flow_status: 'ingesting' } })
    expectStatus(await app.put(`/flows/${flow.id}`, flow), 201)
    const objects = await allocate(app, flow.id, { limit: 3 })
    for (const [index, { put_url }] of objects.entries()) {
      const headers = { 'content-type': put_url['content-type'] ?? '' }
      expect((await app.fetch(put_url.url, { method: 'PUT', body: `bytes ${index}`, headers })).status).toBe(200)
    }
    const segments = objects.map(({ object_id }, index) => ({
      object_id,
      timerange: `[${index}:0_${index + 1}:0)`,
      ts_offset: `${index}:0`,
      sample_offset: 0,
      sample_count: 25,
    }))
    expectStatus(await postSegment(app, flow.id, segments[0]), 201)
    expectStatus(await postSegment(app, flow.id, segments.slice(1)), 201)
    const read = await segmentsOf(app, flow.id)
    expect(read).toMatchObject(segments)
    for (const [index, segment] of read.entries())
      expect(await (await app.fetch(Object(segment.get_urls)[0].url)).text()).toBe(`bytes ${index}`)
    expect((await app.get(`/objects/${objects[0]?.object_id}`)).body).toMatchObject({
      id: objects[0]?.object_id,
      referenced_by_flows: [flow.id],
      first_referenced_by_flow: flow.id,
    })
    expect((await readFlow(app, flow.id, '?include_timerange=true')).timerange).toBe('[0:0_3:0)')
  })

  test('names its objects itself, and is told of failures in a list with 200 [13-4]', async () => {
    const { id } = await createFlow(app)
    const object_ids = [uuid(), uuid()]
    expect((await allocate(app, id, { object_ids })).map(({ object_id }) => object_id)).toEqual(object_ids)
    await register(app, id, '[1:0_2:0)')
    const answer = await postSegment(
      app,
      id,
      object_ids.map((object_id, index) => ({ object_id, timerange: `[${index}:0_${index + 1}:0)` })),
    )
    expect(Object(expectStatus(answer, 200).body).failed_segments).toMatchObject([{ object_id: object_ids[1] }])
  })

  test('deletes segments by range and object, and flows [13-13]', async () => {
    const { id } = await createFlow(app)
    const [, second] = await register(app, id, '[0:0_1:0)', '[1:0_2:0)', '[2:0_3:0)')
    expectStatus(await app.delete(`/flows/${id}/segments?timerange=[0:0_1:0)`), 204)
    expectStatus(await app.delete(`/flows/${id}/segments?object_id=${second}`), 204)
    expect(await timerangesOf(app, id)).toEqual(['[2:0_3:0)'])
    expectStatus(await app.delete(`/flows/${id}`), 204)
    expect((await app.events(id)).filter((type) => type === 'flows/segments_deleted')).toHaveLength(3)
  })

  test('keeps its status in a tag; the member of 8.2 stays unset [13-20]', async () => {
    const own = uuid()
    const { id } = await createFlow(app, videoFlow({ tags: { own, flow_status: 'ingesting' } }))
    expect(list(await app.get(`/flows?tag.own=${own}&tag.flow_status=ingesting`))).toMatchObject([{ id }])
    expect(await readFlow(app, id)).not.toHaveProperty('status')
  })

  test('finds time-outs in /service that it does not know, and what it knew except media_store [13-14]', async () => {
    const body = object(expectStatus(await app.get('/service'), 200))
    expect(body).toMatchObject({ type: expect.stringMatching(/^urn:x-tams:service/), min_object_timeout: '3600:0' })
    expect(body).not.toHaveProperty('media_store')
  })
})

describe('a client of 7.0 has to change', () => {
  test('URLs without a label [13-3]', async () => {
    const { id } = await createFlow(app)
    const url = `https://media.example.com/${uuid()}`
    expectInvalid(await postSegment(app, id, external('[0:0_1:0)', { get_urls: [{ url }] })), 'label')
    expectStatus(await postSegment(app, id, external('[0:0_1:0)', { get_urls: [{ url, label: 'example' }] })), 201)
  })

  test('video without a frame rate: vfr says so now [13-5]', async () => {
    const size = { frame_width: 1920, frame_height: 1080 }
    const without = videoFlow({ essence_parameters: size })
    expectInvalid(await app.put(`/flows/${without.id}`, without), 'frame_rate')
    expectStatus(await app.put(`/flows/${without.id}`, { ...without, essence_parameters: { ...size, vfr: true } }), 201)
  })

  test('essence parameters of multi flows other than init_segments [13-27]', async () => {
    const multi = multiFlow({ essence_parameters: { frame_width: 1920 } })
    expectInvalid(await app.put(`/flows/${multi.id}`, multi), 'frame_width')
    const { essence_parameters: _, ...rest } = multi
    expectStatus(await app.put(`/flows/${multi.id}`, rest), 201)
  })
})

test('filters for labels keep labelled URLs without a storage id, those for storage ids need only that [13-7]', async () => {
  const { id } = await createFlow(app)
  const [allocated] = await allocate(app, id)
  expectStatus(await postSegment(app, id, { object_id: allocated?.object_id, timerange: '[0:0_1:0)' }), 201)
  await app.post(`/objects/${allocated?.object_id}/instances`, { url: 'https://cdn.example.com/a', label: 'cdn' })
  const labels = async (query: string) =>
    (await segmentsOf(app, id, query)).flatMap(({ get_urls }) => Object(get_urls).map((url: { label?: string }) => url.label))
  expect(await labels('?accept_get_urls=cdn,primary')).toEqual(['primary', 'cdn'])
  expect(await labels(`?accept_storage_ids=${primaryStorage}`)).toEqual(['primary'])
  expect(await labels(`?accept_get_urls=cdn,primary&accept_storage_ids=${primaryStorage}`)).toEqual(['primary'])
})
