import { and, compare, eq, isIn, type Predicate, type Value } from '../core/predicate.ts'
import type { Row } from '../storage/schema.ts'
import type { ReadTx, Tables, WriteTx } from '../storage/tables.ts'
import { dropExplicitRows, dropMembership, keptMemberships } from './collections.ts'
import { type Context, seesEverything } from './context.ts'
import { type DeletionRow, leftSegments } from './deletion.ts'
import { hiddenStretches } from './hidden.ts'
import { listAll } from './list-all.ts'
import { findObjects, removeObjects } from './media-object.ts'
import { record } from './record.ts'
import { byStart, onTimeline, type Timeline } from './segment-ranges.ts'
import { removeSegments } from './segment-remove.ts'
import { removeTags } from './tags.ts'

/** Deletions whose time in the trash is over; a purge that was begun goes on whatever its age. One that is restored just loses its record. */
export const purgeable = (beforeUs: bigint): Predicate =>
  and(isIn('status', ['deleted', 'restored', 'purging']), compare('created', '<=', beforeUs))

/** What one step of a purge did. */
export interface PurgeStep {
  /** `later`: delete requests or restores are still to be worked off first. */
  readonly outcome: 'more' | 'done' | 'later'
  readonly segments: number
}

/**
 * Removes the next `limit` segments, or the next record, of what lies in the trash of a deletion, with the bytes that nothing else
 * refers to; its own row goes last. Nobody is told: it was gone before. Safe to repeat after a crash at any point, and beside another
 * process that does the same.
 */
export const purgeStep = async (tx: WriteTx, nowUs: bigint, id: string, limit: number): Promise<PurgeStep> => {
  await tx.lock([`deletion:${id}`])
  const deletion = await tx.find('deletions', [id])
  if (!deletion) return { outcome: 'done', segments: 0 }
  if (deletion.status === 'restoring' || (await isWorkedOn(tx, id))) return { outcome: 'later', segments: 0 }
  if (deletion.status !== 'purging') await begin(tx, nowUs, deletion)
  for (const timeline of await timelinesOf(tx, deletion)) {
    await tx.lock([`flow:${timeline.id}`])
    const { rows } = await tx.list('segments', { where: onTimeline(timeline), orderBy: byStart('asc'), limit })
    if (rows.length > 0) {
      await removeSegments(tx, nowUs, timeline, rows, { silent: true })
      return { outcome: 'more', segments: rows.length }
    }
    const flow = await tx.find('flows', [timeline.id, id])
    if (flow?.timeline_id === timeline.timeline_id) {
      await removeFlow(tx, flow)
      return { outcome: 'more', segments: 0 }
    }
  }
  const sources = await listAll(tx, 'sources', { columns: ['id'], where: eq('deletion_id', id), limit })
  for (const source of sources) {
    await removeTags(tx, 'source', source.id, id)
    await dropExplicitRows(tx, source.id, id)
  }
  await tx.delete('sources', eq('deletion_id', id))
  if (deletion.entity_type === 'object') await removeObject(tx, nowUs, deletion)
  await tx.delete('deletions', eq('id', id))
  return { outcome: 'done', segments: 0 }
}

/** Requests that carry rows to this trash, or tell of what came to it, and hidden stretches of flows in it: also those that a restore fills. */
const isWorkedOn = async (tx: ReadTx, id: string): Promise<boolean> => {
  const open = isIn('status', ['created', 'started'])
  if ((await tx.count('deletion_requests', and(eq('deletion_id', id), open), { atMost: 1 })) > 0) return true
  const flows = await listAll(tx, 'flows', { columns: ['id', 'timeline_id', 'hidden'], where: eq('deletion_id', id), limit: 10_000 })
  for (const { id: flowId, timeline_id, hidden } of flows) {
    if (hidden === null) continue
    if (hiddenStretches({ hidden }).some(({ kind }) => kind === 'restore')) return true
    const of = and(eq('flow_id', flowId), eq('timeline_id', timeline_id), open)
    if ((await tx.count('deletion_requests', of, { atMost: 1 })) > 0) return true
  }
  return false
}

