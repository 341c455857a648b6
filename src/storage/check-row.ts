import type { DataType } from 'apache-arrow'
import { DataType as Arrow } from 'apache-arrow'
import { invalid, TamsError } from '../core/errors.ts'
import { isWellFormed } from '../core/text-order.ts'
import { MAX_NS, MIN_NS } from '../core/timestamp.ts'
import { CELL_LIMIT, type Table, type TableName, tables } from './schema.ts'

/** How the cells of a column look in JavaScript; times are `int64` microseconds. */
export type ColumnKind = 'text' | 'int64' | 'int32' | 'float64' | 'bool'

export const kindOf = (arrow: DataType): ColumnKind => {
  if (Arrow.isUtf8(arrow)) return 'text'
  if (Arrow.isTimestamp(arrow)) return 'int64'
  if (Arrow.isInt(arrow)) return arrow.bitWidth === 64 ? 'int64' : 'int32'
  if (Arrow.isFloat(arrow)) return 'float64'
  if (Arrow.isBool(arrow)) return 'bool'
  throw new Error(`no table has a column of type ${arrow}`)
}

/**
 * Throws unless `value` may stand in that column: `too_large` above `CELL_LIMIT` UTF-8 bytes; `invalid` for ill-formed Unicode
 * and integers beyond 64 bits (clients can send both); an Error for a type that only a mistake of ours can bring.
 */
export const checkCell = (table: TableName, column: string, value: unknown): void => {
  const definition = (tables[table] as Table).columns[column]
  if (!definition) throw new Error(`table ${table} has no column ${column}`)
  check(table, column, kindOf(definition.arrow), definition.nullable, value)
}

/** `checkCell` for every column of a row to insert; a missing or unknown member is an Error. */
export const checkRow = (table: TableName, row: Readonly<Record<string, unknown>>): void => {
  const cells = cellsOf(table)
  for (const [column, kind, nullable] of cells) check(table, column, kind, nullable, row[column])
  if (Object.keys(row).length !== cells.length) throw new Error(`a row of ${table} has other members than the table has columns`)
}

/** `checkCell` for the columns to change; key columns never change. */
export const checkSet = (table: TableName, set: Readonly<Record<string, unknown>>): void => {
  const columns = Object.keys(set)
  if (columns.length === 0) throw new Error(`an update of ${table} sets nothing`)
  for (const column of columns) {
    if ((tables[table] as Table).key.includes(column)) throw new Error(`${table}.${column} is a key column and cannot be set`)
    checkCell(table, column, set[column])
  }
}

type Cell = readonly [column: string, kind: ColumnKind, nullable: boolean]
const cellsByTable = new Map<TableName, readonly Cell[]>()

const cellsOf = (table: TableName): readonly Cell[] => {
  let cells = cellsByTable.get(table)
  if (!cells) {
    const { columns } = tables[table] as Table
    cells = Object.entries(columns).map(([column, { arrow, nullable }]) => [column, kindOf(arrow), nullable])
    cellsByTable.set(table, cells)
  }
  return cells
}

const check = (table: TableName, column: string, kind: ColumnKind, nullable: boolean, value: unknown): void => {
  if (value === null && nullable) return
  switch (kind) {
    case 'text':
      if (typeof value !== 'string') break
      if (value.length * 3 > CELL_LIMIT && Buffer.byteLength(value) > CELL_LIMIT) throw tooLarge(table, column, value)
      if (!isWellFormed(value)) throw invalid(column, 'is not well-formed Unicode (an unpaired surrogate)')
      return
    case 'int64':
      if (typeof value !== 'bigint') break
      if (value < MIN_NS || value > MAX_NS) throw invalid(column, 'is outside the range of 64-bit integers')
      return
    case 'int32':
      if (typeof value === 'number' && (value | 0) === value) return
      break
    case 'float64':
      if (typeof value === 'number' && Number.isFinite(value)) return
      break
    case 'bool':
      if (typeof value === 'boolean') return
      break
    default:
      throw new Error(`unhandled ${kind satisfies never}`)
  }
  throw new Error(`${table}.${column} is ${kind}${nullable ? ' or null' : ''} and cannot hold ${describe(value)}`)
}

const tooLarge = (table: TableName, column: string, text: string) =>
  new TamsError('too_large', `${table}.${column}: ${Buffer.byteLength(text)} bytes are more than the ${CELL_LIMIT} that fit`, {
    field: column,
  })

const describe = (value: unknown): string =>
  typeof value === 'bigint' || typeof value === 'number' ? `${typeof value} ${value}` : value === null ? 'null' : typeof value
