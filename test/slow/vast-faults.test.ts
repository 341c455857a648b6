import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { isTamsError } from '../../src/core/errors.ts'
import { eq, everything } from '../../src/core/predicate.ts'
import type { VastTables } from '../../src/storage/vast/index.ts'
import { deliveryRow, flowRow, logEntry } from '../contract/table-rows.ts'
import { type Emulator, type FaultKind, startEmulator } from '../emulators/vast/index.ts'
import { openReplicas } from '../storage/vast/stores.ts'

let emulator: Emulator
let store: VastTables
let other: VastTables
beforeAll(async () => {
  emulator = await startEmulator()
  const [first, second] = await openReplicas(emulator, 2)
  if (!first || !second) throw new Error('two replicas')
  store = first
  other = second
  await store.write((tx) => tx.insert('flows', [flowRow('f', { segment_count: 0n })]))
})
afterAll(async () => {
  await store.close()
  await other.close()
  await emulator.close()
})

/** Inserts, updates, counts up and tells the log, as a post does. */
const post = (id: string): Promise<void> =>
  store.write(async (tx) => {
    await tx.lock(['flow:f'])
    const flow = await tx.find('flows', ['f', ''])
    await tx.insert('deliveries', [deliveryRow(id)])
    await tx.update('flows', eq('id', 'f'), { segment_count: (flow?.segment_count ?? 0n) + 1n })
    await tx.append([logEntry(id)])
  })

const faults: readonly (readonly [string, FaultKind])[] = [
  ['503 SlowDown', { kind: 'slow-down' }],
  ['409 Conflict', { kind: 'error', status: 409, code: 'Conflict' }],
  ['404 NoSuchTransaction', { kind: 'error', status: 404, code: 'NoSuchTransaction' }],
  ['500 InternalError', { kind: 'error', status: 500, code: 'InternalError' }],
  ['503 ServiceUnavailable', { kind: 'error', status: 503, code: 'ServiceUnavailable' }],
  ['507 InsufficientCapacity', { kind: 'error', status: 507, code: 'InsufficientCapacity' }],
  ['a connection cut before', { kind: 'drop' }],
  ['a connection cut after', { kind: 'lost-answer' }],
  ['a query cut before its first frame', { kind: 'drop-at-frame', frame: 0 }],
  ['a query cut inside a frame', { kind: 'drop-at-frame', frame: 2, bytes: 5 }],
  ['a query that fails', { kind: 'failed-marker', frame: 1 }],
]

/** More requests than a post and the numbering after it make. */
const REQUESTS = 24
const FAILURES = ['unavailable', 'timeout', 'storage_full'] as const

describe('a write during which a request fails', () => {
  test.each(faults)(
    'with %s is there exactly once when acknowledged, and wholly or not at all otherwise',
    async (name, fault) => {
      const acknowledged = new Set<string>()
      const tried: string[] = []
      for (let skip = 0; skip < REQUESTS; skip++) {
        const id = `${name} ${skip}`
        tried.push(id)
        emulator.faults.add({ ...fault, skip })
        const error = await post(id).catch((reason: unknown) => reason)
        if (error === undefined) acknowledged.add(id)
        else expect(FAILURES.some((code) => isTamsError(error, code))).toBe(true)
        // What the numbering has still to suffer, it suffers now.
        await store.read((tx) => tx.readLog(0n, 1)).catch(() => undefined)
        emulator.faults.clear()
      }
      // Where only the numbering is hit, the write succeeds.
      expect(acknowledged.size).toBeGreaterThan(REQUESTS / 4)
      const [rows, entries, flow] = await other.read(async (tx) => [
        (await tx.list('deliveries', { columns: ['id'], where: everything, limit: 10_000 })).rows.map(({ id }) => id),
        (await tx.readLog(0n, 100_000)).map(({ type }) => type),
        await tx.find('flows', ['f', '']),
      ])
      for (const id of tried) {
        const times = rows.filter((each) => each === id).length
        expect(times).toBeLessThanOrEqual(1)
        if (acknowledged.has(id)) expect(times).toBe(1)
      }
      expect(entries.toSorted()).toEqual(rows.toSorted())
      expect(flow?.segment_count).toBe(BigInt(rows.length))
    },
    60_000,
  )

  test('or whose commit takes too long is there exactly once', async () => {
    const [slow] = await openReplicas(emulator, 1, { schema: store.engine.schema, timeoutMs: 300 })
    if (!slow) throw new Error('a store')
    try {
      emulator.faults.add({ kind: 'delay', ms: 600, method: 'PUT', command: 'transaction' })
      await slow.write((tx) => tx.insert('deliveries', [deliveryRow('slow')]))
      emulator.faults.clear()
      expect(await other.read((tx) => tx.count('deliveries', eq('id', 'slow')))).toBe(1)
      // It is no post.
      await slow.write((tx) => tx.delete('deliveries', eq('id', 'slow')))
    } finally {
      await slow.close()
    }
  })
})
