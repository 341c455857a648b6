import { afterEach, beforeEach, expect, setDefaultTimeout, test } from 'bun:test'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { mediaRemovalWorker } from '../../src/workers/media-removals.ts'
import { type Answer, type Json, list, object, readAnswer } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { expectStatus, format, uuid } from '../support/fixtures.ts'
import { runUntilIdle } from '../support/workers.ts'

// Much of the time of these tests is the disk's.
setDefaultTimeout(120_000)

// What is sent is written as the guides of vasttams have it, so that nothing but a difference in behaviour shows.

let app: TestApp
const held: string[] = []
beforeEach(async () => {
  app = await openApp({ settings: { strict: false, softDeleteDefault: true } })
})
afterEach(() => app.close())

/** A line of the document. */
const line = (id: string, behaviour: string, run: () => Promise<void>): void => {
  held.push(id)
  test(`${id} ${behaviour}`, run)
}

const call = async (method: string, target: string, body?: unknown): Promise<Answer> => {
  const json = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
  return readAnswer(await app.fetch(target, { method, ...json }))
}
const done = async (status: number, method: string, target: string, body?: unknown): Promise<Answer> =>
  expectStatus(await call(method, target, body), status)

const source = (over: Json = {}) => ({
  id: uuid(),
  format: format.video,
  label: 'Test Camera Feed',
  description: 'Test source for workflow validation',
  tags: { environment: 'production', quality: 'hd' },
  source_collection: [],
  collected_by: [],
  ...over,
})
const flow = (source_id: string, over: Json = {}) => ({
  id: uuid(),
  source_id,
  format: format.video,
  codec: 'video/mp4',
  label: 'Test HD Video Stream',
  frame_width: 1920,
  frame_height: 1080,
  frame_rate: '25/1',
  tags: { environment: 'production', priority: 'high' },
  ...over,
})
const make = async () => {
  const [made] = [source()]
  await done(201, 'POST', '/sources', made)
  const other = flow(made.id)
  await done(201, 'POST', '/flows', other)
  return { source: made.id, flow: other.id }
}

const MEDIA = 'This is test media content\n'
const form = (parts: Readonly<Record<string, string | Blob>>): FormData => {
  const data = new FormData()
  for (const [name, value] of Object.entries(parts)) data.append(name, value)
  return data
}
const file = () => new File([MEDIA], 'test_segment.mp4', { type: 'video/mp4' })
const upload = async (flowId: string, parts: Readonly<Record<string, string | Blob>>): Promise<Answer> =>
  readAnswer(await app.fetch(`/flows/${flowId}/segments`, { method: 'POST', body: form(parts) }))
/** A source, a flow, and one segment with bytes. */
const withSegment = async (more: Json = {}) => {
  const made = await make()
  const object_id = uuid()
  const segment = { object_id, timerange: '[0:0_10:0)', sample_offset: 0, sample_count: 250, ...more }
  expectStatus(await upload(made.flow, { segment: JSON.stringify(segment), file: file() }), 201)
  return { ...made, object_id }
}
const segments = async (id: string, query = '') => list(await done(200, 'GET', `/flows/${id}/segments${query}`))

line('V01', 'a source is made by POST, and shown without the empty lists that came with it', async () => {
  const made = source()
  const { source_collection: _, collected_by: __, ...rest } = made
  const answer = object(await done(201, 'POST', '/sources', made))
  expect(answer).toMatchObject(rest)
  expect(answer).not.toHaveProperty('collected_by')
})

line('V02', 'a flow takes the members of its essence at the top, and shows them where the standard has them', async () => {
  const { source: id } = await make()
  const { frame_width, frame_height, frame_rate: _, ...rest } = flow(id)
  const answer = object(await done(201, 'POST', '/flows', { ...rest, frame_width, frame_height, frame_rate: '25/1' }))
  const frame_rate = { numerator: 25, denominator: 1 }
  expect(answer).toMatchObject({ ...rest, essence_parameters: { frame_width, frame_height, frame_rate } })
  expect(answer).not.toHaveProperty('frame_width')
})

line('V03', 'a POST never replaces, a PUT does', async () => {
  const made = await make()
  await done(409, 'POST', '/sources', source({ id: made.source }))
  await done(409, 'POST', '/flows', flow(made.source, { id: made.flow }))
  await done(204, 'PUT', `/sources/${made.source}`, source({ id: made.source, label: 'other' }))
})

line('V04', 'lists are arrays, and their headers lead on', async () => {
  await make()
  await make()
  const first = await done(200, 'GET', '/flows?limit=1&offset=0')
  expect(list(first)).toHaveLength(1)
  const key = first.headers.get('x-paging-nextkey')
  expect(first.headers.get('link')).toContain(`page=${key}`)
  const second = await done(200, 'GET', `/flows?limit=1&page=${key}`)
  expect(list(second)[0]?.id).not.toBe(list(first)[0]?.id)
})

line('V05', 'a label is asked for as a whole', async () => {
  await make()
  expect(list(await done(200, 'GET', '/sources?label=Test%20Camera'))).toEqual([])
  expect(list(await done(200, 'GET', '/sources?label=Test%20Camera%20Feed'))).toHaveLength(1)
})

