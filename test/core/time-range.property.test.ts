import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { TIMERANGE_PATTERN, TimeRange } from '../../src/core/time-range.ts'
import { formatTimestamp, MAX_NS, MIN_NS } from '../../src/core/timestamp.ts'

/*
 * The model: a range is the set of the points -1 to 9 that it contains; -1 stands for everything before the smallest number
 * that a range is written with, 9 for everything behind the largest. Numbers are nanoseconds, so that neighbours touch.
 */
const points = Array.from({ length: 11 }, (_, i) => BigInt(i - 1))
const written = (lowest: bigint, highest: bigint): fc.Arbitrary<string> => {
  const stamp = fc.bigInt({ min: lowest, max: highest }).map(formatTimestamp)
  const optional = fc.option(stamp, { nil: '' })
  const spans = fc.tuple(fc.constantFrom('[', '(', ''), optional, fc.constant('_'), optional, fc.constantFrom(']', ')', ''))
  const instants = stamp.map((text) => ['[', text, ']'])
  return fc.oneof(
    { weight: 8, arbitrary: spans.map((parts) => parts.join('')) },
    { weight: 1, arbitrary: instants.map((parts) => parts.join('')) },
  )
}
const text = () => written(1n, 7n)

const modelOf = (source: string): ReadonlySet<bigint> => {
  const match = /^([[(]?)(0:\d)?(_?)(0:\d)?([\])]?)$/.exec(source)
  if (!match) throw new Error(`${source} is not of the model`)
  const [, open, first, underscore, last = underscore ? undefined : first, close] = match
  const start = first && BigInt(first.slice(2))
  const end = last && BigInt(last.slice(2))
  const behindStart = (point: bigint) => !start || (open === '(' ? point > start : point >= start)
  const beforeEnd = (point: bigint) => !end || (close === ')' ? point < end : point <= end)
  return new Set(points.filter((point) => behindStart(point) && beforeEnd(point)))
}

const pointsOf = (range: TimeRange): ReadonlySet<bigint> => new Set(points.filter((point) => range.covers(TimeRange.of(point, point + 1n))))

describe('time ranges against sets of points', () => {
  test('contain the points that their text says', () => {
    fc.assert(fc.property(text(), (a) => expect(pointsOf(TimeRange.parse(a))).toEqual(modelOf(a))))
  })

  test('are empty exactly when they contain no point', () => {
    fc.assert(fc.property(text(), (a) => expect(TimeRange.parse(a).isEmpty).toBe(modelOf(a).size === 0)))
  })

  test('overlap exactly when they share a point', () => {
    fc.assert(
      fc.property(text(), text(), (a, b) => {
        expect(TimeRange.parse(a).overlaps(TimeRange.parse(b))).toBe(!modelOf(a).isDisjointFrom(modelOf(b)))
      }),
      { numRuns: 500 },
    )
  })

  test('cover each other exactly when they contain all points of the other', () => {
    fc.assert(
      fc.property(text(), text(), (a, b) => {
        expect(TimeRange.parse(a).covers(TimeRange.parse(b))).toBe(modelOf(b).isSubsetOf(modelOf(a)))
      }),
      { numRuns: 500 },
    )
  })

  test('are equal exactly when they contain the same points', () => {
    fc.assert(
      fc.property(text(), text(), (a, b) => {
        expect(TimeRange.parse(a).equals(TimeRange.parse(b))).toBe(modelOf(a).symmetricDifference(modelOf(b)).size === 0)
      }),
      { numRuns: 500 },
    )
  })

  test('that do not overlap have an order, and no two segments of a flow start together', () => {
    fc.assert(
      fc.property(text(), text(), (a, b) => {
        const [x, y] = [TimeRange.parse(a), TimeRange.parse(b)]
        fc.pre(!x.isEmpty && !y.isEmpty && !x.overlaps(y))
        const [first, second] = (x.startNs ?? MIN_NS) < (y.startNs ?? MIN_NS) ? [x, y] : [y, x]
        expect(first.endNs ?? MAX_NS).toBeLessThanOrEqual(second.startNs ?? MIN_NS)
      }),
    )
  })

  test('are encompassed from the first to the last point of all', () => {
    fc.assert(
      fc.property(fc.array(text(), { maxLength: 5 }), (texts) => {
        const all = TimeRange.encompassing(texts.map((each) => TimeRange.parse(each)))
        const inside = points.filter((point) => texts.some((each) => modelOf(each).has(point)))
        const [from, to] = [inside[0], inside.at(-1)]
        const hull = from === undefined || to === undefined ? [] : points.filter((point) => point >= from && point <= to)
        expect(pointsOf(all)).toEqual(new Set(hull))
      }),
      { numRuns: 500 },
    )
  })

  test('shifted contain the shifted points', () => {
    fc.assert(
      fc.property(text(), fc.bigInt({ min: -(2n ** 40n), max: 2n ** 40n }), (a, offset) => {
        const range = TimeRange.parse(a)
        const moved = range.shift(offset)
        for (const point of points) {
          expect(moved.covers(TimeRange.of(point + offset, point + offset + 1n))).toBe(range.covers(TimeRange.of(point, point + 1n)))
        }
        expect(moved.shift(-offset).equals(range)).toBe(true)
        if (!range.isEmpty) expect(moved.endInclusive).toBe(range.endInclusive)
      }),
    )
  })
})

