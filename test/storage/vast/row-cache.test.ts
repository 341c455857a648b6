import { expect, test } from 'bun:test'
import { RowCache } from '../../../src/storage/vast/row-cache.ts'

const row = (bytes: number) => ({ id: 'x'.repeat(bytes) })

test('memory is bounded by rows, and those used longest ago are forgotten', () => {
  const cache = new RowCache({ rows: 3, bytes: 1_000_000 })
  for (const slot of [1, 2, 3]) cache.put(slot, 1n, 'flows f', row(1))
  expect(cache.row(1, 'flows f')).toEqual(row(1))
  cache.put(4, 1n, 'flows f', row(1))
  expect(cache.size.rows).toBe(3)
  expect([1, 2, 3, 4].map((slot) => cache.stamp(slot))).toEqual([1n, undefined, 1n, 1n])
})

test('memory is bounded by bytes, whatever is put and in which order', () => {
  const cache = new RowCache({ rows: 1_000_000, bytes: 100_000 })
  for (let i = 0; i < 2000; i++) {
    cache.put(i % 70, BigInt(i >> 7), `objects ${i % 300}`, row((i * 7919) % 3000))
    expect(cache.size.bytes).toBeLessThanOrEqual(100_000)
  }
  expect(cache.size.bytes).toBeGreaterThan(50_000)
  for (let slot = 0; slot < 70; slot++) cache.drop(slot)
  expect(cache.size).toEqual({ rows: 0, bytes: 0 })
})

test('a row that is larger than the memory is not remembered', () => {
  const cache = new RowCache({ rows: 10, bytes: 1000 })
  cache.put(1, 1n, 'flows f', row(10_000))
  expect(cache.size).toEqual({ rows: 0, bytes: 0 })
})

test('cells read at one stamp come together, those of an older stamp go', () => {
  const cache = new RowCache()
  cache.put(1, 5n, 'objects o', { id: 'o', size: 1n })
  cache.put(1, 5n, 'objects o', { id: 'o', kind: 'media' })
  expect(cache.row(1, 'objects o')).toEqual({ id: 'o', size: 1n, kind: 'media' })
  cache.put(1, 4n, 'objects o', { id: 'o', size: 9n })
  expect(cache.row(1, 'objects o')).toEqual({ id: 'o', size: 1n, kind: 'media' })
  cache.put(1, 6n, 'objects p', { id: 'p' })
  expect(cache.row(1, 'objects o')).toBeUndefined()
  expect(cache.stamp(1)).toBe(6n)
})

/** How often the slot's rows are remembered in so many reads, when they change after each. */
const remembered = (cache: RowCache, reads: number): number => {
  let times = 0
  for (let i = 0; i < reads; i++) {
    if (cache.wants(1)) {
      times += 1
      cache.put(1, BigInt(i), 'flows f', row(1))
    }
    cache.drop(1)
  }
  return times
}

test('rows that change before they are of use are remembered less and less often', () => {
  expect(remembered(new RowCache(), 1000)).toBeLessThan(25)
})

test('rows that were of use are remembered at once again', () => {
  const cache = new RowCache()
  remembered(cache, 100)
  while (!cache.wants(1));
  cache.put(1, 1000n, 'flows f', row(1))
  for (let i = 0; i < 2; i++) cache.hit(1)
  cache.drop(1)
  expect(cache.wants(1)).toBe(true)
})
