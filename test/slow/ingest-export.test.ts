import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { frameHashes, hasFfmpeg, MediaBench, MINUTE, ofFormat, picture, run, TAMS, tone } from './media-service.ts'

if (!hasFfmpeg) console.warn('ffmpeg or ffprobe is not installed: the round trip of media is not tested')

describe.skipIf(!hasFfmpeg)('media through a real service', () => {
  let bench: MediaBench
  beforeAll(async () => {
    bench = await MediaBench.open()
  }, 4 * MINUTE)
  afterAll(() => bench.close(), 4 * MINUTE)

  test(
    'a minute of 1080p25 comes out with the same pictures, alone and with its sound, also after a restart',
    async () => {
      const timecode = "drawtext=timecode='00\\:00\\:00\\:00':rate=25:fontsize=64:fontcolor=white:x=40:y=40"
      const source = await bench.make(
        'source.mp4',
        ...['-f', 'lavfi', '-i', `testsrc2=size=1920x1080:rate=25,${timecode}`, ...tone(48000), '-t', '60'],
        ...['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '2', '-g', '50', '-pix_fmt', 'yuv420p', '-c:a', 'aac'],
      )
      const flows = await bench.ingest(source, '--label', 'Minute', '--tag', 'kind=test')
      const video = ofFormat(flows, ':video')
      expect([video.timerange, video.segments, video.uploaded]).toEqual(['[0:0_60:0)', 30, 30])
      expect(ofFormat(flows, ':audio').timerange).toBe('[0:0_60:0)')

      const listing = await fetch(`${bench.url}/flows/${video.id}/segments?timerange=[10:0_20:0)`)
      const segments = (await listing.json()) as { timerange: string; get_urls: { url: string }[] }[]
      expect(segments.map(({ timerange }) => timerange)).toEqual([10, 12, 14, 16, 18].map((s) => `[${s}:0_${s + 2}:0)`))
      for (const { url } of segments.flatMap(({ get_urls }) => get_urls)) {
        const part = await fetch(url, { headers: { range: 'bytes=0-187' } })
        expect([part.status, (await part.bytes())[0]]).toEqual([206, 0x47])
      }

      const expected = await frameHashes(source)
      expect(expected).toHaveLength(1500)
      expect(await frameHashes(await bench.exported(video.id, 'video.ts'))).toEqual(expected)
      await bench.restart()
      const whole = await bench.exported(ofFormat(flows, ':multi').id, 'whole.mp4')
      expect(await frameHashes(whole)).toEqual(expected)
      // The priming frame of AAC, which the edit list of the source hides, is kept: the sound after it depends on it.
      expect((await frameHashes(whole, 'a')).slice(1)).toEqual(await frameHashes(source, 'a'))

      const again = await bench.ingest(source, '--label', 'Minute')
      expect(again.map(({ id, uploaded }) => [id, uploaded])).toEqual(flows.map(({ id }) => [id, 0]))
    },
    10 * MINUTE,
  )

  test.each([
    [
      'open groups with B pictures at 30000/1001 in Matroska',
      'open.mkv',
      ['libx264', '-bf', '3', '-x264-params', 'keyint=45:open-gop=1'],
      '30000/1001',
    ],
    ['interlaced MPEG-2 in a transport stream', 'mpeg2.ts', ['mpeg2video', '-g', '12', '-bf', '2', '-flags', '+ilme+ildct'], '25'],
    ['H.265', 'hevc.mp4', ['libx265', '-preset', 'ultrafast', '-x265-params', 'log-level=error:keyint=24'], '24000/1001'],
  ])(
    '%s comes out with the same pictures, as essences and muxed',
    async (_title, name, encoder, rate) => {
      const source = await bench.make(name, ...picture('320x240', rate), ...tone(44100), '-t', '9', '-c:v', ...encoder, '-c:a', 'aac')
      const expected = await frameHashes(source)
      const essences = await bench.ingest(source)
      expect(await frameHashes(await bench.exported(ofFormat(essences, ':multi').id, 'essences.mkv'))).toEqual(expected)
      const muxed = ofFormat(await bench.ingest(source, '--muxed', '--start', '1000:0'), ':multi')
      expect(muxed.segments).toBeGreaterThan(3)
      expect(await frameHashes(await bench.exported(muxed.id, 'muxed.ts'))).toEqual(expected)
    },
    6 * MINUTE,
  )

  test(
    'segments of a flow follow each other exactly, and a part of the timeline gives the pictures of its segments',
    async () => {
      const source = await bench.make('part.mp4', ...picture('320x240', '25'), '-t', '10', '-c:v', 'libx264', '-g', '25', '-bf', '2')
      const [flow] = await bench.ingest(source, '--start', '-3:0', '--segment-seconds', '1')
      expect([flow?.timerange, flow?.segments]).toEqual(['[-3:0_7:0)', 10])
      const clip = await bench.exported(flow?.id ?? '', 'clip.ts', '--timerange', '[0:500000000_2:0)')
      expect(await frameHashes(clip)).toEqual((await frameHashes(source)).slice(75, 125))
    },
    4 * MINUTE,
  )

  test(
    'an ingest that was interrupted goes on where it stopped, and leaves nothing behind',
    async () => {
      const source = await bench.make(
        'broken.mp4',
        ...picture('1280x720', '25'),
        '-t',
        '40',
        '-c:v',
        'libx264',
        '-preset',
        'ultrafast',
        '-g',
        '25',
      )
      const scratch = await mkdtemp(join(bench.dir, 'tmp-'))
      const options = ['--segment-seconds', '1', '--concurrency', '1', '--url', bench.url]
      const child = Bun.spawn([...TAMS, 'ingest', source, ...options], {
        stdout: 'ignore',
        stderr: 'pipe',
        env: { ...process.env, TMPDIR: scratch },
      })
      // The first progress line says that segments are registered.
      for await (const _line of child.stderr) break
      child.kill('SIGINT')
      expect(await child.exited).toBe(130)
      expect(await Array.fromAsync(new Bun.Glob('**/*').scan(scratch))).toEqual([])
      const [flow] = await bench.ingest(source, '--segment-seconds', '1')
      expect(flow?.segments).toBe(40)
      expect(flow?.uploaded).toBeLessThan(40)
      expect(await frameHashes(await bench.exported(flow?.id ?? '', 'resumed.ts'))).toEqual(await frameHashes(source))
      const otherwise = await run([...TAMS, 'ingest', source, '--segment-seconds', '3', '--url', bench.url])
      expect([otherwise.code, otherwise.stderr.includes('--flow-id')]).toEqual([1, true])
    },
    6 * MINUTE,
  )

  test(
    'what a transport stream cannot carry is refused, and encoded when asked to',
    async () => {
      const source = await bench.make(
        'raw.mov',
        ...picture('320x240', '24000/1001'),
        ...tone(48000),
        '-t',
        '5',
        '-c:v',
        'prores',
        '-c:a',
        'pcm_s16le',
      )
      const refused = await run([...TAMS, 'ingest', source, '--url', bench.url])
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('stream 0 (prores), 1 (pcm_s16le)')])
      const flows = await bench.ingest(source, '--transcode')
      expect(ofFormat(flows, ':video').segments).toBe(3)
      expect(await frameHashes(await bench.exported(ofFormat(flows, ':multi').id, 'encoded.mp4'))).toHaveLength(120)
    },
    4 * MINUTE,
  )
})
