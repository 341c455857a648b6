import { randomUUID } from 'node:crypto'
import { type Static, Type } from '@sinclair/typebox'
import { invalid } from '../core/errors.ts'
import { attemptEach, ItemError, MAX_BATCH } from './batch.ts'
import type { Context } from './context.ts'
import type { DeletionRow } from './deletion.ts'
import type { DeletionWish } from './deletion-mode.ts'
import type { DeletionRequest } from './deletion-request.ts'
import type { Deps } from './deps.ts'
import { flowDeleteUseCases } from './flow-delete.ts'
import { sourceDeleteUseCases } from './source-delete.ts'
import { checker, Uuid } from './validate.ts'

const Ids = Type.Optional(Type.Array(Uuid, { minItems: 1, maxItems: MAX_BATCH, title: `a list of 1 to ${MAX_BATCH} UUIDs` }))

/** Exactly one of the two. */
export const DeletionPost = Type.Object({ flow_ids: Ids, source_ids: Ids })
const checkPost = checker(DeletionPost)

export const DeletionBatch = Type.Object({
  group_id: Uuid,
  deleted: Type.Array(
    Type.Object({
      id: Uuid,
      /** Absent where it is gone for good. */
      deletion_id: Type.Optional(Uuid),
      /** Of what is worked off later. */
      delete_requests: Type.Optional(Type.Array(Uuid)),
    }),
  ),
  failed: Type.Array(Type.Object({ index: Type.Integer(), id: Uuid, error: ItemError })),
})
export type DeletionBatch = Static<typeof DeletionBatch>

export const deletionBatchUseCases = (deps: Deps) => {
  const flows = flowDeleteUseCases(deps)
  const sources = sourceDeleteUseCases(deps)

  const deleteOne = async (
    context: Context,
    kind: 'flow' | 'source',
    id: string,
    wish: DeletionWish,
    groupId: string,
  ): Promise<DeletionBatch['deleted'][number]> => {
    if (kind === 'source') {
      const { deletion, requests } = await sources.deleteSource(context, id, () => wish, groupId)
      return result(id, deletion, requests)
    }
    const { deletion, request } = await flows.deleteFlowOf(context, id, () => wish, groupId)
    return result(id, deletion, request ? [request] : [])
  }

  return {
    /**
     * Flows, or sources with their flows, each in a transaction of its own and in the order given; the deletions share a group. Those
     * that cannot be deleted are given back with the reason. Rejects when the store is away from the beginning.
     */
    deleteAll: async (context: Context, body: () => unknown, parse: () => DeletionWish): Promise<DeletionBatch> => {
      const post = checkPost(body())
      if ((post.flow_ids === undefined) === (post.source_ids === undefined))
        throw invalid('flow_ids', 'or source_ids is required, and not both')
      const wish = parse()
      const kind = post.flow_ids ? 'flow' : 'source'
      const ids = post.flow_ids ?? post.source_ids ?? []
      const groupId = randomUUID()
      const inOrder = () => true
      const { done, failed } = await attemptEach(deps, context, ids, (id) => deleteOne(context, kind, id, wish, groupId), inOrder)
      return { group_id: groupId, deleted: [...done], failed: failed.map(({ index, error }) => ({ index, id: ids[index] ?? '', error })) }
    },
  }
}

const result = (id: string, deletion: DeletionRow | undefined, requests: readonly DeletionRequest[]) => ({
  id,
  ...(deletion && { deletion_id: deletion.id }),
  ...(requests.length > 0 && { delete_requests: requests.map((request) => request.id) }),
})
