import { CliError } from '../cli-error.ts'

/**
 * The little of MPEG-2 transport streams (ISO/IEC 13818-1, H.222.0) that is needed to read when an object begins and to move
 * objects to a common timeline without touching what is coded. Gaps: packets of 188 bytes only, no scrambling, and a PES header
 * lies in one packet (every muxer does that).
 */
export const PACKET_SIZE = 188
export const TICKS_PER_SECOND = 90_000n
const TICK_LIMIT = 2n ** 33n
const SYNC = 0x47
const NULL_PID = 0x1fff

/** A time of the media object's own timeline in nanoseconds, rounded down. */
export const ticksToNs = (ticks: bigint): bigint => (ticks * 100_000n) / 9n

/** To the nearest tick; any sign. */
export const nsToTicks = (ns: bigint): bigint => {
  const twice = 2n * ns * 9n + 100_000n
  const quotient = twice / 200_000n
  return twice < 0n && twice % 200_000n !== 0n ? quotient - 1n : quotient
}

interface Pes {
  readonly streamId: number
  /** Byte offset of the five bytes of the presentation time; the decoding time follows them where there is one. */
  readonly ptsAt: number
  readonly hasDts: boolean
}

export interface ObjectTimes {
  /** Earliest presentation time in ticks of 90 kHz. */
  readonly firstPts: bigint
  /** Coded access units that begin with a time of their own. */
  readonly pesCount: number
}

/** Presentation times of the elementary streams of one kind; undefined when the object holds none. */
export const readTimes = (bytes: Uint8Array, kind: 'video' | 'audio'): ObjectTimes | undefined => {
  let firstPts: bigint | undefined
  let pesCount = 0
  for (let at = 0; at + PACKET_SIZE <= bytes.length; at += PACKET_SIZE) {
    const pes = pesAt(bytes, at)
    if (!pes || isVideo(pes.streamId) !== (kind === 'video')) continue
    const pts = readTime(bytes, pes.ptsAt)
    pesCount++
    if (firstPts === undefined || earlier(pts, firstPts)) firstPts = pts
  }
  return firstPts === undefined ? undefined : { firstPts, pesCount }
}

/** Video stream ids are 1110 xxxx; audio ones 110x xxxx or private stream 1 (AC-3). */
const isVideo = (streamId: number): boolean => (streamId & 0xf0) === 0xe0

// The counter wraps after 26.5 hours: of two times of one object the earlier is the one less than half a turn before the other.
const earlier = (a: bigint, b: bigint): boolean => a !== b && modulo(b - a) < TICK_LIMIT / 2n

/**
 * Moves every clock reference, presentation and decoding time of a run of objects by a number of ticks for each, and renumbers the
 * packets of each PID, so that the objects put behind each other are one continuous stream.
 */
export class Retimer {
  private readonly counters = new Map<number, number>()
  private readonly duplicates = new Map<number, number>()

  /** Changes `bytes`, whole packets, in place. */
  retime(bytes: Uint8Array, deltaTicks: bigint): void {
    for (let at = 0; at + PACKET_SIZE <= bytes.length; at += PACKET_SIZE) {
      checkSync(bytes, at)
      const pid = pidAt(bytes, at)
      if (pid === NULL_PID) continue
      movePcr(bytes, at, deltaTicks)
      const pes = pesAt(bytes, at)
      if (pes) {
        writeTime(bytes, pes.ptsAt, readTime(bytes, pes.ptsAt) + deltaTicks)
        if (pes.hasDts) writeTime(bytes, pes.ptsAt + 5, readTime(bytes, pes.ptsAt + 5) + deltaTicks)
      }
      this.renumber(bytes, at, pid)
    }
  }

  /** Call between two objects: the first packet of the next is no repetition of the last one. */
  nextObject(): void {
    this.duplicates.clear()
  }

  private renumber(bytes: Uint8Array, at: number, pid: number): void {
    const control = bytes[at + 3] ?? 0
    const hasPayload = (control & 0x10) !== 0
    const written = control & 0x0f
    // A packet may be sent twice with the same number (2.4.3.3), and one without payload does not count.
    const counts = hasPayload && this.duplicates.get(pid) !== written
    this.duplicates.set(pid, written)
    const previous = this.counters.get(pid)
    const next = previous === undefined ? written : counts ? (previous + 1) & 0x0f : previous
    this.counters.set(pid, next)
    bytes[at + 3] = (control & 0xf0) | next
  }
}

