import { toMicroseconds } from '../core/clock.ts'
import { and, compare, eq, type Value } from '../core/predicate.ts'
import { TimeRange } from '../core/time-range.ts'
import type { Row } from '../storage/schema.ts'
import type { ReadTx, WriteTx } from '../storage/tables.ts'
import { type Context, seesEverything } from './context.ts'
import { countTaken } from './deletion.ts'
import { objectsDeleted } from './extension-events.ts'
import type { FlowRow } from './flow.ts'
import { deleteRows } from './flow-delete.ts'
import { type HiddenStretch, hiddenColumn, hiddenStretches, hiding } from './hidden.ts'
import { listAll } from './list-all.ts'
import { appendEvents, type DomainEvent, record } from './record.ts'
import { byStart, covered, listOverlapping, onTimeline, segmentRange, startingIn, type Timeline, wholeExtent } from './segment-ranges.ts'
import { buryDeleted, deletionEvents, objectIds, removeSegments } from './segment-remove.ts'
import { unseenObjects } from './unseen-objects.ts'

type Request = Row<'deletion_requests'>

/** The record of a finished request stays readable for a day. */
const EXPIRY_US = 24n * 3600n * 1_000_000n

/**
 * Works off the next `limit` segments of a delete request, in the transaction of the caller. The request moves from `created` over
 * `started` to `done`; its remaining range only shrinks. Safe to repeat after a crash at any point.
 */
export const deletionStep = async (tx: WriteTx, nowUs: bigint, request: Request, limit: number): Promise<void> => {
  await tx.lock([`flow:${request.flow_id}`])
  if (request.delete_flow) return request.deletion_id === null ? flowStep(tx, nowUs, request, limit) : tellStep(tx, nowUs, request, limit)
  return request.object_id === null ? segmentsStep(tx, nowUs, request, limit) : objectStep(tx, nowUs, request, request.object_id, limit)
}

/** The flow that has this timeline, live or in the trash: a deleted flow takes along what is still to be done for it. */
export const findOwner = async (tx: ReadTx, flowId: string, timelineId: string): Promise<FlowRow | undefined> => {
  const live = await tx.find('flows', [flowId, ''])
  if (live?.timeline_id === timelineId) return live
  return (await tx.list('flows', { where: and(eq('id', flowId), eq('timeline_id', timelineId)), limit: 1 })).rows[0]
}

export const updateOwner = async (tx: WriteTx, { id, deletion_id }: FlowRow, set: Partial<FlowRow>): Promise<void> => {
  await tx.update('flows', and(eq('id', id), eq('deletion_id', deletion_id)), set)
}

// The flow's own row went when the request was made; what is left is its timeline, which no other flow ever has.
const flowStep = async (tx: WriteTx, nowUs: bigint, request: Request, limit: number): Promise<void> => {
  const timeline = { id: request.flow_id, timeline_id: request.timeline_id, source_id: request.source_id }
  const rows = await listAll(tx, 'segments', { where: onTimeline(timeline), orderBy: byStart('asc'), limit })
  await remove(tx, nowUs, request, timeline, rows)
  await proceed(tx, nowUs, request, await wholeExtent(tx, timeline))
}

// In the trash a timeline stays as it is: what is left is to tell of its segments.
const tellStep = async (tx: WriteTx, nowUs: bigint, request: Request, limit: number): Promise<void> => {
  const flow = await findOwner(tx, request.flow_id, request.timeline_id)
  const range = TimeRange.parse(request.timerange_remaining)
  if (!flow || range.isEmpty) return finish(tx, nowUs, request)
  const { rows, after } = await listOverlapping(tx, flow, { range, limit })
  await appendEvents(tx, nowUs, objectsDeleted(await unseenObjects(tx, objectIds(rows))))
  await tell(tx, nowUs, request, flow, rows)
  await proceed(tx, nowUs, request, behind(range, rows, after?.[2]))
}

/** What is left of a range behind the last row that was looked at; a page may end, or be empty, before its limit. */
export const behind = (range: TimeRange, rows: readonly Row<'segments'>[], next: Value | undefined): TimeRange => {
  if (typeof next !== 'bigint') return TimeRange.never
  const last = rows.at(-1)
  return TimeRange.of(last?.start_ns === next ? last.end_ns : next + 1n, range.endNs)
}

const segmentsStep = async (tx: WriteTx, nowUs: bigint, request: Request, limit: number): Promise<void> => {
  const flow = await findOwner(tx, request.flow_id, request.timeline_id)
  // A flow that is gone for good has a request of its own for all its rows.
  if (!flow) return finish(tx, nowUs, request)
  const stretches = hiddenStretches(flow)
  const mine = stretches.filter((stretch) => stretch.requestId === request.id)
  const [first, last] = [mine[0], mine.at(-1)]
  if (!first || !last) return finish(tx, nowUs, request)
  // All of its stretches at once, with new segments in between: there may be hundreds with a segment each.
  const where = startsIn(flow, { startNs: first.startNs, endNs: last.endNs })
  const page = await tx.list('segments', { where, orderBy: byStart('asc'), limit })
  const rows = page.rows.filter((row) => hiding(mine, row.start_ns))
  await remove(tx, nowUs, request, flow, rows)
  const next = page.after?.[2]
  const from = typeof next === 'bigint' ? next + 1n : last.endNs
  const others = stretches.filter((stretch) => stretch.requestId !== request.id)
  const own = mine.flatMap((stretch) =>
    stretch.endNs <= from ? [] : [{ ...stretch, startNs: stretch.startNs < from ? from : stretch.startNs }],
  )
  const remaining = await extentOf(tx, flow, own)
  const left = remaining.isEmpty ? others : [...others, ...own]
  await updateOwner(tx, flow, { hidden: hiddenColumn(left), segment_count: flow.segment_count - BigInt(rows.length) })
  await proceed(tx, nowUs, request, remaining)
}

