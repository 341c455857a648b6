import { describe, expect, test } from 'bun:test'
import { isTamsError, TamsError } from '../../../src/core/errors.ts'
import { and, eq, everything } from '../../../src/core/predicate.ts'
import type { Row } from '../../../src/storage/schema.ts'
import type { Tables, WriteTx } from '../../../src/storage/tables.ts'
import type { OpenVastOptions, VastTables } from '../../../src/storage/vast/index.ts'
import { deliveryRow, flowRow, logEntry } from '../../contract/table-rows.ts'
import { failureOf, replicasOfFile, requestsOf } from './stores.ts'

const cluster = replicasOfFile()
const { replicas } = cluster

const single = async (options: Partial<OpenVastOptions> = {}): Promise<VastTables> => {
  const [store] = await replicas(1, options)
  if (!store) throw new Error('no store')
  return store
}

const delivery = (store: Tables, id: string): Promise<Row<'deliveries'> | undefined> => store.read((tx) => tx.find('deliveries', [id]))
const ids = async (store: Tables): Promise<readonly string[]> =>
  (await store.read((tx) => tx.list('deliveries', { columns: ['id'], where: everything, limit: 1000 }))).rows.map(({ id }) => id)

const increment = (store: Tables, id: string): Promise<void> =>
  store.write(async (tx) => {
    await tx.lock([`delivery:${id}`])
    const row = await tx.find('deliveries', [id])
    await tx.update('deliveries', eq('id', id), { seq: (row?.seq ?? 0n) + 1n })
  })