const checkSync = (bytes: Uint8Array, at: number): void => {
  if (bytes[at] !== SYNC) throw new CliError(`no transport stream: byte ${at} is ${bytes[at]}, expected the sync byte 71`)
}

const pidAt = (bytes: Uint8Array, at: number): number => (((bytes[at + 1] ?? 0) & 0x1f) << 8) | (bytes[at + 2] ?? 0)

// 3: scrambling (2 bits), adaptation field (1), payload (1), counter (4)   4: length of the adaptation field   5: its flags
const payloadAt = (bytes: Uint8Array, at: number): number => {
  const control = bytes[at + 3] ?? 0
  if ((control & 0x10) === 0) return at + PACKET_SIZE
  return (control & 0x20) === 0 ? at + 4 : at + 5 + (bytes[at + 4] ?? 0)
}

// 0: 00 00 01   3: stream id   4: length (uint16)   6: 10xx xxxx   7: flags, the upper two for times   8: header length   9: times
const pesAt = (bytes: Uint8Array, at: number): Pes | undefined => {
  checkSync(bytes, at)
  if (((bytes[at + 1] ?? 0) & 0x40) === 0) return undefined
  const start = payloadAt(bytes, at)
  const end = at + PACKET_SIZE
  if (start + 9 > end || bytes[start] !== 0 || bytes[start + 1] !== 0 || bytes[start + 2] !== 1) return undefined
  const streamId = bytes[start + 3] ?? 0
  const isMedia = isVideo(streamId) || (streamId & 0xe0) === 0xc0 || streamId === 0xbd
  const flags = (bytes[start + 7] ?? 0) >> 6
  if (!isMedia || ((bytes[start + 6] ?? 0) & 0xc0) !== 0x80 || flags < 2) return undefined
  if (start + (flags === 3 ? 19 : 14) > end) throw new CliError(`a PES header at byte ${start} goes beyond its packet`)
  return { streamId, ptsAt: start + 9, hasDts: flags === 3 }
}

// Four marker bits and 3 + 15 + 15 bits of time, each group followed by a marker bit.
const readTime = (bytes: Uint8Array, at: number): bigint => {
  const [a = 0, b = 0, c = 0, d = 0, e = 0] = bytes.subarray(at, at + 5)
  return (BigInt((a >> 1) & 7) << 30n) | (BigInt((b << 7) | (c >> 1)) << 15n) | BigInt((d << 7) | (e >> 1))
}

const writeTime = (bytes: Uint8Array, at: number, ticks: bigint): void => {
  const value = modulo(ticks)
  const high = Number(value >> 30n)
  const middle = Number((value >> 15n) & 0x7fffn)
  const low = Number(value & 0x7fffn)
  bytes[at] = ((bytes[at] ?? 0) & 0xf1) | (high << 1)
  bytes[at + 1] = middle >> 7
  bytes[at + 2] = ((middle & 0x7f) << 1) | 1
  bytes[at + 3] = low >> 7
  bytes[at + 4] = ((low & 0x7f) << 1) | 1
}

// 6: clock reference, 33 bits of 90 kHz in the first four bytes and the top of the fifth; the 27 MHz extension stays.
const movePcr = (bytes: Uint8Array, at: number, deltaTicks: bigint): void => {
  const hasPcr = ((bytes[at + 3] ?? 0) & 0x20) !== 0 && (bytes[at + 4] ?? 0) >= 7 && ((bytes[at + 5] ?? 0) & 0x10) !== 0
  if (!hasPcr) return
  const view = new DataView(bytes.buffer, bytes.byteOffset + at + 6, 5)
  const moved = modulo(((BigInt(view.getUint32(0)) << 1n) | BigInt(view.getUint8(4) >> 7)) + deltaTicks)
  view.setUint32(0, Number(moved >> 1n))
  view.setUint8(4, (view.getUint8(4) & 0x7f) | (Number(moved & 1n) << 7))
}

const modulo = (ticks: bigint): bigint => ((ticks % TICK_LIMIT) + TICK_LIMIT) % TICK_LIMIT
