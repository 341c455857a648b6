import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { eq } from '../../src/core/predicate.ts'
import { objectCopyWorker } from '../../src/workers/object-copies.ts'
import { object } from '../support/answers.ts'
import { openApp, primaryStorage, secondaryStorage, type TestApp } from '../support/app.ts'
import {
  allocate,
  createFlow,
  expectInvalid,
  expectStatus,
  external,
  postSegment,
  segmentsOf,
  uuid,
  videoFlow,
} from '../support/fixtures.ts'
import { runUntilIdle } from '../support/workers.ts'

let app: TestApp
beforeAll(async () => {
  app = await openApp()
})
afterAll(() => app.close())

const fragmented = async (init_segments = true): Promise<string> => {
  const essence_parameters = { frame_width: 16, frame_height: 16, frame_rate: { numerator: 25 }, init_segments }
  return (await createFlow(app, videoFlow({ container: 'video/mp4', essence_parameters }))).id
}

/** `count` segments of one second that share one init object. */
const withInit = async (count = 2) => {
  const id = await fragmented()
  const [init = '', ...media] = (await allocate(app, id, { limit: count + 1 })).map((allocated) => allocated.object_id)
  const segments = media.map((object_id, index) => ({ object_id, init_object_id: init, timerange: `[${index}:0_${index + 1}:0)` }))
  expectStatus(await postSegment(app, id, segments), 201)
  return { id, init, media }
}

