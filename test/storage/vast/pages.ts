import { and, eq, isIn } from '../../../src/core/predicate.ts'
import { TimeRange } from '../../../src/core/time-range.ts'
import { blankObject } from '../../../src/domain/flow-storage.ts'
import { listOverlapping } from '../../../src/domain/segment-ranges.ts'
import type { Row, TableName } from '../../../src/storage/schema.ts'
import type { ReadTx, WriteTx } from '../../../src/storage/tables.ts'
import type { VastEngine } from '../../../src/storage/vast/engine.ts'
import { openEngine } from '../../../src/storage/vast/open-engine.ts'
import { VastTables } from '../../../src/storage/vast/vast-tables.ts'
import type { Database } from '../../../src/vastdb/index.ts'
import { flowRow, segmentRow } from '../../contract/table-rows.ts'
import type { Emulator } from '../../emulators/vast/index.ts'
import { access } from './cluster.ts'
import { impatient } from './stores.ts'

export const objectRow = (id: string, columns: Partial<Row<'objects'>> = {}): Row<'objects'> => ({
  ...blankObject(id, 0n),
  state: 'registered',
  kind: 'media',
  ...columns,
})

/** Segments of 10 ns from 0 on, each with an object `{flow}-{start}` whose `key_frame_count` is `keyFrames`. */
export const addSegments = async (tx: WriteTx, flow: string, starts: readonly bigint[], keyFrames = 0n): Promise<void> => {
  const idOf = (start: bigint): string => `${flow}-${start}`
  await tx.lock([`flow:${flow}`, ...starts.map((start) => `object:${idOf(start)}`)])
  const { timeline_id = '' } = (await tx.find('flows', [flow, ''])) ?? {}
  await tx.insert(
    'segments',
    starts.map((start) => segmentRow(flow, start, { timeline_id, end_ns: start + 10n, object_id: idOf(start) })),
  )
  await tx.put(
    'objects',
    starts.map((start) => objectRow(idOf(start), { key_frame_count: keyFrames })),
  )
}

/** A flow with `count` segments. */
export const addFlow = async (tx: WriteTx, flow: string, count: number): Promise<void> => {
  await tx.lock([`flow:${flow}`])
  const extent = { start_ns: 0n, end_ns: BigInt(10 * count), segment_count: BigInt(count) }
  await tx.insert('flows', [flowRow(flow, { timeline_id: `${flow}'s`, ...extent })])
  await addSegments(
    tx,
    flow,
    Array.from({ length: count }, (_, i) => BigInt(10 * i)),
  )
}

export interface ShownPage {
  readonly label: string | null | undefined
  readonly starts: readonly bigint[]
  readonly objects: readonly string[]
  /** Of the page's objects, by time. */
  readonly keyFrames: readonly (bigint | null | undefined)[]
}

/** What the listing of segments reads. */
export const pageOf =
  (flowId: string, { range = TimeRange.eternity, limit = 30 } = {}) =>
  async (tx: ReadTx): Promise<ShownPage | undefined> => {
    const flow = await tx.find('flows', [flowId, ''])
    if (!flow) return undefined
    const { rows } = await listOverlapping(tx, flow, { columns: ['start_ns', 'object_id'], range, limit })
    const ids = rows.map((row) => row.object_id as string)
    const where = and(isIn('id', ids), eq('deletion_id', ''))
    const objects =
      ids.length === 0 ? [] : (await tx.list('objects', { columns: ['id', 'key_frame_count'], where, limit: ids.length })).rows
    const counts = new Map(objects.map((row) => [row.id, row.key_frame_count as bigint | null]))
    const starts = rows.map((row) => row.start_ns as bigint)
    return { label: flow.label, starts, objects: ids, keyFrames: ids.map((id) => counts.get(id)) }
  }

/** A store in which something can be done just before it asks for rows of a table without a transaction. */
export interface Watched {
  readonly store: VastTables
  readonly engine: VastEngine
  readonly emulator: Emulator
  /** Once, before the next such request. */
  before(table: TableName, action: () => Promise<unknown>): void
  /** What was ordered and did not come to pass. */
  readonly waiting: number
}

export const openWatched = async (emulator: Emulator, schema: string, lockSlots?: number): Promise<Watched> => {
  const engine = await openEngine({ ...access(emulator), schema, tools: impatient, ...(lockSlots !== undefined && { lockSlots }) })
  const actions = new Map<string, () => Promise<unknown>>()
  const { database } = engine.client
  const select: Database['selectPrepared'] = database.selectPrepared.bind(database)
  database.selectPrepared = async function* (prepared) {
    const [name] = (['flows', 'segments', 'objects', 'locks'] as const).filter((each) => engine.handle(each) === prepared.table)
    const action = actions.get(name ?? '')
    actions.delete(name ?? '')
    await action?.()
    yield* select(prepared)
  }
  Object.defineProperty(engine.client, 'database', { value: database })
  return {
    store: new VastTables(engine, { tools: impatient }),
    engine,
    emulator,
    before: (table, action) => actions.set(table, action),
    get waiting() {
      return actions.size
    },
  }
}

/** Reads, and waits until the transaction of it has ended: then what was read is remembered. */
export const warm = async ({ store, emulator }: Watched, work: (tx: ReadTx) => Promise<unknown>): Promise<void> => {
  const ended = () => emulator.requests.get('DELETE transaction') ?? 0
  const before = ended()
  await store.read(work)
  while (ended() === before) await new Promise((resolve) => setImmediate(resolve))
}
