import { everything, type Predicate } from '../../../src/core/predicate.ts'
import type { ColumnKind } from '../../../src/storage/check-row.ts'
import { Connection } from '../../../src/storage/sqlite/connection.ts'
import { borrowFiles } from '../../../src/storage/sqlite/pages/borrow-files.ts'
import { PageCursor } from '../../../src/storage/sqlite/pages/cursor.ts'
import { testedColumns } from '../../../src/storage/sqlite/pages/filter.ts'
import type { PageImages } from '../../../src/storage/sqlite/pages/images.ts'
import { planPages } from '../../../src/storage/sqlite/pages/plan.ts'
import { SnapshotPages } from '../../../src/storage/sqlite/pages/snapshot.ts'
import { columnBuilder } from '../../../src/storage/sqlite/scan-columns.ts'
import type { ColumnBuffers, PagePlan, ScanSpec } from '../../../src/storage/sqlite/scan-protocol.ts'

/** Columns of the table `t` that these tests read. */
export const KINDS: Readonly<Record<string, ColumnKind>> = {
  id: 'text',
  at: 'int64',
  note: 'text',
  big: 'int64',
  small: 'int32',
  real: 'float64',
  flag: 'bool',
  late: 'text',
  late_count: 'int64',
}
export const COLUMNS = Object.keys(KINDS)

const connections: Connection[] = []

export const closeConnections = (): void => {
  for (const connection of connections.splice(0)) connection.close()
}

export const connect = (file: string, writes: boolean): Connection => {
  const connection = new Connection({ file, writes, create: writes })
  connections.push(connection)
  return connection
}

export const writerOf = (file: string): Connection => {
  const connection = connect(file, true)
  connection.makeDurable()
  return connection
}

/** Without the `late` columns. */
export const createTable = (writer: Connection): void => {
  // Not in the order in which it is stored: the key comes first there.
  writer.run(`create table t (note text, big integer, at integer not null, small integer not null default 0, real real, id text not null,
    flag integer not null default 0, primary key (id, at)) strict, without rowid`)
}

export const specOf = (columns: readonly string[], condition: Predicate = everything): ScanSpec => ({
  table: 't',
  key: [],
  columns: columns.map((name) => ({ name, kind: KINDS[name] as ColumnKind })),
  where: '1',
  params: [],
  condition,
  tested: testedColumns(condition),
  taken: new Int32Array(new SharedArrayBuffer(4)),
})

export interface Snapshot {
  readonly connection: Connection
  readonly images: PageImages
}

export const snapshotOf = (file: string): Snapshot => {
  const connection = connect(file, false)
  const pages = pagesOf(connection, file)
  pages.take(() => begin(connection))
  const { images } = pages
  if (!images) throw new Error('the pages of the snapshot were not found')
  return { connection, images }
}

export const pagesOf = (connection: Connection, file: string): SnapshotPages => {
  connection.rows('select 1 from t limit 1')
  const borrowed = borrowFiles(connection.db, file)
  if (!borrowed) throw new Error('the files of the connection were not found')
  return new SnapshotPages(borrowed)
}

export const begin = (connection: Connection): void => {
  if (connection.inTransaction) connection.run('rollback')
  connection.run('begin')
  connection.rows('select 1 from t limit 1')
}

export const planned = ({ connection, images }: Snapshot, spec: ScanSpec): PagePlan => {
  const plan = planPages(connection, spec, images)
  if (!plan) throw new Error('no plan for these pages')
  return plan
}

export const cell = ({ nulls, valid, data, dictionary }: ColumnBuffers, kind: ColumnKind, row: number): unknown => {
  if (nulls > 0 && valid && !(((valid[row >> 3] ?? 0) >> (row & 7)) & 1)) return null
  if (kind === 'bool') return BigInt(((Number(data[row >> 3]) ?? 0) >> (row & 7)) & 1)
  const value = data[row]
  if (!dictionary) return kind === 'int32' ? BigInt(Number(value)) : value
  const code = Number(value)
  return Buffer.from(dictionary.bytes.subarray(dictionary.offsets[code], dictionary.offsets[code + 1])).toString()
}

export const readAll = (cursor: PageCursor, spec: ScanSpec, most = 1000): unknown[][] => {
  const rows: unknown[][] = []
  for (;;) {
    const builders = spec.columns.map(({ kind }) => columnBuilder(kind, most))
    const count = cursor.read(builders, most)
    if (count === undefined) return rows
    const columns = builders.map((builder) => builder.finish())
    for (let row = 0; row < count; row++)
      rows.push(columns.map((column, i) => cell(column, (spec.columns[i] as { kind: ColumnKind }).kind, row)))
  }
}

/** By key, whatever worker read them when. */
export const byPages = (snapshot: Snapshot, spec: ScanSpec, most?: number): unknown[][] =>
  sorted(readAll(new PageCursor(snapshot.images, spec, planned(snapshot, spec)), spec, most))

export const bySql = ({ connection }: Snapshot, columns: readonly string[], where = '1'): unknown[][] =>
  sorted(
    connection
      .rows(`select ${columns.map((name) => `"${name}"`).join(', ')} from t where ${where}`)
      .map((row) => columns.map((name) => row[name])),
  )

const text = (row: readonly unknown[]): string => JSON.stringify(row, (_, value) => (typeof value === 'bigint' ? `${value}n` : value))
export const sorted = (rows: unknown[][]): unknown[][] => rows.sort((a, b) => (text(a) < text(b) ? -1 : 1))
