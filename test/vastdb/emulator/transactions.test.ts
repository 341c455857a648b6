import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { batchOf } from '../../../src/vastdb/wire/build.ts'
import { type Emulator, startEmulator } from '../../emulators/vast/index.ts'
import { FIELDS, Probe } from './support.ts'

let emulator: Emulator
let probe: Probe
let now = Date.now()

beforeEach(async () => {
  emulator = await startEmulator({ transactionIdleMs: 60_000, nowMs: () => now })
  now = Date.now()
  probe = new Probe(emulator)
  await probe.createSchema()
  await probe.createTable('t')
})
afterEach(async () => {
  probe.close()
  await emulator.close()
})

const starts = async (txid?: string) => (await probe.select({ columns: ['start'], txid })).map(([start]) => start)

describe('rows', () => {
  test('are seen by their own transaction at once, by others after the commit, by older snapshots never', async () => {
    const [writer, reader] = [await probe.begin(), await probe.begin()]
    await probe.insert([['a', 1n]], writer)
    expect([await starts(writer), await starts(reader), await starts()]).toEqual([[1n], [], []])
    expect((await probe.commit(writer)).status).toBe(200)
    expect([await starts(reader), await starts()]).toEqual([[], [1n]])
  })

  test('of a rolled back transaction are gone, and their ids are not given out again', async () => {
    const txid = await probe.begin()
    expect(await probe.insert([['a', 1n]], txid)).toEqual([0n])
    await probe.rollback(txid)
    expect(await probe.insert([['b', 2n]])).toEqual([1n])
    expect(await starts()).toEqual([2n])
  })

  test('keep their old values for a snapshot, through updates, deletes and the merging of chunks', async () => {
    for (let i = 0; i < 5; i++) await probe.insert([['a', BigInt(i)]])
    const snapshot = await probe.begin()
    await probe.update([0n, 1n], [100n, 101n])
    await probe.update([1n], [201n])
    await probe.delete([2n])
    for (let i = 0; i < 120; i++) await probe.insert([['more', 7n]])
    expect(await starts(snapshot)).toEqual([0n, 1n, 2n, 3n, 4n])
    expect((await starts()).slice(0, 5)).toEqual([100n, 201n, 3n, 4n, 7n])
    await probe.rollback(snapshot)
    for (let i = 0; i < 120; i++) await probe.insert([['more', 7n]])
    const after = await starts()
    expect([after.length, after.slice(0, 4)]).toEqual([244, [100n, 201n, 3n, 4n]])
  })

  test('changed by a transaction stay changed for it when others commit and chunks merge meanwhile', async () => {
    for (let i = 0; i < 60; i++) await probe.insert([['a', BigInt(i)]])
    const txid = await probe.begin()
    await probe.update([3n], [333n], txid)
    await probe.delete([4n], txid)
    expect((await starts(txid)).slice(2, 5)).toEqual([2n, 333n, 5n])
    for (let i = 0; i < 60; i++) await probe.insert([['b', 0n]])
    expect((await starts(txid)).slice(2, 5)).toEqual([2n, 333n, 5n])
    expect((await probe.commit(txid)).status).toBe(200)
    expect((await starts()).slice(2, 5)).toEqual([2n, 333n, 5n])
  })
})

describe('columns that follow the insert by updates of the same transaction', () => {
  test('end in the rows they are for, a part of the rows at a time, and again over themselves', async () => {
    const txid = await probe.begin()
    const ids = Array.from({ length: 300 }, (_, i) => BigInt(i))
    await probe.rows('POST', batchOf(FIELDS.slice(0, 1), [ids.map((id) => `row-${id}`)]), txid)
    const parts = [ids.slice(100, 200), ids.slice(200), ids.slice(150, 250)]
    for (const [i, part] of parts.entries()) {
      const starts = part.map((id) => id + 1000n * BigInt(i))
      expect((await probe.update(part, starts, txid)).status).toBe(200)
    }
    await probe.update([299n], [-1n], txid)
    await probe.commit(txid)
    const expected = ids.map((id) => (id < 100n ? null : id < 150n ? id : id < 250n ? id + 2000n : id < 299n ? id + 1000n : -1n))
    expect(await probe.select()).toEqual(ids.map((id, i) => [`row-${id}`, expected[i] ?? null]))
  })
})

