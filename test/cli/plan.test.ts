import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type PlannedSegment, planSegments } from '../../src/cli/media/plan.ts'
import type { Packet, ProbedStream } from '../../src/cli/media/probe.ts'
import { rational } from '../../src/cli/media/rational.ts'
import { makeTrack, type Track } from '../../src/cli/media/track.ts'
import { formatTimestamp } from '../../src/core/timestamp.ts'

const video = (rate: string, time_base: string): ProbedStream => ({
  index: 0,
  codec_type: 'video',
  codec_name: 'h264',
  r_frame_rate: rate,
  avg_frame_rate: rate,
  time_base,
})
const audio = (sample_rate: string, time_base: string): ProbedStream => ({
  index: 1,
  codec_type: 'audio',
  codec_name: 'aac',
  sample_rate,
  time_base,
})
const packet = (pts: number, duration: number, flags: Partial<Packet> = {}): Packet => ({
  pts,
  duration,
  key: false,
  discard: false,
  ...flags,
})

/** `frames` frames with a key frame every `gop`, in display order, stamped in ticks of 1/`base` rounded to the nearest. */
const frames = (count: number, gop: number, rate: readonly [number, number], base: number): Packet[] =>
  Array.from({ length: count }, (_, n) => packet(Math.round((n * rate[1] * base) / rate[0]), 0, { key: n % gop === 0 }))

const plan = (track: Track, seconds: readonly [number, number] = [2, 1], startNs = 0n): PlannedSegment[] =>
  planSegments(track, { segmentSeconds: rational(...seconds), startNs, origin: track.origin })

const ranges = (segments: readonly PlannedSegment[]) =>
  segments.map(({ startNs, endNs }) => `${formatTimestamp(startNs)}_${formatTimestamp(endNs)}`)

