import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TamsClient } from '../../src/cli/client.ts'
import { hashFile, INGEST_NAMESPACE, namedUuid } from '../../src/cli/ids.ts'
import { changed, describeFlows, type FlowOptions } from '../../src/cli/ingest/flows.ts'
import { storeInitObject } from '../../src/cli/ingest/init-object.ts'
import { type CutSegment, findStored } from '../../src/cli/ingest/segments.ts'
import { uploadSegments } from '../../src/cli/ingest/upload.ts'
import type { PlannedSegment } from '../../src/cli/media/plan.ts'
import { rational } from '../../src/cli/media/rational.ts'
import { makeTrack } from '../../src/cli/media/track.ts'
import { silent } from '../../src/cli/progress.ts'
import type { Segment } from '../../src/cli/tams-types.ts'
import { isUuid } from '../../src/core/uuid.ts'
import { failure, StubService } from './stub-service.ts'

const FLOW = 'b3bb5be7-9fe9-4324-a5bb-4c70e1084449'
const SECOND = 1_000_000_000n

const planned = (n: number): PlannedSegment => ({
  firstPacket: 50 * n,
  packetCount: 50,
  startNs: BigInt(n) * SECOND,
  endNs: BigInt(n + 1) * SECOND,
  objectStartNs: BigInt(n) * SECOND,
  keyFrameCount: 1,
  lastDurationNs: 40_000_000n,
})
const plan = [0, 1, 2, 3, 4, 5, 6].map(planned)
const range = (n: number): string => `[${n}:0_${n + 1}:0)`

async function* existing(...timeranges: string[]): AsyncGenerator<Segment> {
  for (const timerange of timeranges) yield { object_id: timerange, timerange }
}

describe('going on after an interruption', () => {
  test('finds the segments that are there', async () => {
    const { stored } = await findStored(FLOW, existing(range(0), range(2), '[90:0_91:0)'), plan)
    expect(plan.map((segment) => stored.has(segment))).toEqual([true, false, true, false, false, false, false])
  })

  test.each(['[1:0_3:0)', '[0:500000000_0:600000000)', '[6:0_8:0)'])('refuses a flow that has %s instead', async (timerange) => {
    expect(findStored(FLOW, existing(range(0), timerange), plan)).rejects.toThrow(timerange)
  })
})

describe('uploads', () => {
  let dir = ''
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'tams-test-'))
  })
  afterAll(() => rm(dir, { recursive: true }))

  const retry = { attempts: 2, baseMs: 0, maxMs: 0, sleep: async () => {}, random: () => 0 }

  async function* files(stored: ReadonlySet<PlannedSegment>): AsyncGenerator<CutSegment> {
    for (const segment of plan) {
      const path = join(dir, `${segment.firstPacket}.ts`)
      const timerange = range(Number(segment.startNs / SECOND))
      if (!stored.has(segment)) await Bun.write(path, timerange)
      yield { path, size: 1000, plan: segment, post: stored.has(segment) ? undefined : { timerange, ts_offset: '-10:0' } }
    }
  }

  const upload = async (service: StubService, stored: ReadonlySet<PlannedSegment> = new Set()) => {
    const client = new TamsClient('http://tams.test', { fetch: service.fetch, retry })
    return uploadSegments(client, FLOW, files(stored), { total: plan.length, concurrency: 2, progress: silent })
  }

  const storedText = (service: StubService): string[] =>
    (service.segments.get(FLOW) ?? []).map(({ object_id }) => new TextDecoder().decode(service.media.get(object_id)?.bytes))

  test('register each file at its place in time, in order', async () => {
    const service = new StubService()
    expect(await upload(service)).toEqual({ uploaded: 7, bytes: 7000, avgBitRate: 8, maxBitRate: 8 })
    expect(service.segments.get(FLOW)?.map(({ timerange }) => timerange)).toEqual(plan.map((_, n) => range(n)))
    expect(storedText(service)).toEqual(plan.map((_, n) => range(n)))
    expect(await Array.fromAsync(new Bun.Glob('*.ts').scan(dir))).toEqual([])
  })

  test('leave a flow that is complete up to some segment when one of them fails, and a second run completes it', async () => {
    const service = new StubService()
    service.interfere = (request) => (request.url.endsWith('/object-4') ? failure(403, 'the signature has expired') : undefined)
    expect(upload(service)).rejects.toThrow('upload of object object-4: 403 the signature has expired')
    await upload(new StubService())
    expect(service.segments.get(FLOW)?.map(({ timerange }) => timerange)).toEqual([range(0), range(1), range(2)])
    service.interfere = () => undefined
    const client = new TamsClient('http://tams.test', { fetch: service.fetch, retry })
    const { stored } = await findStored(FLOW, client.segments(FLOW, {}), plan)
    expect((await upload(service, stored)).uploaded).toBe(4)
    expect(storedText(service)).toEqual(plan.map((_, n) => range(n)))
  })

  test('say which segment was refused and why', async () => {
    const service = new StubService()
    service.segments.set(FLOW, [{ object_id: 'foreign', timerange: '[3:500000000_3:600000000)' }])
    expect(upload(service)).rejects.toThrow('[3:0_4:0): it overlaps another segment')
    await upload(new StubService())
  })
})

