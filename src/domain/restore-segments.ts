import { TamsError } from '../core/errors.ts'
import { and, eq } from '../core/predicate.ts'
import { TimeRange } from '../core/time-range.ts'
import type { Row } from '../storage/schema.ts'
import type { ReadTx, WriteTx } from '../storage/tables.ts'
import type { Context } from './context.ts'
import type { RestoreTask } from './deletion.ts'
import { type FlowRow, flowTimeRange } from './flow.ts'
import { hiddenColumn, hiddenStretches, MAX_STRETCHES } from './hidden.ts'
import { listAll } from './list-all.ts'
import { record } from './record.ts'
import { segmentsAdded } from './segment-events.ts'
import {
  byStart,
  covered,
  coveredEnds,
  extentColumns,
  listOverlapping,
  type Placed,
  segmentRange,
  type Timeline,
} from './segment-ranges.ts'
import { bringBack, contiguousRuns } from './segment-remove.ts'
import { makeRoom } from './segment-room.ts'

type SegmentRow = Row<'segments'>

/** More segments than this come back behind a curtain, by a worker. */
export const AT_ONCE = 5000
/** Conflicting segments that a message names. */
const NAMED = 20

/** Segments in the trash that belong to a flow. */
export interface TrashedSegments {
  readonly flow_id: string
  /** The timeline they lie on. */
  readonly from: string
  /** That of the flow they belong to. */
  readonly timeline_id: string
}

export interface RestoredSegments {
  /** 0: there are none; of those that come back later it is not known. */
  readonly count: number
  readonly tasks: readonly RestoreTask[]
}

/**
 * Brings those back that `range` covers: at once, or, where they are many, behind a hidden stretch that nobody can write to meanwhile.
 * Throws `conflict` where the flow is gone or another, or where segments are in their way, which it lists, and then nothing is changed.
 */
export const restoreSegments = async (
  tx: WriteTx,
  context: Context,
  deletionId: string,
  segments: TrashedSegments,
  { nowUs, range, atOnce }: { readonly nowUs: bigint; readonly range: TimeRange; readonly atOnce: number },
): Promise<RestoredSegments> => {
  const { flow_id } = segments
  await tx.lock([`flow:${flow_id}`])
  const trash: Timeline = { id: flow_id, timeline_id: segments.from }
  const ends = await coveredEnds(tx, trash, range)
  if (!ends) return { count: 0, tasks: [] }
  const flow = await tx.find('flows', [flow_id, ''])
  if (flow?.timeline_id !== segments.timeline_id)
    throw new TamsError(
      'conflict',
      flow
        ? `Flow ${flow_id} was made anew since these segments were deleted: they do not belong to it`
        : `Flow ${flow_id}, which these segments belong to, is deleted: restore it first`,
    )
  if (flow.read_only) throw new TamsError('read_only', `Flow ${flow_id} is read-only; PUT false to /flows/${flow_id}/read_only first`)
  const rows = await listAll(tx, 'segments', { where: covered(trash, range), orderBy: byStart('asc'), limit: atOnce + 1 })
  if (rows.length > atOnce) return restoreLater(tx, context, nowUs, deletionId, flow, segments, ends)
  await refuseConflicts(tx, flow, rows)
  const room = await makeRoom(tx, context, nowUs, flow, contiguousRuns(rows).map(placeOf))
  await bringBack(tx, nowUs, trash, flow, rows)
  await tx.update('flows', and(eq('id', flow_id), eq('deletion_id', '')), {
    ...extentColumns(TimeRange.encompassing([flowTimeRange(room), ...ends.map(segmentRange)])),
    segment_count: room.segment_count + BigInt(rows.length),
    segments_updated: nowUs,
  })
  await record(tx, context, nowUs, [segmentsAdded(flow, rows)], {
    action: 'flow.segments.restore',
    entityType: 'flow',
    entityId: flow_id,
    detail: { count: rows.length, deletion_id: deletionId },
  })
  return { count: rows.length, tasks: [] }
}

