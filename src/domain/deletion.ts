import { randomUUID } from 'node:crypto'
import { type Static, Type } from '@sinclair/typebox'
import { toSeconds } from '../core/clock.ts'
import { notFound } from '../core/errors.ts'
import { and, compare, eq, isIn, isNull, not, type Predicate } from '../core/predicate.ts'
import { isUuid } from '../core/uuid.ts'
import type { Row } from '../storage/schema.ts'
import type { ReadTx, WriteTx } from '../storage/tables.ts'
import type { Context } from './context.ts'
import type { DeletionMode } from './deletion-mode.ts'
import type { Deps } from './deps.ts'
import { listAll } from './list-all.ts'
import { effectiveLimit, type Listing, nextKey, type PageRequest, pageValues } from './paging.ts'
import { TimeRangeText, Uuid } from './validate.ts'

export const DELETED_TYPES = ['flow', 'object', 'segments', 'source'] as const
/** `restoring`: visible again, or about to be, while a worker goes on. `purging`: on its way out for good. */
export const DELETION_STATUSES = ['deleted', 'restoring', 'restored', 'purging'] as const

const texts = <T extends string>(values: readonly T[]) => Type.Unsafe<T>(Type.String({ enum: [...values] }))

/** What one soft deletion took, and what has become of it. */
export const Deletion = Type.Object({
  id: Uuid,
  group_id: Uuid,
  status: texts(DELETION_STATUSES),
  entity_type: texts(DELETED_TYPES),
  /** Of `segments`: their flow's id. */
  entity_id: Type.String(),
  flow_id: Type.Optional(Uuid),
  timerange: Type.Optional(TimeRangeText),
  cascade: Type.Boolean(),
  counts: Type.Record(Type.String(), Type.Integer({ minimum: 0 })),
  deleted_by: Type.String(),
  deleted_at: Type.String({ format: 'date-time' }),
  restored_at: Type.Optional(Type.String({ format: 'date-time' })),
})
export type Deletion = Static<typeof Deletion>
export type DeletionRow = Row<'deletions'>

export type DeletedType = (typeof DELETED_TYPES)[number]

/** Segments whose flow was restored without them, on the timeline that it had before. */
export interface LeftSegments {
  readonly flow_id: string
  readonly from: string
  /** Of the flow since then: they belong to no other. */
  readonly timeline_id: string
}

/** What is left to do for a restore. Times are nanoseconds as text; absent bounds are open. */
export interface RestoreTask {
  /** Carry rows back behind the curtain of a hidden stretch, then open it; or tell of segments that are back. */
  readonly kind: 'move' | 'announce'
  readonly flow_id: string
  readonly timeline_id: string
  readonly from?: string
  readonly start?: string
  readonly end?: string
}

const parseList = <T>(json: string | null): T[] => (json === null ? [] : (JSON.parse(json) as T[]))
export const leftSegments = (row: DeletionRow): LeftSegments[] => parseList(row.left_segments)
export const restoreTasks = (row: DeletionRow): RestoreTask[] => parseList(row.tasks)
export const listColumn = (items: readonly unknown[]): string | null => (items.length === 0 ? null : JSON.stringify(items))

export const deletionDocument = (row: DeletionRow): Deletion => ({
  id: row.id,
  group_id: row.group_id,
  status: row.status as Deletion['status'],
  entity_type: row.entity_type as DeletedType,
  entity_id: row.entity_id,
  ...(row.flow_id !== null && { flow_id: row.flow_id }),
  ...(row.timerange !== null && { timerange: row.timerange }),
  cascade: row.cascade,
  counts: JSON.parse(row.counts) as Deletion['counts'],
  deleted_by: row.deleted_by,
  deleted_at: toSeconds(row.created),
  ...(row.restored !== null && { restored_at: toSeconds(row.restored) }),
})

export interface NewDeletion {
  readonly entityType: DeletedType
  readonly entityId: string
  readonly mode: DeletionMode
  /** Items of one call share it. */
  readonly groupId?: string
  readonly columns?: Partial<Pick<DeletionRow, 'flow_id' | 'timeline_id' | 'start_ns' | 'end_ns' | 'timerange'>>
}

/** The row of a deletion, to be inserted when it is known what was taken. */
export const newDeletion = (
  context: Context,
  nowUs: bigint,
  { entityType, entityId, mode, groupId, columns }: NewDeletion,
): DeletionRow => {
  const id = randomUUID()
  return {
    id,
    group_id: groupId ?? id,
    entity_type: entityType,
    entity_id: entityId,
    flow_id: null,
    timeline_id: null,
    start_ns: null,
    end_ns: null,
    timerange: null,
    ...columns,
    cascade: mode.cascade,
    counts: '{}',
    deleted_by: mode.deletedBy,
    principal: context.principal.name,
    created: nowUs,
    restored: null,
    status: 'deleted',
    left_segments: null,
    tasks: null,
  }
}

