import { describe, expect, test } from 'bun:test'
import { TamsError } from '../../src/core/errors.ts'
import { TIMERANGE_PATTERN, TimeRange } from '../../src/core/time-range.ts'
import { MAX_NS, MIN_NS } from '../../src/core/timestamp.ts'

const second = 1_000_000_000n
const pattern = new RegExp(TIMERANGE_PATTERN)
const bounds = (range: TimeRange) => [range.startNs, range.endNs] as const

describe('a time range that is fine everywhere', () => {
  test.each<[string, bigint | undefined, bigint | undefined, string]>([
    ['_', undefined, undefined, '_'],
    ['(_)', undefined, undefined, '_'],
    ['[_]', undefined, undefined, '_'],
    ['[0:0_10:0)', 0n, 10n * second, '[0:0_10:0)'],
    ['0:0_10:0', 0n, 10n * second + 1n, '[0:0_10:0]'],
    ['[0:0_10:0', 0n, 10n * second + 1n, '[0:0_10:0]'],
    ['0:0_10:0)', 0n, 10n * second, '[0:0_10:0)'],
    ['(5:0_', 5n * second + 1n, undefined, '[5:1_'],
    ['[5:0_)', 5n * second, undefined, '[5:0_'],
    ['[5:0_]', 5n * second, undefined, '[5:0_'],
    ['_5:0)', undefined, 5n * second, '_5:0)'],
    ['[_5:0)', undefined, 5n * second, '_5:0)'],
    ['(_5:0]', undefined, 5n * second + 1n, '_5:0]'],
    ['[10:0]', 10n * second, 10n * second + 1n, '[10:0]'],
    ['10:0', 10n * second, 10n * second + 1n, '[10:0]'],
    ['[10:0_10:0]', 10n * second, 10n * second + 1n, '[10:0]'],
    ['[-1:500000000_0:0)', -(second + second / 2n), 0n, '[-1:500000000_0:0)'],
    ['[-0:0_0:1)', 0n, 1n, '[0:0_0:1)'],
  ])('%s', (text, startNs, endNs, canonical) => {
    expect(text).toMatch(pattern)
    for (const range of [TimeRange.parse(text), TimeRange.parseStrict(text)]) {
      expect(bounds(range)).toEqual([startNs, endNs])
      expect(range.isEmpty).toBe(false)
      expect(range.toString()).toBe(text)
      expect(range.canonical()).toBe(canonical)
    }
  })

  test('remembers how its markers were written', () => {
    const flags = (text: string) => {
      const { startExclusive, endInclusive } = TimeRange.parse(text)
      return { startExclusive, endInclusive }
    }
    expect(flags('[0:0_1:0)')).toEqual({ startExclusive: false, endInclusive: false })
    expect(flags('(0:0_1:0]')).toEqual({ startExclusive: true, endInclusive: true })
    expect(flags('0:0_1:0')).toEqual({ startExclusive: false, endInclusive: true })
    expect(flags('[1:0]')).toEqual({ startExclusive: false, endInclusive: true })
    expect(flags('(_]')).toEqual({ startExclusive: false, endInclusive: false })
  })
})

describe('an empty time range', () => {
  test.each(['()', '[10:0_10:0)', '(10:0_10:0]', '(10:0_10:0)', '[10:0_5:0)', '(0:0_0:1)'])(
    '%s is empty in queries and in bodies',
    (text) => {
      expect(text).toMatch(pattern)
      for (const range of [TimeRange.parse(text), TimeRange.parseStrict(text)]) {
        expect(range.isEmpty).toBe(true)
        expect(range.canonical()).toBe('()')
        expect(range.equals(TimeRange.never)).toBe(true)
      }
    },
  )

  test.each(['', '[', ']', '(', ')', '[)', '[]', '(]', '[10:0)', '(10:0]', '(10:0)', '10:0)', '(10:0'])(
    '%p is empty in queries and refused in bodies',
    (text) => {
      expect(text).toMatch(pattern)
      expect(TimeRange.parse(text).isEmpty).toBe(true)
      expect(() => TimeRange.parseStrict(text)).toThrow(TamsError)
    },
  )
})