line('V06', 'properties are set without an answer', async () => {
  const made = await make()
  for (const name of ['label', 'description', 'tags/ingested_by'])
    expect((await done(204, 'PUT', `/sources/${made.source}/${name}`, 'service_v1')).text).toBe('')
  expect((await done(200, 'GET', `/sources/${made.source}/tags/ingested_by`)).body).toBe('service_v1')
})

line('V07', 'tags filter sources and flows', async () => {
  const made = await make()
  for (const query of [
    'tag.environment=production',
    'tag_exists.priority=true',
    'tag.environment=production&format=urn:x-nmos:format:video',
  ])
    expect(list(await done(200, 'GET', `/flows?${query}`)).map(({ id }) => id)).toEqual([made.flow])
  expect(list(await done(200, 'GET', '/sources?tag.environment=production&tag.quality=sd'))).toEqual([])
})

line('V08', 'a form with segment and file makes the object, and gives the flow its container', async () => {
  const made = await make()
  const object_id = '550e8400-e29b-41d4-a716-446655440003'
  const segment = JSON.stringify({ object_id, timerange: '[0:0_10:0)', sample_offset: 0, sample_count: 250 })
  expect(expectStatus(await upload(made.flow, { segment, file: file() }), 201).text).toBe('')
  expect(object(await done(200, 'GET', `/flows/${made.flow}`)).container).toBe('video/mp4')
  expect(await segments(made.flow)).toMatchObject([{ object_id, sample_count: 250 }])
})

line('V09', 'a part segment_data is refused', async () => {
  const made = await make()
  const segment_data = JSON.stringify({ object_id: uuid(), timerange: '[0:0_10:0)' })
  expectStatus(await upload(made.flow, { segment_data, file: file() }), 400)
})

line('V10', 'a form without a file is refused, JSON is not', async () => {
  const made = await withSegment()
  const again = { object_id: made.object_id, timerange: '[10:0_20:0)', ts_offset: '10:0' }
  expectStatus(await upload(made.flow, { segment: JSON.stringify(again) }), 400)
  await done(201, 'POST', `/flows/${made.flow}/segments`, again)
})

line('V11', 'dates and ISO durations are no time ranges', async () => {
  const made = await make()
  const timerange = '2025-08-27T20:00:00Z/2025-08-27T20:05:00Z'
  for (const over of [{ timerange }, { ts_offset: 'PT0S' }, { last_duration: 'PT5M' }])
    await done(400, 'POST', `/flows/${made.flow}/segments`, { object_id: uuid(), timerange: '[0:0_10:0)', ...over })
})

line('V12', 'an object is used again at another time', async () => {
  const made = await withSegment()
  const again = { object_id: made.object_id, timerange: '[60:0_70:0)', ts_offset: '60:0' }
  await done(201, 'POST', `/flows/${made.flow}/segments`, again)
  expect((await segments(made.flow)).map(({ object_id }) => object_id)).toEqual([made.object_id, made.object_id])
})

line('V13', 'what is known of the bytes is with the object', async () => {
  const made = await withSegment()
  const [segment] = await segments(made.flow)
  for (const name of ['id', 'storage_path', 'file_size']) expect(segment).not.toHaveProperty(name)
  const details = object(await done(200, 'GET', `/objects/${made.object_id}/details`))
  expect(details).toMatchObject({ size: MEDIA.length, instances: [{ path: expect.stringContaining('tams/') }] })
})

const urlsOf = async (id: string, query = '') => {
  const [segment] = await segments(id, query)
  return (segment?.get_urls ?? []) as { readonly url: string; readonly label?: string }[]
}

line('V14', 'bytes are read by the URLs of the segment', async () => {
  const made = await withSegment()
  for (const name of ['data', 'url']) await done(404, 'GET', `/flows/${made.flow}/segments/${made.object_id}/${name}`)
  const [first] = await urlsOf(made.flow)
  expect(await (await app.fetch(first?.url ?? '')).text()).toBe(MEDIA)
})

line('V15', 'URLs for HEAD come when they are asked for', async () => {
  const made = await withSegment()
  expect((await urlsOf(made.flow)).some(({ label }) => label?.endsWith('HEAD'))).toBe(false)
  const head = (await urlsOf(made.flow, '?head_urls=true')).find(({ label }) => label?.endsWith(' HEAD'))
  const answer = await app.fetch(head?.url ?? '', { method: 'HEAD' })
  expect([answer.status, answer.headers.get('content-length')]).toEqual([200, String(MEDIA.length)])
})

line('V16', 'segments have tags, and are found by them', async () => {
  const made = await withSegment({ tags: { quality: 'hd', segment_type: 'intro' } })
  for (const query of ['tag.quality=hd', 'tag_exists.segment_type=true', 'tag.quality=hd&timerange=[0:0_15:0)'])
    expect(await segments(made.flow, `?${query}`)).toMatchObject([{ tags: { quality: 'hd', segment_type: 'intro' } }])
  await done(204, 'PUT', `/flows/${made.flow}/segments/${made.object_id}/tags/quality`, 'uhd')
  expect(await segments(made.flow, '?tag.quality=hd')).toEqual([])
})

