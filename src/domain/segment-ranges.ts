import { and, compare, eq, type Predicate } from '../core/predicate.ts'
import { TimeRange } from '../core/time-range.ts'
import type { ColumnName, Row } from '../storage/schema.ts'
import type { Order, Page, ReadTx } from '../storage/tables.ts'
import { hiddenStretches, hiding, visibleStretches } from './hidden.ts'

/**
 * Where the segments of a range lie on a flow's timeline. Segments of a flow never overlap, so one look at the predecessor and a
 * range of `start_ns` find them: never a condition on `end_ns` over the whole flow, which would read all of it. Hidden segments
 * are stepped over, not through.
 */
export type Timeline = Pick<Row<'flows'>, 'id' | 'timeline_id'> & { readonly hidden?: Row<'flows'>['hidden'] }
type SegmentRow = Row<'segments'>
type SegmentColumn = ColumnName<'segments'>

export const onTimeline = (flow: Timeline): Predicate => and(eq('flow_id', flow.id), eq('timeline_id', flow.timeline_id))

export const byStart = (direction: 'asc' | 'desc'): Order<'segments'>[] => [
  { column: 'flow_id', direction },
  { column: 'timeline_id', direction },
  { column: 'start_ns', direction },
]

export const startingIn = (flow: Timeline, startNs: bigint | undefined, endNs: bigint | undefined): Predicate =>
  and(
    onTimeline(flow),
    ...(startNs === undefined ? [] : [compare('start_ns', '>=', startNs)]),
    ...(endNs === undefined ? [] : [compare('start_ns', '<', endNs)]),
  )

const PLACE = ['start_ns', 'end_ns', 'timerange', 'object_id', 'ts_offset'] as const
/** A segment as far as its place on the timeline goes. */
export type Placed = Pick<SegmentRow, (typeof PLACE)[number]>

/** The last segment that starts before `ns` (absent: the last of all). */
export const lastBefore = (tx: ReadTx, flow: Timeline, ns: bigint | undefined): Promise<Placed | undefined> => lastWith(tx, flow, ns, PLACE)

/** With these columns (absent: all). */
const lastWith = async (
  tx: ReadTx,
  flow: Timeline,
  ns: bigint | undefined,
  columns: readonly SegmentColumn[] | undefined,
): Promise<SegmentRow | undefined> => {
  const hidden = hiddenStretches(flow)
  for (let before = ns; ; ) {
    const where = startingIn(flow, undefined, before)
    const row = (await tx.list('segments', { where, orderBy: byStart('desc'), limit: 1, ...(columns && { columns }) })).rows[0]
    const stretch = row && hiding(hidden, row.start_ns)
    if (!stretch) return row
    before = stretch.startNs
  }
}

const firstFrom = async (tx: ReadTx, flow: Timeline, ns: bigint | undefined): Promise<Placed | undefined> => {
  const hidden = hiddenStretches(flow)
  for (let from = ns; ; ) {
    const where = startingIn(flow, from, undefined)
    const row = (await tx.list('segments', { columns: PLACE, where, orderBy: byStart('asc'), limit: 1 })).rows[0]
    const stretch = row && hiding(hidden, row.start_ns)
    if (!stretch) return row
    from = stretch.endNs
  }
}

export interface SegmentSearch {
  readonly range: TimeRange
  /** A further condition. */
  readonly where?: Predicate
  readonly reverse?: boolean
  readonly limit: number
  /** `start_ns` of the last segment seen. */
  readonly after?: bigint
}

type AnySearch = SegmentSearch & { readonly columns?: readonly SegmentColumn[] }

/**
 * Segments that overlap `range`, by time, with the columns asked for (all by default). `after` of the page: its last value is the
 * `start_ns` to go on behind.
 */
export function listOverlapping<C extends SegmentColumn>(
  tx: ReadTx,
  flow: Timeline,
  search: SegmentSearch & { readonly columns: readonly (C | 'start_ns')[] },
): Promise<Page<Pick<SegmentRow, C | 'start_ns'>>>
export function listOverlapping(tx: ReadTx, flow: Timeline, search: SegmentSearch): Promise<Page<SegmentRow>>
export async function listOverlapping(tx: ReadTx, flow: Timeline, search: AnySearch): Promise<Page<SegmentRow>> {
  const { range, reverse, limit } = search
  if (range.isEmpty) return { rows: [] }
  // Side by side: a store that is far away answers both at once.
  const [before, page] = await Promise.all([reachingInto(tx, flow, search), listStarting(tx, flow, search)])
  if (!before || (reverse && page.after)) return page
  const rows = reverse ? [...page.rows, before] : [before, ...page.rows]
  if (rows.length <= limit) return { ...page, rows }
  rows.length = limit
  return { rows, after: [flow.id, flow.timeline_id, rows.at(-1)?.start_ns ?? null] }
}