describe('video segments', () => {
  test('lie on exact multiples of 40 ms at 25 frames a second', () => {
    const track = makeTrack(video('25/1', '1/90000'), frames(150, 50, [25, 1], 90000))
    expect(ranges(plan(track))).toEqual(['0:0_2:0', '2:0_4:0', '4:0_6:0'])
    expect(plan(track).map(({ keyFrameCount, packetCount, lastDurationNs }) => [keyFrameCount, packetCount, lastDurationNs])).toEqual([
      [1, 50, 40_000_000n],
      [1, 50, 40_000_000n],
      [1, 50, 40_000_000n],
    ])
  })

  test('at 30000/1001 are n × 1001/30000 s rounded down, though the container rounds to milliseconds', () => {
    const track = makeTrack(video('30000/1001', '1/1000'), frames(180, 30, [30000, 1001], 1000))
    expect(track.frameRate).toEqual(rational(30000, 1001))
    expect(ranges(plan(track))).toEqual(['0:0_2:2000000', '2:2000000_4:4000000', '4:4000000_6:6000000'])
    const odd = makeTrack(video('30000/1001', '1/1000'), frames(46, 23, [30000, 1001], 1000))
    expect(ranges(plan(odd, [1, 1]))).toEqual(['0:0_0:767433333', '0:767433333_1:534866666'])
  })

  test('begin where the timeline is told to begin, and may do so before zero', () => {
    const track = makeTrack(video('25/1', '1/12800'), frames(100, 50, [25, 1], 12800))
    expect(ranges(plan(track, [2, 1], -1_000_000_000n))).toEqual(['-1:0_1:0', '1:0_3:0'])
  })

  test('are cut at the key frames nearest to the wanted length, and only there', () => {
    const track = makeTrack(video('25/1', '1/90000'), frames(300, 75, [25, 1], 90000))
    expect(ranges(plan(track))).toEqual(['0:0_3:0', '3:0_6:0', '6:0_9:0', '9:0_12:0'])
    expect(ranges(plan(makeTrack(video('25/1', '1/90000'), frames(300, 300, [25, 1], 90000))))).toEqual(['0:0_12:0'])
  })

  test('count pictures in decode order and time them in display order', () => {
    // I0 P3 B1 B2 | I6 B4 B5 …: the B pictures behind the second I are shown before it (an open group).
    const order = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8]
    const track = makeTrack(
      video('1/1', '1/1'),
      order.map((n) => packet(n, 1, { key: n % 6 === 0 })),
    )
    expect(plan(track, [5, 1]).map(({ firstPacket, packetCount }) => [firstPacket, packetCount])).toEqual([
      [0, 4],
      [4, 6],
    ])
    expect(ranges(plan(track, [5, 1]))).toEqual(['0:0_4:0', '4:0_10:0'])
  })

  test('are not cut where a later packet is shown before an earlier one', () => {
    const order = [0, 2, 5, 3, 1, 4]
    const track = makeTrack(
      video('1/1', '1/1'),
      order.map((n) => packet(n, 1, { key: n === 0 || n === 5 || n === 3 })),
    )
    expect(ranges(plan(track, [2, 1]))).toEqual(['0:0_6:0'])
  })

  test('end at their last frame where the stream pauses', () => {
    const paused = frames(100, 25, [25, 1], 90000).map((p, n) => (n < 50 ? p : { ...p, pts: (p.pts ?? 0) + 90000 }))
    expect(ranges(plan(makeTrack(video('25/1', '1/90000'), paused), [1, 1]))).toEqual(['0:0_1:0', '1:0_2:0', '3:0_4:0', '4:0_5:0'])
  })

  test('of a variable rate keep the times of the file and say that the rate varies', () => {
    const times = [0, 10, 25, 27, 60]
    const track = makeTrack(
      video('100/1', '1/10'),
      times.map((pts) => packet(pts, 3, { key: true })),
    )
    expect(track.frameRate).toBeUndefined()
    expect(ranges(plan(track, [2, 1]))).toEqual(['0:0_2:500000000', '2:500000000_6:300000000'])
  })

  test('follow each other without gap or overlap, whatever the rate, group and length', () => {
    const rates = fc.constantFrom<readonly [number, number]>([24000, 1001], [25, 1], [30000, 1001], [50, 1], [60000, 1001])
    fc.assert(
      fc.property(
        rates,
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 400 }),
        fc.integer({ min: 1, max: 50 }),
        (rate, gop, count, tenths) => {
          const packets = frames(count, gop, rate, 90000)
          const segments = plan(makeTrack(video(`${rate[0]}/${rate[1]}`, '1/90000'), packets), [tenths, 10])
          expect(segments[0]?.startNs).toBe(0n)
          expect(segments.at(-1)?.endNs).toBe((BigInt(count) * BigInt(rate[1]) * 1_000_000_000n) / BigInt(rate[0]))
          segments.slice(1).forEach((segment, i) => {
            expect(segment.startNs).toBe(segments[i]?.endNs ?? -1n)
          })
          expect(segments.reduce((sum, { packetCount }) => sum + packetCount, 0)).toBe(count)
          expect(segments.every(({ firstPacket }) => packets[firstPacket]?.key)).toBe(true)
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('audio segments', () => {
  test('are counted in samples, and end where the container says that the sound ends', () => {
    const packets = Array.from({ length: 283 }, (_, i) => packet((i - 1) * 1024, i === 282 ? 256 : 1024, { key: true, discard: i === 0 }))
    const segments = plan(makeTrack(audio('48000', '1/48000'), packets))
    expect(ranges(segments)).toEqual(['0:0_2:5333333', '2:5333333_4:10666666', '4:10666666_6:0'])
    expect(segments[0]?.objectStartNs).toBe(-21_333_334n)
    expect(segments[1]?.objectStartNs).toBe(segments[1]?.startNs ?? 0n)
    expect(segments[1]?.lastDurationNs).toBe(20_833n)
  })

  test('do not take over the rounding of a container in milliseconds', () => {
    const packets = Array.from({ length: 188 }, (_, i) => packet(Math.round((i * 1024) / 48), 21, { key: true }))
    const track = makeTrack(audio('48000', '1/1000'), packets)
    expect(track.frameSize).toBe(1024)
    expect(track.units.map(({ position }) => position)).toEqual(packets.map((_, i) => i * 1024))
  })

  test('keep a pause of the stream', () => {
    const packets = Array.from({ length: 100 }, (_, i) => packet(i * 1024 + (i < 50 ? 0 : 48000), 1024, { key: true }))
    const track = makeTrack(audio('48000', '1/48000'), packets)
    expect(track.units[50]?.position).toBe(50 * 1024 + 48000)
    expect(ranges(plan(track, [1, 1]))[0]).toBe('0:0_1:2666666')
  })

  test('are placed relative to the video that the timeline begins with', () => {
    const packets = Array.from({ length: 10 }, (_, i) => packet(126000 + i * 1920, 1920, { key: true }))
    const track = makeTrack(audio('48000', '1/90000'), packets)
    const segments = planSegments(track, { segmentSeconds: rational(2), startNs: 10_000_000_000n, origin: rational(148, 100) })
    expect(ranges(segments)).toEqual(['9:920000000_10:133333333'])
  })
})

test('a stream without presentation times is refused, with what to do', () => {
  const packets = [packet(0, 1), { ...packet(0, 1), pts: undefined }]
  expect(() => makeTrack(video('25/1', '1/25'), packets)).toThrow('--transcode')
})
