import { notFound, TamsError } from '../core/errors.ts'
import { and, eq, isIn } from '../core/predicate.ts'
import { TimeRange } from '../core/time-range.ts'
import { isUuid, quote } from '../core/uuid.ts'
import type { Row } from '../storage/schema.ts'
import type { ReadTx, WriteTx } from '../storage/tables.ts'
import type { Context } from './context.ts'
import {
  type Deletion,
  type DeletionRow,
  deletionDocument,
  isShown,
  type LeftSegments,
  leftSegments,
  listColumn,
  type RestoreTask,
} from './deletion.ts'
import type { Deps } from './deps.ts'
import { objectsCreated } from './extension-events.ts'
import { listAll } from './list-all.ts'
import { findObjects, referredTo } from './media-object.ts'
import { record } from './record.ts'
import { type RestoreOptions, restoreFlow, sourceBack, stillWorkedOff } from './restore-flow.ts'
import { deletionsToRestore, flowOfSegments, oneAfterTheOther, type SegmentRestore, segmentsOf } from './restore-ranges.ts'
import { AT_ONCE, restoreSegments, type TrashedSegments } from './restore-segments.ts'
import { onTimeline } from './segment-ranges.ts'
import { lastDeleted } from './trash-view.ts'

export interface RestoreWish {
  /** Default: what the deletion took along comes back as well. */
  readonly cascade?: boolean
  /** Default: of several deletions the last. */
  readonly deletionId?: string
}

/**
 * Out of the trash, one transaction each: what is back is back as it was. A deletion that comes back as `restoring` is still worked on
 * behind that; so is one of more than `atOnce` segments of a live flow. All throw `not_found` where nothing lies in the trash, and `conflict` where the state of the store forbids it.
 */
export const restoreUseCases = ({ tables, clock, settings }: Deps, atOnce = AT_ONCE) => {
  const options = (cascade: boolean | undefined): RestoreOptions => ({
    nowUs: clock.nowUs(),
    cascade: cascade ?? true,
    threshold: settings.asyncDeletionThreshold,
    atOnce,
  })

  return {
    /** The flow as its last deletion found it, or as the given one did. */
    flow: (context: Context, id: string, parse: () => RestoreWish): Promise<Deletion> =>
      tables.write(async (tx) => {
        await tx.lock([`flow:${id}`])
        const wish = await parseOf(tx, context, 'flows', id, parse)
        const flow = await trashedOf(tx, context, 'flows', id, wish)
        const deletion = await openDeletion(tx, flow.deletion_id)
        const chosen = options(wish.cascade)
        const { tasks, left } = await restoreFlow(tx, context, deletion, flow, chosen)
        return save(tx, deletion, chosen, tasks, left ? [left] : [])
      }),

    /** With `cascade`, its flows as well, as far as they went with it. */
    source: (context: Context, id: string, parse: () => RestoreWish): Promise<Deletion> =>
      tables.write(async (tx) => {
        await tx.lock([`source:${id}`])
        const wish = await parseOf(tx, context, 'sources', id, parse)
        const source = await trashedOf(tx, context, 'sources', id, wish)
        const deletion = await openDeletion(tx, source.deletion_id)
        return restoreSource(tx, context, deletion, id, options(wish.cascade))
      }),

    object: (context: Context, id: string): Promise<Deletion> =>
      tables.write(async (tx) => {
        await tx.lock([`object:${id}`])
        const row = id.isWellFormed() ? (await findObjects(tx, [id])).get(id) : undefined
        if (row?.state !== 'registered') throw notFound(`Object ${quote(id)}`)
        if (row.trash_id === null)
          throw new TamsError('conflict', `Object ${quote(id)} is not deleted by itself; restore a flow or segments that use it`)
        return restoreObject(tx, context, await openDeletion(tx, row.trash_id), options(true))
      }),

    /** What deletions of segments have taken from a live flow, as far as the time range covers it: all of it, or nothing. */
    segments: (context: Context, flowId: string, parse: () => SegmentRestore): Promise<Deletion[]> =>
      tables.write(async (tx) => {
        await tx.lock([`flow:${flowId}`])
        const flow = await flowOfSegments(tx, context, flowId)
        const wish = parse()
        const chosen = options(true)
        const restored: Deletion[] = []
        for (const id of await deletionsToRestore(tx, flow, wish)) {
          const deletion = await openDeletion(tx, id)
          const places = segmentsOf(deletion).filter(({ flow_id }) => flow_id === flowId)
          const { count, tasks } = await restoreAll(tx, context, deletion, places, chosen, wish.timerange).catch((error: unknown) => {
            throw restored.length > 0 ? oneAfterTheOther(error, id) : error
          })
          if (count > 0) restored.push(await save(tx, deletion, chosen, tasks))
        }
        if (restored.length === 0) throw notFound(`A deleted segment of flow ${flowId} in ${wish.timerange}`)
        return restored
      }),

    /** All that a deletion took, or with `cascade=false` only the record that it was about. */
    deletion: (context: Context, id: string, parse: () => RestoreWish): Promise<Deletion> =>
      tables.write(async (tx) => {
        if (!isUuid(id)) throw notFound(`Deletion ${id}`)
        const deletion = await openDeletion(tx, id)
        if (!(await isShown(tx, context, deletion))) throw notFound(`Deletion ${id}`)
        const chosen = options(parse().cascade)
        switch (deletion.entity_type) {
          case 'object':
            return restoreObject(tx, context, deletion, chosen)
          case 'source':
            return restoreSource(tx, context, deletion, deletion.entity_id, chosen)
          case 'segments': {
            const { count, tasks } = await restoreAll(tx, context, deletion, segmentsOf(deletion), chosen)
            if (count === 0) throw nothingLeft(id)
            return save(tx, deletion, chosen, tasks)
          }
          default:
            return restoreFlows(tx, context, deletion, chosen)
        }
      }),
  }
}

