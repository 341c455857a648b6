import { invalid } from '../src/core/errors.ts'
import type { DeletionWish } from '../src/domain/deletion-mode.ts'
import type { TrashView } from '../src/domain/trash-view.ts'
import type { HttpQuery } from './http-query.ts'

// Parameters of the extensions around soft deletion; in strict mode nobody looks for them.

const MAX_NAME = 256

/** `soft_delete`, `cascade`, `deleted_by` of a DELETE. */
export const deletionWish = (query: HttpQuery): DeletionWish => {
  const softDelete = query.boolean('soft_delete')
  const cascade = query.boolean('cascade')
  const deletedBy = query.text('deleted_by')
  if (deletedBy !== undefined && (deletedBy.trim() === '' || deletedBy.length > MAX_NAME))
    throw invalid('deleted_by', `has to be a name of at most ${MAX_NAME} characters`)
  return {
    ...(softDelete !== undefined && { softDelete }),
    ...(cascade !== undefined && { cascade }),
    ...(deletedBy !== undefined && { deletedBy }),
  }
}

const STATES = ['active', 'deleted', 'all'] as const

/** `deleted_state`, or its shorter forms `deleted_only` and `include_deleted`; undefined where none of them is there. */
export const trashView = (query: HttpQuery): TrashView | undefined => {
  const state = query.oneOf('deleted_state', STATES)
  const only = query.boolean('deleted_only')
  const included = query.boolean('include_deleted')
  if (state !== undefined) return state
  if (only) return 'deleted'
  if (included) return 'all'
  return only === false || included === false ? 'active' : undefined
}

/** As a member `view` of a filter. */
export const viewOf = (query: HttpQuery, strict: boolean): { readonly view?: TrashView } => {
  const view = strict ? undefined : trashView(query)
  return view === undefined ? {} : { view }
}

/** `cascade` and `deletion_id` of a restore. */
export const restoreWish = (query: HttpQuery) => {
  const cascade = query.boolean('cascade')
  const deletionId = query.uuid('deletion_id')
  return { ...(cascade !== undefined && { cascade }), ...(deletionId !== undefined && { deletionId }) }
}
