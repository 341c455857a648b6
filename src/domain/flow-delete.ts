import { type Static, Type } from '@sinclair/typebox'
import { TamsError } from '../core/errors.ts'
import { and, eq } from '../core/predicate.ts'
import { TimeRange } from '../core/time-range.ts'
import type { Row } from '../storage/schema.ts'
import type { ReadTx, WriteTx } from '../storage/tables.ts'
import { collectorsOf } from './collections.ts'
import type { Context } from './context.ts'
import { type DeletionRow, newDeletion } from './deletion.ts'
import { asConfigured, type DeletionMode, type DeletionWish, deletionMode } from './deletion-mode.ts'
import type { DeletionRequest } from './deletion-request.ts'
import type { Deps } from './deps.ts'
import { type FlowRow, getWritableFlow } from './flow.ts'
import { countVisible, removeFlows, scheduleDeletion } from './flow-remove.ts'
import { hiddenColumn, hiddenStretches, MAX_STRETCHES, newlyHidden } from './hidden.ts'
import { record } from './record.ts'
import { covered, coveredEnds, extentColumns, listOverlapping, type Placed, wholeExtent } from './segment-ranges.ts'
import { buryDeleted, deletionEvents, removeSegments } from './segment-remove.ts'
import { removeOrphanedSource } from './source.ts'
import { checker, TimeRangeText, Uuid } from './validate.ts'

/** A delete request by hand; an extension. Without an end a time range takes everything, so that it has to be said. */
export const DeletionRequestBody = Type.Object({ flow_id: Uuid, timerange: TimeRangeText })
type DeletionRequestBody = Static<typeof DeletionRequestBody>
const checkRequest = checker(DeletionRequestBody)

export interface SegmentDeletion extends DeletionWish {
  readonly timerange: TimeRange
  readonly objectId?: string
}

export interface FlowDeletion {
  /** Absent: gone for good. */
  readonly deletion?: DeletionRow
  /** Of what is worked off later. */
  readonly request?: DeletionRequest
}

/**
 * Deletions of flows and segments (tams-behaviour.md 5.5, 6.3), for good or into the trash. A delete request comes back where the rest
 * is worked off later. `parse` runs once the flow is known and writable.
 */
export const flowDeleteUseCases = ({ tables, clock, settings }: Deps) => {
  const deleteFlow = (context: Context, id: string, parse: () => DeletionWish, groupId?: string): Promise<FlowDeletion> =>
    tables.write(async (tx) => {
      await tx.lock([`flow:${id}`])
      const flow = await getWritableFlow(tx, context, id)
      const mode = deletionMode(settings, context, parse())
      await tx.lock([`source:${flow.source_id}`])
      if (!mode.cascade) await refuseSegments(tx, flow)
      const nowUs = clock.nowUs()
      const columns = { flow_id: id, timeline_id: flow.timeline_id }
      const deletion = mode.soft
        ? newDeletion(context, nowUs, { entityType: 'flow', entityId: id, mode, columns, ...(groupId !== undefined && { groupId }) })
        : undefined
      const deletionId = deletion?.id ?? null
      const { requests, segments, collectors } = await removeFlows(tx, context, nowUs, [flow], {
        deletionId,
        threshold: settings.asyncDeletionThreshold,
      })
      const orphaned = await removeOrphanedSource(tx, flow.source_id, collectors.get(id)?.source, deletionId)
      if (orphaned.length > 0)
        await record(tx, context, nowUs, orphaned, { action: 'source.delete', entityType: 'source', entityId: flow.source_id })
      const [request] = requests
      if (!deletion) return { ...(request && { request }) }
      const counts = JSON.stringify({ flows: 1, segments, sources: orphaned.length })
      await tx.insert('deletions', [{ ...deletion, counts }])
      return { deletion: { ...deletion, counts }, ...(request && { request }) }
    })

  return {
    deleteFlow: async (context: Context, id: string, parse = asConfigured): Promise<DeletionRequest | undefined> =>
      (await deleteFlow(context, id, parse)).request,

    /** One of several that are deleted by one call. */
    deleteFlowOf: deleteFlow,

    /** Throws `not_found` for an unknown flow, `read_only`. */
    deleteSegments: (context: Context, id: string, parse: () => SegmentDeletion): Promise<DeletionRequest | undefined> =>
      tables.write(async (tx) => {
        await tx.lock([`flow:${id}`])
        const flow = await getWritableFlow(tx, context, id)
        const wish = parse()
        const ends = await coveredEnds(tx, flow, wish.timerange)
        if (!ends) return undefined
        const nowUs = clock.nowUs()
        const mode = deletionMode(settings, context, wish)
        const threshold = settings.asyncDeletionThreshold
        const { timerange, objectId } = wish
        const where = and(covered(flow, timerange), ...(objectId === undefined ? [] : [eq('object_id', objectId)]))
        if ((await tx.count('segments', where, { atMost: threshold + 1 })) > threshold)
          return deleteLater(tx, context, nowUs, flow, wish, mode, ends)
        const rows = await coveredRows(tx, flow, wish, threshold)
        if (rows.length === 0) return undefined
        const deletionId = mode.soft ? await insertDeletion(tx, context, nowUs, flow, timerange, mode, rows.length) : null
        await deleteRows(tx, context, nowUs, flow, rows, deletionId)
        return undefined
      }),

    /** As `deleteSegments`, but worked off behind the answer however few segments there are. Throws `invalid` as well. */
    requestDeletion: (context: Context, given: unknown, parse: () => DeletionWish): Promise<DeletionRequest> => {
      const body: DeletionRequestBody = checkRequest(given)
      return tables.write(async (tx) => {
        await tx.lock([`flow:${body.flow_id}`])
        const flow = await getWritableFlow(tx, context, body.flow_id)
        const wish = { ...parse(), timerange: TimeRange.parseStrict(body.timerange) }
        const ends = await coveredEnds(tx, flow, wish.timerange)
        return deleteLater(tx, context, clock.nowUs(), flow, wish, deletionMode(settings, context, wish), ends)
      })
    },
  }
}

