import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { frameHashes, hasFfmpeg, MediaBench, MINUTE, ofFormat, picture, run, TAMS, tone } from './media-service.ts'

if (!hasFfmpeg) console.warn('ffmpeg or ffprobe is not installed: fragmented MP4 is not tested')

interface Segment {
  readonly object_id: string
  readonly timerange: string
  readonly ts_offset?: string
  readonly last_duration?: string
  readonly get_urls: readonly { readonly url: string }[]
  readonly init_object: { readonly object_id: string; readonly get_urls: readonly { readonly url: string }[] }
}

/** Types of the top-level boxes. */
const boxTypes = (bytes: Uint8Array): string[] => {
  const types: string[] = []
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  for (let at = 0; at < bytes.length; at += view.getUint32(at)) types.push(String.fromCharCode(...bytes.subarray(at + 4, at + 8)))
  return types
}

describe.skipIf(!hasFfmpeg)('fragmented MP4 through a real service', () => {
  let bench: MediaBench
  beforeAll(async () => {
    bench = await MediaBench.open()
  }, 4 * MINUTE)
  afterAll(() => bench.close(), 4 * MINUTE)

  const json = async <T>(path: string): Promise<T> => (await (await fetch(`${bench.url}${path}`)).json()) as T
  const segmentsOf = (flow: string): Promise<Segment[]> => json(`/flows/${flow}/segments?limit=1000`)
  const bytesOf = async (item: Pick<Segment, 'get_urls'>): Promise<Uint8Array> => (await fetch(item.get_urls[0]?.url ?? '')).bytes()

  /** A file of the init object and the objects of some segments, as a player gets them: by their URLs and nothing else. */
  const stored = async (name: string, segments: readonly Segment[]): Promise<string> => {
    const [first] = segments
    if (!first) throw new Error('there are no segments')
    const path = join(bench.dir, name)
    await Bun.write(path, Buffer.concat([await bytesOf(first.init_object), ...(await Promise.all(segments.map(bytesOf)))]))
    return path
  }

  test(
    'half a minute of 1080p25 plays from its stored segments, in parts, exported and after a restart',
    async () => {
      const timecode = "drawtext=timecode='10\\:00\\:00\\:00':rate=25:fontsize=64:fontcolor=white:x=40:y=40"
      const source = await bench.make(
        'source.mp4',
        ...['-f', 'lavfi', '-i', `testsrc2=size=1920x1080:rate=25,${timecode}`, ...tone(48000), '-t', '30', '-timecode', '10:00:00:00'],
        ...['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '2', '-g', '50', '-pix_fmt', 'yuv420p', '-c:a', 'aac'],
      )
      const expected = await frameHashes(source)
      expect(expected).toHaveLength(750)
      const flows = await bench.ingest(source, '--container', 'fmp4', '--label', 'Half')
      const video = ofFormat(flows, ':video')
      const audio = ofFormat(flows, ':audio')
      const multi = ofFormat(flows, ':multi')
      expect([video.timerange, video.segments, audio.timerange]).toEqual(['[0:0_30:0)', 15, '[0:0_30:0)'])
      expect(await json(`/flows/${video.id}`)).toMatchObject({ container: 'video/mp4', essence_parameters: { init_segments: true } })
      expect(await json(`/flows/${audio.id}`)).toMatchObject({ container: 'audio/mp4', essence_parameters: { init_segments: true } })

      const segments = await segmentsOf(video.id)
      expect(segments.map(({ timerange }) => timerange)).toEqual(Array.from({ length: 15 }, (_, n) => `[${2 * n}:0_${2 * n + 2}:0)`))
      expect(new Set(segments.map(({ ts_offset, last_duration }) => `${ts_offset} ${last_duration}`))).toEqual(
        new Set(['-10:0 0:40000000']),
      )
      const [first] = segments
      expect(new Set(segments.map(({ init_object }) => init_object.object_id)).size).toBe(1)
      expect(await json(`/objects/${first?.object_id}`)).toMatchObject({
        timerange: '[10:0_12:0)',
        key_frame_count: 1,
        init_object: { id: first?.init_object.object_id },
      })
      expect(boxTypes(first ? await bytesOf(first.init_object) : new Uint8Array(0))).toEqual(['ftyp', 'moov'])
      for (const segment of segments) expect(boxTypes(await bytesOf(segment))).toEqual(['moof', 'mdat'])

      expect(await frameHashes(await stored('stored.mp4', segments))).toEqual(expected)
      for (const n of [0, 7, 14]) {
        const alone = await stored('alone.mp4', segments.slice(n, n + 1))
        expect(await frameHashes(alone)).toEqual(expected.slice(50 * n, 50 * n + 50))
      }
      // Behind the priming frame of AAC, which the edit list of the source hides.
      const sound = await frameHashes(source, 'a')
      expect((await frameHashes(await stored('sound.mp4', await segmentsOf(audio.id)), 'a')).slice(1)).toEqual(sound)

      for (const name of ['video.mp4', 'video.mkv', 'video.ts', 'video.mov'])
        expect(await frameHashes(await bench.exported(video.id, name))).toEqual(expected)
      await bench.restart()
      const whole = await bench.exported(multi.id, 'whole.mp4')
      expect(await frameHashes(whole)).toEqual(expected)
      expect((await frameHashes(whole, 'a')).slice(1)).toEqual(sound)
      expect(await frameHashes(await stored('stored.mp4', await segmentsOf(video.id)))).toEqual(expected)
      const part = await bench.exported(multi.id, 'part.mkv', '--timerange', '[10:0_14:0)')
      expect(await frameHashes(part)).toEqual(expected.slice(250, 350))

      const again = await bench.ingest(source, '--container', 'fmp4', '--label', 'Half')
      expect(again.map(({ id, uploaded }) => [id, uploaded])).toEqual(flows.map(({ id }) => [id, 0]))
    },
    10 * MINUTE,
  )

  test.each([
    [
      'open groups with B pictures at 30000/1001 in Matroska',
      'open.mkv',
      ['-c:v', 'libx264', '-bf', '3', '-x264-params', 'keyint=45:open-gop=1', '-c:a', 'aac'],
      '30000/1001',
    ],
    [
      'AAC with headers of its own in a transport stream',
      'adts.ts',
      ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '25', '-c:a', 'aac'],
      '25',
    ],
    [
      'H.265 and AC-3',
      'hevc.mp4',
      ['-c:v', 'libx265', '-preset', 'ultrafast', '-x265-params', 'log-level=error:keyint=24', '-c:a', 'ac3'],
      '24000/1001',
    ],
    ['VP9 and Opus', 'vp9.webm', ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', '-g', '30', '-c:a', 'libopus'], '30'],
  ])(
    '%s comes out with the same pictures and sound, as essences and muxed',
    async (_title, name, encoders, rate) => {
      const source = await bench.make(name, ...picture('320x240', rate), ...tone(48000), '-t', '9', ...encoders)
      const expected = await frameHashes(source)
      const essences = await bench.ingest(source, '--container', 'fmp4')
      expect(await frameHashes(await bench.exported(ofFormat(essences, ':multi').id, 'essences.mkv'))).toEqual(expected)
      const muxed = ofFormat(await bench.ingest(source, '--container', 'fmp4', '--muxed', '--start', '1000:0'), ':multi')
      expect(muxed.segments).toBeGreaterThan(3)
      expect(await json(`/flows/${muxed.id}`)).toMatchObject({ container: 'video/mp4', essence_parameters: { init_segments: true } })
      const file = await bench.exported(muxed.id, 'muxed.mp4')
      expect(await frameHashes(file)).toEqual(expected)
      expect((await frameHashes(file, 'a')).length).toBeGreaterThan(100)
      expect(await frameHashes(await stored('muxed-stored.mp4', await segmentsOf(muxed.id)))).toEqual(expected)
    },
    6 * MINUTE,
  )

  test(
    'an ingest that was interrupted goes on with the init object that is there',
    async () => {
      const options = ['-t', '40', '-c:v', 'libx264', '-preset', 'ultrafast', '-g', '25']
      const source = await bench.make('broken.mp4', ...picture('1280x720', '25'), ...options)
      const scratch = await mkdtemp(join(bench.dir, 'tmp-'))
      const flags = ['--container', 'fmp4', '--segment-seconds', '1']
      const child = Bun.spawn([...TAMS, 'ingest', source, ...flags, '--concurrency', '1', '--url', bench.url], {
        stdout: 'ignore',
        stderr: 'pipe',
        env: { ...process.env, TMPDIR: scratch },
      })
      // The first progress line says that segments are registered.
      for await (const _line of child.stderr) break
      child.kill('SIGINT')
      expect(await child.exited).toBe(130)
      expect(await Array.fromAsync(new Bun.Glob('**/*').scan(scratch))).toEqual([])
      const [flow] = await bench.ingest(source, ...flags)
      expect(flow?.segments).toBe(40)
      expect(flow?.uploaded).toBeLessThan(40)
      const segments = await segmentsOf(flow?.id ?? '')
      expect(new Set(segments.map(({ init_object }) => init_object.object_id)).size).toBe(1)
      expect(await frameHashes(await stored('resumed.mp4', segments))).toEqual(await frameHashes(source))
    },
    6 * MINUTE,
  )

  test(
    'the same file in both containers gives other flows of the same sources, which one export does not mix',
    async () => {
      const options = ['-t', '4', '-c:v', 'libx264', '-g', '25', '-c:a', 'aac']
      const source = await bench.make('both.mp4', ...picture('320x240', '25'), ...tone(48000), ...options)
      const fragments = await bench.ingest(source, '--container', 'fmp4')
      const transport = await bench.ingest(source)
      expect(fragments.map(({ source_id }) => source_id)).toEqual(transport.map(({ source_id }) => source_id))
      expect(new Set([...fragments, ...transport].map(({ id }) => id)).size).toBe(6)
      const mixed = { ...(await json<object>(`/flows/${ofFormat(fragments, ':multi').id}`)), id: crypto.randomUUID() }
      const flow_collection = [
        { id: ofFormat(transport, ':video').id, role: 'video' },
        { id: ofFormat(fragments, ':audio').id, role: 'audio' },
      ]
      const body = JSON.stringify({ ...mixed, flow_collection })
      const put = await fetch(`${bench.url}/flows/${mixed.id}`, { method: 'PUT', headers: { 'content-type': 'application/json' }, body })
      expect([put.status, put.ok ? '' : await put.text()]).toEqual([201, ''])
      const refused = await run([...TAMS, 'export', mixed.id, join(bench.dir, 'mixed.mp4'), '--url', bench.url])
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('cannot be joined into one file')])
      expect(refused.stderr).toContain('holds video/mp2t')
      expect(refused.stderr).toContain('holds audio/mp4')
    },
    4 * MINUTE,
  )

  test(
    'what fragmented MP4 cannot carry is refused, and encoded when asked to',
    async () => {
      const source = await bench.make(
        'raw.mov',
        ...picture('320x240', '25'),
        ...tone(48000),
        '-t',
        '3',
        '-c:v',
        'prores',
        '-c:a',
        'pcm_s16le',
      )
      const refused = await run([...TAMS, 'ingest', source, '--container', 'fmp4', '--url', bench.url])
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('fragmented MP4 cannot carry stream 0 (prores)')])
      const flows = await bench.ingest(source, '--container', 'fmp4', '--transcode')
      expect(await frameHashes(await bench.exported(ofFormat(flows, ':multi').id, 'encoded.mp4'))).toHaveLength(75)
    },
    4 * MINUTE,
  )
})
