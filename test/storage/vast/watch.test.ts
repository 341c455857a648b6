import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test'
import { systemClock } from '../../../src/core/clock.ts'
import type { Row } from '../../../src/storage/schema.ts'
import { tableFacts } from '../../../src/storage/table-facts.ts'
import type { Tables } from '../../../src/storage/tables.ts'
import { ChangesLook } from '../../../src/storage/vast/changes-look.ts'
import type { VastTables } from '../../../src/storage/vast/index.ts'
import { collected } from '../../../src/storage/vast/merged-queries.ts'
import { SnapshotSource } from '../../../src/storage/vast/snapshot-source.ts'
import { createLog } from '../../../src/telemetry/log.ts'
import { runWorkers, type Worker } from '../../../src/workers/worker.ts'
import { flowRow, logEntry } from '../../contract/table-rows.ts'
import { type Emulator, startEmulator } from '../../emulators/vast/index.ts'
import { openReplicas } from './stores.ts'

let emulator: Emulator
const open: VastTables[] = []
beforeAll(async () => {
  emulator = await startEmulator()
})
afterEach(() => Promise.all(open.splice(0).map((store) => store.close())))
afterAll(() => emulator.close())

const twoStores = async (): Promise<readonly [VastTables, VastTables]> => {
  const [one, other] = await openReplicas(emulator, 2)
  if (!one || !other) throw new Error('two replicas')
  open.push(one, other)
  return [one, other]
}

const putFlow = (store: Tables, id: string) =>
  store.write(async (tx) => {
    await tx.lock([`flow:${id}`])
    await tx.insert('flows', [flowRow(id)])
  })

const marksIn = (source: SnapshotSource) => source.rows('changes', { columns: tableFacts('changes').columnNames, where: [] })

const requests = (): number => [...emulator.requests.values()].reduce((sum, count) => sum + count, 0)

test('a look names the tables that commits of others have touched, each commit once, in one request', async () => {
  const [one, other] = await twoStores()
  const look = new ChangesLook(new SnapshotSource(one.engine, one.engine.client.database))
  await look.look()
  await putFlow(other, 'f')
  await other.write((tx) => tx.append([logEntry('a')]))
  const before = requests()
  const touched = await look.look()
  expect(requests()).toBe(before + 1)
  expect(touched.toSorted()).toEqual(['event_log', 'flows'])
  expect(await look.look()).toEqual([])
})

test('a look passes over the commits of its own process', async () => {
  const [one, other] = await twoStores()
  const source = new SnapshotSource(one.engine, one.engine.client.database)
  const look = new ChangesLook(source)
  await look.look()
  const before = new Set((await collected(marksIn(source))).map(({ id }) => id))
  await putFlow(other, 'f')
  look.note((await collected(marksIn(source))).filter(({ id }) => !before.has(id ?? '')) as unknown as Row<'changes'>[])
  expect(await look.look()).toEqual([])
})

test('a write is seen by the watch of its store before it settles for the caller', async () => {
  const [one] = await twoStores()
  const [flows, objects] = [one.watch.seen('flows'), one.watch.seen('objects')]
  await putFlow(one, 'own')
  expect(one.watch.seen('flows')).not.toBe(flows)
  expect(one.watch.seen('objects')).toBe(objects)
})

const log = createLog({ level: 'silent', format: 'json', destination: { write: () => undefined } })

/** A worker that looks into the table at each step. */
const looking = (name: string, stepped: () => void): Worker => ({
  name,
  intervalMs: 5,
  watches: ['flows'],
  async step() {
    stepped()
    return false
  },
})

const clock = systemClock()

test('workers ask nothing while the tables that they watch stay as they are, and go on when one has changed', async () => {
  const [one] = await twoStores()
  let steps = 0
  const workers = runWorkers({ tables: one, clock, log }, [
    looking('a', () => {
      steps += 1
    }),
  ])
  const untilSteps = async (count: number) => {
    while (steps < count) await Bun.sleep(1)
  }
  await untilSteps(2)
  const [stepsBefore, before] = [steps, requests()]
  // A hundred intervals.
  await Bun.sleep(500)
  expect(steps).toBe(stepsBefore)
  // Looks of the watch alone: at 100, 300, 700 ms at the earliest.
  expect(requests() - before).toBeLessThanOrEqual(6)
  await putFlow(one, 'wakes')
  await untilSteps(stepsBefore + 1)
  await workers.stop()
})
