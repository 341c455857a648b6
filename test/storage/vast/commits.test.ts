import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { randomUUID } from 'node:crypto'
import type { Clock } from '../../../src/core/clock.ts'
import { everything } from '../../../src/core/predicate.ts'
import { ChangesFold } from '../../../src/storage/vast/changes-fold.ts'
import { keepsConflictsApart } from '../../../src/storage/vast/conflict-test.ts'
import { openVastTables, type VastTables } from '../../../src/storage/vast/index.ts'
import { LOCK_SLOTS, lockSlot } from '../../../src/storage/vast/lock-rows.ts'
import { commitIds, Stamps } from '../../../src/storage/vast/stamps.ts'
import { RunAgain, WorkLocks } from '../../../src/storage/vast/work-locks.ts'
import { batchOfRows } from '../../../src/vastdb/index.ts'
import { deliveryRow, tagRow } from '../../contract/table-rows.ts'
import { type Emulator, startEmulator } from '../../emulators/vast/index.ts'
import { access } from './cluster.ts'
import { failureOf, openStore } from './stores.ts'

let emulator: Emulator
beforeAll(async () => {
  emulator = await startEmulator()
})
afterAll(() => emulator.close())

const still = (nowUs: bigint): Clock => ({ nowUs: () => nowUs })

describe('stamps', () => {
  test('grow, also while the clock stands still', () => {
    const stamps = new Stamps(still(100n))
    expect([stamps.next([]), stamps.next([]), stamps.next([])]).toEqual([100n, 101n, 102n])
  })

  test('are larger than those that commits under the same locks left, however far ahead those are', () => {
    expect(new Stamps(still(100n)).next([7n, 5000n, 300n])).toBe(5001n)
  })

  test('make ids that sort by commit, then by place', () => {
    const [early, late] = [commitIds(99n), commitIds(100n)]
    const ids = [early(0), early(1), early(300), late(0), late(2)]
    expect(ids.toSorted()).toEqual(ids)
    expect(commitIds(100n)(0)).not.toBe(late(0))
  })
})

describe('lock slots', () => {
  // Replicas of different versions must agree.
  test.each([
    ['', 0x811c9dc5 % LOCK_SLOTS],
    ['a', 0xe40c292c % LOCK_SLOTS],
    ['foobar', 0xbf9cf968 % LOCK_SLOTS],
  ])('of %p are FNV-1a', (key, slot) => {
    expect(lockSlot(key, LOCK_SLOTS)).toBe(slot)
  })

  test('are spread evenly', () => {
    const used = new Set(Array.from({ length: 10 * LOCK_SLOTS }, (_, i) => lockSlot(`flow:${i}`, LOCK_SLOTS)))
    expect(used.size).toBeGreaterThan(0.99 * LOCK_SLOTS)
  })
})

describe('locks among the works of a batch', () => {
  test('are granted in the order in which they were asked for', async () => {
    const locks = new WorkLocks()
    const granted: string[] = []
    const owners = ['a', 'b', 'c'].map((name) => ({ name }))
    const asked = owners.map(async (owner) => {
      await locks.acquire(owner, ['k'])
      granted.push(owner.name)
    })
    for (const [i, owner] of owners.entries()) {
      await asked[i]
      expect(granted).toEqual(['a', 'b', 'c'].slice(0, i + 1))
      locks.release(owner)
    }
  })

  test('that would never be granted are refused: a circle of three', async () => {
    const locks = new WorkLocks()
    const [a, b, c] = [{}, {}, {}]
    await locks.acquire(a, ['1'])
    await locks.acquire(b, ['2'])
    await locks.acquire(c, ['3'])
    const waiting = [locks.acquire(a, ['2']), locks.acquire(b, ['3'])]
    expect(await failureOf(locks.acquire(c, ['1']))).toBeInstanceOf(RunAgain)
    locks.release(c)
    await waiting[1]
    locks.release(b)
    await waiting[0]
  })

  test('that are waited for when the batch closes are refused', async () => {
    const locks = new WorkLocks()
    const [a, b] = [{}, {}]
    await locks.acquire(a, ['1'])
    const waiting = failureOf(locks.acquire(b, ['1']))
    locks.close()
    expect(await waiting).toBeInstanceOf(RunAgain)
    expect(await failureOf(locks.acquire(b, ['1']))).toBeInstanceOf(RunAgain)
    await locks.acquire(b, ['2'])
  })
})

