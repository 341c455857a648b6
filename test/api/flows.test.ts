import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { openApp, type TestApp } from '../support/app.ts'
import {
  audioFlow,
  type Body,
  createFlow,
  dataFlow,
  expectInvalid,
  expectStatus,
  format,
  imageFlow,
  multiFlow,
  readFlow,
  register,
  segmentsOf,
  uuid,
  videoFlow,
} from '../support/fixtures.ts'

let app: TestApp
beforeAll(async () => {
  app = await openApp()
})
afterAll(() => app.close())

const put = (body: Body) => app.put(`/flows/${body.id}`, body)

const essence = (parameters: Record<string, unknown>) =>
  videoFlow({ essence_parameters: { frame_width: 16, frame_height: 16, ...parameters } })
const rate = { numerator: 25, denominator: 1 }

describe('PUT /flows/{id}', () => {
  test('makes a flow: 201 with the flow as it is read [5.4] [5.4-M2]', async () => {
    const body = videoFlow({ label: 'Camera 1', description: 'wide', tags: { a: 'b', c: ['d', 'e'] }, generation: 0, status: 'ingesting' })
    const answer = expectStatus(await put(body), 201)
    expect(answer.body).toMatchObject(body)
    expect(answer.body).toEqual(await readFlow(app, body.id))
    expect(await app.events(body.id)).toEqual(['flows/created'])
  })

  test('replaces a flow: 204, members that are absent become unset [5.4] [5.4-M2] [5.4-M3] [5.4-M4]', async () => {
    const body = await createFlow(
      app,
      videoFlow({ label: 'a', description: 'b', tags: { x: 'y' }, max_bit_rate: 5, status: 'ingesting', generation: 2 }),
    )
    const { id, source_id, ...rest } = videoFlow()
    expectStatus(await put({ ...rest, id: body.id, source_id: body.source_id, container: undefined }), 204)
    const after = await readFlow(app, body.id)
    for (const member of ['label', 'description', 'max_bit_rate', 'status', 'generation', 'container'])
      expect(after).not.toHaveProperty(member)
    expect(after.tags ?? {}).toEqual({})
    expect([id, source_id]).not.toContain(after.id)
  })

  test('tags that are given replace all tags [5.4] [5.4-M4] [13-9]', async () => {
    const body = await createFlow(app, videoFlow({ tags: { a: '1', b: '2' } }))
    expectStatus(await put({ ...body, tags: { b: '3' } }), 204)
    expect((await readFlow(app, body.id)).tags).toEqual({ b: '3' })
  })

  test.each([
    ['video', videoFlow()],
    ['variable frame rate', essence({ vfr: true })],
    ['audio', audioFlow()],
    ['image', imageFlow()],
    ['data', dataFlow()],
    ['multi', multiFlow()],
    ['multi with init segments', multiFlow({ container: 'video/mp4', essence_parameters: { init_segments: true } })],
    ['without container', videoFlow({ container: undefined })],
    ['an integer written as 128.0', videoFlow({ avg_bit_rate: 128 })],
  ])('accepts a flow: %s [5.1] [5.1-M3] [5.1-M4] [5.1-M6] [5.1-M7]', async (_, body) => {
    expect(expectStatus(await put(body), 201).body).toMatchObject(JSON.parse(JSON.stringify(body)))
  })

  test.each([
    ['no source_id', videoFlow({ source_id: undefined }), 'source_id'],
    ['no format', videoFlow({ format: undefined }), 'format'],
    ['an unknown format', videoFlow({ format: 'urn:x-nmos:format:smell' }), 'format'],
    ['image with the nmos prefix', imageFlow({ format: 'urn:x-nmos:format:image' }), 'format'],
    ['no codec', videoFlow({ codec: undefined }), 'codec'],
    ['a codec without slash', audioFlow({ codec: 'aac' }), 'codec'],
    ['no essence parameters', videoFlow({ essence_parameters: undefined }), 'essence_parameters'],
    ['no frame width', videoFlow({ essence_parameters: { frame_height: 1, frame_rate: rate } }), 'frame_width'],
    ['frame height 0', essence({ frame_height: 0, frame_rate: rate }), 'frame_height'],
    ['no frame rate', essence({}), 'frame_rate'],
    ['no frame rate with vfr false', essence({ vfr: false }), 'frame_rate'],
    ['a frame rate with vfr true', essence({ vfr: true, frame_rate: rate }), 'frame_rate'],
    ['a frame rate that is a text', essence({ frame_rate: '25/1' }), 'frame_rate'],
    ['an unknown video parameter', essence({ frame_rate: rate, colour: 'red' }), 'colour'],
    ['an unknown audio parameter', audioFlow({ essence_parameters: { sample_rate: 1, channels: 1, x: 1 } }), 'x'],
    ['an unknown data parameter', dataFlow({ essence_parameters: { colour: 'red' } }), 'colour'],
    ['no sample rate', audioFlow({ essence_parameters: { channels: 2 } }), 'sample_rate'],
    ['a sample rate of 0', audioFlow({ essence_parameters: { sample_rate: 0, channels: 2 } }), 'sample_rate'],
    ['0 channels', audioFlow({ essence_parameters: { sample_rate: 48000, channels: 0 } }), 'channels'],
    ['an image without height', imageFlow({ essence_parameters: { frame_width: 1 } }), 'frame_height'],
    ['data without codec', dataFlow({ codec: undefined }), 'codec'],
    ['data without essence parameters', dataFlow({ essence_parameters: undefined }), 'essence_parameters'],
    ['no channels', audioFlow({ essence_parameters: { sample_rate: 48000 } }), 'channels'],
    ['channels as a text', audioFlow({ essence_parameters: { sample_rate: 48000, channels: '2' } }), 'channels'],
    ['channels as a boolean', audioFlow({ essence_parameters: { sample_rate: 48000, channels: true } }), 'channels'],
    [
      'init segments in an image flow',
      imageFlow({ essence_parameters: { frame_width: 1, frame_height: 1, init_segments: true } }),
      'init_segments',
    ],
    ['an unknown multi parameter', multiFlow({ essence_parameters: { frame_width: 1 } }), 'frame_width'],
    [
      'raw video without bit depth',
      videoFlow({ codec: 'video/raw', essence_parameters: { frame_width: 1, frame_height: 1, frame_rate: rate } }),
      'bit_depth',
    ],
    ['raw video without uncompressed type', { ...essence({ frame_rate: rate, bit_depth: 8 }), codec: 'video/raw' }, 'unc_parameters'],
    ['raw integer audio without bit depth', audioFlow({ codec: 'audio/x-raw-int' }), 'bit_depth'],
    [
      'raw float audio with 16 bits',
      audioFlow({
        codec: 'audio/x-raw-float',
        essence_parameters: { sample_rate: 1, channels: 1, bit_depth: 16, unc_parameters: { unc_type: 'planar' } },
      }),
      'bit_depth',
    ],
    [
      'a YUV type without chroma sub-sampling',
      essence({ frame_rate: rate, bit_depth: 8, unc_parameters: { unc_type: 'UYVY' } }),
      'chroma_subs',
    ],
    ['a negative generation', videoFlow({ generation: -1 }), 'generation'],
    ['a broken bit rate', videoFlow({ max_bit_rate: 1.5 }), 'max_bit_rate'],
    ['an unknown status', videoFlow({ status: 'finished' }), 'status'],
    ['a label that is no text', videoFlow({ label: 5 }), 'label'],
    ['a tag that is a number', videoFlow({ tags: { a: 5 } }), 'tags'],
    ['a segment duration without numerator', videoFlow({ segment_duration: { denominator: 1 } }), 'numerator'],
    ['a source id in upper case', videoFlow({ source_id: uuid().toUpperCase() }), 'source_id'],
    ['a source id of version 7', videoFlow({ source_id: '01890a5d-ac96-774b-bcce-b302099a8057' }), 'source_id'],
    ['an unknown member flow', multiFlow({ flow_collection: [{ id: uuid() }] }), 'flow_collection'],
    ['a read_only that is no boolean', videoFlow({ read_only: 'true' }), 'read_only'],
    ['a container that is no media type', videoFlow({ container: 'mp2t' }), 'container'],
  ])(
    'refuses a flow with %s, naming the member, and stores nothing [5.1] [5.4] [1.4] [1.2-M1] [1.4-M3] [5.1-M1] [5.1-M2] [5.1-M3] [5.1-M4] [5.1-M6] [5.1-M7] [5.1-M8] [5.1-S3] [5.4-M1] [5.4-M5]',
    async (_, body, field) => {
      expectInvalid(await put(body), field)
      expectStatus(await app.get(`/flows/${body.id}`), 404)
    },
  )

  test('refuses a body whose id is another than the path’s, and stores neither [5.4] [14.4]', async () => {
    const [body, other] = [videoFlow(), uuid()]
    expect([400, 404]).toContain((await app.put(`/flows/${other}`, body)).status)
    expectStatus(await app.get(`/flows/${other}`), 404)
    expectStatus(await app.get(`/flows/${body.id}`), 404)
    expectStatus(await app.get(`/sources/${body.source_id}`), 404)
  })

  test('refuses a body without id [5.1-M1]', async () => {
    const { id, ...body } = videoFlow()
    expectInvalid(await app.put(`/flows/${id}`, body), 'id')
    expectStatus(await app.get(`/flows/${id}`), 404)
  })

  test.each([['nonsense'], [uuid().toUpperCase()], ['00000000-0000-0000-0000-000000000000'], ['01890a5d-ac96-774b-bcce-b302099a8057']])(
    'the path id %s is 404 [1.2] [5.4] [5.4-M2] [5.3-M3]',
    async (id) => {
      expectStatus(await app.put(`/flows/${id}`, { ...videoFlow(), id }), 404)
      expectStatus(await app.get(`/flows/${id}`), 404)
      expectStatus(await app.delete(`/flows/${id}`), 404)
    },
  )

  test('ignores what the server manages [5.1] [11.3] [5.1-M5] [5.1-S2]', async () => {
    const managed = {
      created: '2001-01-01T00:00:00Z',
      metadata_updated: '2001-01-01T00:00:00Z',
      segments_updated: '2001-01-01T00:00:00Z',
      timerange: '[0:0_100:0)',
      collected_by: [uuid()],
    }
    const body = await createFlow(app, videoFlow(managed))
    const read = await readFlow(app, body.id, '?include_timerange=true')
    expect(read.created).not.toBe(managed.created)
    expect(read.metadata_updated).not.toBe(managed.metadata_updated)
    expect(read).not.toHaveProperty('segments_updated')
    expect(read).not.toHaveProperty('collected_by')
    expect(read.timerange).toBe('()')
  })

  test('accepts unknown top-level members [1.4] [1.4-M2]', async () => {
    expectStatus(await put(videoFlow({ colour: 'red' })), 201)
  })

  test('accepts what GET gave it back: a whole-body round trip [5.4]', async () => {
    const body = await createFlow(app, videoFlow({ label: 'x', tags: { a: ['b'] } }))
    const read = await readFlow(app, body.id)
    expectStatus(await app.put(`/flows/${body.id}`, { ...read, label: 'y' }), 204)
    expect(await readFlow(app, body.id)).toMatchObject({ ...body, label: 'y' })
  })

  test('format: a change is refused while the source has other flows or the flow has segments [5.4]', async () => {
    const first = await createFlow(app)
    await createFlow(app, videoFlow({ source_id: first.source_id }))
    expectStatus(await put({ ...audioFlow(), id: first.id, source_id: first.source_id }), 400)
    const alone = await createFlow(app)
    await register(app, alone.id, '[0:0_1:0)')
    expectStatus(await put({ ...audioFlow(), id: alone.id, source_id: alone.source_id }), 400)
    expect((await readFlow(app, alone.id)).format).toBe(format.video)
  })

  test('container: not removed or changed while segments exist [5.4]', async () => {
    const body = await createFlow(app)
    await register(app, body.id, '[0:0_1:0)')
    expectStatus(await put({ ...body, container: undefined }), 400)
    expectStatus(await put({ ...body, container: 'video/mp4' }), 400)
    expect((await readFlow(app, body.id)).container).toBe('video/mp2t')
  })

  test('source_id: a move is refused, or moves the flow and drops the source that lost its last one [5.4] [11.1]', async () => {
    const body = await createFlow(app)
    const source_id = uuid()
    const answer = await put({ ...body, source_id })
    if (answer.status === 400) expect((await readFlow(app, body.id)).source_id).toBe(body.source_id)
    else {
      expectStatus(answer, 204)
      expectStatus(await app.get(`/sources/${source_id}`), 200)
      expectStatus(await app.get(`/sources/${body.source_id}`), 404)
      expect(await app.events(body.source_id)).toContain('sources/deleted')
    }
  })

  test('exactly one of many that make the same flow at once gets 201 [14.9]', async () => {
    const body = videoFlow()
    const statuses = (await Promise.all(Array.from({ length: 20 }, () => put(body)))).map((answer) => answer.status)
    expect(statuses.filter((status) => status === 201)).toHaveLength(1)
    expect(statuses.filter((status) => status === 204)).toHaveLength(19)
    expect((await app.events(body.source_id)).filter((type) => type === 'sources/created')).toHaveLength(1)
  })

  test('tells of source and flow in this order [10.1] [10.2]', async () => {
    const body = await createFlow(app)
    expect(await app.events(body.id, body.source_id)).toEqual(['sources/created', 'flows/created'])
    await put({ ...body, label: 'x' })
    expect(await app.events(body.id)).toEqual(['flows/created', 'flows/updated'])
  })
})

