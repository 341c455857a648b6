import { randomUUID } from 'node:crypto'
import { and, eq, type Predicate } from '../core/predicate.ts'
import type { TimeRange } from '../core/time-range.ts'
import type { Row } from '../storage/schema.ts'
import type { ReadTx, WriteTx } from '../storage/tables.ts'
import { clearFlowCollection, collectedBy } from './collections.ts'
import type { Context } from './context.ts'
import { type DeletionRequest, deletionRequestDocument } from './deletion-request.ts'
import type { Deps } from './deps.ts'
import { type FlowRow, flowTimeRange, getWritableFlow } from './flow.ts'
import { leaveCollections } from './flow-save.ts'
import { hiddenColumn, hiddenStretches } from './hidden.ts'
import { type DomainEvent, record } from './record.ts'
import { byStart, covered, coveredEnds, extentColumns, listOverlapping, onTimeline, type Placed, wholeExtent } from './segment-ranges.ts'
import { deletionEvents, removeSegments } from './segment-remove.ts'
import { removeOrphanedSource } from './source.ts'
import { parseTags, writeTags } from './tags.ts'

export interface SegmentDeletion {
  readonly timerange: TimeRange
  readonly objectId?: string
}

/** Deletions of flows and segments (tams-behaviour.md 5.5, 6.3). A delete request comes back where the rest is worked off later. */
export const flowDeleteUseCases = ({ tables, clock, settings }: Deps) => ({
  deleteFlow: (context: Context, id: string): Promise<DeletionRequest | undefined> =>
    tables.write(async (tx) => {
      await tx.lock([`flow:${id}`])
      const flow = await getWritableFlow(tx, context, id)
      await tx.lock([`source:${flow.source_id}`])
      const nowUs = clock.nowUs()
      const collectors = await collectorsOf(tx, flow)
      const later = flow.segment_count > BigInt(settings.asyncDeletionThreshold)
      // What earlier deletions have only hidden goes with this one.
      const extent = flow.hidden === null ? flowTimeRange(flow) : await wholeExtent(tx, { ...flow, hidden: null })
      const events: DomainEvent[] = []
      if (!later) {
        const rows = await segmentsOf(tx, onTimeline(flow), settings.asyncDeletionThreshold)
        await removeSegments(tx, nowUs, flow, rows)
        events.push(...deletionEvents(flow, rows, collectors))
      }
      await leaveCollections(tx, context, nowUs, id)
      await clearFlowCollection(tx, id)
      await writeTags(tx, 'flow', id, parseTags(flow.tags), {})
      await tx.delete('flows', and(eq('id', id), eq('deletion_id', '')))
      events.push({ type: 'flows/deleted', flowId: id, sourceId: flow.source_id, event: { flow_id: id }, collectedBy: collectors })
      events.push(...(await removeOrphanedSource(tx, flow.source_id, collectors.source)))
      await record(tx, context, nowUs, events, { action: 'flow.delete', entityType: 'flow', entityId: id })
      return later ? scheduleDeletion(tx, context, nowUs, flow, extent, collectors) : undefined
    }),

  /** Throws `not_found` for an unknown flow, `read_only`. `parse` runs after those checks. */
  deleteSegments: (context: Context, id: string, parse: () => SegmentDeletion): Promise<DeletionRequest | undefined> =>
    tables.write(async (tx) => {
      await tx.lock([`flow:${id}`])
      const flow = await getWritableFlow(tx, context, id)
      const { timerange, objectId } = parse()
      const ends = await coveredEnds(tx, flow, timerange)
      if (!ends) return undefined
      const nowUs = clock.nowUs()
      // The same object thousands of times in one flow is no case for a record that has no member for it: done at once.
      const threshold = objectId === undefined ? settings.asyncDeletionThreshold : EVERY_SEGMENT
      const where = and(covered(flow, timerange), ...(objectId === undefined ? [] : [eq('object_id', objectId)]))
      if (objectId === undefined && (await tx.count('segments', where, { atMost: threshold + 1 })) > threshold)
        return hideSegments(tx, context, nowUs, flow, timerange, ends)
      const { rows } = await listOverlapping(tx, flow, { range: timerange, where, limit: threshold })
      await deleteRows(tx, context, nowUs, flow, rows, 'flow.segments.delete')
      return undefined
    }),
})

const EVERY_SEGMENT = 10_000_000

/** Many segments vanish at once: the flow remembers where they lie, a worker removes their rows. */
const hideSegments = async (
  tx: WriteTx,
  context: Context,
  nowUs: bigint,
  flow: FlowRow,
  timerange: TimeRange,
  [first, last]: readonly [Placed, Placed],
): Promise<DeletionRequest> => {
  const request = await scheduleDeletion(tx, context, nowUs, flow, timerange, undefined)
  const stretch = { startNs: first.start_ns, endNs: last.start_ns + 1n, requestId: request.id }
  const hidden = hiddenColumn([...hiddenStretches(flow), stretch])
  const extent = extentColumns(await wholeExtent(tx, { ...flow, hidden }))
  await tx.update('flows', and(eq('id', flow.id), eq('deletion_id', '')), { ...extent, hidden, segments_updated: nowUs })
  return request
}

const segmentsOf = async (tx: ReadTx, where: Predicate, limit: number): Promise<readonly Row<'segments'>[]> =>
  limit === 0 ? [] : (await tx.list('segments', { where, orderBy: byStart('asc'), limit })).rows

/** Deletes these segments of a live flow, mends its extent, and tells of it. `rows` by time. */
export const deleteRows = async (
  tx: WriteTx,
  context: Context,
  nowUs: bigint,
  flow: FlowRow,
  rows: readonly Row<'segments'>[],
  action: string,
): Promise<void> => {
  if (rows.length === 0) return
  await removeSegments(tx, nowUs, flow, rows)
  await tx.update('flows', and(eq('id', flow.id), eq('deletion_id', '')), {
    ...extentColumns(await wholeExtent(tx, flow)),
    segment_count: flow.segment_count - BigInt(rows.length),
    segments_updated: nowUs,
  })
  const events = deletionEvents(flow, rows, await collectorsOf(tx, flow))
  await record(tx, context, nowUs, events, { action, entityType: 'flow', entityId: flow.id, detail: { count: rows.length } })
}

const collectorsOf = async (tx: ReadTx, flow: FlowRow) => ({
  flow: (await collectedBy(tx, 'flow', [flow.id])).get(flow.id) ?? [],
  source: (await collectedBy(tx, 'source', [flow.source_id])).get(flow.source_id) ?? [],
})

const scheduleDeletion = async (
  tx: WriteTx,
  context: Context,
  nowUs: bigint,
  flow: FlowRow,
  timerange: TimeRange,
  /** Of a flow that is deleted itself. */
  collectors: DomainEvent['collectedBy'],
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
    object_id: null,
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
