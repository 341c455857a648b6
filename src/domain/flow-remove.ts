import { randomUUID } from 'node:crypto'
import { and, eq } from '../core/predicate.ts'
import type { TimeRange } from '../core/time-range.ts'
import type { Row } from '../storage/schema.ts'
import type { ReadTx, WriteTx } from '../storage/tables.ts'
import { type Collectors, clearFlowCollection, collectorsOf, keepMemberships } from './collections.ts'
import type { Context } from './context.ts'
import { type DeletionRequest, deletionRequestDocument } from './deletion-request.ts'
import { collectionEvents, objectsDeleted } from './extension-events.ts'
import { type FlowRow, flowTimeRange } from './flow.ts'
import { flowCollection, leaveCollections } from './flow-save.ts'
import { hiddenStretches, visibleStretches } from './hidden.ts'
import { listAll } from './list-all.ts'
import { appendEvents, type DomainEvent, record } from './record.ts'
import { byStart, onTimeline, type Placed, startingIn, wholeExtent } from './segment-ranges.ts'
import { deletionEvents, objectIds, removeSegments } from './segment-remove.ts'
import { keepTrashed } from './segment-room.ts'
import { moveTags, parseTags, removeTags } from './tags.ts'
import { unseenObjects } from './unseen-objects.ts'

export interface RemovedFlows {
  /** For what is worked off later. */
  readonly requests: readonly DeletionRequest[]
  /** Segments that went with the flows. */
  readonly segments: number
  readonly collectors: ReadonlyMap<string, Collectors>
}

/**
 * Live flows go together, for good or, with a `deletionId`, to its trash. Their timelines stay as they are: up to `threshold` segments
 * in all are worked off or told of at once; where there are more, each flow that has any gets a delete request. The caller holds the
 * locks of the flows and sources, and sees to the sources.
 */
export const removeFlows = async (
  tx: WriteTx,
  context: Context,
  nowUs: bigint,
  flows: readonly FlowRow[],
  { deletionId, threshold }: { readonly deletionId: string | null; readonly threshold: number },
): Promise<RemovedFlows> => {
  const collectors = new Map<string, Collectors>()
  for (const flow of flows) collectors.set(flow.id, await collectorsOf(tx, flow.id, flow.source_id))
  await leaveCollections(tx, context, nowUs, collectors, deletionId)
  const going: FlowRow[] = []
  for (const flow of flows) going.push(deletionId === null ? await keepTrashed(tx, context, nowUs, flow) : flow)
  const many = going.reduce((sum, flow) => sum + flow.segment_count, 0n) > BigInt(threshold)
  const requests: DeletionRequest[] = []
  let segments = 0
  for (const flow of going) {
    const of = collectors.get(flow.id)
    segments += await countVisible(tx, flow)
    const later = many && flow.segment_count > 0n
    const events: DomainEvent[] = []
    let told: readonly VisibleRow[] = []
    if (!later) {
      if (deletionId === null) events.push(...(await clearTimeline(tx, nowUs, flow, of)))
      else told = await visibleRows(tx, flow)
      events.push(...deletionEvents(flow, told, of))
    }
    // What earlier deletions have only hidden goes with a flow that goes for good.
    const extent = deletionId === null && flow.hidden !== null ? await wholeExtent(tx, { ...flow, hidden: null }) : flowTimeRange(flow)
    await (deletionId === null ? dropFlow(tx, flow) : trashFlow(tx, flow, deletionId))
    await appendEvents(tx, nowUs, objectsDeleted(await unseenObjects(tx, objectIds(told))))
    events.push({
      type: 'flows/deleted',
      flowId: flow.id,
      sourceId: flow.source_id,
      event: { flow_id: flow.id },
      ...(of && { collectedBy: of }),
    })
    events.push(...collectionEvents(flow, undefined))
    await record(tx, context, nowUs, events, {
      action: 'flow.delete',
      entityType: 'flow',
      entityId: flow.id,
      ...(deletionId !== null && { detail: { deletion_id: deletionId } }),
    })
    if (later) requests.push(await scheduleDeletion(tx, context, nowUs, flow, { timerange: extent, collectors: of, deletionId }))
  }
  return { requests, segments, collectors }
}