describe('bookkeeping of a flow', () => {
  test('metadata_updated equals created at first, then moves with each change of metadata [11.4]', async () => {
    const body = await createFlow(app)
    const created = await readFlow(app, body.id)
    expect(created.metadata_updated).toEqual(created.created)
    app.clock.advance(5)
    await put({ ...body, label: 'x' })
    const changed = await readFlow(app, body.id)
    expect(changed.created).toEqual(created.created)
    expect(changed.metadata_updated).not.toEqual(created.metadata_updated)
    expect(changed).not.toHaveProperty('segments_updated')
  })

  test('segments_updated moves with segments, and nothing else does [11.4] [6.2]', async () => {
    const body = await createFlow(app)
    const before = await readFlow(app, body.id)
    app.clock.advance(5)
    await register(app, body.id, '[0:0_1:0)')
    const after = await readFlow(app, body.id)
    expect(after).toEqual({ ...before, segments_updated: expect.any(String) })
    app.clock.advance(5)
    expectStatus(await app.delete(`/flows/${body.id}/segments`), 204)
    const deleted = await readFlow(app, body.id)
    expect(deleted.segments_updated).not.toEqual(after.segments_updated)
    expect(deleted).toEqual({ ...after, segments_updated: deleted.segments_updated })
  })

  test('metadata_version is the client’s at creation, and new when metadata changes without a new one [11.4] [11.4-S1] [11.4-S2]', async () => {
    const body = await createFlow(app, videoFlow({ metadata_version: 'mine-1' }))
    expect((await readFlow(app, body.id)).metadata_version).toBe('mine-1')
    await put({ ...body, label: 'x' })
    const second = (await readFlow(app, body.id)).metadata_version
    expect(second).not.toBe('mine-1')
    await put({ ...body, label: 'y', metadata_version: undefined })
    const third = (await readFlow(app, body.id)).metadata_version
    expect([second, 'mine-1', undefined]).not.toContain(third)
    await register(app, body.id, '[0:0_1:0)')
    expect((await readFlow(app, body.id)).metadata_version).toEqual(third)
  })

  test('created_by and updated_by name the principal unless the client does [11.4] [5.1] [5.1-S1]', async () => {
    const body = await createFlow(app)
    expect(typeof (await readFlow(app, body.id)).created_by).toBe('string')
    await put({ ...body, label: 'x' })
    expect(typeof (await readFlow(app, body.id)).updated_by).toBe('string')
  })
})