describe('time ranges of any size', () => {
  const anyText = () => written(MIN_NS, MAX_NS - 1n)

  test('are printed as they came', () => {
    fc.assert(
      fc.property(anyText(), (source) => {
        const range = TimeRange.parseStrict(source)
        expect(range.toString()).toBe(range.isEmpty ? '()' : source)
      }),
    )
  })

  test('have a canonical text of the specification that means the same', () => {
    fc.assert(
      fc.property(anyText(), (source) => {
        const range = TimeRange.parse(source)
        const canonical = range.canonical()
        expect(canonical).toMatch(new RegExp(TIMERANGE_PATTERN))
        expect(TimeRange.parseStrict(canonical).equals(range)).toBe(true)
        expect(TimeRange.parseStrict(canonical).canonical()).toBe(canonical)
      }),
    )
  })

  test('made from nanoseconds and parsed again are the same', () => {
    const bound = fc.option(fc.bigInt({ min: MIN_NS, max: MAX_NS - 1n }), { nil: undefined })
    fc.assert(
      fc.property(bound, bound, fc.boolean(), (startNs, endNs, endInclusive) => {
        const range = TimeRange.of(startNs, endNs, endInclusive)
        expect(range.isEmpty).toBe(startNs !== undefined && endNs !== undefined && endNs <= startNs)
        const again = TimeRange.parse(range.toString())
        expect(again.equals(range)).toBe(true)
        expect(again.endInclusive).toBe(range.endInclusive)
      }),
    )
  })

  test('never and eternity are values like others', () => {
    fc.assert(
      fc.property(anyText(), (source) => {
        const range = TimeRange.parse(source)
        expect(range.overlaps(TimeRange.never)).toBe(false)
        expect(range.covers(TimeRange.never)).toBe(true)
        expect(TimeRange.eternity.overlaps(range)).toBe(!range.isEmpty)
        expect(TimeRange.eternity.covers(range)).toBe(true)
        expect(TimeRange.never.covers(range)).toBe(range.isEmpty)
      }),
    )
  })

  test('no text makes the parser fail with anything but a refusal', () => {
    const near = fc.string({ unit: fc.constantFrom('0', '1', '9', ':', '_', '[', ')', '(', ']', '-', '\n', '+', '.'), maxLength: 24 })
    fc.assert(
      fc.property(near, (source) => {
        const accepted = new RegExp(TIMERANGE_PATTERN).test(source)
        if (accepted) expect(() => TimeRange.parse(source)).not.toThrow()
        else expect(() => TimeRange.parse(source)).toThrow('is not a time range')
      }),
      { numRuns: 1000 },
    )
  })
})

describe('the encompassing range', () => {
  test('of ranges that end together has the inclusive marker', () => {
    const of = (...texts: string[]) => TimeRange.encompassing(texts.map((text) => TimeRange.parse(text))).canonical()
    expect(of('[0:0_2:1)', '[1:0_2:0]')).toBe('[0:0_2:0]')
    expect(of('[1:0_2:0]', '[0:0_2:1)')).toBe('[0:0_2:0]')
    expect(of('[0:0_2:0)', '[1:0_3:0)')).toBe('[0:0_3:0)')
    expect(of('_1:0)', '[5:0_')).toBe('_')
    expect(of('()', '[1:0]')).toBe('[1:0]')
    expect(of()).toBe('()')
  })
})