const placeOf = ({ startNs = 0n, endNs = 0n }: TimeRange) => ({ startNs, endNs })

const overlaps = (a: Placed, b: Placed): boolean => a.start_ns < b.end_ns && b.start_ns < a.end_ns

const refuseConflicts = async (tx: ReadTx, flow: FlowRow, rows: readonly SegmentRow[]): Promise<void> => {
  const found: Placed[] = []
  const runs = contiguousRuns(rows)
  const whole = TimeRange.encompassing(runs)
  const around = await listOverlapping(tx, flow, { range: whole, limit: rows.length * 2 })
  if (around.after) {
    for (const range of runs) if (found.length <= NAMED) found.push(...(await listOverlapping(tx, flow, { range, limit: NAMED + 1 })).rows)
  } else {
    // Both by time: each is looked at once.
    let next = 0
    for (const row of rows) {
      for (let live = around.rows[next]; live && live.end_ns <= row.start_ns; live = around.rows[next]) next++
      for (const live of around.rows.slice(next, next + NAMED)) {
        if (live.start_ns >= row.end_ns) break
        if (found.at(-1) !== live && overlaps(live, row)) found.push(live)
      }
    }
  }
  const restoring = hiddenStretches(flow).filter(({ kind }) => kind === 'restore')
  if (restoring.some(({ startNs, endNs }) => whole.overlaps(TimeRange.of(startNs, endNs))))
    throw new TamsError('conflict', `Segments of flow ${flow.id} around ${whole.canonical()} are being restored already`)
  if (found.length > 0) throw conflict(flow.id, found, 'are in the way of those to restore')
}

const conflict = (flowId: string, found: readonly Placed[], why: string): TamsError => {
  const names = found.slice(0, NAMED).map(({ timerange, object_id }) => `${timerange} ${JSON.stringify(object_id.slice(0, 100))}`)
  const more = found.length > NAMED ? ' and more' : ''
  return new TamsError('conflict', `Newer segments of flow ${flowId} ${why}; nothing was changed: ${names.join(', ')}${more}`)
}

/** One stretch is hidden, so nothing else may lie in it. */
const restoreLater = async (
  tx: WriteTx,
  context: Context,
  nowUs: bigint,
  deletionId: string,
  found: FlowRow,
  { from, flow_id, timeline_id }: TrashedSegments,
  [first, last]: readonly [Placed, Placed],
): Promise<RestoredSegments> => {
  const place = { startNs: first.start_ns, endNs: last.end_ns }
  const range = TimeRange.of(place.startNs, place.endNs)
  const { rows } = await listOverlapping(tx, found, { range, limit: NAMED + 1 })
  if (rows.length > 0)
    throw conflict(
      flow_id,
      rows,
      `lie in ${range.canonical()}, where too many to come back at once are to be restored: take them away, or restore in parts with timerange=`,
    )
  if (hiddenStretches(found).some(({ kind, startNs, endNs }) => kind === 'restore' && range.overlaps(TimeRange.of(startNs, endNs))))
    throw new TamsError('conflict', `Segments of flow ${flow_id} in ${range.canonical()} are being restored already`)
  const flow = await makeRoom(tx, context, nowUs, found, [place])
  const stretches = hiddenStretches(flow)
  if (stretches.length >= MAX_STRETCHES)
    throw new TamsError('unavailable', `Too many deletions of flow ${flow_id} are still being worked off; try again`)
  const hidden = hiddenColumn([...stretches, { ...place, requestId: deletionId, kind: 'restore' }])
  await tx.update('flows', and(eq('id', flow_id), eq('deletion_id', '')), { hidden })
  await record(tx, context, nowUs, [], {
    action: 'flow.segments.restore',
    entityType: 'flow',
    entityId: flow_id,
    detail: { timerange: range.canonical(), deletion_id: deletionId },
  })
  const task: RestoreTask = { kind: 'move', flow_id, timeline_id, from, start: String(place.startNs), end: String(place.endNs) }
  return { count: 1, tasks: [task] }
}