line('V17', 'objects are shown as the standard has them', async () => {
  const made = await withSegment()
  const shown = object(await done(200, 'GET', `/objects/${made.object_id}`))
  expect(shown).toMatchObject({ id: made.object_id, referenced_by_flows: [made.flow] })
  for (const name of ['object_id', 'flow_references']) expect(shown).not.toHaveProperty(name)
  expect(object(await done(200, 'GET', `/objects/${made.object_id}/details`))).toMatchObject({ access_count: expect.any(Number) })
})

const SOFTLY = 'soft_delete=true&cascade=true&deleted_by=test-user'

line('V18', 'a flow is deleted softly', async () => {
  const made = await withSegment()
  await done(204, 'DELETE', `/flows/${made.flow}?${SOFTLY}`)
  await done(404, 'GET', `/flows/${made.flow}`)
})

line('V19', 'segments of a deleted flow are an empty list', async () => {
  const made = await withSegment()
  await done(204, 'DELETE', `/flows/${made.flow}?${SOFTLY}`)
  expect(await segments(made.flow)).toEqual([])
})

line('V20', 'a source takes its flows along', async () => {
  const made = await withSegment()
  await done(204, 'DELETE', `/sources/${made.source}?${SOFTLY}`)
  for (const target of [`/sources/${made.source}`, `/flows/${made.flow}`, `/objects/${made.object_id}`]) await done(404, 'GET', target)
})

line('V21', 'cascade=false deletes nothing that something depends on', async () => {
  const made = await withSegment()
  expect(object(await done(409, 'DELETE', `/flows/${made.flow}?cascade=false&deleted_by=editor`)).summary).toContain('1 segments')
  expect(object(await done(409, 'DELETE', `/sources/${made.source}?cascade=false`)).summary).toContain('1 flows')
  expect(await segments(made.flow)).toHaveLength(1)
})

line('V22', 'soft_delete=false removes the bytes', async () => {
  const made = await withSegment()
  const [url] = await urlsOf(made.flow)
  await done(204, 'DELETE', `/flows/${made.flow}/segments?soft_delete=false&deleted_by=admin`)
  await runUntilIdle(app.deps, mediaRemovalWorker(app.deps))
  expect((await app.fetch(url?.url ?? '')).status).toBe(404)
})

line('V23', 'a flow comes back with all that went with it', async () => {
  const made = await withSegment()
  await done(204, 'DELETE', `/sources/${made.source}?${SOFTLY}`)
  await done(404, 'POST', `/internal/restore/sources/${made.source}`)
  await done(200, 'POST', `/sources/${made.source}/restore`)
  expect(await segments(made.flow)).toMatchObject([{ object_id: made.object_id }])
})

line('V24', 'what is deleted says so where it is asked for', async () => {
  const made = await withSegment()
  expect(object(await done(200, 'GET', `/flows/${made.flow}`))).not.toHaveProperty('deleted')
  await done(204, 'DELETE', `/flows/${made.flow}?${SOFTLY}`)
  for (const query of ['include_deleted=true', 'deleted_only=true', 'deleted_state=deleted'])
    expect(list(await done(200, 'GET', `/flows?${query}`))).toMatchObject([{ id: made.flow, deleted: true, deleted_by: 'test-user' }])
})

line('V25', 'an object in use is not deleted', async () => {
  const made = await withSegment()
  await done(409, 'DELETE', `/objects/${made.object_id}`)
})

line('V26', 'errors say of which kind they are', async () => {
  const answer = object(await done(400, 'POST', '/flows', { label: 'nothing else' }))
  expect(Object.keys(answer).sort()).toEqual(['message', 'summary', 'time', 'type'])
  expect([answer.type, answer.message]).toEqual(['invalid', answer.summary])
})

line('V27', 'the reports have their names and figures', async () => {
  await withSegment()
  const report = async (name: string) => object(await done(200, 'GET', `/analytics/${name}`))
  expect(await report('flow-usage')).toMatchObject({ total_flows: 1, format_distribution: { [format.video]: 1 } })
  expect(await report('storage-usage')).toMatchObject({ total_objects: 1, size_distribution: expect.any(Object) })
  expect(await report('time-range-analysis')).toMatchObject({ total_segments: 1 })
})

line('V28', 'the service describes itself as the standard has it', async () => {
  const service = object(await done(200, 'GET', '/service'))
  expect(service).toMatchObject({ type: expect.stringContaining('urn:x-tams:service'), api_version: expect.any(String) })
  expect(service.extensions).toContain('soft-delete')
  expect(service).not.toHaveProperty('capabilities')
})

line('V29', 'health names its dependencies', async () => {
  expect(object(await done(200, 'GET', '/health'))).toMatchObject({ status: 'healthy', dependencies: expect.any(Object) })
})

test('every line of the document has its test, and every test its line', async () => {
  const text = await readFile(path.join(import.meta.dir, '../../docs/COMING-FROM-VASTTAMS.md'), 'utf8')
  expect([...text.matchAll(/^\| (V\d+) /gm)].map(([, id]) => id)).toEqual(held)
})
