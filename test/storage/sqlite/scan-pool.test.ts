import { expect, test } from 'bun:test'
import path from 'node:path'
import { compare, eq, everything, isIn, type Predicate } from '../../../src/core/predicate.ts'
import { compilePredicate } from '../../../src/storage/sqlite/compile-predicate.ts'
import { testedColumns } from '../../../src/storage/sqlite/pages/filter.ts'
import { ScanPool } from '../../../src/storage/sqlite/scan-pool.ts'
import type { ScanPlan, ScanSpec } from '../../../src/storage/sqlite/scan-protocol.ts'
import { type SqlValue, tableInfo } from '../../../src/storage/sqlite/table-info.ts'
import { kindOfColumn } from '../../../src/storage/table-facts.ts'
import { deliveryRow, segmentRow } from '../../contract/table-rows.ts'
import { temporaryStores } from './support.ts'

const stores = temporaryStores()

test('a worker that was given back is the next one, and sees what was written meanwhile', async () => {
  const tables = await stores.open()
  const pool = new ScanPool(stores.file())
  const reader = pool.take()
  await reader.open(() => {})
  const before = await reader.takeSnapshot()
  await pool.giveBack(reader)
  await tables.write((tx) => tx.insert('deliveries', [deliveryRow('d')]))
  expect(pool.take()).toBe(reader)
  await reader.open(() => {})
  expect(await reader.takeSnapshot()).not.toBe(before)
  await pool.giveBack(reader)
  await pool.close()
})

test('a worker that somebody has is no other one’s', async () => {
  const pool = new ScanPool(stores.file())
  await stores.open()
  const readers = [pool.take(), pool.take()]
  expect(readers[0]).not.toBe(readers[1])
  for (const reader of readers) await reader.open(() => {})
  await pool.close()
  for (const reader of readers) await pool.giveBack(reader)
  const another = pool.take()
  expect(readers).not.toContain(another)
  await another.stop()
})

test('what ended one transaction’s scans is nothing to the next', async () => {
  await stores.open()
  const pool = new ScanPool(stores.file())
  const reader = pool.take()
  await reader.open(() => {})
  reader.fail(new Error('too long'))
  await expect(reader.takeSnapshot()).rejects.toThrow('too long')
  await pool.giveBack(reader)
  expect(pool.take()).toBe(reader)
  await reader.open(() => {})
  expect(await reader.takeSnapshot()).toContain('=')
  await pool.giveBack(reader)
  await pool.close()
})

test('a worker that failed is not used again', async () => {
  const pool = new ScanPool(path.join(stores.file(), 'is no directory'))
  const reader = pool.take()
  await expect(reader.open(() => {})).rejects.toThrow()
  await pool.giveBack(reader)
  const another = pool.take()
  expect(another).not.toBe(reader)
  await another.stop()
})

test.skipIf(process.platform !== 'linux')('a scan of all rows goes through the pages, any other one is left to SQLite', async () => {
  const tables = await stores.open()
  await tables.write((tx) =>
    tx.insert(
      'segments',
      Array.from({ length: 2000 }, (_, i) => segmentRow('f', BigInt(i))),
    ),
  )
  const pool = new ScanPool(stores.file())
  const reader = pool.take()
  await reader.open(() => {})
  await reader.takeSnapshot()
  const info = tableInfo('segments')
  const planOf = (condition: Predicate): Promise<ScanPlan> => {
    const params: SqlValue[] = []
    const spec: ScanSpec = {
      table: 'segments',
      key: info.key.map((name) => ({ name, kind: kindOfColumn(info, name) })),
      columns: [{ name: 'start_ns', kind: 'int64' }],
      where: compilePredicate(info, condition, params),
      params,
      condition,
      tested: testedColumns(condition),
      taken: new Int32Array(new SharedArrayBuffer(4)),
    }
    return new Promise((planned) => reader.start(spec, undefined, { planned, batch: () => {}, done: () => {} }))
  }
  expect(await planOf(everything)).toMatchObject({
    kind: 'pages',
    columns: [{ name: 'flow_id' }, { name: 'timeline_id' }, { name: 'start_ns' }],
  })
  expect(await planOf(compare('end_ns', '>', 5n))).toMatchObject({ kind: 'pages' })
  expect(await planOf(eq('flow_id', 'f'))).toMatchObject({ kind: 'keys' })
  expect(await planOf(isIn('tag_id', ['a', 'b']))).toMatchObject({ kind: 'keys' })
  await pool.giveBack(reader)
  await pool.close()
})
