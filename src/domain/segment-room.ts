import { and, eq } from '../core/predicate.ts'
import { TimeRange } from '../core/time-range.ts'
import type { WriteTx } from '../storage/tables.ts'
import type { Context } from './context.ts'
import type { FlowRow } from './flow.ts'
import { hiddenColumn, hiddenStretches, hiding, uncover } from './hidden.ts'
import { record } from './record.ts'
import { listOverlapping } from './segment-ranges.ts'
import { deletionEvents, removeSegments } from './segment-remove.ts'
import type { NewSegment } from './segment-schema.ts'

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
  let stretches = hiddenStretches(flow)
  let removed = 0
  for (const { startNs, endNs } of segments) {
    const everything = { ...flow, hidden: null }
    const { rows } = await listOverlapping(tx, everything, { range: TimeRange.of(startNs, endNs), limit: 1_000_000 })
    const inTheWay = rows.filter((row) => hiding(stretches, row.start_ns))
    await removeSegments(tx, nowUs, flow, inTheWay)
    if (inTheWay.length > 0)
      await record(tx, context, nowUs, deletionEvents(flow, inTheWay, undefined), {
        action: 'flow.segments.delete',
        entityType: 'flow',
        entityId: flow.id,
        detail: { count: inTheWay.length },
      })
    removed += inTheWay.length
    stretches = uncover(stretches, startNs, endNs)
  }
  const after: FlowRow = { ...flow, hidden: hiddenColumn(stretches), segment_count: flow.segment_count - BigInt(removed) }
  await tx.update('flows', and(eq('id', flow.id), eq('deletion_id', '')), { hidden: after.hidden, segment_count: after.segment_count })
  return after
}
