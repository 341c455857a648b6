import { invalid } from '../core/errors.ts'
import { and, eq, type Value } from '../core/predicate.ts'
import { compareText } from '../core/text-order.ts'
import type { Row } from '../storage/schema.ts'
import type { Page, ReadTx } from '../storage/tables.ts'
import type { Context } from './context.ts'
import { type DeletionRow, deletionsOfSegments, findDeletions, leftSegments } from './deletion.ts'
import { findFlow } from './flow.ts'
import { listAll } from './list-all.ts'
import { listOverlapping, type SegmentSearch, type Timeline } from './segment-ranges.ts'
import { type DeletionMark, deletionMark, mergePages, type TrashView } from './trash-view.ts'

/** A timeline whose segments are to be shown, and what they say of their deletion. */
interface Shown {
  readonly timeline: Timeline
  readonly mark: DeletionMark
}

/** Timelines that one page is merged from. */
const MAX_TIMELINES = 100

/** Where the segments of a flow lie that `view` asks for: its live timeline, those of deleted ranges, those of deleted flows of this id. */
export const shownTimelines = async (
  tx: ReadTx,
  context: Context,
  flowId: string,
  view: TrashView,
  deletionId?: string,
): Promise<Shown[]> => {
  const flow = await findFlow(tx, context, flowId)
  const live: Shown[] = flow && view !== 'deleted' ? [{ timeline: flow, mark: { deleted: false } }] : []
  if (view === 'active') return live
  const of = and(eq('id', flowId), eq('trashed', true), context.visible.flows)
  const flows = await listAll(tx, 'flows', { where: of, limit: MAX_TIMELINES + 1 })
  if (!flow && flows.length === 0) return []
  const sources = new Set([flow, ...flows].flatMap((row) => row?.source_id ?? []))
  const deletions = new Map<string, DeletionRow>()
  for (const row of deletionId === undefined ? [] : (await findDeletions(tx, [deletionId])).values()) deletions.set(row.id, row)
  for (const source_id of deletionId === undefined ? sources : [])
    for (const row of await deletionsOfSegments(tx, { id: flowId, source_id }, SHOWN, MAX_TIMELINES + 1)) deletions.set(row.id, row)
  const wanted = flows.filter((row) => deletionId === undefined || row.deletion_id === deletionId)
  const ofFlows = await findDeletions(
    tx,
    wanted.map((row) => row.deletion_id),
  )
  const trashed = [
    ...wanted.map((row) => ({ timeline: row, mark: deletionMark(ofFlows.get(row.deletion_id)) })),
    ...[...deletions.values()].flatMap((row) => rangesOf(row, flowId)),
  ]
  if (trashed.length > MAX_TIMELINES)
    throw invalid('deletion_id', `has to name one: more than ${MAX_TIMELINES} deletions took segments of flow ${flowId}`)
  return [...live, ...trashed]
}

const SHOWN = ['deleted', 'restoring'] as const

const rangesOf = (deletion: DeletionRow, flowId: string): Shown[] => {
  if (!SHOWN.some((status) => status === deletion.status)) return []
  const timelines = [
    ...(deletion.entity_type === 'segments' && deletion.flow_id === flowId ? [deletion.id] : []),
    ...leftSegments(deletion).flatMap(({ flow_id, from }) => (flow_id === flowId ? [from] : [])),
  ]
  return timelines.map((timeline_id) => ({ timeline: { id: flowId, timeline_id }, mark: deletionMark(deletion) }))
}

type Search = Omit<SegmentSearch, 'after'> & { readonly after?: readonly Value[] }

/** Segments of several timelines by time, then by timeline: one page, whose `after` has both. */
export const listShown = async (
  tx: ReadTx,
  shown: readonly Shown[],
  search: Search,
): Promise<Page<Row<'segments'> & { mark: DeletionMark }>> => {
  const { after, ...rest } = search
  const reverse = search.reverse ?? false
  const pages: Page<Row<'segments'> & { mark: DeletionMark }>[] = []
  for (const { timeline, mark } of shown) {
    const start = after && startBehind(after, timeline.timeline_id, reverse)
    const page = await listOverlapping(tx, timeline, { ...rest, ...(start !== undefined && { after: start }) })
    const next = page.after?.[2]
    pages.push({
      rows: page.rows.map((row) => ({ ...row, mark })),
      ...(next !== undefined && { after: [next, timeline.timeline_id] }),
    })
  }
  return mergePages(pages, (row) => [row.start_ns, row.timeline_id], search.limit, reverse)
}

/** Behind which start to go on in a timeline, when a page has ended at (start, timeline). */
const startBehind = ([start, last]: readonly Value[], timelineId: string, reverse: boolean): bigint => {
  if (typeof start !== 'bigint' || typeof last !== 'string') throw invalid('page', 'is no key of this listing')
  const order = compareText(timelineId, last)
  if (reverse) return order < 0 ? start + 1n : start
  return order > 0 ? start - 1n : start
}