const nothingLeft = (id: string): TamsError => new TamsError('conflict', `Deletion ${id} has nothing left to restore`)

/** The deletion, if something of it can be restored now. */
const openDeletion = async (tx: WriteTx, id: string): Promise<DeletionRow> => {
  await tx.lock([`deletion:${id}`])
  const row = await tx.find('deletions', [id])
  if (!row || row.status === 'purging') throw notFound(`Deletion ${id}`)
  if (row.status === 'restoring') throw new TamsError('conflict', `Deletion ${id} is being restored already; see /deletions/${id}`)
  const open = and(eq('deletion_id', id), isIn('status', ['created', 'started']))
  if ((await tx.count('deletion_requests', open, { atMost: 1 })) > 0) throw stillWorkedOff(`Deletion ${id}`)
  return row
}

type Trashable = 'flows' | 'sources'
const NAMES = { flows: 'Flow', sources: 'Source' } as const

/** 404 for what was never there goes before 400 for the query. */
const parseOf = async (tx: ReadTx, { visible }: Context, table: Trashable, id: string, parse: () => RestoreWish): Promise<RestoreWish> => {
  if (!isUuid(id) || (await tx.count(table, and(eq('id', id), visible[table]), { atMost: 1 })) === 0)
    throw notFound(`${NAMES[table]} ${id}`)
  return parse()
}

const trashedOf = async <N extends Trashable>(
  tx: ReadTx,
  { visible }: Context,
  table: N,
  id: string,
  { deletionId }: RestoreWish,
): Promise<Row<N>> => {
  const found = and(eq('id', id), eq('trashed', true), visible[table])
  const where = deletionId === undefined ? found : and(found, eq('deletion_id', deletionId))
  const row = await lastDeleted(tx, await listAll(tx, table, { where, limit: 1000 }))
  if (row) return row
  if (deletionId !== undefined) throw notFound(`${NAMES[table]} ${id}, deleted by ${deletionId},`)
  throw new TamsError('conflict', `${NAMES[table]} ${id} is not deleted`)
}

const restoreFlows = async (tx: WriteTx, context: Context, deletion: DeletionRow, options: RestoreOptions): Promise<Deletion> => {
  const flows = await flowsOf(tx, deletion.id)
  const tasks: RestoreTask[] = []
  const left: LeftSegments[] = []
  let room = options.threshold
  for (const flow of flows) {
    const restored = await restoreFlow(tx, context, deletion, flow, { ...options, threshold: room })
    tasks.push(...restored.tasks)
    if (restored.left) left.push(restored.left)
    if (restored.tasks.length === 0) room -= Number(flow.segment_count)
  }
  // Flows that came back alone before: now their segments.
  const behind = options.cascade ? await restoreAll(tx, context, deletion, leftSegments(deletion), options) : { count: 0, tasks: [] }
  if (flows.length === 0 && behind.count === 0) throw nothingLeft(deletion.id)
  return save(tx, deletion, options, [...tasks, ...behind.tasks], left)
}

