import { isTamsError, TamsError } from '../core/errors.ts'
import { and, eq } from '../core/predicate.ts'
import { TimeRange } from '../core/time-range.ts'
import type { Row } from '../storage/schema.ts'
import type { ReadTx, WriteTx } from '../storage/tables.ts'
import {
  COLLECTIONS_LOCK,
  dropMembership,
  keptMembers,
  keptMemberships,
  memberSources,
  passMembership,
  refuseCycle,
  rejoinSourceCollections,
  writeFlowCollection,
} from './collections.ts'
import type { Context } from './context.ts'
import type { DeletionRow, LeftSegments, RestoreTask } from './deletion.ts'
import { collectionEvents, flowRestored, objectsCreated, sourceRestored } from './extension-events.ts'
import { type FlowRow, readFlowDocument } from './flow.ts'
import { newTimelineId } from './flow-put.ts'
import { flowCollection, setMembers } from './flow-save.ts'
import type { CollectionItem } from './flow-schema.ts'
import { listAll } from './list-all.ts'
import { type DomainEvent, record } from './record.ts'
import { segmentsAdded } from './segment-events.ts'
import { listOverlapping } from './segment-ranges.ts'
import { objectIds } from './segment-remove.ts'
import { createSource, moveSourceRow, sourceDocument } from './source.ts'
import { moveTags, parseTags } from './tags.ts'
import { lastDeleted } from './trash-view.ts'
import { unseenObjects } from './unseen-objects.ts'

export interface RestoreOptions {
  readonly nowUs: bigint
  /** Without it the record comes back alone. */
  readonly cascade: boolean
  /** Segments that are told of at once; of more a worker tells. */
  readonly threshold: number
  /** Segments of a live flow that come back at once; of more a worker brings them. */
  readonly atOnce: number
}

/** What a restored flow leaves to be done, or behind. */
export interface RestoredFlow {
  readonly tasks: readonly RestoreTask[]
  readonly left?: LeftSegments
}

/**
 * Brings a flow back from the trash of `deletion` with its tags, its memberships as far as both sides live, and its source where that
 * is gone. With `cascade` its segments are there again at once. Throws `conflict` where the id is in use, or where the flow does not
 * fit its source or collections any more.
 */
export const restoreFlow = async (
  tx: WriteTx,
  context: Context,
  deletion: DeletionRow,
  trashed: FlowRow,
  { nowUs, cascade, threshold }: Omit<RestoreOptions, 'atOnce'>,
): Promise<RestoredFlow> => {
  const { id } = trashed
  await tx.lock([`flow:${id}`, `source:${trashed.source_id}`, COLLECTIONS_LOCK])
  if (await tx.find('flows', [id, '']))
    throw new TamsError('conflict', `Flow ${id} is live: delete it before a deleted one can take its place`)
  if (!cascade && trashed.hidden !== null) throw stillWorkedOff(`Flow ${id}`)
  const later = cascade && trashed.segment_count > BigInt(threshold)
  const rows = cascade && !later ? await visibleRows(tx, trashed, threshold) : []
  const appearing = objectsCreated(await unseenObjects(tx, objectIds(rows)))
  const events = await restoreSourceOf(tx, context, deletion.id, trashed, nowUs)
  const { members, parents } = await keptMemberships(tx, deletion.id, id)
  const collected = await liveMembers(tx, members)
  const flow: FlowRow = {
    ...trashed,
    deletion_id: '',
    trashed: null,
    flow_collection: collected.length === 0 ? null : JSON.stringify(collected),
    ...(!cascade && emptyTimeline(nowUs)),
  }
  await tx.delete('flows', and(eq('id', id), eq('deletion_id', trashed.deletion_id)))
  await tx.insert('flows', [flow])
  await moveTags(tx, 'flow', id, deletion.id, '', parseTags(flow.tags))
  await writeFlowCollection(tx, id, flow.source_id, collected, true)
  await settleMemberships(tx, members, (row) => row.child_id)
  const document = await readFlowDocument(tx, flow)
  events.push({ type: 'flows/created', flowId: id, sourceId: flow.source_id, event: { flow: document } }, flowRestored(document))
  events.push(...collectionEvents(undefined, flow))
  if (rows.length > 0) events.push(...appearing, segmentsAdded(flow, rows))
  await record(tx, context, nowUs, events, {
    action: 'flow.restore',
    entityType: 'flow',
    entityId: id,
    detail: { deletion_id: deletion.id },
  })
  await rejoinCollections(tx, context, nowUs, id, parents)
  return {
    tasks: later ? [{ kind: 'announce', flow_id: id, timeline_id: flow.timeline_id }] : [],
    ...(!cascade && trashed.segment_count > 0n && { left: { flow_id: id, from: trashed.timeline_id, timeline_id: flow.timeline_id } }),
  }
}

export const stillWorkedOff = (what: string): TamsError =>
  new TamsError('conflict', `${what}: its deletion is still being worked off (see /flow-delete-requests); restore it when that is done`)

const emptyTimeline = (nowUs: bigint) => ({
  timeline_id: newTimelineId(nowUs),
  start_ns: null,
  end_ns: null,
  timerange: null,
  segment_count: 0n,
  hidden: null,
})

