import { describe, expect, test } from 'bun:test'
import type { Clock } from '../../../src/core/clock.ts'
import { everything } from '../../../src/core/predicate.ts'
import type { Row } from '../../../src/storage/schema.ts'
import type { Tables, WriteTx } from '../../../src/storage/tables.ts'
import type { VastTables } from '../../../src/storage/vast/index.ts'
import { deliveryRow, logEntry } from '../../contract/table-rows.ts'
import { replicasOfFile, requestsOf } from './stores.ts'

const cluster = replicasOfFile()
const { replicas } = cluster

const wholeLog = (store: Tables): Promise<readonly Row<'event_log'>[]> => store.read((tx) => tx.readLog(0n, 10_000))
const typesOf = async (store: Tables): Promise<readonly string[]> => (await wholeLog(store)).map(({ type }) => type)

describe('the log of several replicas', () => {
  test('has every entry once, with one number, in the same order for all', async () => {
    const stores = await replicas(3)
    const written = stores.flatMap((store, s) =>
      [...Array(40).keys()].map((i) => store.write((tx) => tx.append([logEntry(`${s}-${i}a`), logEntry(`${s}-${i}b`)]))),
    )
    // Readers give numbers too, while the others write.
    const reads = stores.flatMap((store) => [...Array(5).keys()].map(() => wholeLog(store)))
    await Promise.all([...written, ...reads])
    const logs = await Promise.all(stores.map(wholeLog))
    const [first = []] = logs
    expect(first).toHaveLength(240)
    expect(new Set(first.map(({ seq }) => seq)).size).toBe(240)
    expect(new Set(first.map(({ type }) => type)).size).toBe(240)
    for (const log of logs) expect(log).toEqual(first)
    for (let i = 0; i < first.length; i += 2) expect(first[i + 1]?.type).toBe(first[i]?.type.replace('a', 'b') ?? '')
  })

  test('never has an entry appear behind a reader who remembers where it was', async () => {
    const [writer, other, reader] = await replicas(3)
    if (!writer || !other || !reader) throw new Error('three replicas')
    let writing = true
    const write = (store: Tables, name: string) => async () => {
      for (let i = 0; i < 30; i++) await store.write((tx) => tx.append([logEntry(`${name}${i}`)]))
    }
    const writes = Promise.all([write(writer, 'a')(), write(other, 'b')()]).finally(() => {
      writing = false
    })
    const seen: string[] = []
    let position = 0n
    const follow = async () => {
      for (const { seq, type } of await reader.read((tx) => tx.readLog(position, 7))) {
        position = seq
        seen.push(type)
      }
    }
    while (writing) await follow()
    await writes
    while (seen.length < 60 && (await reader.read((tx) => tx.readLog(position, 1))).length > 0) await follow()
    expect(seen).toHaveLength(60)
    expect(seen).toEqual([...(await typesOf(reader))])
  })

  test('keeps the order of commits under one lock, whatever the clocks say', async () => {
    const clock = (startUs: bigint): Clock => {
      let now = startUs
      return { nowUs: () => ++now }
    }
    const [early] = await replicas(1, { clock: clock(1_000_000n) })
    if (!early) throw new Error('a store')
    const late = (await openOn(early, clock(9_000_000_000_000n)))[0]
    if (!late) throw new Error('a store')
    const append = (store: Tables, type: string) =>
      store.write(async (tx) => {
        await tx.lock(['flow:f'])
        await tx.append([logEntry(type)])
      })
    // Nobody reads in between, so that all wait for their numbers together.
    cluster.emulator.faults.add({ kind: 'error', status: 500, code: 'InternalError', command: 'data', path: 'outbox', times: 1000 })
    for (const i of [1, 2, 3]) {
      await append(late, `late ${i}`)
      await append(early, `early ${i}`)
    }
    cluster.emulator.faults.clear()
    expect(await typesOf(early)).toEqual(['late 1', 'early 1', 'late 2', 'early 2', 'late 3', 'early 3'])
  })
})

const openOn = (store: VastTables, clock: Clock) => replicas(1, { schema: store.engine.schema, clock })

describe('a read of the log', () => {
  test('by position, by condition or by count sees what was committed before it, also when nobody has given numbers', async () => {
    const [store] = await replicas(1)
    if (!store) throw new Error('a store')
    const reads = [
      (tx: Pick<WriteTx, 'readLog'>) => tx.readLog(0n, 9).then((rows) => rows.length),
      (tx: Pick<WriteTx, 'list'>) => tx.list('event_log', { where: everything, limit: 9 }).then(({ rows }) => rows.length),
      (tx: Pick<WriteTx, 'count'>) => tx.count('event_log', everything),
      (tx: Pick<WriteTx, 'find'>) => tx.find('event_log', [4n]).then((row) => (row ? 4 : 0)),
    ]
    for (const [i, read] of reads.entries()) {
      await store.write((tx) => tx.append([logEntry(`${i}`)]))
      expect(await store.read(read)).toBe(i + 1)
    }
  })

  test('inside a write sees what was committed before the write was asked for', async () => {
    const [store] = await replicas(1)
    if (!store) throw new Error('a store')
    await store.write((tx) => tx.append([logEntry('before')]))
    const seen = await store.write(async (tx) => {
      await tx.insert('deliveries', [deliveryRow('d')])
      return (await tx.readLog(0n, 9)).map(({ type }) => type)
    })
    expect(seen).toEqual(['before'])
    expect(await store.read((tx) => tx.count('deliveries', everything))).toBe(1)
  })

  test('agrees with the other tables of its snapshot while others write', async () => {
    const [store, other] = await replicas(2)
    if (!store || !other) throw new Error('two replicas')
    let writing = true
    const write = async (to: Tables, name: string) => {
      for (let i = 0; i < 25; i++)
        await to.write(async (tx) => {
          await tx.insert('deliveries', [deliveryRow(`${name}${i}`)])
          await tx.append([logEntry(`${name}${i}`)])
        })
    }
    const writes = Promise.all([write(store, 'a'), write(other, 'b')]).finally(() => {
      writing = false
    })
    let looks = 0
    while (writing || looks === 0) {
      const [rows, entries] = await store.read(async (tx) => [
        await tx.count('deliveries', everything),
        (await tx.readLog(0n, 1000)).length,
      ])
      expect(entries).toBe(rows ?? -1)
      looks += 1
    }
    await writes
    expect(await typesOf(store)).toHaveLength(50)
  })
})

test('numbers are given in eight requests, however many entries wait; nobody has to ask for them', async () => {
  const [store] = await replicas(1)
  if (!store) throw new Error('a store')
  // The first numbers of a store are given in the general way.
  await store.write((tx) => tx.append([logEntry('first')]))
  await typesOf(store)
  await store.write((tx) => tx.append(Array.from({ length: 1500 }, (_, n) => logEntry(`${n}`))))
  const counted = await requestsOf(cluster.emulator, () => store.read((tx) => tx.count('event_log', everything)))
  expect(counted).toMatchObject({ 'POST rows': 2, 'DELETE rows': 1, 'PUT rows': 1, 'PUT transaction': 1 })
  // Two transactions that read, the outbox in each; the outbox and the last number.
  expect(counted['GET data']).toBeLessThanOrEqual(5)
  expect((await typesOf(store)).slice(1)).toEqual(Array.from({ length: 1500 }, (_, n) => `${n}`))
})