describe('the test for conflicts', () => {
  test('wants exactly one of two commits, whichever way they meet', () => {
    expect(keepsConflictsApart({ sideBySide: 1, oneAfterTheOther: 1 })).toBe(true)
    expect(keepsConflictsApart({ sideBySide: 2, oneAfterTheOther: 1 })).toBe(false)
    expect(keepsConflictsApart({ sideBySide: 1, oneAfterTheOther: 2 })).toBe(false)
    expect(keepsConflictsApart({ sideBySide: 0, oneAfterTheOther: 1 })).toBe(false)
  })

  test('that a cluster fails keeps the store shut, unless only one program writes', async () => {
    const options = { ...access(emulator), schema: 'conflicts' }
    await (await openVastTables(options)).close()
    // The first commit is that of the tables; then both of two commits are refused.
    emulator.faults.add({ kind: 'error', status: 409, code: 'Conflict', method: 'PUT', command: 'transaction', skip: 1, times: 2 })
    expect(await failureOf(openVastTables(options))).toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('VAST_SINGLE_WRITER'),
      detail: { sideBySide: 0, oneAfterTheOther: 1 },
    })
    emulator.faults.clear()
    const store = await openVastTables({ ...options, singleWriter: true })
    await store.write((tx) => tx.insert('deliveries', [deliveryRow('a')]))
    expect(await store.read((tx) => tx.count('meta', everything))).toBe(3)
    await store.close()
  })
})

describe('marks of changes', () => {
  const HOUR_MS = 3_600_000
  const foldOf = (store: VastTables, now: { ms: number }, holder: string = randomUUID(), nowUs = 1_000_000n) =>
    new ChangesFold({
      holder,
      stamps: new Stamps(still(nowUs)),
      nowUs: () => nowUs,
      nowMs: () => now.ms,
      read: (work) => store.read(work),
      write: (work) => store.write(work),
    })
  const marks = (store: VastTables): Promise<number> => store.read((tx) => tx.count('changes', everything))

  test('are put together when they are old, and versions stay as they were', async () => {
    const store = await openStore(emulator)
    const handle = store.engine.handle('changes')
    for (let i = 0; i < 5; i++) await store.write((tx) => tx.insert('tags', [tagRow(`${i}`, 'n', 'v')]))
    const many = Array.from({ length: 400 }, (_, i) => ({ id: `m${i}`, table_name: 'deliveries', time: 0n, commits: 1n }))
    await store.engine.client.database.insert(handle, batchOfRows(handle.fields, many))
    const versions = () => Promise.all((['tags', 'deliveries', 'flows'] as const).map((table) => store.version(table)))
    const before = await versions()
    expect(before).toEqual(['5', '400', '0'])

    const now = { ms: 0 }
    const fold = foldOf(store, now)
    expect(await fold.step()).toBe(0)
    now.ms = 1000
    expect(await fold.step()).toBe(0)
    now.ms = HOUR_MS
    expect(await fold.step()).toBe(405)
    expect(await versions()).toEqual(before)
    // One for each table, and the mark of the lease.
    expect(await marks(store)).toBe(3)
    expect(await fold.step()).toBe(0)
    await store.write((tx) => tx.insert('tags', [tagRow('new', 'n', 'v')]))
    expect(await store.version('tags')).toBe('6')
    await store.close()
  })

  test('are left to the replica that has the lease', async () => {
    const store = await openStore(emulator)
    const handle = store.engine.handle('changes')
    const add = (from: number) => {
      const rows = Array.from({ length: 300 }, (_, i) => ({ id: `m${from + i}`, table_name: 'deliveries', time: 0n, commits: 1n }))
      return store.engine.client.database.insert(handle, batchOfRows(handle.fields, rows))
    }
    await add(0)
    const now = { ms: 0 }
    const [mine, other, later] = [foldOf(store, now), foldOf(store, now), foldOf(store, now, 'later', 10_000_000_000n)]
    await Promise.all([mine.step(), other.step()])
    now.ms = HOUR_MS
    expect(await mine.step()).toBe(300)
    await add(1000)
    await Promise.all([other.step(), later.step()])
    now.ms = 2 * HOUR_MS
    expect(await other.step()).toBe(0)
    expect(await later.step()).toBeGreaterThanOrEqual(300)
    expect(await store.version('deliveries')).toBe('600')
    await store.close()
  })
})