describe('the init object of a flow', () => {
  const flow = { id: FLOW, source_id: FLOW, format: 'urn:x-nmos:format:video' }
  const store = async (service: StubService, bytes: string, known: readonly string[]) => {
    const dir = await mkdtemp(join(tmpdir(), 'tams-test-'))
    const client = new TamsClient('http://tams.test', { fetch: service.fetch })
    try {
      return await storeInitObject(client, flow, new TextEncoder().encode(bytes), { known: new Set(known), dir })
    } finally {
      expect(await Array.fromAsync(new Bun.Glob('*').scan(dir))).toEqual([])
      await rm(dir, { recursive: true })
    }
  }
  const content = (service: StubService, id: string) => new TextDecoder().decode(service.media.get(id)?.bytes)

  test('is uploaded once, and found again by its bytes', async () => {
    const service = new StubService()
    const id = await store(service, 'ftyp moov', [])
    expect(content(service, id)).toBe('ftyp moov')
    expect(await store(service, 'ftyp moov', ['gone', id])).toBe(id)
    expect(service.log.filter((line) => line.startsWith('PUT'))).toHaveLength(1)
  })

  test('is a new one where the bytes differ', async () => {
    const service = new StubService()
    const id = await store(service, 'ftyp moov', [])
    const other = await store(service, 'ftyp moof', [id])
    expect([other === id, content(service, other)]).toEqual([false, 'ftyp moof'])
  })
})

