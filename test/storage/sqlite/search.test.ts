import { expect, test } from 'bun:test'
import { and, compare, eq, isIn, type Predicate, related, type Value } from '../../../src/core/predicate.ts'
import type { SqliteTables } from '../../../src/storage/sqlite/index.ts'
import type { ReadTx } from '../../../src/storage/tables.ts'
import { flowRow, tagRow } from '../../contract/table-rows.ts'
import { temporaryStores } from './support.ts'

const stores = temporaryStores()
const FLOWS = 9000
const live = eq('deletion_id', '')
const rare = and(live, eq('codec', 'rare'))
const newest = [{ column: 'created', direction: 'desc' }] as const
const rareIds = ['f06000', 'f03000', 'f00000']

const fill = async (tables: SqliteTables): Promise<void> => {
  const ids = Array.from({ length: FLOWS }, (_, i) => `f${String(i).padStart(5, '0')}`)
  await tables.write(async (tx) => {
    await tx.insert(
      'flows',
      ids.map((id, i) =>
        flowRow(id, { created: BigInt(i), codec: i % 3000 === 0 ? 'rare' : 'video/h264', source_id: i % 3000 === 0 ? 's' : 'other' }),
      ),
    )
    await tx.insert(
      'tags',
      ids.flatMap((id, i) => [tagRow(id, 'all', 'x'), ...(i % 3000 === 0 ? [tagRow(id, 'few', 'x')] : [])]),
    )
  })
}

const page = (tx: ReadTx, where: Predicate, after?: readonly Value[], limit = 10) =>
  tx.list('flows', { columns: ['id'], where, orderBy: newest, limit, ...(after ? { after } : {}) })

test('a filter that matches rarely lets others have their turn while it looks', async () => {
  const tables = await stores.open()
  await fill(tables)
  let turns = 0
  const ticking = setInterval(() => turns++, 0)
  const { rows, after } = await tables.read((tx) => page(tx, rare))
  clearInterval(ticking)
  expect(rows.map(({ id }) => id)).toEqual(rareIds)
  expect(after).toBeUndefined()
  expect(turns).toBeGreaterThan(0)
})

test('past the time limit a page is short, and following it finds everything', async () => {
  let now = 0n
  const tables = await stores.open({ pageTimeoutMs: 1000, clock: { nowUs: () => (now += 600_000n) } })
  await fill(tables)
  const found: string[] = []
  let pages = 0
  let after: readonly Value[] | undefined
  do {
    const result = await tables.read((tx) => page(tx, rare, after))
    found.push(...result.rows.map(({ id }) => id))
    after = result.after
    pages++
  } while (after)
  expect(found).toEqual(rareIds)
  expect(pages).toBeGreaterThan(2)
})

test('a page that is full ends the search early, and the next one goes on behind it', async () => {
  const tables = await stores.open()
  await fill(tables)
  const first = await tables.read((tx) => page(tx, rare, undefined, 1))
  expect(first.rows.map(({ id }) => id)).toEqual(['f06000'])
  const second = await tables.read((tx) => page(tx, rare, first.after, 5))
  expect(second.rows.map(({ id }) => id)).toEqual(['f03000', 'f00000'])
})

test('a rare tag, a rare source and a common tag give the same flows in the same order', async () => {
  const tables = await stores.open()
  await fill(tables)
  const tag = (name: string): Predicate =>
    related('tags', { entity_id: 'id' }, and(eq('entity_type', 'flow'), eq('name', name), eq('value_prefix', 'x')))
  const filters: readonly Predicate[] = [
    and(live, tag('few')),
    and(live, eq('source_id', 's')),
    and(live, tag('all'), tag('few'), eq('source_id', 's')),
    and(live, tag('all'), eq('codec', 'rare')),
    and(live, isIn('id', rareIds), tag('all')),
  ]
  for (const where of filters) {
    const result = await tables.read(async (tx) => ({
      ids: (await page(tx, where)).rows.map(({ id }) => id),
      count: await tx.count('flows', where),
    }))
    expect(result).toEqual({ ids: rareIds, count: 3 })
  }
})

test('counts over many windows are exact', async () => {
  const tables = await stores.open()
  await fill(tables)
  await tables.read(async (tx) => {
    expect(await tx.count('flows', live)).toBe(FLOWS)
    expect(await tx.count('flows', eq('codec', 'video/h264'))).toBe(FLOWS - 3)
    expect(await tx.count('flows', eq('codec', 'video/h264'), { atMost: 8500 })).toBe(8500)
    expect(await tx.count('flows', and(live, compare('created', '>=', 100n)))).toBe(FLOWS - 100)
  })
})

test('inside a write a search runs in one go', async () => {
  const tables = await stores.open()
  await fill(tables)
  const rows = await tables.write(async (tx) => (await page(tx, rare)).rows)
  expect(rows.map(({ id }) => id)).toEqual(rareIds)
})