const visibleRows = async (tx: ReadTx, flow: FlowRow, limit: number): Promise<Row<'segments'>[]> => {
  if (flow.start_ns === null) return []
  const rows: Row<'segments'>[] = []
  for (let after: bigint | undefined; ; ) {
    const page = await listOverlapping(tx, flow, { range: TimeRange.eternity, limit, ...(after !== undefined && { after }) })
    rows.push(...page.rows)
    const next = page.after?.[2]
    if (typeof next !== 'bigint') return rows
    after = next
  }
}

/** The source that the flow had: live, or out of the trash, or made as by a first flow. */
const restoreSourceOf = async (tx: WriteTx, context: Context, deletionId: string, flow: FlowRow, nowUs: bigint): Promise<DomainEvent[]> => {
  const live = await tx.find('sources', [flow.source_id, ''])
  if (live && live.format !== flow.format)
    throw new TamsError('conflict', `Source ${live.id} has the format ${live.format} now, flow ${flow.id} has ${flow.format}`)
  if (live) return []
  const trashed = (await tx.find('sources', [flow.source_id, deletionId])) ?? (await lastTrashedSource(tx, flow.source_id))
  if (trashed?.format === flow.format) return sourceBack(tx, trashed, {})
  const { source_id: id, format, label, description, tags } = flow
  return [await createSource(tx, context, nowUs, { id, format, label, description, tags: parseTags(tags) })]
}

const lastTrashedSource = async (tx: ReadTx, id: string): Promise<Row<'sources'> | undefined> => {
  const { rows } = await tx.list('sources', { where: and(eq('id', id), eq('trashed', true)), limit: 1000 })
  return lastDeleted(tx, rows)
}

/** Events of a source that comes back from the trash. */
export const sourceBack = async (tx: WriteTx, trashed: Row<'sources'>, change: Partial<Row<'sources'>>): Promise<DomainEvent[]> => {
  const row = await moveSourceRow(tx, trashed, '', change)
  await rejoinSourceCollections(tx, row.id, trashed.deletion_id)
  const source = await sourceDocument(tx, row)
  return [{ type: 'sources/created', sourceId: source.id, event: { source } }, sourceRestored(source)]
}

type Membership = Row<'collections'>

const liveMembers = async (tx: ReadTx, members: readonly Membership[]): Promise<CollectionItem[]> => {
  const items = members.map(({ child_id, role }) => ({ id: child_id, ...(role !== null && { role }) }))
  const live = await memberSources(tx, items)
  return items.filter((item) => live.has(item.id))
}

/** A membership is kept on as long as its other side lies in the trash, whichever deletion took it: its restore gives it back. */
const settleMemberships = async (tx: WriteTx, rows: readonly Membership[], otherOf: (row: Membership) => string): Promise<void> => {
  await tx.lock(rows.map((row) => `flow:${otherOf(row)}`))
  for (const row of rows) {
    const other = otherOf(row)
    const trashed = (await tx.find('flows', [other, ''])) ? undefined : await trashedFlow(tx, other, row.deletion_id)
    if (!trashed) await dropMembership(tx, row)
    else if (trashed.deletion_id !== row.deletion_id) await passMembership(tx, row, trashed.deletion_id)
  }
}

/** In this trash, or else where its last deletion has put it. */
const trashedFlow = async (tx: ReadTx, id: string, deletionId: string): Promise<Pick<FlowRow, 'deletion_id'> | undefined> => {
  const where = and(eq('id', id), eq('trashed', true))
  const rows = await listAll(tx, 'flows', { columns: ['deletion_id'], where, limit: 1000 })
  return rows.find((row) => row.deletion_id === deletionId) ?? lastDeleted(tx, rows)
}

/** Flows that collected this one, and live, collect it again, at its old place as far as there is one. */
const rejoinCollections = async (
  tx: WriteTx,
  context: Context,
  nowUs: bigint,
  flowId: string,
  parents: readonly Membership[],
): Promise<void> => {
  await tx.lock(parents.map((row) => `flow:${row.parent_id}`))
  for (const row of parents) {
    const parent = await tx.find('flows', [row.parent_id, ''])
    if (!parent) continue
    const others = flowCollection(parent)
    if (others.some((member) => member.id === flowId)) continue
    await refuseLoop(tx, row.parent_id, flowId)
    const member = { id: flowId, ...(row.role !== null && { role: row.role }) }
    const members = others.toSpliced(await placeOf(tx, row), 0, member)
    await setMembers(tx, context, nowUs, parent, members, 'flow.collection.rejoin')
  }
  await settleMemberships(tx, parents, (row) => row.parent_id)
}

/** Its old place, as long as members before it are still away: so all are in their order again, whichever comes back first. */
const placeOf = async (tx: ReadTx, { deletion_id, parent_id, position }: Membership): Promise<number> =>
  position - (await keptMembers(tx, deletion_id, parent_id)).filter((other) => other.position < position).length

const refuseLoop = async (tx: ReadTx, parentId: string, flowId: string): Promise<void> => {
  try {
    await refuseCycle(tx, parentId, [flowId])
  } catch (cause) {
    if (!isTamsError(cause, 'invalid')) throw cause
    throw new TamsError('conflict', `Flow ${parentId} collected flow ${flowId}, which collects it now: with both it would collect itself`, {
      cause,
    })
  }
}