/** The segment that starts before the range and reaches into it, unless the search leaves it out or is beyond it. */
const reachingInto = async (tx: ReadTx, flow: Timeline, search: AnySearch): Promise<SegmentRow | undefined> => {
  const { range, where, reverse, after, columns } = search
  const { startNs } = range
  if (startNs === undefined || (!reverse && after !== undefined && after >= startNs)) return undefined
  const row = await lastWith(tx, flow, startNs, columns && [...new Set([...PLACE, ...columns])])
  if (!row || row.end_ns <= startNs) return undefined
  if (after !== undefined && (reverse ? row.start_ns >= after : row.start_ns <= after)) return undefined
  if (!where) return row
  const only = and(startingIn(flow, row.start_ns, row.start_ns + 1n), where)
  return (await tx.list('segments', { columns: PLACE, where: only, limit: 1 })).rows.length > 0 ? row : undefined
}

/** Segments that start in `range`, by time. */
const listStarting = async (tx: ReadTx, flow: Timeline, search: AnySearch): Promise<Page<SegmentRow>> => {
  const stretches = visibleStretches(hiddenStretches(flow), search.range.startNs, search.range.endNs)
  if (search.reverse) stretches.reverse()
  const orderBy = byStart(search.reverse ? 'desc' : 'asc')
  const rows: SegmentRow[] = []
  for (const [index, stretch] of stretches.entries()) {
    const where = and(startingIn(flow, stretch.startNs, stretch.endNs), ...(search.where ? [search.where] : []))
    const after = search.after === undefined ? {} : { after: [flow.id, flow.timeline_id, search.after] }
    const limit = search.limit - rows.length
    const page = await tx.list('segments', { where, orderBy, limit, ...after, ...(search.columns && { columns: search.columns }) })
    rows.push(...page.rows)
    if (page.after) return { rows, after: page.after }
    const last = rows.at(-1)
    if (rows.length === search.limit && last && index < stretches.length - 1)
      return { rows, after: [flow.id, flow.timeline_id, last.start_ns] }
  }
  return { rows }
}

/** Segments that `range` covers completely (deletion uses coverage, listing overlap: tams-behaviour.md 6.3), as a predicate. */
export const covered = (flow: Timeline, { startNs, endNs }: TimeRange): Predicate =>
  and(startingIn(flow, startNs, endNs), ...(endNs === undefined ? [] : [compare('end_ns', '<=', endNs)]))

/** The first and the last segment that `range` covers; undefined when there is none. */
export const coveredEnds = async (tx: ReadTx, flow: Timeline, range: TimeRange): Promise<readonly [Placed, Placed] | undefined> => {
  if (range.isEmpty) return undefined
  const first = await firstFrom(tx, flow, range.startNs)
  let last = await lastBefore(tx, flow, range.endNs)
  if (last && range.endNs !== undefined && last.end_ns > range.endNs) last = await lastBefore(tx, flow, last.start_ns)
  return first && last && first.start_ns <= last.start_ns ? [first, last] : undefined
}

export const segmentRange = (row: Pick<SegmentRow, 'timerange'>): TimeRange => TimeRange.parse(row.timerange)

/** From the start of the first to the end of the last segment that overlaps `range`; `()` when there is none. */
export const extentOfOverlapping = async (tx: ReadTx, flow: Timeline, range: TimeRange): Promise<TimeRange> => {
  const first = (await listOverlapping(tx, flow, { range, limit: 1 })).rows[0]
  const last = first && (await listOverlapping(tx, flow, { range, limit: 1, reverse: true })).rows[0]
  return first && last ? TimeRange.encompassing([segmentRange(first), segmentRange(last)]) : TimeRange.never
}

/** The extent of all segments, read from the two at its ends. */
export const wholeExtent = async (tx: ReadTx, flow: Timeline): Promise<TimeRange> => {
  const ends = [await firstFrom(tx, flow, undefined), await lastBefore(tx, flow, undefined)]
  return TimeRange.encompassing(ends.flatMap((row) => (row ? [segmentRange(row)] : [])))
}

export type Extent = Timeline & Pick<Row<'flows'>, 'start_ns' | 'end_ns' | 'segment_count' | 'hidden'>

/**
 * Whether the flow's row rules out that a segment, visible or hidden, lies at or around these times: they are before or behind all it has.
 * The row encloses what is visible; with nothing hidden that is all there is.
 */
export const isBeyond = ({ start_ns: first, end_ns: last, segment_count, hidden }: Extent, startNs: bigint, endNs: bigint): boolean => {
  if (hidden !== null) return false
  if (first === null || last === null) return segment_count === 0n
  return endNs <= first || startNs >= last
}

/** The flow's extent as columns of its row. */
export const extentColumns = (range: TimeRange) =>
  range.isEmpty
    ? { start_ns: null, end_ns: null, timerange: null }
    : { start_ns: range.startNs ?? null, end_ns: range.endNs ?? null, timerange: range.canonical() }
