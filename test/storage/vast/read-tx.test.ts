import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { and, compare, eq, everything, isIn, isNull, not, or, type Predicate, related } from '../../../src/core/predicate.ts'
import { compareText } from '../../../src/core/text-order.ts'
import type { VastEngine } from '../../../src/storage/vast/engine.ts'
import { Hints } from '../../../src/storage/vast/hints.ts'
import { VastReadTx } from '../../../src/storage/vast/read-tx.ts'
import { SnapshotSource } from '../../../src/storage/vast/snapshot-source.ts'
import { delivery, predicate, tags } from '../../contract/table-lists.ts'
import { type ModelRow, matches } from '../../contract/table-model.ts'
import { deliveryRow, flowRow, tagRow } from '../../contract/table-rows.ts'
import { type Emulator, startEmulator } from '../../emulators/vast/index.ts'
import { freshEngine, insertRows } from './cluster.ts'
import { CountingSource } from './counting-source.ts'

let emulator: Emulator
let engine: VastEngine

beforeAll(async () => {
  emulator = await startEmulator()
  engine = await freshEngine(emulator)
  const flows = Array.from({ length: 2500 }, (_, i) => {
    const label = i % 2 === 0 ? `label ${String(i).padStart(4, '0')}` : null
    return flowRow(`f${String(i).padStart(4, '0')}`, {
      label,
      label_sort: label === null ? '1' : `0${label}`,
      created: BigInt(i % 50),
      read_only: i % 5 === 0,
    })
  })
  await insertRows(engine, 'flows', flows)
  await insertRows(engine, 'tags', [
    ...flows.map(({ id }) => tagRow(id, 'all', 'x')),
    ...flows.slice(100, 103).map(({ id }) => tagRow(id, 'rare', 'x')),
  ])
})
afterAll(async () => {
  engine.client.close()
  await emulator.close()
})

let source: CountingSource
let tx: VastReadTx
beforeEach(() => {
  source = new CountingSource(new SnapshotSource(engine, engine.client.database))
  tx = new VastReadTx(source, new Hints())
})
const ids = (page: { readonly rows: readonly { readonly id: string }[] }) => page.rows.map(({ id }) => id)

test('any condition, pushed down or not, finds what evaluating it row by row finds', async () => {
  const clean = await freshEngine(emulator)
  try {
    const reader = new VastReadTx(new SnapshotSource(clean, clean.client.database), clean.hints)
    const [rows] = fc.sample(fc.uniqueArray(delivery, { selector: ({ id }) => id, minLength: 25, maxLength: 40 }), { numRuns: 1, seed: 7 })
    const tagRows = fc.sample(tags, { numRuns: 4, seed: 7 }).toSorted((a, b) => b.length - a.length)[0]
    if (!rows || !tagRows) throw new Error('no sample')
    await insertRows(clean, 'deliveries', rows)
    await insertRows(clean, 'tags', tagRows)
    await fc.assert(
      fc.asyncProperty(predicate, async (where) => {
        const expected = rows.filter((row) => matches(row as ModelRow, where, { tags: tagRows as readonly ModelRow[] })).map(({ id }) => id)
        expect(ids(await reader.list('deliveries', { columns: ['id'], where, limit: 100 }))).toEqual(expected.toSorted(compareText))
        expect(await reader.count('deliveries', where)).toBe(expected.length)
      }),
      { numRuns: 150 },
    )
  } finally {
    clean.client.close()
  }
}, 120_000)

