import { afterEach, expect, type Mock, spyOn, test } from 'bun:test'
import { everything } from '../../../src/core/predicate.ts'
import { ScanSession } from '../../../src/storage/sqlite/scan.ts'
import { ScanPool } from '../../../src/storage/sqlite/scan-pool.ts'
import { segmentRow } from '../../contract/table-rows.ts'
import { temporaryStores } from './support.ts'

const stores = temporaryStores()
let pool: ScanPool | undefined
afterEach(() => pool?.close())

/** A pool whose readers tell how many scans they have taken part in. */
const watchedPool = () => {
  const starts: Mock<(...args: never[]) => unknown>[] = []
  const made = new ScanPool(stores.file())
  const take = made.take.bind(made)
  made.take = () => {
    const reader = take()
    starts.push(spyOn(reader, 'start'))
    return reader
  }
  pool = made
  return { pool: made, begun: () => starts.map(({ mock }) => mock.calls.length) }
}

const SEGMENTS = 5000

/** Scans, and holds its first batch back until the load was asked for twice. */
const scanBeside = async (load: number, workersWhileBusy: number) => {
  const tables = await stores.open()
  await tables.write((tx) =>
    tx.insert(
      'segments',
      Array.from({ length: SEGMENTS }, (_, i) => segmentRow('f', BigInt(i))),
    ),
  )
  const watched = watchedPool()
  const asked = Promise.withResolvers<void>()
  let times = 0
  const session = await ScanSession.open({
    pool: watched.pool,
    timeoutMs: 60_000,
    workers: 3,
    workersWhileBusy,
    load: () => {
      if (++times === 2) asked.resolve()
      return load
    },
  })
  await session.takeSnapshot({ ofAll: true })
  const starts: bigint[] = []
  for await (const batch of session.scan('segments', { columns: ['start_ns'], where: everything })) {
    if (workersWhileBusy < 3) await asked.promise
    starts.push(...((batch.getChild('start_ns')?.toArray() ?? []) as BigInt64Array))
  }
  await session.stop()
  expect(starts.toSorted((a, b) => Number(a - b))).toEqual(Array.from({ length: SEGMENTS }, (_, i) => BigInt(i)))
  return { begun: watched.begun(), asked: times }
}

test.each([1, 2])('while requests keep this thread busy, %i of three workers take part where no more may', async (most) => {
  const { begun } = await scanBeside(0.9, most)
  expect(begun.filter((scans) => scans === 1)).toHaveLength(most)
})

test('all workers take part as soon as this thread is known to have time to spare', async () => {
  expect((await scanBeside(0.1, 1)).begun).toEqual([1, 1, 1])
})

test('nobody looks how busy this thread is where there are cores enough', async () => {
  expect(await scanBeside(0.9, 3)).toEqual({ begun: [1, 1, 1], asked: 0 })
})
