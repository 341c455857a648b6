import { afterEach, beforeEach, expect, test } from 'bun:test'
import { everything } from '../../src/core/predicate.ts'
import type { Tables } from '../../src/storage/tables.ts'
import { acquireLease, endServiceLeases, keepingLease, LeaseLost, releaseLease, serviceHolder } from '../../src/workers/lease.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { takeLease } from '../support/workers.ts'

let app: TestApp
beforeEach(async () => {
  app = await openApp()
})
afterEach(() => app.close())

const take = (holder: string) => takeLease(app.deps.tables, app.clock, 'work', holder)
const acquire = (holder: string) => acquireLease(app.deps.tables, app.clock, 'work', holder)
/** A write below the lease, of a row that shows whether it took place. */
const writeWith = (lease: Awaited<ReturnType<typeof take>>, name: string) =>
  app.deps.tables.write(async (tx) => {
    await tx.lock([`meta:${name}`])
    await tx.put('meta', [{ name, value: lease.holder }])
    await lease.keep(tx)
  })
const written = (name: string) => app.deps.tables.read((tx) => tx.find('meta', [name]))

test('of many that ask at once, one gets the lease', async () => {
  const leases = await Promise.all(Array.from({ length: 16 }, (_, index) => acquire(`holder ${index}`)))
  expect(leases.filter((lease) => lease !== undefined)).toHaveLength(1)
  expect(await app.deps.tables.read((tx) => tx.count('leases', everything))).toBe(1)
})

test('a lease that is kept is not taken over, however long the work takes', async () => {
  const lease = await take('first')
  for (let round = 0; round < 10; round++) {
    app.clock.advance(29)
    await writeWith(lease, 'kept')
    expect(await acquire('second')).toBeUndefined()
  }
})

test('a lease that ran out goes to the next holder, and the former one cannot write any more', async () => {
  const first = await take('first')
  app.clock.advance(31)
  const second = await take('second')
  expect(second.fence).toBeGreaterThan(first.fence)
  await expect(writeWith(first, 'late')).rejects.toBeInstanceOf(LeaseLost)
  expect(await written('late')).toBeUndefined()
  await writeWith(second, 'now')
  expect(await written('now')).toMatchObject({ value: 'second' })
})

test('a holder that lost its lease and gets it again has another fence: what it began before cannot be written', async () => {
  const before = await take('first')
  app.clock.advance(31)
  await take('second')
  app.clock.advance(31)
  const after = await take('first')
  expect(after.fence).toBeGreaterThan(before.fence)
  await expect(writeWith(before, 'late')).rejects.toBeInstanceOf(LeaseLost)
  await writeWith(after, 'now')
})

test('a lease that is given back is free at once; giving back a lost one takes nothing from its new holder', async () => {
  const first = await take('first')
  await releaseLease(app.deps.tables, first)
  const second = await take('second')
  await releaseLease(app.deps.tables, first)
  expect(await acquire('third')).toBeUndefined()
  await writeWith(second, 'now')
})

test('a service that serves alone ends the leases of former services at once, not those of commands', async () => {
  const killed = await take(serviceHolder('killed'))
  await takeLease(app.deps.tables, app.clock, 'command', 'a command')
  expect(await acquire(serviceHolder('new'))).toBeUndefined()
  await endServiceLeases(app.deps.tables)
  const lease = await take(serviceHolder('new'))
  expect(lease.fence).toBeGreaterThan(killed.fence)
  await expect(writeWith(killed, 'late')).rejects.toBeInstanceOf(LeaseLost)
  await writeWith(lease, 'now')
  expect(await acquireLease(app.deps.tables, app.clock, 'command', serviceHolder('new'))).toBeUndefined()
})

test('long work outside transactions keeps its lease, and is told when another has taken it', async () => {
  const { tables } = app.deps
  const lease = await take('first')
  const expiry = async () => (await tables.read((tx) => tx.find('leases', ['work'])))?.expires ?? 0n
  const before = await expiry()
  app.clock.advance(20)
  const renewed = Promise.withResolvers<void>()
  const watched: Tables = {
    read: tables.read.bind(tables),
    write: async (work) => {
      const value = await tables.write(work)
      renewed.resolve()
      return value
    },
    version: tables.version.bind(tables),
    check: tables.check.bind(tables),
    close: tables.close.bind(tables),
  }
  const work = async (signal: AbortSignal): Promise<unknown> => {
    const told = new Promise((resolve) => signal.addEventListener('abort', () => resolve(signal.reason)))
    await renewed.promise
    expect(await expiry()).toBeGreaterThan(before + 19_000_000n)
    await tables.write((tx) => tx.put('leases', [{ name: 'work', holder: 'second', expires: before, fence: lease.fence + 1n }]))
    return told
  }
  expect(await keepingLease(watched, lease, new AbortController().signal, work, 1)).toBeInstanceOf(LeaseLost)
})
