import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type Keyed, keyed, rank, ranksOfSorted, sortByKeys } from '../../analytics/ranks.ts'

const noPause = async (): Promise<void> => {}

const rowsOf = (values: readonly number[]): Keyed => ({ keys: Float64Array.from(values), along: Uint32Array.from(values.keys()) })

const rankOf = async (values: readonly number[]): Promise<number[]> => {
  const rows = rowsOf(values)
  await rank(rows, keyed(values.length), noPause)
  return [...rows.along]
}

/** Of each value: how many are less, twice, and how many are equal to it. */
const naive = (values: readonly number[]): number[] => {
  const sorted = values.toSorted((a, b) => a - b)
  return values.map((value) => {
    const first = sorted.indexOf(value)
    let last = first
    while (sorted[last + 1] === value) last++
    return 2 * first + (last - first + 1)
  })
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
    await fc.assert(
      fc.asyncProperty(fc.array(number), async (values) => {
        const [sorted] = await sortByKeys(rowsOf(values), keyed(values.length), noPause)
        ranksOfSorted(sorted.keys)
        const ranks: number[] = []
        for (const [i, row] of sorted.along.entries()) ranks[row] = sorted.keys[i] ?? 0
        expect(ranks).toEqual(naive(values))
      }),
    )
  })

  test('are given up between two rounds', async () => {
    const rows = rowsOf(many)
    let pauses = 0
    await rank(rows, keyed(many.length), async () => {
      pauses++
    })
    expect(pauses).toBeGreaterThan(1)
    for (let n = 1; n <= pauses; n++) {
      let left = n
      const given = rank(rowsOf(many), keyed(many.length), async () => {
        if (--left === 0) throw new Error('enough')
      })
      await expect(given).rejects.toThrow('enough')
    }
  })
})
