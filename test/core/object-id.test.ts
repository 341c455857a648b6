import { describe, expect, test } from 'bun:test'
import { newObjectId, newObjectIds } from '../../src/core/object-id.ts'

const NOW = 1_795_000_000_000_000n

describe('object ids', () => {
  test('are 32 lower-case hexadecimal digits, from the epoch to the year 4000', () => {
    for (const nowUs of [0n, NOW, 64_060_588_800_000_000n]) expect(newObjectId(nowUs)).toMatch(/^[0-9a-f]{32}$/)
  })

  test('sort by the microsecond they were made in, whatever the random part', () => {
    const high = newObjectId(NOW, () => new Uint8Array(9).fill(255))
    const low = newObjectId(NOW + 1n, () => new Uint8Array(9))
    expect(high < low).toBe(true)
  })

  test('of one batch are ascending and differ', () => {
    const ids = newObjectIds(NOW, 1000)
    expect(ids.toSorted()).toEqual(ids)
    expect(new Set(ids).size).toBe(1000)
  })

  test('of one microsecond differ in at least 64 random bits', () => {
    const ids = Array.from({ length: 1000 }, () => newObjectId(NOW))
    expect(new Set(ids).size).toBe(1000)
    // Every bit of the random part is seen both set and clear: none of it is constant.
    const parts = ids.map((id) => BigInt(`0x${id.slice(14)}`))
    const ones = parts.reduce((a, b) => a | b)
    const zeros = parts.reduce((a, b) => a & b)
    expect(ones).toBe(2n ** 72n - 1n)
    expect(zeros).toBe(0n)
  })
})
