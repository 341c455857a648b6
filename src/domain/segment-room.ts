import { and, compare, eq } from '../core/predicate.ts'
import { TimeRange } from '../core/time-range.ts'
import type { Row } from '../storage/schema.ts'
import type { ReadTx, WriteTx } from '../storage/tables.ts'
import type { Context } from './context.ts'
import type { FlowRow } from './flow.ts'
import { type HiddenStretch, hiddenColumn, hiddenStretches, hiding, uncover } from './hidden.ts'
import { record } from './record.ts'
import { listOverlapping, onTimeline } from './segment-ranges.ts'
import { deletionEvents, removeSegments } from './segment-remove.ts'
import type { NewSegment } from './segment-schema.ts'

/** More stretches than this are not kept with a flow: its row has to fit into its cells, and each segment is compared with all. */
const MAX_STRETCHES = 400
const EVERY_SEGMENT = 1_000_000

/**
 * New segments may go where hidden ones still lie: those in their way are removed at once, and the hidden stretches are cut around
 * them. Gives the flow as it is then.
 */
export const makeRoom = async (
  tx: WriteTx,
  context: Context,
  nowUs: bigint,
  flow: FlowRow,
  segments: readonly NewSegment[],
): Promise<FlowRow> => {
  if (flow.hidden === null) return flow
  const withHidden = { ...flow, hidden: null }
  const gone = new Map<bigint, Row<'segments'>>()
  let stretches = hiddenStretches(flow)
  for (const { startNs, endNs } of segments) {
    const { rows } = await listOverlapping(tx, withHidden, { range: TimeRange.of(startNs, endNs), limit: EVERY_SEGMENT })
    for (const row of rows) if (hiding(stretches, row.start_ns)) gone.set(row.start_ns, row)
    stretches = uncover(stretches, startNs, endNs)
  }
  const excess = shortest(stretches, stretches.length - MAX_STRETCHES)
  for (const stretch of excess) for (const row of await startingIn(tx, flow, stretch)) gone.set(row.start_ns, row)
  const removed = [...gone.values()].sort((a, b) => (a.start_ns < b.start_ns ? -1 : 1))
  if (removed.length > 0) {
    await removeSegments(tx, nowUs, flow, removed)
    await record(tx, context, nowUs, deletionEvents(flow, removed, undefined), {
      action: 'flow.segments.delete',
      entityType: 'flow',
      entityId: flow.id,
      detail: { count: removed.length },
    })
  }
  const hidden = hiddenColumn(stretches.filter((stretch) => !excess.has(stretch)))
  const after: FlowRow = { ...flow, hidden, segment_count: flow.segment_count - BigInt(removed.length) }
  await tx.update('flows', and(eq('id', flow.id), eq('deletion_id', '')), { hidden: after.hidden, segment_count: after.segment_count })
  return after
}

// What lies between new segments is short, and holds few segments.
const shortest = (stretches: readonly HiddenStretch[], count: number): ReadonlySet<HiddenStretch> => {
  if (count <= 0) return new Set()
  const length = ({ startNs, endNs }: HiddenStretch) => endNs - startNs
  return new Set([...stretches].sort((a, b) => (length(a) < length(b) ? -1 : 1)).slice(0, count))
}

const startingIn = async (tx: ReadTx, flow: FlowRow, { startNs, endNs }: HiddenStretch): Promise<readonly Row<'segments'>[]> => {
  const where = and(onTimeline(flow), compare('start_ns', '>=', startNs), compare('start_ns', '<', endNs))
  return (await tx.list('segments', { where, limit: EVERY_SEGMENT })).rows
}