/** Also one that went with its last flow: the deletion took both. */
const restoreSource = async (
  tx: WriteTx,
  context: Context,
  deletion: DeletionRow,
  id: string,
  options: RestoreOptions,
): Promise<Deletion> => {
  await tx.lock([`source:${id}`])
  const row = await tx.find('sources', [id, deletion.id])
  if (!row) return restoreFlows(tx, context, deletion, options)
  if (await tx.find('sources', [id, ''])) throw new TamsError('conflict', `Source ${id} is live: a deleted one cannot take its place`)
  const flows = options.cascade ? (await flowsOf(tx, deletion.id)).filter((flow) => flow.source_id === id) : []
  // Nothing but itself keeps a source without flows.
  const events = await sourceBack(tx, row, flows.length === 0 ? { explicit: true } : {})
  await record(tx, context, options.nowUs, events, {
    action: 'source.restore',
    entityType: 'source',
    entityId: id,
    detail: { deletion_id: deletion.id },
  })
  return flows.length > 0 ? restoreFlows(tx, context, deletion, options) : save(tx, deletion, options, [])
}

const flowsOf = (tx: ReadTx, deletionId: string) => listAll(tx, 'flows', { where: eq('deletion_id', deletionId), limit: 10_000 })

const restoreObject = async (tx: WriteTx, context: Context, deletion: DeletionRow, options: RestoreOptions): Promise<Deletion> => {
  const { entity_id: id } = deletion
  await tx.lock([`object:${id}`])
  const taken = and(eq('id', id), eq('deletion_id', ''), eq('trash_id', deletion.id))
  const row = (await findObjects(tx, [id])).get(id)
  if (!row || (await tx.update('objects', taken, { trash_id: null })) === 0) throw nothingLeft(deletion.id)
  // Segments that came back before it have shown it already.
  const events = (await referredTo(tx, [id])).has(id) ? [] : objectsCreated([row])
  await record(tx, context, options.nowUs, events, {
    action: 'object.restore',
    entityType: 'object',
    entityId: id,
    detail: { deletion_id: deletion.id },
  })
  return save(tx, deletion, options, [])
}

const restoreAll = async (
  tx: WriteTx,
  context: Context,
  deletion: DeletionRow,
  places: readonly TrashedSegments[],
  { nowUs, atOnce }: RestoreOptions,
  range = TimeRange.eternity,
): Promise<{ readonly count: number; readonly tasks: readonly RestoreTask[] }> => {
  const tasks: RestoreTask[] = []
  let count = 0
  for (const place of places) {
    const restored = await restoreSegments(tx, context, deletion.id, place, { nowUs, range, atOnce })
    tasks.push(...restored.tasks)
    count += restored.count
  }
  return { count, tasks }
}

/** What has become of the deletion. It stays open as long as something of it lies in the trash. */
const save = async (
  tx: WriteTx,
  deletion: DeletionRow,
  { nowUs }: RestoreOptions,
  tasks: readonly RestoreTask[],
  left: readonly LeftSegments[] = [],
): Promise<Deletion> => {
  const behind: LeftSegments[] = []
  for (const item of [...leftSegments(deletion), ...left])
    if ((await tx.count('segments', onTimeline({ id: item.flow_id, timeline_id: item.from }), { atMost: 1 })) > 0) behind.push(item)
  const rest = { ...deletion, left_segments: listColumn(behind) }
  const status = tasks.length > 0 ? 'restoring' : (await isEmptied(tx, rest)) ? 'restored' : 'deleted'
  const set = { left_segments: rest.left_segments, tasks: listColumn(tasks), status, restored: nowUs }
  await tx.update('deletions', eq('id', deletion.id), set)
  return deletionDocument({ ...deletion, ...set })
}

/** Whether nothing lies in the trash of this deletion any more. A source that was made anew meanwhile does not count. */
export const isEmptied = async (tx: ReadTx, deletion: DeletionRow): Promise<boolean> => {
  const { id, entity_type } = deletion
  if (entity_type === 'object') return true
  if ((await tx.count('flows', eq('deletion_id', id), { atMost: 1 })) > 0) return false
  if (entity_type === 'source' && (await tx.count('sources', eq('deletion_id', id), { atMost: 1 })) > 0) return false
  for (const { flow_id, from } of segmentsOf(deletion))
    if ((await tx.count('segments', onTimeline({ id: flow_id, timeline_id: from }), { atMost: 1 })) > 0) return false
  return true
}
