import { TamsError } from '../core/errors.ts'
import { and, eq } from '../core/predicate.ts'
import type { ReadTx } from '../storage/tables.ts'
import { collectorsOf } from './collections.ts'
import type { Context } from './context.ts'
import { type DeletionRow, newDeletion } from './deletion.ts'
import { asConfigured, type DeletionWish, deletionMode } from './deletion-mode.ts'
import type { DeletionRequest } from './deletion-request.ts'
import type { Deps } from './deps.ts'
import type { FlowRow } from './flow.ts'
import { removeFlows } from './flow-remove.ts'
import { listAll } from './list-all.ts'
import { record } from './record.ts'
import { getSource, removeSource } from './source.ts'

/** Flows that go with their source in one transaction. */
const MAX_FLOWS = 1000

export interface SourceDeletion {
  /** Absent: gone for good. */
  readonly deletion?: DeletionRow
  /** For flows of which something is worked off later. */
  readonly requests: readonly DeletionRequest[]
}

/** Not part of the specification, where sources go with their last flow. */
export const sourceDeleteUseCases = ({ tables, clock, settings }: Deps) => ({
  /** Throws `not_found`, `read_only` for a flow that is, and `conflict` for flows that may not go with it, or are too many. */
  deleteSource: (context: Context, id: string, parse: () => DeletionWish = asConfigured, groupId?: string): Promise<SourceDeletion> =>
    tables.write(async (tx) => {
      await tx.lock([`source:${id}`])
      const source = await getSource(tx, context, id)
      const mode = deletionMode(settings, context, parse())
      await tx.lock((await flowsOf(tx, id)).map((flow) => `flow:${flow.id}`))
      const flows = await flowsToDelete(tx, id, mode.cascade)
      const nowUs = clock.nowUs()
      const deletion = mode.soft
        ? newDeletion(context, nowUs, { entityType: 'source', entityId: id, mode, ...(groupId !== undefined && { groupId }) })
        : undefined
      const deletionId = deletion?.id ?? null
      const { source: collectors } = await collectorsOf(tx, undefined, id)
      const threshold = settings.asyncDeletionThreshold
      const { requests, segments } = await removeFlows(tx, context, nowUs, flows, { deletionId, threshold })
      const event = await removeSource(tx, source, collectors, deletionId)
      await record(tx, context, nowUs, [event], {
        action: 'source.delete',
        entityType: 'source',
        entityId: id,
        ...(deletionId !== null && { detail: { deletion_id: deletionId } }),
      })
      if (!deletion) return { requests }
      const row = { ...deletion, counts: JSON.stringify({ sources: 1, flows: flows.length, segments }) }
      await tx.insert('deletions', [row])
      return { deletion: row, requests }
    }),
})

const flowsToDelete = async (tx: ReadTx, sourceId: string, cascade: boolean): Promise<readonly FlowRow[]> => {
  const live = and(eq('source_id', sourceId), eq('deletion_id', ''))
  if (!cascade) {
    const count = await tx.count('flows', live)
    if (count > 0) throw new TamsError('conflict', `cascade: source ${sourceId} has ${count} flows, which would have to go with it`)
  }
  const flows = await flowsOf(tx, sourceId)
  if (flows.length > MAX_FLOWS)
    throw new TamsError(
      'conflict',
      `Source ${sourceId} has more than ${MAX_FLOWS} flows; delete them in parts first: POST /deletions with flow_ids, ${MAX_FLOWS} at a time`,
    )
  const locked = flows.find((flow) => flow.read_only)
  if (locked)
    throw new TamsError(
      'read_only',
      `Flow ${locked.id} of source ${sourceId} is read-only; PUT false to /flows/${locked.id}/read_only first`,
    )
  return flows
}

const flowsOf = (tx: ReadTx, sourceId: string): Promise<FlowRow[]> =>
  listAll(tx, 'flows', { where: and(eq('source_id', sourceId), eq('deletion_id', '')), limit: MAX_FLOWS + 1 })
