import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { systemClock, toMicroseconds, toSeconds } from '../../src/core/clock.ts'

const momentUs = 1_790_000_000_123_456n

describe('a moment', () => {
  test('is printed to the second as published clients parse it', () => {
    expect(toSeconds(momentUs)).toBe('2026-09-21T14:13:20Z')
    expect(toSeconds(0n)).toBe('1970-01-01T00:00:00Z')
    expect(toSeconds(999_999n)).toBe('1970-01-01T00:00:00Z')
  })

  test('is printed to the microsecond in RFC 3339', () => {
    expect(toMicroseconds(momentUs)).toBe('2026-09-21T14:13:20.123456Z')
    expect(toMicroseconds(7n)).toBe('1970-01-01T00:00:00.000007Z')
  })

  test('loses nothing when printed to the microsecond', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 4_102_444_800_000_000n }), (us) => {
        const text = toMicroseconds(us)
        expect(BigInt(Date.parse(text)) * 1000n + BigInt(text.slice(23, 26))).toBe(us)
        expect(`${text.slice(0, 19)}Z`).toBe(toSeconds(us))
      }),
    )
  })
})

describe('the system clock', () => {
  test('tells the time of the system', () => {
    expect(Math.abs(Number(systemClock().nowUs() / 1000n) - Date.now())).toBeLessThan(5000)
  })

  test('gives each moment once, in order', () => {
    const clock = systemClock()
    const moments = Array.from({ length: 10_000 }, () => clock.nowUs())
    expect(moments.every((moment, i) => i === 0 || moment > (moments[i - 1] ?? moment))).toBe(true)
  })
})
