import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { isTamsError, type TamsError } from '../../src/core/errors.ts'
import { formatTimestamp, MAX_NS, MIN_NS, parseTimestamp, TIMESTAMP_PATTERN, timestampNs } from '../../src/core/timestamp.ts'

const second = 1_000_000_000n

const refusal = (text: unknown): TamsError => {
  try {
    parseTimestamp(text, 'ts_offset')
  } catch (error) {
    if (isTamsError(error)) return error
    throw error
  }
  throw new Error(`${String(text)} was accepted`)
}

describe('a timestamp', () => {
  test.each<[string, bigint]>([
    ['0:0', 0n],
    ['0:5', 5n],
    ['1:5', second + 5n],
    ['0:500000000', second / 2n],
    ['-1:500000000', -(second + second / 2n)],
    ['-0:800000000', -800_000_000n],
    ['-0:0', 0n],
    ['1694429247:999999999', 1_694_429_247n * second + 999_999_999n],
    ['9223372036:854775807', MAX_NS],
    ['-9223372036:854775808', MIN_NS],
  ])('%s is %d ns [2.1-M1] [2.1-M2] [2.1-M4]', (text, ns) => {
    expect(parseTimestamp(text, 'ts_offset')).toBe(ns)
  })

  test.each([
    ...['', ' ', '0', ':', '0:', ':0', '00:0', '0:00', '0:05', '01:0', '0:1000000000', '+1:0', '1.5:0', '1:0.5', '--1:0', '- 1:0'],
    ...['0:0\n', '\n0:0', ' 0:0', '0:0 ', '0:-1', '0x1:0', '1e3:0', '٣:0', '0:0:0', 'NaN:0', '1970-01-01T00:00:00Z'],
  ])('is not %j [2.1-M1] [2.1-M2] [2.1-M3]', (text) => {
    expect(timestampNs(text)).toBeUndefined()
    expect(refusal(text)).toMatchObject({ code: 'invalid', field: 'ts_offset' })
    expect(refusal(text).message).toStartWith('ts_offset: ')
  })

  test.each([[undefined], [null], [0], [true], [{}], [['0:0']]])('is a text, not %p', (value) => {
    expect(refusal(value).field).toBe('ts_offset')
  })

  test.each(['9223372036:854775808', '-9223372036:854775809', '281474976710655:0', `${'9'.repeat(500_000)}:0`])(
    'beyond 64-bit nanoseconds is refused with the reason',
    (text) => {
      expect(refusal(text).message).toContain('64-bit nanosecond range')
      expect(refusal(text).message.length).toBeLessThan(250)
    },
  )

  test('printed and parsed again is the same instant [2.1-S2]', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: MIN_NS, max: MAX_NS }), (ns) => {
        const text = formatTimestamp(ns)
        expect(text).toMatch(new RegExp(TIMESTAMP_PATTERN))
        expect(parseTimestamp(text, 'ts_offset')).toBe(ns)
      }),
    )
  })

  test('parsed and printed again is the same text, but for the sign of zero', () => {
    const written = fc.tuple(fc.boolean(), fc.bigInt({ min: 0n, max: 9_223_372_035n }), fc.integer({ min: 0, max: 999_999_999 }))
    fc.assert(
      fc.property(written, ([negative, seconds, nanoseconds]) => {
        const isZero = seconds === 0n && nanoseconds === 0
        const text = `${negative && !isZero ? '-' : ''}${seconds}:${nanoseconds}`
        expect(formatTimestamp(parseTimestamp(text, 'ts_offset'))).toBe(text)
      }),
    )
    expect(formatTimestamp(parseTimestamp('-0:0', 'ts_offset'))).toBe('0:0')
  })

  test('far beyond 64 bits keeps its sign, so that it can be clamped', () => {
    expect(timestampNs(`${'9'.repeat(400)}:0`)).toBeGreaterThan(MAX_NS)
    expect(timestampNs(`-${'9'.repeat(400)}:0`)).toBeLessThan(MIN_NS)
  })
})