describe('works of one process', () => {
  test('that are asked for together share one transaction: a look-up, an insert and a delete per table, whatever their number', async () => {
    const store = await single()
    await store.write((tx) =>
      tx.insert(
        'deliveries',
        [...Array(32).keys()].map((i) => deliveryRow(`old-${i}`)),
      ),
    )
    const writes = () =>
      Promise.all(
        [...Array(64).keys()].map((i) =>
          store.write(async (tx) => {
            await tx.lock([`delivery:${i}`])
            expect(await tx.find('deliveries', [`old-${i}`])).toEqual(i < 32 ? deliveryRow(`old-${i}`) : undefined)
            await tx.insert('deliveries', [deliveryRow(`new-${i}`)])
            if (i < 16) await tx.delete('deliveries', eq('id', `old-${i}`))
            else if (i < 32) await tx.update('deliveries', eq('id', `old-${i}`), { attempts: i })
          }),
        ),
      )
    expect(await requestsOf(cluster.emulator, writes)).toEqual({
      'POST transaction': 1,
      // The lock rows, the old rows, and the keys of the new ones.
      'GET data': 3,
      // Deliveries and marks of change; deliveries and lock rows; deliveries.
      'POST rows': 2,
      'PUT rows': 2,
      'DELETE rows': 1,
      'PUT transaction': 1,
    })
    expect(await ids(store)).toHaveLength(64 + 16)
  })

  test('leave nothing when they fail, and the others of their batch everything', async () => {
    const store = await single()
    const results = await Promise.allSettled(
      [...Array(10).keys()].map((i) =>
        store.write(async (tx) => {
          await tx.insert('deliveries', [deliveryRow(`${i}`)])
          await tx.append([logEntry(`${i}`)])
          if (i % 2 === 1) throw new Error('odd')
        }),
      ),
    )
    expect(results.map(({ status }) => status === 'fulfilled')).toEqual([...Array(10).keys()].map((i) => i % 2 === 0))
    expect(await ids(store)).toEqual(['0', '2', '4', '6', '8'])
    expect((await store.read((tx) => tx.readLog(0n, 99))).map(({ type }) => type)).toEqual(['0', '2', '4', '6', '8'])
  })

  test('make no commit when none of them changes anything', async () => {
    const store = await single()
    const reading = () => store.write((tx) => tx.find('deliveries', ['x']))
    expect(await requestsOf(cluster.emulator, reading)).toEqual({ 'POST transaction': 1, 'GET data': 1, 'DELETE transaction': 1 })
  })

  test('with one lock run one after the other in one transaction, each upon what the one before wrote', async () => {
    const store = await single()
    await store.write((tx) => tx.insert('deliveries', [deliveryRow('counter', { seq: 0n })]))
    const counted = await requestsOf(cluster.emulator, () => Promise.all([...Array(40).keys()].map(() => increment(store, 'counter'))))
    expect(counted['PUT transaction']).toBe(1)
    expect((await delivery(store, 'counter'))?.seq).toBe(40n)
  })

  test('without a common lock that change one row lose no change either', async () => {
    const store = await single()
    await store.write((tx) => tx.insert('deliveries', [deliveryRow('row', { seq: 0n })]))
    let runs = 0
    await Promise.all(
      [...Array(50).keys()].map(() =>
        store.write(async (tx) => {
          runs += 1
          const row = await tx.find('deliveries', ['row'])
          await tx.update('deliveries', eq('id', 'row'), { seq: (row?.seq ?? 0n) + 1n })
        }),
      ),
    )
    expect((await delivery(store, 'row'))?.seq).toBe(50n)
    expect(runs).toBeLessThanOrEqual(100)
  })

  test('that change a row as long as a condition holds leave it alone when another has ended that', async () => {
    const store = await single()
    await store.write((tx) => tx.insert('deliveries', [deliveryRow('row')]))
    const pending = and(eq('id', 'row'), eq('status', 'pending'))
    const keep = () => store.write((tx) => tx.update('deliveries', pending, { attempts: 1 }))
    const before = [...Array(20).keys()].map(keep)
    const end = store.write((tx) => tx.put('deliveries', [deliveryRow('row', { status: 'ended' })]))
    await Promise.all([...before, end, ...[...Array(20).keys()].map(keep)])
    expect(await delivery(store, 'row')).toEqual(deliveryRow('row', { status: 'ended' }))
    expect(await keep()).toBe(0)
  })

  test('that read a row and then write it without a lock run again when another has changed it in between', async () => {
    const store = await single()
    await store.write((tx) => tx.insert('deliveries', [deliveryRow('row', { seq: 0n })]))
    const slow = async (tx: WriteTx) => {
      const row = await tx.find('deliveries', ['row'])
      for (const other of ['a', 'b', 'c']) await tx.find('deliveries', [other])
      await tx.update('deliveries', eq('id', 'row'), { seq: (row?.seq ?? 0n) + 1n })
    }
    const quick = async (tx: WriteTx) => {
      const row = await tx.find('deliveries', ['row'])
      await tx.update('deliveries', eq('id', 'row'), { seq: (row?.seq ?? 0n) + 100n })
    }
    await Promise.all([store.write(slow), store.write(quick)])
    expect((await delivery(store, 'row'))?.seq).toBe(101n)
  })

  test('that wait for the locks of each other both succeed', async () => {
    const store = await single()
    const both = (first: string, second: string) => async (tx: WriteTx) => {
      await tx.lock([first])
      await tx.find('deliveries', [first])
      await tx.lock([second])
      await tx.insert('deliveries', [deliveryRow(first)])
    }
    await Promise.all([store.write(both('a', 'b')), store.write(both('b', 'c')), store.write(both('c', 'a'))])
    expect(await ids(store)).toEqual(['a', 'b', 'c'])
  })

  test('that do not end are given up, and nobody waits for them any longer', async () => {
    const store = await single({ workTimeoutMs: 400 })
    let kept: WriteTx | undefined
    const never = store.write(async (tx) => {
      kept = tx
      await tx.lock(['l'])
      await tx.insert('deliveries', [deliveryRow('never')])
      await new Promise(() => {})
    })
    const waiting = store.write(async (tx) => {
      await tx.lock(['l'])
      await tx.insert('deliveries', [deliveryRow('after')])
    })
    expect(await failureOf(never)).toMatchObject({ code: 'timeout' })
    await waiting
    expect(await ids(store)).toEqual(['after'])
    expect(await failureOf(kept?.insert('deliveries', [deliveryRow('late')]))).toMatchObject({ message: expect.stringContaining('ended') })
  })

  test('see rows that were deleted and made again as one row, in the work and in the store', async () => {
    const store = await single()
    await store.write((tx) => tx.insert('deliveries', [deliveryRow('a', { attempts: 1, error: 'old' })]))
    await store.write(async (tx) => {
      await tx.delete('deliveries', eq('id', 'a'))
      expect(await tx.find('deliveries', ['a'])).toBeUndefined()
      expect(await tx.count('deliveries', everything)).toBe(0)
      await tx.insert('deliveries', [deliveryRow('a', { attempts: 2 })])
      await tx.insert('deliveries', [deliveryRow('b')])
      await tx.delete('deliveries', eq('id', 'b'))
      expect(await tx.count('deliveries', everything)).toBe(1)
    })
    expect(await store.read((tx) => tx.list('deliveries', { where: everything, limit: 9 }))).toEqual({
      rows: [deliveryRow('a', { attempts: 2 })],
    })
  })
})

