import { type Static, Type } from '@sinclair/typebox'
import { toMicroseconds, toSeconds } from '../core/clock.ts'
import { notFound } from '../core/errors.ts'
import { and, compare, everything, isNull, or } from '../core/predicate.ts'
import { isUuid } from '../core/uuid.ts'
import type { Row } from '../storage/schema.ts'
import type { Order } from '../storage/tables.ts'
import type { Context } from './context.ts'
import type { Deps } from './deps.ts'
import { effectiveLimit, type Listing, nextKey, type PageRequest, pageValues } from './paging.ts'
import { TimeRangeText, Uuid } from './validate.ts'

export const ErrorDocument = Type.Object({ type: Type.String(), summary: Type.String(), time: Type.String({ format: 'date-time' }) })

/** `deletion-request` of the specification (tams-behaviour.md 9). */
export const DeletionRequest = Type.Object({
  id: Uuid,
  flow_id: Uuid,
  timerange_to_delete: TimeRangeText,
  timerange_remaining: Type.Optional(TimeRangeText),
  delete_flow: Type.Boolean(),
  created: Type.Optional(Type.String({ format: 'date-time' })),
  created_by: Type.Optional(Type.String()),
  updated: Type.Optional(Type.String({ format: 'date-time' })),
  expiry: Type.Optional(Type.String({ format: 'date-time' })),
  status: Type.Union([Type.Literal('created'), Type.Literal('started'), Type.Literal('done'), Type.Literal('error')]),
  error: Type.Optional(ErrorDocument),
})
export type DeletionRequest = Static<typeof DeletionRequest>
export type DeletionRequestSort = 'created' | 'expiry'

export const deletionRequestDocument = (row: Row<'deletion_requests'>): DeletionRequest => ({
  id: row.id,
  flow_id: row.flow_id,
  timerange_to_delete: row.timerange_to_delete,
  timerange_remaining: row.timerange_remaining,
  delete_flow: row.delete_flow,
  created: toSeconds(row.created),
  ...(row.created_by !== null && { created_by: row.created_by }),
  updated: toSeconds(row.updated),
  ...(row.expiry !== null && { expiry: toMicroseconds(row.expiry) }),
  status: row.status as DeletionRequest['status'],
  ...(row.error !== null && { error: JSON.parse(row.error) as Static<typeof ErrorDocument> }),
})

const ordered = (column: 'created' | 'expiry_sort', reverse: boolean): Order<'deletion_requests'>[] => {
  const direction = reverse ? 'asc' : 'desc'
  return [
    { column, direction },
    { column: 'id', direction },
  ]
}

export const deletionRequestUseCases = ({ tables, clock, settings }: Deps) => ({
  list: (_context: Context, sort: DeletionRequestSort, page: PageRequest): Promise<Listing<DeletionRequest>> =>
    tables.read(async (tx) => {
      const limit = effectiveLimit(page, settings)
      const scope = `delete-requests ${sort}`
      const after = pageValues(scope, page, 2)
      const orderBy = ordered(sort === 'created' ? 'created' : 'expiry_sort', page.reverse ?? false)
      const where = and(everything, or(isNull('expiry'), compare('expiry', '>', clock.nowUs())))
      const found = await tx.list('deletion_requests', { where, orderBy, limit, ...(after && { after }) })
      return { items: found.rows.map(deletionRequestDocument), limit, ...nextKey(scope, found.after) }
    }),

  /** Throws `not_found`, also after its expiry. */
  get: (_context: Context, id: string): Promise<DeletionRequest> =>
    tables.read(async (tx) => {
      const row = isUuid(id) ? await tx.find('deletion_requests', [id]) : undefined
      if (!row || (row.expiry !== null && row.expiry <= clock.nowUs())) throw notFound(`Delete request ${id}`)
      return deletionRequestDocument(row)
    }),
})
