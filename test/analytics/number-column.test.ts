import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { NumberColumn } from '../../analytics/number-column.ts'
import { ranksOfSorted, sortByKeys } from '../../analytics/sort-keys.ts'

const noPause = async (): Promise<void> => {}

const rankOf = async (values: readonly number[]): Promise<number[]> => {
  const column = new NumberColumn(values.length)
  for (let at = 0; at < values.length; at += 1000) column.add(Float64Array.from(values.slice(at, at + 1000)))
  return [...(await column.ranks(noPause))]
}

const sortedRankOf = async (values: readonly number[]): Promise<number[]> => {
  const [keys, along] = [Float64Array.from(values), Uint32Array.from(values.keys())]
  await sortByKeys({ keys, along }, noPause)
  ranksOfSorted(keys)
  const ranks: number[] = []
  for (const [i, row] of along.entries()) ranks[row] = keys[i] ?? 0
  return ranks
}

/** Of each value: twice how many are less, and how many are equal to it. */
const naive = (values: readonly number[]): number[] => {
  const less = new Map<number, number>()
  const equal = new Map<number, number>()
  for (const [i, value] of values.toSorted((a, b) => a - b).entries()) {
    if (!less.has(value)) less.set(value, i)
    equal.set(value, (equal.get(value) ?? 0) + 1)
  }
  return values.map((value) => 2 * (less.get(value) ?? 0) + (equal.get(value) ?? 0))
}

const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
  fc.integer({ min: -3, max: 3 }),
  fc.integer(),
  fc.constantFrom(0, 2 ** 53, -(2 ** 53), Number.MIN_VALUE, -Number.MIN_VALUE, Number.MAX_VALUE, 1 / 3, 1.92, -1.92),
)

// More different ones than are counted: `7919` makes an order without a pattern.
const many = Array.from({ length: 9000 }, (_, i) => ((i * 7919) % 6007) - 1000 + ((i * 31) % 97) / 97)

describe('ranks of numbers', () => {
  test.each([
    ['none', []],
    ['one', [5]],
    ['equal ones', [2, 2, 2]],
    ['ones around zero', [0, -1, 1, 0, -1]],
    ['thousands of different ones', many],
    ['thousands of different ones, each of them twice', [...many, ...many]],
    ['thousands of different negative ones', many.map((value) => value - 10_000)],
    ['thousands that differ in their last bits only', many.map((_, i) => 1 + ((i * 7919) % 9001) * Number.EPSILON)],
    ['thousands of all sizes', many.map((value, i) => value * 10 ** ((i % 600) - 300))],
  ])('are those that comparing gives: %s', async (_, values) => {
    expect(await rankOf(values)).toEqual(naive(values))
  })

  test('are those that comparing gives, for any numbers', async () => {
    await fc.assert(fc.asyncProperty(fc.array(number), async (values) => expect(await rankOf(values)).toEqual(naive(values))))
  })

  test('do not depend on whether they are counted or sorted', async () => {
    await fc.assert(fc.asyncProperty(fc.array(number), async (values) => expect(await sortedRankOf(values)).toEqual(naive(values))))
  })

  // More than are sorted with a copy: parts of them are in place.
  test.each([
    ['with a pattern', (i: number) => (i * 7919) % 300_007],
    ['of all sizes, half of them negative', (i: number) => (Math.sin(i) * 10 ** ((i * 31) % 600)) / 1e300],
    ['of which there are few', (i: number) => ((i * 7919) % 13) - 6],
    ['that differ in their lowest bytes only', (i: number) => 1 + ((i * 7919) % 300_007) * Number.EPSILON],
    ['in order', (i: number) => i],
    ['all the same', () => 1.92],
  ])('are those that comparing gives, for very many numbers: %s', async (_, of) => {
    const values = Array.from({ length: 140_000 }, (_, i) => of(i) + 0)
    expect(await sortedRankOf(values)).toEqual(naive(values))
    expect(await rankOf(values)).toEqual(naive(values))
  })

  test('are given up between two rounds', async () => {
    const values = Array.from({ length: 2 ** 20 + 5 }, (_, i) => Math.sin(i))
    const column = new NumberColumn(values.length)
    column.add(Float64Array.from(values))
    const given = column.ranks(async () => {
      throw new Error('enough')
    })
    await expect(given).rejects.toThrow('enough')
  })
})