describe('two replicas', () => {
  test('insert one key under its lock 64 times each: exactly one succeeds', async () => {
    const stores = await replicas(2)
    const insert = (store: Tables, label: string) =>
      store.write(async (tx) => {
        await tx.lock(['flow:f'])
        if (await tx.find('flows', ['f', ''])) throw new TamsError('exists', 'there already')
        await tx.insert('flows', [flowRow('f', { label })])
      })
    const works = stores.flatMap((store, s) => [...Array(64).keys()].map((i) => insert(store, `${s} ${i}`)))
    const results = await Promise.allSettled(works)
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(results.filter((result) => result.status === 'rejected' && isTamsError(result.reason, 'exists'))).toHaveLength(127)
    for (const store of stores) expect(await store.read((tx) => tx.count('flows', everything))).toBe(1)
  })

  test('lose no update of a row that both change under its lock', async () => {
    const stores = await replicas(2)
    await stores[0]?.write((tx) => tx.insert('deliveries', [deliveryRow('counter', { seq: 0n })]))
    await Promise.all(stores.flatMap((store) => [...Array(20).keys()].map(() => increment(store, 'counter'))))
    for (const store of stores) expect((await delivery(store, 'counter'))?.seq).toBe(40n)
  })

  test('with different locks both get everything in', async () => {
    const stores = await replicas(2)
    const add = (store: Tables, id: string) =>
      store.write(async (tx) => {
        await tx.lock([id])
        await tx.insert('deliveries', [deliveryRow(id)])
      })
    await Promise.all(stores.flatMap((store, s) => [...Array(40).keys()].map((i) => add(store, `${s}-${i}`))))
    for (const store of stores) expect(await ids(store)).toHaveLength(80)
  })
})

describe('a commit', () => {
  test('whose answer is lost is acknowledged, and there exactly once', async () => {
    const store = await single()
    const before = await store.version('deliveries')
    cluster.emulator.faults.add({ kind: 'lost-answer', method: 'PUT', command: 'transaction' })
    const counted = await requestsOf(cluster.emulator, () => store.write((tx) => tx.insert('deliveries', [deliveryRow('a')])))
    expect(counted['PUT transaction']).toBe(1)
    expect(await ids(store)).toEqual(['a'])
    expect(BigInt(await store.version('deliveries')) - BigInt(before)).toBe(1n)
  })

  test('that never arrived is sent again, without running the works again', async () => {
    const store = await single()
    let runs = 0
    cluster.emulator.faults.add({ kind: 'drop', method: 'PUT', command: 'transaction' })
    await store.write(async (tx) => {
      runs += 1
      await tx.insert('deliveries', [deliveryRow('a')])
    })
    expect(runs).toBe(1)
    expect(await ids(store)).toEqual(['a'])
  })

  test('that the cluster has forgotten makes the works run again', async () => {
    const store = await single()
    let runs = 0
    cluster.emulator.faults.add({ kind: 'error', status: 404, code: 'NoSuchTransaction', method: 'PUT', command: 'transaction' })
    await store.write(async (tx) => {
      runs += 1
      await tx.insert('deliveries', [deliveryRow('a')])
    })
    expect(runs).toBe(2)
    expect(await ids(store)).toEqual(['a'])
  })

  test('that nobody can tell of is refused as unavailable', async () => {
    const store = await single()
    cluster.emulator.faults.add({ kind: 'error', status: 500, code: 'InternalError', method: 'PUT', command: 'transaction', times: 100 })
    expect(await failureOf(store.write((tx) => tx.insert('deliveries', [deliveryRow('a')])))).toMatchObject({ code: 'unavailable' })
    cluster.emulator.faults.clear()
    expect(await ids(store)).toEqual([])
  })

  test('that collides again and again is refused as unavailable', async () => {
    const store = await single()
    cluster.emulator.faults.add({ kind: 'error', status: 409, code: 'Conflict', method: 'PUT', command: 'transaction', times: 100 })
    expect(await failureOf(store.write((tx) => tx.insert('deliveries', [deliveryRow('a')])))).toMatchObject({ code: 'unavailable' })
    cluster.emulator.faults.clear()
    expect(await ids(store)).toEqual([])
  })
})
