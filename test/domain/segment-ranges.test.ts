import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { TimeRange } from '../../src/core/time-range.ts'
import { type Extent, extentColumns, isBeyond } from '../../src/domain/segment-ranges.ts'

const flowWith = (segments: readonly TimeRange[], hidden: string | null = null): Extent => ({
  id: 'f',
  timeline_id: 't',
  hidden,
  segment_count: BigInt(segments.length),
  ...extentColumns(TimeRange.encompassing(segments)),
})

/** Half-open, in nanoseconds; also instants. */
const range = fc.tuple(fc.bigInt(-20n, 20n), fc.bigInt(1n, 8n)).map(([start, length]) => TimeRange.of(start, start + length))
const bounds = ({ startNs = 0n, endNs = 0n }: TimeRange) => [startNs, endNs] as const

describe('whether a place is beyond all segments of a flow', () => {
  test('is told from its row: then none overlaps it, and none starts there', () => {
    fc.assert(
      fc.property(fc.array(range, { minLength: 1, maxLength: 5 }), range, (segments, place) => {
        const [start, end] = bounds(place)
        const others = segments.map(bounds)
        const beyond = others.every(([, last]) => last <= start) || others.every(([first]) => first >= end)
        expect(isBeyond(flowWith(segments), start, end)).toBe(beyond)
        if (beyond) for (const [first, last] of others) expect(first < end && start < last).toBe(false)
      }),
    )
  })

  test('is so for every place in a flow without segments', () => {
    expect(isBeyond(flowWith([]), 0n, 1n)).toBe(true)
    expect(isBeyond({ ...flowWith([]), segment_count: 1n }, 0n, 1n)).toBe(false)
  })

  test('is not told where rows may lie hidden', () => {
    expect(isBeyond(flowWith([], '[]'), 0n, 1n)).toBe(false)
    expect(isBeyond(flowWith([TimeRange.of(0n, 5n)], '[]'), 5n, 6n)).toBe(false)
  })
})