/** `too` more segments were taken by this deletion: those of a long one are counted as they go. */
export const countTaken = async (tx: WriteTx, deletionId: string, segments: number): Promise<void> => {
  const row = await tx.find('deletions', [deletionId])
  if (!row) return
  const counts = JSON.parse(row.counts) as Record<string, number>
  await tx.update('deletions', eq('id', deletionId), {
    counts: JSON.stringify({ ...counts, segments: (counts.segments ?? 0) + segments }),
  })
}

/** By id; ids of no deletion are absent. */
export const findDeletions = async (tx: ReadTx, ids: readonly string[]): Promise<Map<string, DeletionRow>> => {
  if (ids.length === 0) return new Map()
  const { rows } = await tx.list('deletions', { where: isIn('id', ids), limit: ids.length })
  return new Map(rows.map((row) => [row.id, row]))
}

/**
 * Deletions, newest first, that may have segments of this flow in their trash, deleted flows themselves aside: those of ranges, and those
 * that the flow, or it and its source, came back from alone.
 */
export const deletionsOfSegments = async (
  tx: ReadTx,
  flow: { readonly id: string; readonly source_id: string | undefined },
  statuses: readonly Deletion['status'][],
  limit: number,
): Promise<DeletionRow[]> => {
  const open = isIn('status', statuses)
  const own = and(eq('flow_id', flow.id), open, isIn('entity_type', ['flow', 'segments']))
  const rows = await listAll(tx, 'deletions', { where: own, orderBy: [{ column: 'created', direction: 'desc' }], limit })
  if (flow.source_id === undefined) return rows
  const where = and(eq('entity_type', 'source'), eq('entity_id', flow.source_id), open, not(isNull('left_segments')))
  const ofSource = await listAll(tx, 'deletions', { where, limit })
  return [...rows, ...ofSource].sort((a, b) => (a.created < b.created ? 1 : -1)).slice(0, limit)
}

/** Whoever may not see a flow or source may not see what was deleted of it. */
export const isShown = async (tx: ReadTx, { visible }: Context, { entity_type, entity_id }: DeletionRow): Promise<boolean> => {
  if (entity_type === 'object') return true
  const table = entity_type === 'source' ? 'sources' : 'flows'
  if (visible[table].kind === 'and' && visible[table].terms.length === 0) return true
  const of = eq('id', entity_id)
  if ((await tx.count(table, and(of, visible[table]), { atMost: 1 })) > 0) return true
  return (await tx.count(table, of, { atMost: 1 })) === 0
}

export interface DeletionFilter {
  readonly entityType?: DeletedType
  readonly entityId?: string
  readonly flowId?: string
  readonly groupId?: string
  readonly status?: Deletion['status']
  readonly deletedBy?: string
  readonly sinceUs?: bigint
  readonly untilUs?: bigint
}

const SCOPE = 'deletions'

const filterPredicate = (filter: DeletionFilter): Predicate => {
  const equal = {
    entity_type: filter.entityType,
    entity_id: filter.entityId,
    flow_id: filter.flowId,
    group_id: filter.groupId,
    status: filter.status,
    deleted_by: filter.deletedBy,
  }
  return and(
    ...Object.entries(equal).flatMap(([column, value]) => (value === undefined ? [] : [eq(column, value)])),
    ...(filter.sinceUs === undefined ? [] : [compare('created', '>=', filter.sinceUs)]),
    ...(filter.untilUs === undefined ? [] : [compare('created', '<', filter.untilUs)]),
  )
}

export const deletionUseCases = ({ tables, settings }: Deps) => ({
  /** Newest first; a page may be short. */
  list: (context: Context, filter: DeletionFilter, page: PageRequest): Promise<Listing<Deletion>> =>
    tables.read(async (tx) => {
      const limit = effectiveLimit(page, settings)
      const after = pageValues(SCOPE, page, 2)
      const direction = page.reverse ? 'asc' : 'desc'
      const found = await tx.list('deletions', {
        where: filterPredicate(filter),
        orderBy: [
          { column: 'created', direction },
          { column: 'id', direction },
        ],
        limit,
        ...(after && { after }),
      })
      const shown: DeletionRow[] = []
      for (const row of found.rows) if (await isShown(tx, context, row)) shown.push(row)
      return { items: shown.map(deletionDocument), limit, ...nextKey(SCOPE, found.after) }
    }),

  /** Throws `not_found`, also once it is purged. */
  get: (context: Context, id: string): Promise<Deletion> =>
    tables.read(async (tx) => {
      const row = isUuid(id) ? await tx.find('deletions', [id]) : undefined
      if (!row || !(await isShown(tx, context, row))) throw notFound(`Deletion ${id}`)
      return deletionDocument(row)
    }),
})
