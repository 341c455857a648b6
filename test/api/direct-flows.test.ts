import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { list, object } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import {
  audioFlow,
  createFlow,
  expectInvalid,
  expectStatus,
  format,
  ids,
  multiFlow,
  readFlow,
  uuid,
  videoFlow,
} from '../support/fixtures.ts'

describe('flows made by POST', () => {
  let app: TestApp
  beforeEach(async () => {
    app = await openApp({ settings: { strict: false } })
  })
  afterEach(() => app.close())

  test('a posted flow reads as one that was put', async () => {
    const flow = videoFlow({ label: 'A', tags: { site: 'Leeds' } })
    const answer = expectStatus(await app.post('/flows', flow), 201)
    expect(answer.headers.get('location')).toEndWith(`/flows/${flow.id}`)
    expect(object(answer)).toMatchObject(flow)
    expect(await readFlow(app, flow.id)).toMatchObject(flow)
    expect(await app.events(flow.id)).toEqual(['sources/created', 'flows/created'].slice(1))
    expectStatus(await app.get(`/sources/${flow.source_id}`), 200)
  })

  test('without an id one is made up', async () => {
    const { id: _id, ...rest } = videoFlow()
    const { id } = object(expectStatus(await app.post('/flows', rest), 201))
    expectStatus(await app.get(`/flows/${id}`), 200)
  })

  test('a flow that is there is 409, read-only or not, and stays as it is', async () => {
    const flow = await createFlow(app, videoFlow({ label: 'first', read_only: true }))
    expectStatus(await app.post('/flows', { ...flow, label: 'second' }), 409)
    expect((await readFlow(app, flow.id)).label).toBe('first')
  })

  test('members of the essence at the top become essence_parameters', async () => {
    const flow = {
      id: uuid(),
      source_id: uuid(),
      format: format.video,
      codec: 'video/h264',
      container: 'video/mp2t',
      frame_width: 1920,
      frame_height: 1080,
      frame_rate: '30000/1001',
      aspect_ratio: '16:9',
      interlace_mode: 'progressive',
    }
    expectStatus(await app.post('/flows', flow), 201)
    const { essence_parameters, ...rest } = await readFlow(app, flow.id)
    expect(essence_parameters).toEqual({
      frame_width: 1920,
      frame_height: 1080,
      frame_rate: { numerator: 30000, denominator: 1001 },
      aspect_ratio: { numerator: 16, denominator: 9 },
      interlace_mode: 'progressive',
    })
    expect(rest).not.toHaveProperty('frame_width')
    const audio = {
      id: uuid(),
      source_id: uuid(),
      format: format.audio,
      codec: 'audio/aac',
      sample_rate: 48000,
      channels: 2,
      bits_per_sample: 16,
    }
    expectStatus(await app.post('/flows', audio), 201)
    expect((await readFlow(app, audio.id)).essence_parameters).toEqual({ sample_rate: 48000, channels: 2, bit_depth: 16 })
  })

  test('two names of one member agree, and a member called __proto__ is none of ours', async () => {
    const audio = { source_id: uuid(), format: format.audio, codec: 'audio/aac', sample_rate: 48000, channels: 2, bit_depth: 24 }
    expectInvalid(await app.post('/flows', { ...audio, bits_per_sample: 16 }), 'bits_per_sample')
    expectStatus(await app.post('/flows', { ...audio, bits_per_sample: 24 }), 201)
    const hidden = JSON.stringify({ ...audio, channels: undefined, essence_parameters: {} }).replace('{}', '{"__proto__":{"channels":2}}')
    expectInvalid(await app.request('POST', '/flows', { raw: hidden }), 'essence_parameters')
  })

  test('PUT does not take them', async () => {
    const { essence_parameters: _essence, ...rest } = videoFlow()
    expectInvalid(await app.put(`/flows/${rest.id}`, { ...rest, frame_width: 1920, frame_height: 1080 }), 'essence_parameters')
  })

  test.each([
    ['frame_rate', { frame_rate: 'fast' }],
    ['frame_rate', { frame_rate: '25/0' }],
    ['frame_width', { frame_width: 1280, essence_parameters: { frame_width: 1920, frame_height: 1080 } }],
    ['sample_rate', { sample_rate: 48000 }],
    ['frame_width', { frame_width: '1920' }],
    ['source_id', { source_id: undefined }],
    ['id', { id: 'x' }],
  ])('a wrong %s is 400 and makes nothing', async (field, over) => {
    const flow = {
      id: uuid(),
      source_id: uuid(),
      format: format.video,
      codec: 'video/h264',
      frame_width: 1920,
      frame_height: 1080,
      ...over,
    }
    expectInvalid(await app.post('/flows', flow), field)
    expect(list(await app.get('/flows'))).toEqual([])
    expect(list(await app.get('/sources'))).toEqual([])
  })

  test('a batch may name its own flows in collections, whatever their order', async () => {
    const [video, audio] = [videoFlow(), audioFlow()]
    const multi = multiFlow({ flow_collection: [{ id: video.id }, { id: audio.id, role: 'sound' }] })
    const answer = expectStatus(await app.post('/flows/batch', [multi, video, audio]), 201)
    expect(object(answer).created).toEqual([multi.id, video.id, audio.id])
    expect((await readFlow(app, video.id)).collected_by).toEqual([multi.id])
  })

  test('a batch keeps what is good', async () => {
    const flows = Array.from({ length: 20 }, () => videoFlow())
    const items = flows.map((flow, index) => (index % 5 === 4 ? { ...flow, codec: 7 } : flow))
    const { created, failed } = object(expectStatus(await app.post('/flows/batch', items), 200))
    expect(created).toHaveLength(16)
    expect(failed).toMatchObject([4, 9, 14, 19].map((index) => ({ index, id: flows[index]?.id, error: { type: 'invalid' } })))
    expect(new Set(ids(list(await app.get('/flows?limit=100'))))).toEqual(new Set(created as string[]))
  })

  test('all tags are replaced at once; a read-only flow refuses', async () => {
    const flow = await createFlow(app, videoFlow({ tags: { a: '1', b: ['2'] } }))
    expectStatus(await app.put(`/flows/${flow.id}/tags`, { c: '3' }), 204)
    expect((await readFlow(app, flow.id)).tags).toEqual({ c: '3' })
    expectStatus(await app.put(`/flows/${flow.id}/tags`, { c: '3' }), 204)
    expect(await app.events(flow.id)).toEqual(['flows/created', 'flows/updated'])
    expectStatus(await app.put(`/flows/${flow.id}/read_only`, true), 204)
    expectStatus(await app.put(`/flows/${flow.id}/tags`, {}), 403)
  })
})

test('in strict mode flows are made by PUT alone', async () => {
  const app = await openApp({ settings: { strict: true } })
  try {
    const flow = videoFlow()
    for (const [method, path] of [
      ['POST', '/flows'],
      ['POST', '/flows/batch'],
      ['PUT', `/flows/${flow.id}/tags`],
      ['GET', '/collections'],
      ['POST', '/objects'],
    ] as const)
      expect([404, 405]).toContain((await app.fetch(path, { method, ...(method !== 'GET' && { body: '{}' }) })).status)
  } finally {
    await app.close()
  }
})
