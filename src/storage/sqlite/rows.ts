import type { Value } from '../../core/predicate.ts'
import type { ColumnKind } from '../check-row.ts'
import type { OrderColumn } from '../list-order.ts'
import { kindOfColumn } from '../table-facts.ts'
import type { SqlRow } from './connection.ts'
import type { SqlValue, TableInfo } from './table-info.ts'

export interface RowReader {
  /** What the statement selects: the columns asked for, and those of the order. */
  readonly selected: readonly string[]
  /** The row's values in the columns of the order. Before `finish`. */
  position(row: SqlRow): readonly Value[]
  /** Turns rows of SQLite into rows of the interface, in place where that is possible. */
  finish(rows: SqlRow[]): SqlRow[]
}

/**
 * SQLite's objects are already right in their text, 64-bit and null cells, and `bun:sqlite` makes objects faster than we could
 * from arrays: only booleans and 32-bit integers, which arrive as `bigint`, are rewritten.
 */
export const rowReader = (info: TableInfo, columns: readonly string[], order: readonly OrderColumn[]): RowReader => {
  const wanted = columns.map((column) => [column, kindOfColumn(info, column)] as const)
  const extra = order.flatMap(({ column }) => (columns.includes(column) ? [] : [column]))
  const narrow = wanted.filter(([, kind]) => isNarrow(kind))
  const convert = (row: SqlRow): SqlRow => {
    for (const [column, kind] of narrow) row[column] = narrowed(kind, row[column] ?? null)
    return row
  }
  return {
    selected: [...columns, ...extra],
    position: (row) => order.map(({ column }) => narrowed(kindOfColumn(info, column), row[column] ?? null)),
    finish(rows) {
      if (narrow.length > 0) for (const row of rows) convert(row)
      return extra.length === 0 ? rows : rows.map((row) => Object.fromEntries(columns.map((column) => [column, row[column] ?? null])))
    },
  }
}

const isNarrow = (kind: ColumnKind): boolean => kind === 'bool' || kind === 'int32'

const narrowed = (kind: ColumnKind, value: SqlValue): SqlValue => {
  if (value === null) return null
  if (kind === 'bool') return typeof value === 'boolean' ? value : Number(value) === 1
  return kind === 'int32' ? Number(value) : value
}