describe('of two transactions that change one row', () => {
  const change = (kind: string, txid: string) => (kind === 'update' ? probe.update([0n], [9n], txid) : probe.delete([0n], txid))

  test.each([
    ['update', 'update'],
    ['update', 'delete'],
    ['delete', 'update'],
    ['delete', 'delete'],
  ])('the first to commit wins: %s against %s', async (first, second) => {
    await probe.insert([['a', 1n]])
    const [one, two] = [await probe.begin(), await probe.begin()]
    expect((await change(first, one)).status).toBe(200)
    expect((await change(second, two)).status).toBe(200)
    expect((await probe.commit(two)).status).toBe(200)
    const lost = await probe.commit(one)
    expect([lost.status, lost.error.code]).toEqual([409, 'TabularTransactionConflict'])
    expect(await starts()).toEqual(second === 'update' ? [9n] : [])
    expect((await probe.commit(one)).status).toBe(404)
  })

  test('the one that comes after the commit is told at the statement', async () => {
    await probe.insert([['a', 1n]])
    const late = await probe.begin()
    await probe.update([0n], [2n])
    expect((await probe.update([0n], [3n], late)).status).toBe(409)
  })

  test('neither is refused when they change different rows, or only insert', async () => {
    await probe.insert([
      ['a', 1n],
      ['b', 2n],
    ])
    const [one, two] = [await probe.begin(), await probe.begin()]
    await probe.update([0n], [10n], one)
    await probe.update([1n], [20n], two)
    await probe.insert([['c', 30n]], one)
    await probe.insert([['d', 40n]], two)
    expect([(await probe.commit(two)).status, (await probe.commit(one)).status]).toEqual([200, 200])
    expect(await starts()).toEqual([10n, 20n, 30n, 40n])
  })

  test('exactly one of many commits', async () => {
    await probe.insert([['a', 0n]])
    const ids = await Promise.all(Array.from({ length: 24 }, () => probe.begin()))
    await Promise.all(ids.map((txid, i) => probe.update([0n], [BigInt(i)], txid)))
    const answers = await Promise.all(ids.map((txid) => probe.commit(txid)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(23)
  })
})

describe('the catalogue', () => {
  test('is seen changed by the transaction that changes it only, until it commits', async () => {
    const txid = await probe.begin()
    await probe.createTable('u', { txid })
    await probe.insert([['a', 1n]], txid, 'u')
    expect((await probe.query({ table: 'u' })).status).toBe(404)
    await probe.commit(txid)
    expect(await probe.select({ table: 'u' })).toEqual([['a', 1n]])
  })

  test('gives 409 at once to the second transaction that touches a table', async () => {
    const [one, two] = [await probe.begin(), await probe.begin()]
    expect((await probe.createTable('u', { txid: one })).status).toBe(200)
    expect((await probe.createTable('u', { txid: two })).status).toBe(409)
    await probe.rollback(one)
    expect((await probe.createTable('u', { txid: two })).status).toBe(200)
  })

  test('does not take rows into a table that was dropped meanwhile', async () => {
    const txid = await probe.begin()
    await probe.insert([['a', 1n]], txid)
    await probe.send('DELETE', probe.at('t', 'table'))
    expect((await probe.commit(txid)).status).toBe(409)
  })

  test('merges what two transactions did to different tables', async () => {
    const [one, two] = [await probe.begin(), await probe.begin()]
    await probe.createTable('u', { txid: one })
    await probe.createTable('v', { txid: two })
    expect([(await probe.commit(one)).status, (await probe.commit(two)).status]).toEqual([200, 200])
    expect([(await probe.query({ table: 'u' })).status, (await probe.query({ table: 'v' })).status]).toEqual([200, 200])
  })
})

describe('a transaction', () => {
  test('that does not exist is a 404 for every operation', async () => {
    expect((await probe.query({ txid: '999' })).status).toBe(404)
    expect((await probe.commit('999')).error.code).toBe('NoSuchTransaction')
  })

  test('that nobody used for the idle time is rolled back; a keep-alive keeps it', async () => {
    const [kept, left] = [await probe.begin(), await probe.begin()]
    now += 40_000
    await probe.send('GET', { command: 'transaction' }, { txid: kept })
    now += 40_000
    await probe.rollback(await probe.begin())
    expect([(await probe.commit(kept)).status, (await probe.commit(left)).status]).toEqual([200, 404])
  })

  test('is not left open by requests without one, failed ones included', async () => {
    await probe.insert([['a', 1n]])
    await probe.query({ table: 'none' })
    expect(emulator.openTransactions()).toBe(0)
  })
})