describe('no time range', () => {
  test.each([
    ...['[00:0_1:0)', '[0:0_0:1000000000)', '[0:0_1:05)', '[+1:0_2:0)', '[1_2)', '[1.5:0_2:0)', '[1:0_2:0)x', 'x[1:0_2:0)'],
    ...[
      '2024-01-01T00:00:00Z',
      '2024-01-01T00:00:00Z/PT1S',
      '[0:0_1:0)\n',
      ' [0:0_1:0)',
      '[0:0__1:0)',
      '[0:0-1:0)',
      '[[0:0_1:0)',
      '[0:0_1:0))',
    ],
    ...['__', 'eternity', '_-', '[0:0,1:0)'],
  ])('%p is refused, naming the field and quoting the text', (text) => {
    expect(text).not.toMatch(pattern)
    for (const parse of [() => TimeRange.parse(text, 'timerange'), () => TimeRange.parseStrict(text, 'timerange')]) {
      expect(parse).toThrow(TamsError)
      expect(parse).toThrow(`timerange: ${JSON.stringify(text)} is not a time range`)
    }
  })

  test.each([[undefined], [null], [1], [{}], [['_']]])('%p in a body is refused', (value) => {
    expect(() => TimeRange.parseStrict(value, 'segment.timerange')).toThrow('segment.timerange: ')
  })

  test('is found in a long text without trying every way to read it', () => {
    expect(() => TimeRange.parse('[0:0_'.repeat(100_000))).toThrow(TamsError)
    expect(() => TimeRange.parse(`${'1'.repeat(500_000)}:`)).toThrow(TamsError)
    expect(() => TimeRange.parse(`[0:0_${'1'.repeat(500_000)}:0`)).not.toThrow()
  })
})

describe('64-bit nanoseconds', () => {
  const last = '9223372036:854775807'
  const first = '-9223372036:854775808'

  test('hold a range up to their very end', () => {
    expect(bounds(TimeRange.parseStrict(`[${first}_${last})`))).toEqual([MIN_NS, MAX_NS])
  })

  test.each([
    `[0:0_${last}]`,
    '[0:0_9223372036:854775808)',
    '[0:0_99999999999:0)',
    '[99999999999:0_)',
    '[-99999999999:0_0:0)',
    `[${last}]`,
  ])('are exceeded by %s: refused in a body with the reason', (text) => {
    expect(() => TimeRange.parseStrict(text)).toThrow(/64-bit nanosecond range|2\^63-1/)
  })

  test('clamp the ranges of queries', () => {
    expect(bounds(TimeRange.parse('[-99999999999:0_99999999999:0)'))).toEqual([MIN_NS, MAX_NS])
    expect(bounds(TimeRange.parse(`[0:0_${'9'.repeat(100)}:0)`))).toEqual([0n, MAX_NS])
    expect(TimeRange.parse('[99999999999:0_99999999998:0)').isEmpty).toBe(true)
  })
})

describe('a stored segment', () => {
  // Appendix C of the reading of the specification: listed by overlap, deleted by coverage.
  test.each<[string, readonly string[], boolean, boolean]>([
    ['[1:0_2:0)', ['[2:0]', '[2:0_3:0)', '[2:0_'], false, false],
    ['[1:0_2:0)', ['[0:0_1:0)'], false, false],
    ['[1:0_2:0)', ['[0:0_1:0]', '[1:0]', '[1:500000000]'], true, false],
    ['[1:0_2:0)', ['[1:0_2:0)', '[1:0_2:0]', '_', '_2:0)'], true, true],
    ['[1:0_2:0)', ['(1:0_2:0)'], true, false],
    ['[1:0_2:0)', ['()', '[5:0_1:0)'], false, false],
    ['[2:0]', ['[1:0_2:0)'], false, false],
    ['[2:0]', ['[2:0]', '[2:0_3:0)', '[1:0_2:0]'], true, true],
  ])('%s asked by %j is listed: %p, deleted: %p', (stored, queries, listed, deleted) => {
    const segment = TimeRange.parseStrict(stored)
    for (const query of queries.map((text) => TimeRange.parse(text))) {
      expect(query.overlaps(segment)).toBe(listed)
      expect(segment.overlaps(query)).toBe(listed)
      expect(query.covers(segment)).toBe(deleted)
    }
  })

  test('that ends where an instant lies sorts before it and does not overlap it', () => {
    const [a, b, c] = ['[1:0_2:0)', '[2:0]', '[1:0_2:0]'].map((text) => TimeRange.parseStrict(text)) as [TimeRange, TimeRange, TimeRange]
    expect(a.overlaps(b)).toBe(false)
    expect(a.startNs ?? 0n).toBeLessThan(b.startNs ?? 0n)
    expect(c.overlaps(TimeRange.parse('[2:0_3:0)'))).toBe(true)
  })
})
