import { expect, test } from 'bun:test'
import { everything, nothing } from '../../../src/core/predicate.ts'
import type { SqliteTables } from '../../../src/storage/sqlite/index.ts'
import type { ReadTx } from '../../../src/storage/tables.ts'
import { deliveryRow, segmentRow } from '../../contract/table-rows.ts'
import { temporaryStores } from './support.ts'

const stores = temporaryStores()

const addSegments = (tables: SqliteTables, from: number, count: number) =>
  tables.write((tx) =>
    tx.insert(
      'segments',
      Array.from({ length: count }, (_, i) => segmentRow('f', BigInt(from + i))),
    ),
  )

const scanned = async (tx: ReadTx): Promise<number> => {
  let rows = 0
  for await (const batch of tx.scan('segments', { columns: ['start_ns'], where: everything })) rows += batch.numRows
  return rows
}

// Fails while any snapshot is open, or any connection was left behind with one.
const walCanBeReset = ({ connection }: SqliteTables): boolean => Number(connection.row('pragma wal_checkpoint(truncate)', [])?.busy) === 0

test('many rows come in batches of bounded size', async () => {
  const tables = await stores.open()
  for (let i = 0; i < 15; i++) await addSegments(tables, i * 10_000, 10_000)
  const sizes = await tables.read(async (tx) => {
    const rows: number[] = []
    let sum = 0n
    for await (const batch of tx.scan('segments', { columns: ['object_id', 'start_ns'], where: everything })) {
      rows.push(batch.numRows)
      for (const value of batch.getChild('start_ns') ?? []) sum += value as bigint
    }
    expect(sum).toBe((150_000n * 149_999n) / 2n)
    return rows
  })
  expect(sizes).toEqual([65_536, 65_536, 150_000 - 2 * 65_536])
}, 120_000)

test('a write between the first read and the first scan does not tear them apart', async () => {
  const tables = await stores.open()
  await addSegments(tables, 0, 10)
  let runs = 0
  const [counted, rows] = await tables.read(async (tx) => {
    runs++
    const before = await tx.count('segments', everything)
    await addSegments(tables, runs * 100, 10)
    try {
      return [before, await scanned(tx)]
    } catch (error) {
      // And one more between the two runs of this work.
      await addSegments(tables, 1000, 10)
      throw error
    }
  })
  expect(runs).toBe(2)
  expect(rows).toBe(counted ?? -1)
})

test('the snapshot of a scan ends with its transaction, however that ends', async () => {
  const tables = await stores.open()
  for (let i = 0; i < 4; i++) await addSegments(tables, i * 50_000, 50_000)
  await tables.read(async (tx) => {
    for await (const _ of tx.scan('segments', { columns: ['object_id'], where: everything })) break
  })
  const failing = tables.read(async (tx) => {
    for await (const _ of tx.scan('segments', { columns: ['object_id'], where: everything })) throw new Error('enough')
  })
  await expect(failing).rejects.toThrow('enough')
  const controller = new AbortController()
  const aborted = tables.read(async (tx) => {
    for await (const _ of tx.scan('segments', { columns: ['object_id'], where: everything, signal: controller.signal }))
      controller.abort(new Error('stop'))
  })
  await expect(aborted).rejects.toThrow('stop')
  await tables.scansEnded()
  expect(walCanBeReset(tables)).toBe(true)
}, 120_000)

test.each([
  ['nobody writes meanwhile', 0],
  ['another work writes meanwhile', 10],
])('scans side by side see one snapshot when %s', async (_, written) => {
  const tables = await stores.open()
  await addSegments(tables, 0, 10)
  const rows = await tables.read(async (tx) => {
    const counts: number[] = []
    for await (const batch of tx.scan('segments', { columns: ['start_ns'], where: everything })) {
      if (written > 0) await addSegments(tables, 100, written)
      counts.push(batch.numRows, ...(await Promise.all([scanned(tx), scanned(tx)])))
    }
    return counts
  })
  expect(rows).toEqual([10, 10, 10])
  await tables.scansEnded()
  expect(walCanBeReset(tables)).toBe(true)
})

test('threads that share a scan give each row once, whoever writes meanwhile', async () => {
  const tables = await stores.open({ sharedScanBytes: 0, scanThreadsWhileBusy: 4 })
  for (let i = 0; i < 20; i++) await addSegments(tables, i * 1000, 1000)
  const sums = await tables.read(async (tx) => {
    const sum = async (): Promise<bigint> => {
      let total = 0n
      for await (const batch of tx.scan('segments', { columns: ['start_ns', 'flow_id'], where: everything }))
        for (const value of batch.getChild('start_ns') ?? []) total += value as bigint
      return total
    }
    const first = await sum()
    await addSegments(tables, 100_000, 10)
    return [first, ...(await Promise.all([sum(), sum()]))]
  })
  const all = (20_000n * 19_999n) / 2n
  expect(sums).toEqual([all, all, all])
  await tables.scansEnded()
  expect(walCanBeReset(tables)).toBe(true)
})

test('a scan that takes too long fails with timeout', async () => {
  const tables = await stores.open({ scanTimeoutMs: 0 })
  await addSegments(tables, 0, 10)
  await expect(tables.read(scanned)).rejects.toMatchObject({ code: 'timeout' })
})

test('a scan that outlives its transaction throws instead of reading another one', async () => {
  const tables = await stores.open()
  await addSegments(tables, 0, 10)
  const iterator = await tables.read(async (tx) =>
    tx.scan('segments', { columns: ['start_ns'], where: everything })[Symbol.asyncIterator](),
  )
  await expect(iterator.next()).rejects.toThrow('ended')
})

test('a write work cannot scan', async () => {
  const tables = await stores.open()
  await expect(tables.write(async (tx) => tx.scan('segments', { columns: [], where: nothing }))).rejects.toThrow('write work')
})

test('a scan of no columns counts rows', async () => {
  const tables = await stores.open()
  await tables.write((tx) => tx.insert('deliveries', [deliveryRow('a'), deliveryRow('b')]))
  const rows = await tables.read(async (tx) => {
    let count = 0
    for await (const batch of tx.scan('deliveries', { columns: [], where: everything })) count += batch.numRows
    return count
  })
  expect(rows).toBe(2)
})
