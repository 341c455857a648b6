import { type TableName, tables } from '../schema.ts'
import { type TableFacts, tableFacts } from '../table-facts.ts'

/** An order in which the rows of a table can be walked: the key (`index` absent) or a secondary index. */
export interface Path {
  readonly index?: string
  /** The key's columns complete every index, so each path is a total order. */
  readonly columns: readonly string[]
}

export interface TableInfo extends TableFacts {
  readonly paths: readonly [key: Path, ...indexes: Path[]]
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
  const facts = tableFacts(name)
  const indexes: readonly (readonly string[])[] = tables[name].indexes
  const info: TableInfo = {
    ...facts,
    paths: [
      { columns: facts.key },
      ...indexes.map((columns) => ({
        index: indexName(name, columns),
        columns: [...columns, ...facts.key.filter((column) => !columns.includes(column))],
      })),
    ],
  }
  infos.set(name, info)
  return info
}
