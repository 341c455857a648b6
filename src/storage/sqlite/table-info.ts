import { type ColumnKind, kindOf } from '../check-row.ts'
import { type Table, type TableName, tables } from '../schema.ts'

/** An order in which the rows of a table can be walked: the key (`index` absent) or a secondary index. */
export interface Path {
  readonly index?: string
  /** The key's columns complete every index, so each path is a total order. */
  readonly columns: readonly string[]
}

export interface TableInfo {
  readonly name: TableName
  readonly key: readonly string[]
  readonly columnNames: readonly string[]
  readonly kinds: ReadonlyMap<string, ColumnKind>
  readonly nullable: ReadonlySet<string>
  readonly paths: readonly [key: Path, ...indexes: Path[]]
  readonly lock: Table['lock']
}

/** Bound to a statement, or read from one. */
export type SqlValue = string | bigint | number | boolean | null

/** Names come from the schema only; quoting is for those that are words of SQL (`count`, `position`). */
export const quoted = (name: string): string => `"${name}"`

export const indexName = (table: string, columns: readonly string[]): string => `ix_${table}__${columns.join('__')}`

const infos = new Map<TableName, TableInfo>()

export const tableInfo = (name: TableName): TableInfo => {
  const known = infos.get(name)
  if (known) return known
  if (!Object.hasOwn(tables, name)) throw new Error(`there is no table ${name}`)
  const table: Table = tables[name]
  const entries = Object.entries(table.columns)
  const info: TableInfo = {
    name,
    key: table.key,
    columnNames: entries.map(([column]) => column),
    kinds: new Map(entries.map(([column, { arrow }]) => [column, kindOf(arrow)])),
    nullable: new Set(entries.filter(([, { nullable }]) => nullable).map(([column]) => column)),
    paths: [
      { columns: table.key },
      ...table.indexes.map((columns) => ({
        index: indexName(name, columns),
        columns: [...columns, ...table.key.filter((column) => !columns.includes(column))],
      })),
    ],
    lock: table.lock,
  }
  infos.set(name, info)
  return info
}

export const kindOfColumn = (info: TableInfo, column: string): ColumnKind => {
  const kind = info.kinds.get(column)
  if (!kind) throw new Error(`table ${info.name} has no column ${column}`)
  return kind
}