describe('DELETE /flows/{id}', () => {
  test('removes flow and segments: 204, then 404, and the timeline is empty [5.5] [5.5-M1] [5.3-M3]', async () => {
    const { id } = await createFlow(app)
    const [object = ''] = await register(app, id, '[0:0_1:0)')
    expectStatus(await app.delete(`/flows/${id}`), 204)
    expectStatus(await app.get(`/flows/${id}`), 404)
    expect(await segmentsOf(app, id)).toEqual([])
    expectStatus(await app.get(`/objects/${object}`), 404)
    expectStatus(await app.delete(`/flows/${id}`), 404)
  })

  test('keeps objects that another flow still uses [5.5] [11.7] [5.5-M2]', async () => {
    const [first, second] = [await createFlow(app), await createFlow(app)]
    const [object_id = ''] = await register(app, first.id, '[0:0_1:0)')
    expectStatus(await app.post(`/flows/${second.id}/segments`, { object_id, timerange: '[0:0_1:0)' }), 201)
    expectStatus(await app.delete(`/flows/${first.id}`), 204)
    expect(expectStatus(await app.get(`/objects/${object_id}`), 200).body).toMatchObject({ referenced_by_flows: [second.id] })
  })

  test('takes the flow out of every collection [5.5] [11.2]', async () => {
    const [kept, gone] = [await createFlow(app), await createFlow(app)]
    const collector = await createFlow(app, multiFlow({ flow_collection: [{ id: gone.id }, { id: kept.id }] }))
    expectStatus(await app.delete(`/flows/${gone.id}`), 204)
    expect((await readFlow(app, collector.id)).flow_collection).toEqual([{ id: kept.id }])
    expectStatus(await app.delete(`/flows/${collector.id}`), 204)
    expect(await readFlow(app, kept.id)).not.toHaveProperty('collected_by')
  })

  test('tells of the segments, the flow and, for the last one, the source in this order [5.5] [10.1] [10.2] [5.5-M3]', async () => {
    const { id, source_id } = await createFlow(app)
    await register(app, id, '[0:0_1:0)')
    await app.delete(`/flows/${id}`)
    expect((await app.events(id, source_id)).slice(-3)).toEqual(['flows/segments_deleted', 'flows/deleted', 'sources/deleted'])
  })

  test('the id can be used again, with an empty timeline [14.11]', async () => {
    const body = await createFlow(app)
    await register(app, body.id, '[0:0_1:0)')
    await app.delete(`/flows/${body.id}`)
    await createFlow(app, body)
    expect(await segmentsOf(app, body.id)).toEqual([])
    await register(app, body.id, '[0:0_1:0)')
    expect(await segmentsOf(app, body.id)).toHaveLength(1)
  })
})
