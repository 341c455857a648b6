import { CliError } from '../cli-error.ts'
import type { Packet, ProbedStream } from './probe.ts'
import { parseRational, type Rational, rational, reduce, rescale, toNs } from './rational.ts'

/** A coded frame on the grid of its track: half-open `[position, position + length)` in units of the track. */
export interface Unit {
  readonly position: number
  readonly length: number
  readonly key: boolean
  readonly presented: boolean
}

/**
 * A stream with its frames in stream (decode) order, on an exact grid: video frames of a fixed rate, audio samples, or ticks of
 * the time base where the rate varies. Containers round times (Matroska to milliseconds); the grid undoes that.
 */
export interface Track {
  readonly stream: ProbedStream
  readonly kind: 'video' | 'audio'
  /** Seconds of one unit. */
  readonly unit: Rational
  /** Time of position 0 on the file's timeline, in seconds. */
  readonly origin: Rational
  readonly frameRate: Rational | undefined
  /** Samples in each coded audio frame, where it is fixed. */
  readonly frameSize: number | undefined
  readonly units: readonly Unit[]
}

export const makeTrack = (stream: ProbedStream, packets: readonly Packet[]): Track => {
  const times = packets.map(({ pts }) => pts)
  if (packets.length === 0) throw new CliError(`stream ${stream.index} has no packets`)
  if (!times.every((pts) => pts !== undefined)) {
    throw new CliError(`stream ${stream.index} (${stream.codec_name}) has no presentation times; try --transcode`)
  }
  return stream.codec_type === 'audio' ? audioTrack(stream, packets, times) : videoTrack(stream, packets, times)
}

/** Whether every packet says when it is presented; without that a stream cannot be placed on a timeline. */
export const hasTimes = (packets: readonly Packet[]): boolean => packets.length > 0 && packets.every(({ pts }) => pts !== undefined)

const videoTrack = (stream: ProbedStream, packets: readonly Packet[], times: readonly number[]): Track => {
  const base = timeBase(stream)
  const first = times.reduce((a, b) => Math.min(a, b))
  const rate = [stream.r_frame_rate, stream.avg_frame_rate].map(parseRational).find((r) => r && onGrid(times, first, base, frameUnit(r)))
  const unit = rate ? frameUnit(rate) : base
  const positions = times.map((pts) => rescale(pts - first, base, unit))
  const lengths = rate ? positions.map(() => 1) : lengthsUntilNext(positions, packets)
  return {
    stream,
    kind: 'video',
    unit,
    origin: reduce(rational(BigInt(first) * base.num, base.den)),
    frameRate: rate,
    frameSize: undefined,
    units: packets.map(({ key }, i) => ({ position: positions[i] ?? 0, length: lengths[i] ?? 0, key, presented: true })),
  }
}

/**
 * Every time is a frame of the grid, but for the rounding to ticks, and frames mostly follow each other at once: for a variable rate
 * ffprobe names one so high that all times fit, with most frames of its grid missing.
 */
const onGrid = (times: readonly number[], first: number, base: Rational, unit: Rational): boolean => {
  const positions = times.map((pts) => rescale(pts - first, base, unit))
  if (positions.some((position, i) => Math.abs(rescale(position, unit, base) - ((times[i] ?? 0) - first)) > 1)) return false
  const sorted = positions.toSorted((a, b) => a - b)
  const steps = sorted.slice(1).map((position, i) => position - (sorted[i] ?? 0))
  return !steps.includes(0) && steps.filter((step) => step === 1).length >= 0.9 * steps.length
}

const frameUnit = (rate: Rational): Rational => ({ num: rate.den, den: rate.num })

const lengthsUntilNext = (positions: readonly number[], packets: readonly Packet[]): number[] => {
  const order = positions.map((position, i) => ({ position, i })).toSorted((a, b) => a.position - b.position)
  const lengths: number[] = positions.map(() => 0)
  order.forEach(({ position, i }, rank) => {
    const next = order[rank + 1]
    lengths[i] = next ? next.position - position : Math.max(1, packets[i]?.duration ?? 0)
  })
  return lengths
}

const audioTrack = (stream: ProbedStream, packets: readonly Packet[], times: readonly number[]): Track => {
  const base = timeBase(stream)
  const rate = Number(stream.sample_rate)
  if (!(rate > 0)) throw new CliError(`stream ${stream.index} has no sample rate`)
  const unit = rational(1, rate)
  const lengths = packets.map(({ duration }) => rescale(duration, base, unit))
  const frameSize = commonest(lengths)
  const anchor = packets.findIndex(({ discard }) => !discard)
  const first = times[Math.max(0, anchor)] ?? 0
  const tolerance = Math.max(Math.ceil(frameSize / 2), 2 * rescale(1, base, unit))
  let expected: number | undefined
  const units = packets.map(({ discard }, i): Unit => {
    const stated = rescale((times[i] ?? 0) - first, base, unit)
    // Counted from the packet before, unless the stream really pauses: stated times are rounded, and never run backwards here.
    const position = expected === undefined || stated - expected > tolerance ? stated : expected
    const last = i === packets.length - 1
    const length = lengths[i] ?? 0
    // Containers shorten the last frame to where the sound ends, and round all the others.
    const samples = length > 0 && (last || Math.abs(length - frameSize) > tolerance) ? length : frameSize
    expected = position + samples
    return { position, length: samples, key: true, presented: !discard }
  })
  return {
    stream,
    kind: 'audio',
    unit,
    origin: reduce(rational(BigInt(first) * base.num, base.den)),
    frameRate: undefined,
    frameSize: FIXED_FRAMES.has(stream.codec_name ?? '') ? frameSize : undefined,
    units,
  }
}

const FIXED_FRAMES = new Set(['aac', 'mp2', 'mp3', 'ac3'])
/** Containers in milliseconds give 21 and 22 ms for frames of 1,024 samples: take the exact size nearest to the commonest length. */
const FRAME_SIZES = [960, 1024, 1152, 1536, 2048]

const commonest = (lengths: readonly number[]): number => {
  const counts = new Map<number, number>()
  for (const length of lengths) if (length > 0) counts.set(length, (counts.get(length) ?? 0) + 1)
  const [found] = [...counts].toSorted((a, b) => b[1] - a[1])
  if (!found) return FRAME_SIZES[1] ?? 1024
  const near = FRAME_SIZES.find((size) => Math.abs(size - found[0]) * 20 < size)
  return near ?? found[0]
}

const timeBase = (stream: ProbedStream): Rational => {
  const base = parseRational(stream.time_base)
  if (!base) throw new CliError(`stream ${stream.index} has no time base`)
  return base
}

/** Nanoseconds from `origin` (seconds on the file's timeline) to `position` of the track, rounded down twice alike for all positions. */
export const positionNs = (track: Track, position: number, origin: Rational): bigint => {
  const offset = rational(track.origin.num * origin.den - origin.num * track.origin.den, track.origin.den * origin.den)
  return toNs(1n, offset) + toNs(position, track.unit)
}
