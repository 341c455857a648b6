import { describe, expect, test } from 'bun:test'
import { nsToTicks, PACKET_SIZE, Retimer, readTimes, ticksToNs } from '../../src/cli/media/mpegts.ts'

interface PacketParts {
  readonly pid: number
  readonly counter: number
  readonly pcr?: bigint
  readonly streamId?: number
  readonly pts?: bigint
  readonly dts?: bigint
  /** No payload at all. */
  readonly empty?: boolean
}

/** Five bytes of a PES time, ISO/IEC 13818-1 2.4.3.7, written bit by bit. */
const time = (prefix: string, ticks: bigint): number[] => {
  const bits = ticks.toString(2).padStart(33, '0')
  const text = `${prefix}${bits.slice(0, 3)}1${bits.slice(3, 18)}1${bits.slice(18)}1`
  return Array.from({ length: 5 }, (_, i) => Number.parseInt(text.slice(8 * i, 8 * i + 8), 2))
}

const tsPacket = ({ pid, counter, pcr, streamId, pts, dts, empty }: PacketParts): Uint8Array => {
  const pes =
    streamId === undefined || pts === undefined
      ? []
      : dts === undefined
        ? [0, 0, 1, streamId, 0, 0, 0x80, 0x80, 5, ...time('0010', pts)]
        : [0, 0, 1, streamId, 0, 0, 0x80, 0xc0, 10, ...time('0011', pts), ...time('0001', dts)]
  const bits = `${(pcr ?? 0n).toString(2).padStart(33, '0')}111111${(123).toString(2).padStart(9, '0')}`
  const clock = pcr === undefined ? [] : Array.from({ length: 6 }, (_, i) => Number.parseInt(bits.slice(8 * i, 8 * i + 8), 2))
  const fields = pcr === undefined && !empty ? [] : [empty ? 183 : 7, pcr === undefined ? 0 : 0x10, ...clock]
  const control = (fields.length > 0 ? 0x20 : 0) | (empty ? 0 : 0x10) | counter
  const bytes = new Uint8Array(PACKET_SIZE).fill(0xff)
  bytes.set([0x47, (pes.length > 0 ? 0x40 : 0) | (pid >> 8), pid & 0xff, control, ...fields, ...pes])
  return bytes
}

const stream = (...parts: PacketParts[]): Uint8Array => Buffer.concat(parts.map(tsPacket))
const counters = (bytes: Uint8Array): number[] =>
  Array.from({ length: bytes.length / PACKET_SIZE }, (_, i) => (bytes[i * PACKET_SIZE + 3] ?? 0) & 15)

describe('the times of an object', () => {
  const object = stream(
    { pid: 256, counter: 0, streamId: 0xe0, pts: 907_200n, dts: 896_400n },
    { pid: 256, counter: 1 },
    { pid: 256, counter: 2, streamId: 0xe0, pts: 900_000n },
    { pid: 257, counter: 0, streamId: 0xc0, pts: 898_080n },
  )

  test('begin with the picture that is shown first, though it is not the first one in the file', () => {
    expect(readTimes(object, 'video')).toEqual({ firstPts: 900_000n, pesCount: 2 })
  })
  test('are those of the kind that is asked for', () => {
    expect(readTimes(object, 'audio')).toEqual({ firstPts: 898_080n, pesCount: 1 })
    expect(readTimes(stream({ pid: 256, counter: 0 }), 'video')).toBeUndefined()
  })
  test('go on over the wrap of the 33-bit counter', () => {
    const last = 2n ** 33n - 3600n
    const wrapped = stream({ pid: 256, counter: 0, streamId: 0xe0, pts: last }, { pid: 256, counter: 1, streamId: 0xe0, pts: 0n })
    expect(readTimes(wrapped, 'video')?.firstPts).toBe(last)
  })
  test('are refused where there is no transport stream', () => {
    expect(() => readTimes(new Uint8Array(PACKET_SIZE), 'video')).toThrow('sync byte')
  })
})

describe('retiming', () => {
  test('moves clock, presentation and decoding times alike and leaves everything else', () => {
    const parts = { pid: 256, counter: 0, pcr: 890_000n, streamId: 0xe0, pts: 907_200n, dts: 896_400n }
    const bytes = stream(parts)
    new Retimer().retime(bytes, 90_001n)
    expect(bytes).toEqual(stream({ ...parts, pcr: 980_001n, pts: 997_201n, dts: 986_401n }))
  })

  test('wraps below zero', () => {
    const parts = { pid: 256, counter: 0, pcr: 5n, streamId: 0xe0, pts: 10n, dts: 6n }
    const bytes = stream(parts)
    new Retimer().retime(bytes, -8n)
    expect(bytes).toEqual(stream({ ...parts, pcr: 2n ** 33n - 3n, pts: 2n, dts: 2n ** 33n - 2n }))
  })

  test('numbers the packets of each PID on across objects', () => {
    const retimer = new Retimer()
    const first = stream({ pid: 0, counter: 0 }, { pid: 256, counter: 0 }, { pid: 256, counter: 1 })
    const second = stream({ pid: 0, counter: 0 }, { pid: 256, counter: 0 }, { pid: 256, counter: 1 })
    retimer.retime(first, 0n)
    retimer.nextObject()
    retimer.retime(second, 0n)
    expect([...counters(first), ...counters(second)]).toEqual([0, 0, 1, 1, 2, 3])
  })

  test('keeps the number of a repeated packet and of one without payload', () => {
    const bytes = stream(
      { pid: 256, counter: 14 },
      { pid: 256, counter: 14 },
      { pid: 256, counter: 14, empty: true },
      { pid: 256, counter: 15 },
      { pid: 256, counter: 0 },
    )
    const before = counters(bytes)
    new Retimer().retime(bytes, 0n)
    expect(counters(bytes)).toEqual(before)
  })
})

test.each([
  [0n, 0n],
  [900_000n, 10_000_000_000n],
  [1n, 11_111n],
  [3_003n, 33_366_666n],
])('%d ticks are %d ns, rounded down, and come back', (ticks, ns) => {
  expect(ticksToNs(ticks)).toBe(ns)
  expect(nsToTicks(ns)).toBe(ticks)
  expect(nsToTicks(-ns)).toBe(-ticks)
})
