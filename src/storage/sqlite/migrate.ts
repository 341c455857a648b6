import { type Table, type TableName, tables } from '../schema.ts'
import { refuseNewer, VERSION_ROWS } from '../schema-version.ts'
import { kindOfColumn } from '../table-facts.ts'
import type { Connection } from './connection.ts'
import { indexName, quoted, tableInfo } from './table-info.ts'

/** Counts the commits that touched each table; see `Tables.version`. */
export const VERSIONS_TABLE = 'table_versions'

const sqlType = { text: 'text', int64: 'integer', int32: 'integer', float64: 'real', bool: 'integer' } as const
const emptyValue = { text: "''", int64: '0', int32: '0', float64: '0', bool: '0' } as const

/**
 * Brings the file up to this program's schema inside the caller's transaction: makes missing tables, columns and indexes and takes
 * nothing away. Throws `conflict` for a store that a newer program has closed to this one.
 */
export const migrate = (connection: Connection): void => {
  if (columnsOf(connection, 'meta').length > 0) refuseNewer((name) => storedVersion(connection, name))
  connection.run(`create table if not exists ${VERSIONS_TABLE} (name text primary key, version integer not null) strict, without rowid`)
  for (const name of Object.keys(tables) as TableName[]) {
    const table: Table = tables[name]
    const existing = columnsOf(connection, name)
    if (existing.length === 0) connection.run(createTable(name))
    else addColumns(connection, name, existing)
    for (const columns of table.indexes) {
      const list = columns.map(quoted).join(', ')
      const first = columns[0] ?? ''
      const present = table.columns[first]?.nullable ? ` where ${quoted(first)} is not null` : ''
      connection.run(`create index if not exists ${quoted(indexName(name, columns))} on ${quoted(name)} (${list})${present}`)
    }
    connection.run(`insert or ignore into ${VERSIONS_TABLE} values (?, 0)`, [name])
  }
  for (const [name, version] of Object.entries(VERSION_ROWS)) raise(connection, name, version)
}

const storedVersion = (connection: Connection, name: string): number =>
  Number(connection.row('select value from meta where name = ?', [name])?.value ?? 0)

const raise = (connection: Connection, name: string, version: number): void => {
  if (storedVersion(connection, name) < version)
    connection.run('insert or replace into meta (name, value) values (?, ?)', [name, String(version)])
}

interface ExistingColumn {
  readonly name: string
  /** Place in the primary key from 1; 0 outside it. */
  readonly keyPosition: number
}

const columnsOf = (connection: Connection, table: string): readonly ExistingColumn[] =>
  connection
    .rows('select name, pk from pragma_table_info(?)', [table])
    .map(({ name, pk }) => ({ name: String(name), keyPosition: Number(pk) }))

const createTable = (name: TableName): string => {
  const { columnNames, key } = tableInfo(name)
  // Numbers of the log are given by SQLite and never reused, not even those of its last rows after they are deleted.
  if (name === 'event_log') {
    const others = columnNames.filter((column) => column !== 'seq').map((column) => columnText(name, column))
    return `create table ${quoted(name)} ("seq" integer primary key autoincrement, ${others.join(', ')}) strict`
  }
  const columns = columnNames.map((column) => columnText(name, column))
  return `create table ${quoted(name)} (${columns.join(', ')}, primary key (${key.map(quoted).join(', ')})) strict, without rowid`
}

// The default lets this program add the column to rows that are there, and an older program add rows without it.
const columnText = (table: TableName, column: string): string => {
  const info = tableInfo(table)
  const kind = kindOfColumn(info, column)
  const constraint = info.nullable.has(column) ? '' : info.key.includes(column) ? ' not null' : ` not null default ${emptyValue[kind]}`
  return `${quoted(column)} ${sqlType[kind]}${constraint}`
}

const addColumns = (connection: Connection, table: TableName, existing: readonly ExistingColumn[]): void => {
  const { columnNames, key } = tableInfo(table)
  const existingKey = existing.filter(({ keyPosition }) => keyPosition > 0).sort((a, b) => a.keyPosition - b.keyPosition)
  if (existingKey.map(({ name }) => name).join() !== key.join())
    throw new Error(
      `table ${table} of the file has the key (${existingKey.map(({ name }) => name)}), not (${key}): a changed key is a new table`,
    )
  for (const column of columnNames) {
    if (existing.some(({ name }) => name === column)) continue
    connection.run(`alter table ${quoted(table)} add column ${columnText(table, column)}`)
  }
}
