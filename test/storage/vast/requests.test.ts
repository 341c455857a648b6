import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test'
import { and, compare, eq, isIn } from '../../../src/core/predicate.ts'
import type { ReadTx } from '../../../src/storage/tables.ts'
import { openVastTables, type VastTables } from '../../../src/storage/vast/index.ts'
import { flowRow, segmentRow } from '../../contract/table-rows.ts'
import { type Emulator, startEmulator } from '../../emulators/vast/index.ts'
import { access } from './cluster.ts'

const SEGMENTS = 2000
let emulator: Emulator
let store: VastTables
beforeAll(async () => {
  emulator = await startEmulator()
  store = await openVastTables({ ...access(emulator), schema: 'tams' })
  await store.write(async (tx) => {
    await tx.insert('flows', [
      flowRow('f', { timeline_id: 't', start_ns: 0n, end_ns: BigInt(10 * SEGMENTS), segment_count: BigInt(SEGMENTS) }),
    ])
    await tx.insert(
      'segments',
      Array.from({ length: SEGMENTS }, (_, i) => segmentRow('f', BigInt(10 * i), { timeline_id: 't', end_ns: BigInt(10 * i + 10) })),
    )
  })
})
// What is remembered is read behind the answer.
afterEach(async () => {
  const begun = emulator.requests.get('POST transaction') ?? 0
  const ended = () => (emulator.requests.get('PUT transaction') ?? 0) + (emulator.requests.get('DELETE transaction') ?? 0)
  while (ended() < begun) await new Promise((resolve) => setImmediate(resolve))
})
afterAll(async () => {
  await store.close()
  await emulator.close()
})

/** Requests that `action` waits for; the end of a read transaction is not one of them. */
const requestsOf = async (action: () => Promise<unknown>): Promise<Record<string, number>> => {
  const before = new Map(emulator.requests)
  await action()
  const counted = [...emulator.requests].map(([name, count]) => [name, count - (before.get(name) ?? 0)] as const)
  return Object.fromEntries(counted.filter(([name, count]) => count > 0 && name !== 'DELETE transaction'))
}

const page = async (tx: ReadTx): Promise<number> => {
  const flow = await tx.find('flows', ['f', ''])
  const live = and(eq('flow_id', 'f'), eq('timeline_id', flow?.timeline_id ?? ''))
  const { rows } = await tx.list('segments', { where: and(live, compare('start_ns', '>=', 5000n)), limit: 30 })
  const ids = rows.map((row) => row.object_id)
  await tx.list('objects', { where: and(isIn('id', ids), eq('deletion_id', '')), limit: ids.length })
  return rows.length
}

test('a page of segments is a transaction, the flow, its segments and their objects', async () => {
  expect(await requestsOf(() => store.read(page))).toEqual({ 'POST transaction': 1, 'GET data': 3 })
})

test('pages that are asked for together share the transaction and the look at the flow', async () => {
  const many = await requestsOf(async () => {
    expect(await Promise.all(Array.from({ length: 16 }, () => store.read(page)))).toEqual(Array(16).fill(30))
  })
  expect(many['POST transaction']).toBe(1)
  expect(many['GET data']).toBeLessThanOrEqual(33)
})

test('a version, and whether the cluster answers, are one request without a transaction', async () => {
  expect(await requestsOf(() => store.version('flows'))).toEqual({ 'GET data': 1 })
  expect(await requestsOf(() => store.check())).toEqual({ 'GET data': 1 })
})

test('a scan asks for the size of its table once, and for the rows', async () => {
  const scan = () =>
    store.read(async (tx) => {
      for await (const _ of tx.scan('segments', { columns: ['start_ns'], where: eq('flow_id', 'f') }));
    })
  expect(await requestsOf(scan)).toEqual({ 'POST transaction': 1, 'GET stats': 1, 'GET data': 1 })
  expect(await requestsOf(scan)).toEqual({ 'POST transaction': 1, 'GET data': 1 })
})
