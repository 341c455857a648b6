import type { Predicate, Value } from '../../core/predicate.ts'
import type { OrderColumn } from '../list-order.ts'
import { relatedColumns } from '../table-facts.ts'
import { compileAll } from './compile-predicate.ts'
import { behind, orderText } from './order.ts'
import type { Access, Start } from './plan.ts'
import { type Path, quoted, type SqlValue, type TableInfo } from './table-info.ts'

export type Statement = readonly [sql: string, params: readonly SqlValue[]]

/** What all statements of one query share; rows go by the alias `t`. */
export interface Search {
  readonly info: TableInfo
  readonly terms: readonly Predicate[]
  readonly order: readonly OrderColumn[]
  /** Empty to count only. */
  readonly columns: readonly string[]
}

/** The next `size` rows of a walk behind `from` (a row's values in the columns of the order). */
export interface Window {
  readonly walk: Access
  readonly from: readonly Value[] | undefined
  readonly size: number
}

/** Everything that matches behind `from`, by `path` (undefined: SQLite chooses). */
export const directStatement = (search: Search, path: Path | undefined, from: readonly Value[] | undefined, limit: number): Statement => {
  const { info, terms, columns } = search
  const params: SqlValue[] = []
  const where = compileAll(info, terms, params)
  const sql = `select ${list(columns)} from ${quoted(info.name)} t ${using(path)} where ${where}${tail(search, from, params)} limit ?`
  return [sql, [...params, limit]]
}

/** The rows of a window that pass the rest of the terms. */
export const windowStatement = (search: Search, { walk, from, size }: Window, limit: number): Statement => {
  const { info, columns } = search
  const params: SqlValue[] = []
  const where = compileAll(info, walk.covered, params)
  const candidates = `select ${list(info.key)} from ${quoted(info.name)} t ${using(walk.path)} where ${where}${tail(search, from, params)} limit ?`
  params.push(size)
  const join = info.key.map((column) => `t.${quoted(column)} = c.${quoted(column)}`).join(' and ')
  // "cross" keeps the join in its written order, so rows come in the order of the walk, and only what passes is read further.
  // No "order by" outside: SQLite would collect and sort what is sorted already.
  const source = `from (${candidates}) c cross join ${quoted(info.name)} t not indexed where ${join} and ${compileAll(info, walk.rest, params)}`
  return [`select ${list(columns)} ${source} limit ?`, [...params, limit]]
}

/** The last row of a window, if it is full: index entries only. */
export const boundaryStatement = (search: Search, { walk, from, size }: Window): Statement => {
  const { info, order } = search
  const params: SqlValue[] = []
  const where = compileAll(info, walk.covered, params)
  const columns = list(order.map(({ column }) => column))
  const sql = `select ${columns} from ${quoted(info.name)} t ${using(walk.path)} where ${where}${tail(search, from, params)} limit 1 offset ?`
  return [sql, [...params, size - 1]]
}

/** How many rows a start has, counted up to `most`. */
export const probeStatement = (info: TableInfo, start: Start, most: number): Statement => {
  const table = start.kind === 'own' ? info : start.other
  const params: SqlValue[] = []
  const where = compileAll(table, start.kind === 'own' ? start.access.covered : start.covered, params)
  const hint = start.kind === 'own' ? using(start.access.path) : ''
  return countOf([`select 1 from ${quoted(table.name)} t ${hint} where ${where} limit ?`, [...params, most]])
}

/** Everything that matches behind `from`, found from the related rows. */
export const relatedStatement = (
  search: Search,
  start: Start & { readonly kind: 'related' },
  from: readonly Value[] | undefined,
  limit: number,
): Statement => {
  const { info, terms, columns } = search
  const params: SqlValue[] = []
  const links = relatedColumns(info, start.other, start.related)
  const found = links.map(([theirs], i) => `t.${quoted(theirs)} as k${i}`).join(', ')
  const inner = `select distinct ${found} from ${quoted(start.other.name)} t where ${compileAll(start.other, [start.related.where], params)}`
  const join = links.map(([, ours], i) => `t.${quoted(ours)} = c.k${i}`).join(' and ')
  const others = terms.filter((term) => term !== start.related)
  const source = `from (${inner}) c cross join ${quoted(info.name)} t where ${join} and ${compileAll(info, others, params)}`
  return [`select ${list(columns)} ${source}${tail(search, from, params)} limit ?`, [...params, limit]]
}

export const countOf = ([sql, params]: Statement): Statement => [`select count(*) from (${sql})`, params]

const list = (columns: readonly string[]): string =>
  columns.length === 0 ? '1' : columns.map((column) => `t.${quoted(column)}`).join(', ')

// "not indexed" demands the key of a WITHOUT ROWID table. Without a demand SQLite may prefer another index and sort.
const using = (path: Path | undefined): string =>
  path === undefined ? '' : path.index === undefined ? 'not indexed' : `indexed by ${quoted(path.index)}`

const tail = ({ order }: Search, from: readonly Value[] | undefined, params: SqlValue[]): string => {
  const continued = from ? ` and ${behind(order, from, params)}` : ''
  return order.length === 0 ? continued : `${continued} order by ${orderText(order)}`
}
