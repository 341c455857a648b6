import { expect, test } from 'bun:test'
import path from 'node:path'
import { ScanPool } from '../../../src/storage/sqlite/scan-pool.ts'
import { deliveryRow } from '../../contract/table-rows.ts'
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
