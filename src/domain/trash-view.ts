import { toSeconds } from '../core/clock.ts'
import { notFound } from '../core/errors.ts'
import { and, eq, type Predicate, type Value } from '../core/predicate.ts'
import { compareText } from '../core/text-order.ts'
import { isUuid } from '../core/uuid.ts'
import type { Row } from '../storage/schema.ts'
import type { ListQuery, Order, Page, ReadTx } from '../storage/tables.ts'
import type { Context } from './context.ts'
import { type DeletionRow, findDeletions } from './deletion.ts'
import { listAll } from './list-all.ts'

/** Which records to show: those that live, those in the trash, or both. */
export type TrashView = 'active' | 'deleted' | 'all'

/** What a shown record says of its deletion; only where deleted ones are asked for. */
export interface DeletionMark {
  readonly deleted: boolean
  readonly deleted_at?: string
  readonly deleted_by?: string
  readonly deletion_id?: string
}

export const deletionMark = (deletion: DeletionRow | undefined): DeletionMark =>
  deletion
    ? { deleted: true, deleted_at: toSeconds(deletion.created), deleted_by: deletion.deleted_by, deletion_id: deletion.id }
    : { deleted: true }

/** Marks of records, by their `deletion_id`; without a view there are none. */
export const marksOf = async (
  tx: ReadTx,
  view: TrashView | undefined,
  rows: readonly { readonly deletion_id: string }[],
): Promise<(row: { readonly deletion_id: string }) => DeletionMark | undefined> => {
  if (view === undefined) return () => undefined
  const ids = [...new Set(rows.map((row) => row.deletion_id))].filter((id) => id !== '')
  const deletions = await findDeletions(tx, ids)
  return ({ deletion_id }) => (deletion_id === '' ? { deleted: false } : deletionMark(deletions.get(deletion_id)))
}

type Trashable = 'flows' | 'sources'

/** Live records in one order, deleted ones in another index of the same order, both merged by it. */
export const listRecords = async <N extends Trashable>(
  tx: ReadTx,
  table: N,
  view: TrashView | undefined,
  query: ListQuery<N> & { readonly orderBy: readonly Order<N>[] },
): Promise<Page<Row<N>>> => {
  const part = (which: Predicate) => tx.list(table, { ...query, where: and(which, query.where) })
  const live = eq('deletion_id', '')
  const trashed = eq('trashed', true)
  if (view === 'deleted') return part(trashed)
  if (view !== 'all') return part(live)
  const pages = [await part(live), await part(trashed)]
  const valuesOf = (row: Row<N>): readonly Value[] => query.orderBy.map(({ column }) => row[column as keyof Row<N>] as Value)
  return mergePages(pages, valuesOf, query.limit, query.orderBy[0]?.direction === 'desc')
}

export const inTrash = (view: TrashView | undefined): boolean => view === 'deleted' || view === 'all'

const NAMES = { flows: 'Flow', sources: 'Source' } as const

const trashedRows = <N extends Trashable>(tx: ReadTx, { visible }: Context, table: N, id: string) =>
  listAll(tx, table, { where: and(eq('id', id), eq('trashed', true), visible[table]), limit: 1000 })

/** Of a record that does not live: 404 goes before 400 for the query where it is not in the trash either. */
export const parseOfTrashed = async <T>(tx: ReadTx, context: Context, table: Trashable, id: string, parse: () => T): Promise<T> => {
  if (isUuid(id) && (await trashedRows(tx, context, table, id)).length > 0) return parse()
  throw notFound(`${NAMES[table]} ${id}`)
}

/** The live record, or where deleted ones are asked for the one that was deleted last. Throws `not_found`. */
export const chooseRecord = async <N extends Trashable>(
  tx: ReadTx,
  context: Context,
  table: N,
  id: string,
  live: Row<N> | undefined,
  view: TrashView | undefined,
): Promise<Row<N>> => {
  if (live && view !== 'deleted') return live
  const row = inTrash(view) ? await lastDeleted(tx, await trashedRows(tx, context, table, id)) : undefined
  if (!row) throw notFound(`${NAMES[table]} ${id}`)
  return row
}

/** Of records of one id in the trash, the one that was deleted last. */
export const lastDeleted = async <T extends { readonly deletion_id: string }>(tx: ReadTx, rows: readonly T[]): Promise<T | undefined> => {
  if (rows.length < 2) return rows[0]
  const deletions = await findDeletions(
    tx,
    rows.map((row) => row.deletion_id),
  )
  const created = (row: T): bigint => deletions.get(row.deletion_id)?.created ?? 0n
  return rows.reduce((last, row) => (created(row) > created(last) ? row : last))
}

/**
 * The first `limit` rows of several pages of one order. A page that may go on hides what lies behind its end in the others: that
 * comes with the next call.
 */
export const mergePages = <T>(
  pages: readonly Page<T>[],
  valuesOf: (row: T) => readonly Value[],
  limit: number,
  descending: boolean,
): Page<T> => {
  const compare = (a: readonly Value[], b: readonly Value[]): number => (descending ? -1 : 1) * compareValues(a, b)
  const ends = pages.flatMap((page) => (page.after ? [page.after] : [])).sort(compare)
  const [end] = ends
  const rows = pages.flatMap((page) => page.rows).sort((a, b) => compare(valuesOf(a), valuesOf(b)))
  const shown = rows.filter((row) => end === undefined || compare(valuesOf(row), end) <= 0).slice(0, limit)
  const last = shown.at(-1)
  if (shown.length < limit) return end ? { rows: shown, after: end } : { rows: shown }
  const more = last && (end !== undefined || rows.length > shown.length)
  return more ? { rows: shown, after: valuesOf(last) } : { rows: shown }
}

const compareValues = (a: readonly Value[], b: readonly Value[]): number => {
  for (const [index, one] of a.entries()) {
    const other = b[index] ?? null
    const order = compareValue(one, other)
    if (order !== 0) return order
  }
  return 0
}

const compareValue = (a: Value, b: Value): number => {
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b)
  if (a === b) return 0
  return (a ?? 0) < (b ?? 0) ? -1 : 1
}