describe('the flows of a file', () => {
  const packets = [{ pts: 0, duration: 1, key: true, discard: false }]
  const picture = { index: 0, codec_type: 'video', codec_name: 'h264', r_frame_rate: '25/1', time_base: '1/25', width: 16, height: 16 }
  const sound = { codec_type: 'audio', codec_name: 'aac', sample_rate: '48000', channels: 2, time_base: '1/48000' }
  const tracks = [makeTrack(picture, packets), makeTrack({ ...sound, index: 1 }, packets), makeTrack({ ...sound, index: 3 }, packets)]
  const options: FlowOptions = {
    label: 'Film',
    container: 'mpegts',
    tags: { a: 'b' },
    segmentSeconds: rational(2),
    muxed: false,
    name: 'x',
    contentHash: 'abc',
  }

  test('are one per essence with segments of its own, and one that collects them with roles', () => {
    const { essences, multi } = describeFlows(tracks, options)
    expect(essences.map(({ container, label }) => [container, label])).toEqual([
      ['video/mp2t', 'Film video'],
      ['video/mp2t', 'Film audio'],
      ['video/mp2t', 'Film audio_2'],
    ])
    expect(multi).toMatchObject({ format: 'urn:x-nmos:format:multi', label: 'Film', tags: { a: 'b' } })
    expect(multi).not.toHaveProperty('container')
    expect(multi?.flow_collection).toEqual([
      { id: essences[0]?.id ?? '', role: 'video' },
      { id: essences[1]?.id ?? '', role: 'audio' },
      { id: essences[2]?.id ?? '', role: 'audio_2' },
    ])
  })

  test('muxed: the collecting flow has the segments, and says which track each essence is', () => {
    const { essences, multi } = describeFlows(tracks, { ...options, muxed: true })
    expect(essences.every((flow) => !('container' in flow))).toBe(true)
    expect(multi?.container).toBe('video/mp2t')
    expect(multi?.flow_collection?.map((item) => ('container_mapping' in item ? item.container_mapping : undefined))).toEqual([
      { format_track_index: 0 },
      { format_track_index: 0 },
      { format_track_index: 1 },
    ])
  })

  test('in fragmented MP4 have its containers and state the init segments where the segments are', () => {
    const { essences, multi } = describeFlows(tracks, { ...options, container: 'fmp4' })
    expect(essences.map(({ container, essence_parameters }) => [container, essence_parameters?.init_segments])).toEqual([
      ['video/mp4', true],
      ['audio/mp4', true],
      ['audio/mp4', true],
    ])
    expect(multi).not.toHaveProperty('essence_parameters')
    const muxed = describeFlows(tracks, { ...options, container: 'fmp4', muxed: true })
    expect(muxed.multi).toMatchObject({ container: 'video/mp4', essence_parameters: { init_segments: true } })
    expect(muxed.essences.map(({ container, essence_parameters }) => [container, essence_parameters?.init_segments])).toEqual(
      Array.from({ length: 3 }, () => [undefined, undefined]),
    )
    const sound = describeFlows(tracks.slice(1), { ...options, container: 'fmp4', muxed: true })
    expect(sound.multi?.container).toBe('audio/mp4')
  })

  test('have ids that the specification allows, the same in each run and all different', () => {
    const ids = (set: ReturnType<typeof describeFlows>) =>
      [set.multi, ...set.essences].flatMap((flow) => (flow ? [flow.id, flow.source_id] : []))
    const found = ids(describeFlows(tracks, options))
    expect(found.every(isUuid)).toBe(true)
    expect(new Set(found).size).toBe(8)
    expect(ids(describeFlows(tracks, options))).toEqual(found)
    const elsewhere = ids(describeFlows(tracks, { ...options, name: 'y' }))
    expect(elsewhere[0]).not.toBe(found[0])
    expect(elsewhere[1]).toBe(found[1] ?? '')
  })

  test('a single essence stands for the file itself, with the ids that are asked for', () => {
    const { essences, multi } = describeFlows(tracks.slice(0, 1), { ...options, flowId: FLOW, sourceId: FLOW })
    expect(multi).toBeUndefined()
    expect(essences[0]).toMatchObject({ id: FLOW, source_id: FLOW, label: 'Film' })
  })

  test('are sent back without what the service manages', () => {
    const read = { id: FLOW, source_id: FLOW, format: 'f', label: 'edited', timerange: '[0:0_1:0)', created: 'then', metadata_version: '1' }
    const sent: unknown = JSON.parse(JSON.stringify(changed(read, { status: 'closed_complete' })))
    expect(sent).toEqual({ id: FLOW, source_id: FLOW, format: 'f', label: 'edited', status: 'closed_complete' })
  })
})

test('a named UUID is that of RFC 9562', () => {
  // Appendix A.4: version 5 of www.example.com in the DNS namespace.
  expect(namedUuid('6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'www.example.com')).toBe('2ed6657d-e927-568b-95e1-2665a8aea6a2')
  expect(isUuid(INGEST_NAMESPACE)).toBe(true)
})

test('a file is named by its content', async () => {
  const path = `${import.meta.dir}/ingest.test.ts`
  expect(await hashFile(path)).toBe(new Bun.CryptoHasher('sha256').update(await Bun.file(path).bytes()).digest('hex'))
})