/** `ends`: the first and the last segment that go; without any the request has nothing to do. */
const deleteLater = async (
  tx: WriteTx,
  context: Context,
  nowUs: bigint,
  flow: FlowRow,
  { timerange, objectId }: SegmentDeletion,
  mode: DeletionMode,
  ends: readonly [Placed, Placed] | undefined,
): Promise<DeletionRequest> => {
  const deletionId = mode.soft && ends ? await insertDeletion(tx, context, nowUs, flow, timerange, mode, 0) : null
  const scheduled = { timerange, deletionId, ...(objectId !== undefined && { objectId }) }
  const request = await scheduleDeletion(tx, context, nowUs, flow, scheduled)
  // Segments of one object lie among others, so they cannot be hidden as a stretch: they go in steps.
  if (objectId === undefined && ends) await hideSegments(tx, nowUs, flow, request.id, deletionId, ends)
  return request
}

const refuseSegments = async (tx: ReadTx, flow: FlowRow): Promise<void> => {
  const segments = await countVisible(tx, flow)
  if (segments > 0) throw new TamsError('conflict', `cascade: flow ${flow.id} has ${segments} segments, which would have to go with it`)
}

const insertDeletion = async (
  tx: WriteTx,
  context: Context,
  nowUs: bigint,
  flow: FlowRow,
  timerange: TimeRange,
  mode: DeletionMode,
  segments: number,
): Promise<string> => {
  const columns = {
    flow_id: flow.id,
    timeline_id: flow.timeline_id,
    start_ns: timerange.startNs ?? null,
    end_ns: timerange.endNs ?? null,
    timerange: timerange.canonical(),
  }
  const row = newDeletion(context, nowUs, { entityType: 'segments', entityId: flow.id, mode, columns })
  await tx.insert('deletions', [{ ...row, counts: JSON.stringify({ segments }) }])
  return row.id
}

/** Visible segments to delete, by time. */
const coveredRows = async (tx: ReadTx, flow: FlowRow, { timerange, objectId }: SegmentDeletion, limit: number) => {
  const rows: Row<'segments'>[] = []
  const where = and(covered(flow, timerange), ...(objectId === undefined ? [] : [eq('object_id', objectId)]))
  for (let after: bigint | undefined; limit > 0; ) {
    const page = await listOverlapping(tx, flow, { range: timerange, where, limit, ...(after !== undefined && { after }) })
    rows.push(...page.rows)
    const next = page.after?.[2]
    if (typeof next !== 'bigint' || rows.length >= limit) break
    after = next
  }
  return rows
}

/** Many segments vanish at once: the flow remembers where they lie, a worker sees to their rows. */
const hideSegments = async (
  tx: WriteTx,
  nowUs: bigint,
  flow: FlowRow,
  requestId: string,
  deletionId: string | null,
  [first, last]: readonly [Placed, Placed],
): Promise<void> => {
  const stretches = hiddenStretches(flow)
  const place = { startNs: first.start_ns, endNs: last.start_ns + 1n, requestId }
  const mine = newlyHidden(stretches, deletionId === null ? { ...place, kind: 'delete' } : { ...place, kind: 'trash', deletionId })
  if (stretches.length + mine.length > MAX_STRETCHES)
    throw new TamsError('unavailable', `Too many deletions of flow ${flow.id} are still being worked off; try again`)
  const hidden = hiddenColumn([...stretches, ...mine])
  const extent = extentColumns(await wholeExtent(tx, { ...flow, hidden }))
  await tx.update('flows', and(eq('id', flow.id), eq('deletion_id', '')), { ...extent, hidden, segments_updated: nowUs })
}

/**
 * Deletes these visible segments of a live flow, for good or into the trash of a deletion, mends the flow's extent, and tells of it.
 * `rows` by time.
 */
export const deleteRows = async (
  tx: WriteTx,
  context: Context,
  nowUs: bigint,
  flow: FlowRow,
  rows: readonly Row<'segments'>[],
  deletionId: string | null,
): Promise<void> => {
  if (rows.length === 0) return
  if (deletionId === null) await removeSegments(tx, nowUs, flow, rows)
  else await buryDeleted(tx, nowUs, flow, deletionId, rows)
  await tx.update('flows', and(eq('id', flow.id), eq('deletion_id', '')), {
    ...extentColumns(await wholeExtent(tx, flow)),
    segment_count: flow.segment_count - BigInt(rows.length),
    segments_updated: nowUs,
  })
  const events = deletionEvents(flow, rows, await collectorsOf(tx, flow.id, flow.source_id))
  await record(tx, context, nowUs, events, {
    action: 'flow.segments.delete',
    entityType: 'flow',
    entityId: flow.id,
    detail: { count: rows.length, ...(deletionId !== null && { deletion_id: deletionId }) },
  })
}