describe('init objects', () => {
  test('are shown with every segment, their id as object_id and their own URLs [6.1] [6.2] [6.1-M7]', async () => {
    const { id, init } = await withInit()
    for (const segment of await segmentsOf(app, id))
      expect(segment.init_object).toEqual({ object_id: init, get_urls: [expect.objectContaining({ label: 'primary', presigned: true })] })
  })

  test('URL filters apply to them too [6.1] [6.1-M4]', async () => {
    const { id, init } = await withInit(1)
    for (const query of ['accept_get_urls=', 'presigned=false', 'storage_backend_tag.site=london']) {
      const [segment] = await segmentsOf(app, id, `?${query}`)
      expect(Object(segment?.init_object).object_id).toBe(init)
      expect(Object(segment?.init_object).get_urls ?? []).toEqual([])
    }
  })

  test('as objects they have no timerange and are referenced through media objects [8.1] [8.1-M3] [8.1-M4] [13-21]', async () => {
    const { id, init, media } = await withInit()
    const read = object(expectStatus(await app.get(`/objects/${init}`), 200))
    expect(read).not.toHaveProperty('timerange')
    expect(read).toMatchObject({ id: init, referenced_by_flows: [id] })
    expect(object(await app.get(`/objects/${media[0]}`))).toMatchObject({ timerange: '[0:0_1:0)', init_object: { id: init } })
  })

  test('may have another content type than the container [7] [7-M8]', async () => {
    const [allocated] = await allocate(app, await fragmented(), { limit: 1, content_type: 'video/iso.segment' })
    expect(allocated?.put_url['content-type']).toBe('video/iso.segment')
  })

  test('live as long as a media object refers to them [11.7] [6.3-M3] [5.5-M2]', async () => {
    const { id, init } = await withInit(2)
    await app.delete(`/flows/${id}/segments?timerange=[0:0_1:0)`)
    expectStatus(await app.get(`/objects/${init}`), 200)
    await app.delete(`/flows/${id}/segments`)
    expectStatus(await app.get(`/objects/${init}`), 404)
  })

  test('go with the last flow that uses a media object of theirs [5.5-M2]', async () => {
    const { id, init, media } = await withInit(1)
    const other = await fragmented()
    expectStatus(await postSegment(app, other, { object_id: media[0], timerange: '[0:0_1:0)' }), 201)
    expectStatus(await app.delete(`/flows/${id}`), 204)
    expect(object(expectStatus(await app.get(`/objects/${init}`), 200)).referenced_by_flows).toEqual([other])
    expectStatus(await app.delete(`/flows/${other}`), 204)
    expectStatus(await app.get(`/objects/${init}`), 404)
  })

  test('keep their own instances when the media object gets or loses one [8.2-M3] [8.3-M3]', async () => {
    const { init, media } = await withInit(1)
    const labels = async (id: string | undefined) =>
      Object(object(await app.get(`/objects/${id}`))).get_urls.map((url: { label?: string }) => url.label)
    const path = `/objects/${media[0]}/instances`
    expectStatus(await app.post(path, { url: 'https://cdn.example.com/a', label: 'cdn' }), 201)
    expect([await labels(media[0]), await labels(init)]).toEqual([['primary', 'cdn'], ['primary']])
    expectStatus(await app.post(path, { storage_id: secondaryStorage }), 201)
    await runUntilIdle(app.deps, objectCopyWorker(app.deps))
    const jobs = await app.deps.tables.read((tx) => tx.list('media_copies', { where: eq('object_id', init), limit: 1 }))
    expect(jobs.rows).toEqual([])
    expectStatus(await app.delete(`${path}?storage_id=${primaryStorage}`), 204)
    expect([await labels(media[0]), await labels(init)]).toEqual([['cdn'], ['primary']])
  })

  test('follow the media object on re-use: omitted or equal is fine, another one is 400 [6.2] [6.2-S4] [6.2-S7]', async () => {
    const { init, media } = await withInit(1)
    const other = await fragmented()
    const [object_id] = media
    expectStatus(await postSegment(app, other, { object_id, timerange: '[0:0_1:0)' }), 201)
    expect(await segmentsOf(app, other)).toMatchObject([{ init_object: { object_id: init } }])
    expectStatus(await postSegment(app, other, { object_id, timerange: '[1:0_2:0)', ts_offset: '1:0', init_object_id: init }), 201)
    expectInvalid(
      await postSegment(app, other, { object_id, timerange: '[2:0_3:0)', ts_offset: '2:0', init_object_id: uuid() }),
      'init_object_id',
    )
    expect([...Object((await app.get(`/objects/${init}`)).body).referenced_by_flows]).toContain(other)
  })

  test('cannot be media objects, nor media objects init objects [6.2] [6.2-S6]', async () => {
    const { id, init, media } = await withInit(1)
    expectInvalid(await postSegment(app, id, { object_id: init, init_object_id: init, timerange: '[5:0_6:0)' }), 'object_id')
    expectInvalid(await postSegment(app, id, { object_id: init, timerange: '[5:0_6:0)' }), 'object_id')
    expectInvalid(await postSegment(app, id, external('[6:0_7:0)', { init_object_id: media[0] })), 'init_object_id')
    const [fresh] = await allocate(app, id)
    expectStatus(await postSegment(app, id, { object_id: fresh?.object_id, init_object_id: fresh?.object_id, timerange: '[8:0_9:0)' }), 400)
  })

  test('a flow with init_segments needs one for every segment; without, none may have one [6.2] [5.1] [5.1-M8]', async () => {
    const id = await fragmented()
    expectInvalid(await postSegment(app, id, external('[0:0_1:0)')), 'init_object_id')
    const plain = await fragmented(false)
    const [init, media] = await allocate(app, plain, { limit: 2 })
    expectInvalid(
      await postSegment(app, plain, { object_id: media?.object_id, init_object_id: init?.object_id, timerange: '[0:0_1:0)' }),
      'init_object_id',
    )
    const { media: foreign } = await withInit(1)
    expectStatus(await postSegment(app, plain, { object_id: foreign[0], timerange: '[0:0_1:0)' }), 400)
  })

  test('an unknown init object is 400 [6.2]', async () => {
    const id = await fragmented()
    const [media] = await allocate(app, id)
    expectInvalid(
      await postSegment(app, id, { object_id: media?.object_id, init_object_id: uuid(), timerange: '[0:0_1:0)' }),
      'init_object_id',
    )
    expect(await segmentsOf(app, id)).toEqual([])
  })

  test('an allocated one is 404 until a segment refers to it [8.1] [11.7]', async () => {
    const id = await fragmented()
    const [init, media] = await allocate(app, id, { limit: 2 })
    expectStatus(await app.get(`/objects/${init?.object_id}`), 404)
    expectStatus(await postSegment(app, id, { object_id: media?.object_id, init_object_id: init?.object_id, timerange: '[0:0_1:0)' }), 201)
    expectStatus(await app.get(`/objects/${init?.object_id}`), 200)
  })
})