// Not hidden before: each step is a deletion of its own. A flow deleted meanwhile has taken along what is left.
const objectStep = async (tx: WriteTx, nowUs: bigint, request: Request, objectId: string, limit: number): Promise<void> => {
  const flow = await tx.find('flows', [request.flow_id, ''])
  if (flow?.timeline_id !== request.timeline_id) return finish(tx, nowUs, request)
  // Never back to where it was: what was restored there from another deletion is not its business, and its place in the trash may be taken.
  const range = TimeRange.parse(request.timerange_remaining)
  // Only what was there when the deletion was asked for.
  const where = and(covered(flow, range), eq('object_id', objectId), compare('created', '<=', request.created))
  const { rows, after } = await listOverlapping(tx, flow, { range, where, limit })
  await deleteRows(tx, onBehalfOf(request), nowUs, flow, rows, request.deletion_id)
  if (request.deletion_id !== null && rows.length > 0) await countTaken(tx, request.deletion_id, rows.length)
  await proceed(tx, nowUs, request, behind(range, rows, after?.[2]))
}

const startsIn = (flow: Timeline, { startNs, endNs }: Pick<HiddenStretch, 'startNs' | 'endNs'>) => startingIn(flow, startNs, endNs)

/** From the first to the last segment in these stretches, which are by start. */
const extentOf = async (tx: ReadTx, flow: Row<'flows'>, stretches: readonly HiddenStretch[]): Promise<TimeRange> => {
  const ends = [await firstIn(tx, flow, stretches, 'asc'), await firstIn(tx, flow, stretches.toReversed(), 'desc')]
  return TimeRange.encompassing(ends.flatMap((row) => (row ? [segmentRange(row)] : [])))
}

// Other requests and new segments may have emptied a stretch.
const firstIn = async (tx: ReadTx, flow: Row<'flows'>, stretches: readonly HiddenStretch[], direction: 'asc' | 'desc') => {
  for (const stretch of stretches) {
    const { rows } = await tx.list('segments', { where: startsIn(flow, stretch), orderBy: byStart(direction), limit: 1 })
    if (rows[0]) return rows[0]
  }
  return undefined
}

type Owner = { readonly id: string; readonly timeline_id: string; readonly source_id: string | null }

const remove = async (tx: WriteTx, nowUs: bigint, request: Request, flow: Owner, rows: readonly Row<'segments'>[]): Promise<void> => {
  if (rows.length === 0) return
  if (request.deletion_id === null) await removeSegments(tx, nowUs, flow, rows)
  else {
    await buryDeleted(tx, nowUs, flow, request.deletion_id, rows)
    await countTaken(tx, request.deletion_id, rows.length)
  }
  await tell(tx, nowUs, request, flow, rows)
}

const tell = async (tx: WriteTx, nowUs: bigint, request: Request, flow: Owner, rows: readonly Row<'segments'>[]): Promise<void> => {
  if (rows.length === 0) return
  const collectedBy = request.collected_by === null ? undefined : (JSON.parse(request.collected_by) as DomainEvent['collectedBy'])
  await record(tx, onBehalfOf(request), nowUs, deletionEvents(flow, rows, collectedBy), {
    action: 'flow.segments.delete',
    entityType: 'flow',
    entityId: flow.id,
    detail: { count: rows.length, deletion_request: request.id },
  })
}

const onBehalfOf = (request: Request): Context => ({
  principal: { name: request.created_by ?? 'system' },
  visible: seesEverything,
  requestId: request.id,
  baseUrl: '',
})

const proceed = async (tx: WriteTx, nowUs: bigint, request: Request, remaining: TimeRange): Promise<void> => {
  if (remaining.isEmpty) return finish(tx, nowUs, request)
  await tx.update('deletion_requests', eq('id', request.id), {
    status: 'started',
    timerange_remaining: remaining.canonical(),
    updated: nowUs,
  })
}

const finish = async (tx: WriteTx, nowUs: bigint, request: Request): Promise<void> => {
  const expiry = nowUs + EXPIRY_US
  await tx.update('deletion_requests', eq('id', request.id), {
    status: 'done',
    timerange_remaining: '()',
    updated: nowUs,
    expiry,
    expiry_sort: expiry,
  })
}

/** What stopped the request for good; what is left stays readable in `timerange_remaining`. */
export const failDeletion = async (tx: WriteTx, nowUs: bigint, request: Request, summary: string): Promise<void> => {
  const error = JSON.stringify({ type: 'internal', summary, time: toMicroseconds(nowUs) })
  const expiry = nowUs + EXPIRY_US
  await tx.update('deletion_requests', eq('id', request.id), { status: 'error', error, updated: nowUs, expiry, expiry_sort: expiry })
}