/** From now on it cannot be restored. */
const begin = async (tx: WriteTx, nowUs: bigint, deletion: DeletionRow): Promise<void> => {
  await tx.update('deletions', eq('id', deletion.id), { status: 'purging' })
  await record(tx, PURGER, nowUs, [], {
    action: 'deletion.purge',
    entityType: 'deletion',
    entityId: deletion.id,
    detail: { entity_type: deletion.entity_type, entity_id: deletion.entity_id },
  })
}

const PURGER: Context = { principal: { name: 'system' }, visible: seesEverything, requestId: 'purge', baseUrl: '' }

/** Every timeline of which segments lie in this trash. */
export const timelinesOf = async (tx: ReadTx, deletion: DeletionRow): Promise<Timeline[]> => {
  const flows = await listAll(tx, 'flows', { columns: ['id', 'timeline_id'], where: eq('deletion_id', deletion.id), limit: 10_000 })
  const ranges =
    deletion.entity_type === 'segments' && deletion.flow_id !== null ? [{ id: deletion.flow_id, timeline_id: deletion.id }] : []
  return [...flows, ...ranges, ...leftSegments(deletion).map(({ flow_id, from }) => ({ id: flow_id, timeline_id: from }))]
}

const removeFlow = async (tx: WriteTx, flow: Row<'flows'>): Promise<void> => {
  await removeTags(tx, 'flow', flow.id, flow.deletion_id)
  const { members, parents } = await keptMemberships(tx, flow.deletion_id, flow.id)
  for (const row of [...members, ...parents]) await dropMembership(tx, row)
  await tx.delete('flows', and(eq('id', flow.id), eq('deletion_id', flow.deletion_id)))
}

const removeObject = async (tx: WriteTx, nowUs: bigint, { id, entity_id }: DeletionRow): Promise<void> => {
  await tx.lock([`object:${entity_id}`])
  const row = (await findObjects(tx, [entity_id])).get(entity_id)
  if (row?.trash_id !== id) return
  const inUse = (await tx.count('object_refs', eq('object_id', entity_id), { atMost: 1 })) > 0
  // Other trash still refers to it: it goes with that.
  if (inUse) await tx.update('objects', and(eq('id', entity_id), eq('deletion_id', '')), { explicit: false, trash_id: null })
  else await removeObjects(tx, nowUs, [row], { silent: true })
}

/** What lies in the trash of a deletion. */
export interface TrashContents {
  readonly deletion: DeletionRow
  readonly flows: number
  readonly sources: number
  readonly segments: number
  readonly objects: number
}

/** Deletions that a purge would take, oldest first, with what is in them; of one flow, if it is named. */
export async function* trashContents(tables: Tables, beforeUs: bigint, flowId?: string): AsyncGenerator<TrashContents> {
  const where = and(purgeable(beforeUs), ...(flowId === undefined ? [] : [eq('flow_id', flowId)]))
  for (let after: readonly Value[] | undefined; ; ) {
    const from = after
    const page = await tables.read((tx) =>
      tx.list('deletions', { where, orderBy: [{ column: 'created', direction: 'asc' }], limit: PAGE, ...(from && { after: from }) }),
    )
    for (const deletion of page.rows) yield await tables.read((tx) => contentsOf(tx, deletion))
    if (!page.after) return
    after = page.after
  }
}

const PAGE = 100

const contentsOf = async (tx: ReadTx, deletion: DeletionRow): Promise<TrashContents> => {
  let segments = 0
  for (const timeline of await timelinesOf(tx, deletion)) segments += await tx.count('segments', onTimeline(timeline))
  return {
    deletion,
    flows: await tx.count('flows', eq('deletion_id', deletion.id)),
    sources: await tx.count('sources', eq('deletion_id', deletion.id)),
    segments,
    objects: deletion.entity_type === 'object' ? 1 : 0,
  }
}