const dropFlow = async (tx: WriteTx, flow: FlowRow): Promise<void> => {
  await clearFlowCollection(tx, flow.id)
  await removeTags(tx, 'flow', flow.id, '')
  await tx.delete('flows', and(eq('id', flow.id), eq('deletion_id', '')))
}

const trashFlow = async (tx: WriteTx, flow: FlowRow, deletionId: string): Promise<void> => {
  await clearFlowCollection(tx, flow.id)
  const members = flowCollection(flow).map((member, position) => ({ ...member, position }))
  await keepMemberships(tx, deletionId, flow.id, members)
  await moveTags(tx, 'flow', flow.id, '', deletionId, parseTags(flow.tags))
  await tx.delete('flows', and(eq('id', flow.id), eq('deletion_id', '')))
  await tx.insert('flows', [{ ...flow, deletion_id: deletionId, trashed: true }])
}

const EVERY_SEGMENT = 1_000_000

const clearTimeline = async (tx: WriteTx, nowUs: bigint, flow: FlowRow, collectors: Collectors | undefined): Promise<DomainEvent[]> => {
  const rows = await listAll(tx, 'segments', { where: onTimeline(flow), orderBy: byStart('asc'), limit: EVERY_SEGMENT })
  await removeSegments(tx, nowUs, flow, rows)
  return deletionEvents(flow, rows, collectors)
}

const PLACE = ['start_ns', 'end_ns', 'timerange', 'object_id'] as const

type VisibleRow = Pick<Placed, (typeof PLACE)[number]>

const visibleRows = async (tx: ReadTx, flow: FlowRow): Promise<VisibleRow[]> => {
  const rows: VisibleRow[] = []
  for (const { startNs, endNs } of visibleStretches(hiddenStretches(flow), undefined, undefined)) {
    const where = startingIn(flow, startNs, endNs)
    rows.push(...(await listAll(tx, 'segments', { columns: PLACE, where, orderBy: byStart('asc'), limit: EVERY_SEGMENT })))
  }
  return rows
}

/** Segments of the flow that clients see. Known without counting where none are hidden. */
export const countVisible = async (tx: ReadTx, flow: FlowRow): Promise<number> => {
  if (flow.hidden === null) return Number(flow.segment_count)
  let count = 0
  for (const { startNs, endNs } of visibleStretches(hiddenStretches(flow), undefined, undefined))
    count += await tx.count('segments', startingIn(flow, startNs, endNs))
  return count
}

export interface ScheduledDeletion {
  readonly timerange: TimeRange
  readonly objectId?: string
  /** Of a flow that is deleted itself. */
  readonly collectors?: Collectors | undefined
  readonly deletionId: string | null
}

/** A delete request: what a worker has to do behind this transaction. */
export const scheduleDeletion = async (
  tx: WriteTx,
  context: Context,
  nowUs: bigint,
  flow: FlowRow,
  { timerange, objectId, collectors, deletionId }: ScheduledDeletion,
): Promise<DeletionRequest> => {
  const row: Row<'deletion_requests'> = {
    id: randomUUID(),
    flow_id: flow.id,
    timeline_id: flow.timeline_id,
    source_id: flow.source_id,
    collected_by: collectors === undefined ? null : JSON.stringify(collectors),
    delete_flow: collectors !== undefined,
    timerange_to_delete: timerange.toString(),
    timerange_remaining: timerange.toString(),
    start_ns: timerange.startNs ?? null,
    end_ns: timerange.endNs ?? null,
    object_id: objectId ?? null,
    deletion_id: deletionId,
    status: 'created',
    error: null,
    created: nowUs,
    created_by: context.principal.name,
    updated: nowUs,
    expiry: null,
    expiry_sort: -1n,
  }
  await tx.insert('deletion_requests', [row])
  await record(tx, context, nowUs, [], {
    action: 'deletion_request.create',
    entityType: 'deletion_request',
    entityId: row.id,
    detail: { flow_id: flow.id },
  })
  return deletionRequestDocument(row)
}