describe('what is asked of the cluster', () => {
  test.each<[string, Predicate, number]>([
    ['comparisons of several columns', and(compare('created', '<', 2n), compare('id', '>=', 'f1000')), 60],
    ['a list', isIn('id', ['f0001', 'f0002', 'absent']), 2],
    ['"or" on one column', or(eq('id', 'f0001'), compare('id', '>=', 'f2490')), 11],
    ['a negation', and(not(or(compare('id', '<', 'f2400'), isNull('label')))), 50],
    ['a boolean', and(eq('read_only', true), compare('id', '<', 'f0100')), 20],
  ])('%s: only rows that match', async (_, where, count) => {
    expect(ids(await tx.list('flows', { columns: ['id'], where, limit: 1000 }))).toHaveLength(count)
    expect([source.requests, source.rowsRead]).toEqual([1, count])
  })

  test('a page of whole rows: what orders all of them, then the rows of the page', async () => {
    await tx.list('flows', { where: everything, limit: 1 })
    const [requests, rows] = [source.requests, source.rowsRead]
    const page = await tx.list('flows', { where: eq('deletion_id', ''), orderBy: [{ column: 'label_sort', direction: 'desc' }], limit: 20 })
    expect(ids(page)).toEqual(Array.from({ length: 20 }, (_, i) => `f${2499 - 2 * i}`))
    expect(page.rows[0]).toStrictEqual(flowRow('f2499', { created: 49n }))
    expect([source.requests - requests, source.rowsRead - rows]).toEqual([2, 2520])
  })

  test('a short table is read at once', async () => {
    const where = compare('id', '>=', 'f2490')
    expect(ids(await tx.list('flows', { where, orderBy: [{ column: 'created', direction: 'desc' }], limit: 3 }))).toEqual([
      'f2499',
      'f2498',
      'f2497',
    ])
    expect([source.requests, source.rowsRead]).toEqual([1, 10])
  })

  test('behind a page only what can still come', async () => {
    const query = { where: everything, orderBy: [{ column: 'created', direction: 'asc' }], limit: 10 } as const
    await tx.list('flows', { ...query, columns: ['id'], after: [48n, 'f2448', ''] })
    expect(source.rowsRead).toBe(100)
  })

  test('few rows with a related one are found from there, without looking at all others', async () => {
    const rare = related('tags', { entity_id: 'id' }, and(eq('entity_type', 'flow'), eq('name', 'rare')))
    expect(ids(await tx.list('flows', { columns: ['id'], where: rare, limit: 10 }))).toEqual(['f0100', 'f0101', 'f0102'])
    expect(source.rowsRead).toBe(6)
  })

  test('where most rows have a related one it is the rows that are looked at first', async () => {
    const common = related('tags', { entity_id: 'id' }, and(eq('entity_type', 'flow'), eq('name', 'all')))
    expect(await tx.count('flows', common)).toBe(2500)
    expect(await tx.count('flows', not(common))).toBe(0)
  })

  test('a list longer than a request holds takes several, and finds each row once', async () => {
    const many = Array.from({ length: 25_000 }, (_, i) => `f${String(i).padStart(4, '0')}`)
    const before = emulator.requests.get('GET data') ?? 0
    expect(await tx.count('flows', isIn('id', many))).toBe(2500)
    expect((emulator.requests.get('GET data') ?? 0) - before).toBeGreaterThan(2)
  })

  test('a value that is too long to be sent is compared here', async () => {
    expect(await tx.count('flows', and(compare('label', '<', `label 0010${'x'.repeat(5_000_000)}`), compare('id', '<', 'f0100')))).toBe(6)
  })

  test('a count with a limit stops there', async () => {
    expect(await tx.count('flows', everything, { atMost: 10 })).toBe(10)
  })
})

test('scan gives dictionaries, also for conditions that the wire cannot say', async () => {
  const where = or(eq('id', 'f0001'), eq('created', 0n))
  const found: unknown[] = []
  for await (const batch of tx.scan('flows', { columns: ['id', 'label', 'created', 'read_only'], where }))
    for (const row of batch) found.push(row.toJSON().id)
  expect(found.toSorted()).toEqual(['f0001', ...Array.from({ length: 50 }, (_, i) => `f${String(i * 50).padStart(4, '0')}`)].toSorted())
})

test('text that no row can hold is refused in a comparison and found nowhere as a key', async () => {
  await insertRows(engine, 'deliveries', [deliveryRow('\ufffd')])
  await expect(tx.list('deliveries', { where: eq('id', '\ud800'), limit: 1 })).rejects.toMatchObject({ code: 'invalid' })
  expect(await tx.find('deliveries', ['\ud800'])).toBeUndefined()
})

test('a cluster that fails is unavailable', async () => {
  emulator.faults.add({ kind: 'error', status: 500, code: 'InternalError', command: 'data' })
  await expect(tx.find('flows', ['f0001', ''])).rejects.toMatchObject({ code: 'unavailable' })
})
