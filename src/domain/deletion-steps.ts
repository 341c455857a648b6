import { toMicroseconds } from '../core/clock.ts'
import { and, compare, eq } from '../core/predicate.ts'
import { TimeRange } from '../core/time-range.ts'
import type { Row } from '../storage/schema.ts'
import type { ReadTx, WriteTx } from '../storage/tables.ts'
import { type Context, seesEverything } from './context.ts'
import { type HiddenStretch, hiddenColumn, hiddenStretches } from './hidden.ts'
import { type DomainEvent, record } from './record.ts'
import { byStart, onTimeline, segmentRange, wholeExtent } from './segment-ranges.ts'
import { deletionEvents, removeSegments } from './segment-remove.ts'

type Request = Row<'deletion_requests'>

/** The record of a finished request stays readable for a day. */
const EXPIRY_US = 24n * 3600n * 1_000_000n

/**
 * Removes the next `limit` segments of a delete request, in the transaction of the caller. The request moves from `created` over
 * `started` to `done`; its remaining range only shrinks. Safe to repeat after a crash at any point.
 */
export const deletionStep = (tx: WriteTx, nowUs: bigint, request: Request, limit: number): Promise<void> =>
  request.delete_flow ? flowStep(tx, nowUs, request, limit) : segmentsStep(tx, nowUs, request, limit)

// The flow's own row went when the request was made; what is left is its timeline, which no other flow ever has.
const flowStep = async (tx: WriteTx, nowUs: bigint, request: Request, limit: number): Promise<void> => {
  const timeline = { id: request.flow_id, timeline_id: request.timeline_id }
  const { rows } = await tx.list('segments', { where: onTimeline(timeline), orderBy: byStart('asc'), limit })
  await remove(tx, nowUs, request, { ...timeline, source_id: request.source_id }, rows)
  await proceed(tx, nowUs, request, await wholeExtent(tx, timeline))
}

const segmentsStep = async (tx: WriteTx, nowUs: bigint, request: Request, limit: number): Promise<void> => {
  await tx.lock([`flow:${request.flow_id}`])
  const flow = await tx.find('flows', [request.flow_id, ''])
  // A flow deleted meanwhile has a request of its own for all its rows.
  if (flow?.timeline_id !== request.timeline_id) return finish(tx, nowUs, request)
  const stretches = hiddenStretches(flow)
  const mine = stretches.find((stretch) => stretch.requestId === request.id)
  if (!mine) return finish(tx, nowUs, request)
  const { rows } = await tx.list('segments', { where: startingIn(flow, mine), orderBy: byStart('asc'), limit })
  await remove(tx, nowUs, request, flow, rows)
  const last = rows.at(-1)
  const rest = last && rows.length === limit ? [{ ...mine, startNs: last.start_ns + 1n }] : []
  const others = stretches.filter((stretch) => stretch.requestId !== request.id)
  const own = [...rest, ...stretches.filter((stretch) => stretch.requestId === request.id && stretch !== mine)]
  const remaining = await extentOf(tx, flow, own)
  const left = remaining.isEmpty ? others : [...others, ...own]
  await tx.update('flows', and(eq('id', flow.id), eq('deletion_id', '')), {
    hidden: hiddenColumn(left),
    segment_count: flow.segment_count - BigInt(rows.length),
  })
  await proceed(tx, nowUs, request, remaining)
}

const startingIn = (flow: Row<'flows'>, { startNs, endNs }: HiddenStretch) =>
  and(onTimeline(flow), compare('start_ns', '>=', startNs), compare('start_ns', '<', endNs))

/** From the first to the last segment in these stretches, which are by start. */
const extentOf = async (tx: ReadTx, flow: Row<'flows'>, stretches: readonly HiddenStretch[]): Promise<TimeRange> => {
  const ends = [await firstIn(tx, flow, stretches, 'asc'), await firstIn(tx, flow, stretches.toReversed(), 'desc')]
  return TimeRange.encompassing(ends.flatMap((row) => (row ? [segmentRange(row)] : [])))
}

// Other requests and new segments may have emptied a stretch.
const firstIn = async (tx: ReadTx, flow: Row<'flows'>, stretches: readonly HiddenStretch[], direction: 'asc' | 'desc') => {
  for (const stretch of stretches) {
    const { rows } = await tx.list('segments', { where: startingIn(flow, stretch), orderBy: byStart(direction), limit: 1 })
    if (rows[0]) return rows[0]
  }
  return undefined
}

type Owner = { readonly id: string; readonly timeline_id: string; readonly source_id: string | null }

const remove = async (tx: WriteTx, nowUs: bigint, request: Request, flow: Owner, rows: readonly Row<'segments'>[]): Promise<void> => {
  if (rows.length === 0) return
  await removeSegments(tx, nowUs, flow, rows)
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
