import { isTamsError, notFound, TamsError } from '../core/errors.ts'
import { and, eq, isIn, isNull, not } from '../core/predicate.ts'
import { TimeRange } from '../core/time-range.ts'
import { isUuid } from '../core/uuid.ts'
import type { ReadTx } from '../storage/tables.ts'
import type { Context } from './context.ts'
import { type DeletionRow, deletionsOfSegments, leftSegments } from './deletion.ts'
import { type FlowRow, findFlow } from './flow.ts'
import { listAll } from './list-all.ts'
import { stillWorkedOff } from './restore-flow.ts'
import type { TrashedSegments } from './restore-segments.ts'
import { coveredEnds } from './segment-ranges.ts'

export interface SegmentRestore {
  readonly timerange: TimeRange
  readonly deletionId?: string
}

/** Deletions of one flow's segments that one call restores. */
const MAX_DELETIONS = 200

/** Where the segments lie that a deletion took, flows in its trash aside. */
export const segmentsOf = (deletion: DeletionRow): TrashedSegments[] => [
  ...(deletion.entity_type === 'segments' && deletion.flow_id !== null && deletion.timeline_id !== null
    ? [{ flow_id: deletion.flow_id, from: deletion.id, timeline_id: deletion.timeline_id }]
    : []),
  ...leftSegments(deletion),
]

/** The live flow; throws `conflict` where it lies in the trash itself. */
export const flowOfSegments = async (tx: ReadTx, context: Context, flowId: string): Promise<FlowRow> => {
  const flow = await findFlow(tx, context, flowId)
  if (flow) return flow
  const trashed = isUuid(flowId) && (await tx.count('flows', and(eq('id', flowId), context.visible.flows), { atMost: 1 })) > 0
  throw trashed ? new TamsError('conflict', `Flow ${flowId} is deleted: restore it first`) : notFound(`Flow ${flowId}`)
}

/**
 * Newest first, since what was deleted last was there last. What was taken from a predecessor with the same id counts only where nothing
 * else is found.
 */
export const deletionsToRestore = async (tx: ReadTx, flow: FlowRow, { deletionId, timerange }: SegmentRestore): Promise<string[]> => {
  const { id: flowId } = flow
  if (deletionId !== undefined) {
    const row = await tx.find('deletions', [deletionId])
    if (!row || !segmentsOf(row).some(({ flow_id }) => flow_id === flowId))
      throw notFound(`Deletion ${deletionId} of segments of flow ${flowId}`)
    return [deletionId]
  }
  // What is still on its way to the trash cannot be taken out of it yet.
  const underWay = and(eq('flow_id', flowId), not(isNull('deletion_id')), isIn('status', ['created', 'started']), eq('delete_flow', false))
  const requests = await listAll(tx, 'deletion_requests', { where: underWay, limit: MAX_DELETIONS })
  if (requests.some(({ timerange_to_delete }) => TimeRange.parse(timerange_to_delete).overlaps(timerange)))
    throw stillWorkedOff(`Segments of flow ${flowId}`)
  const open = await deletionsOfSegments(tx, flow, ['deleted'], MAX_DELETIONS + 1)
  if (open.length > MAX_DELETIONS)
    throw new TamsError('conflict', `More than ${MAX_DELETIONS} deletions took segments of flow ${flowId}; name one by deletion_id=`)
  const [own, foreign]: [Set<string>, Set<string>] = [new Set(), new Set()]
  for (const deletion of open)
    for (const { flow_id, from, timeline_id } of segmentsOf(deletion))
      if (flow_id === flowId && (await coveredEnds(tx, { id: flow_id, timeline_id: from }, timerange)))
        (timeline_id === flow.timeline_id ? own : foreign).add(deletion.id)
  return [...(own.size > 0 ? own : foreign)]
}

// What is in the way came back only now, and is not to be seen afterwards.
export const oneAfterTheOther = (error: unknown, id: string): unknown =>
  isTamsError(error, 'conflict')
    ? new TamsError('conflict', `Several deletions took segments of the same place; name one by deletion_id=. At ${id}: ${error.message}`)
    : error
