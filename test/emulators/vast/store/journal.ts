// Durability: every commit goes into one SQLite file, and the file is read back at start. SQLite holds what was committed, nothing else;
// versions and snapshots are in memory only.

import { Database } from 'bun:sqlite'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type DataType, Field, Schema } from 'apache-arrow'
import { batchOfData, dataOf } from '../../../../src/vastdb/wire/build.ts'
import { decodeOneBatch, decodeSchema, encodeSchemaMessage, encodeStream } from '../../../../src/vastdb/wire/ipc.ts'
import { type Value, valueAt } from '../../../../src/vastdb/wire/values.ts'
import { Catalog, type Column, type Projection, type TableEntry } from '../catalog.ts'
import type { Commit, Counters, Journal } from '../transactions.ts'
import { readRowIds, rowIdData } from '../wire/row-ids.ts'
import type { Change, Chunk } from './chunk.ts'
import { RowStore } from './row-store.ts'

const TABLES = `
create table if not exists state (key text primary key, value text not null) without rowid;
create table if not exists chunks (store integer not null, first_row_id integer not null, client_ids integer not null, content blob not null, primary key (store, first_row_id));
create table if not exists changes (store integer not null, row_id integer not null, cells blob, primary key (store, row_id)) without rowid;
`

interface StoredTable {
  readonly name: string
  readonly handle: number
  readonly properties: string
  readonly store: number
  readonly columnIds: readonly number[]
  /** The fields as an IPC schema message, base64. */
  readonly fields: string
  readonly sortKey: readonly number[]
  readonly projections: readonly Projection[]
  readonly imports?: StoredTable | undefined
}

const storeTable = (table: TableEntry): StoredTable => ({
  name: table.name,
  handle: table.handle,
  properties: table.properties,
  store: table.store.id,
  columnIds: table.columns.map(({ id }) => id),
  fields: Buffer.from(encodeSchemaMessage(new Schema(table.columns.map(({ field }) => field)))).toString('base64'),
  sortKey: table.sortKey,
  projections: table.projections,
  ...(table.imports === undefined ? {} : { imports: storeTable(table.imports) }),
})

const loadTable = (stored: StoredTable): TableEntry => {
  const { fields } = decodeSchema(Buffer.from(stored.fields, 'base64'))
  const columns = stored.columnIds.flatMap((id, i): Column[] => {
    const field = fields[i]
    return field === undefined ? [] : [{ id, field }]
  })
  const imports = stored.imports === undefined ? undefined : loadTable(stored.imports)
  return { ...stored, columns, store: new RowStore(stored.store), imports }
}

interface StoredSchema {
  readonly bucket: string
  readonly path: string
  readonly handle: number
  readonly properties: string
  readonly tables: readonly StoredTable[]
}

const storeCatalog = (catalog: Catalog): string => {
  const schemas = [...catalog.schemas.values()].map(
    (schema): StoredSchema => ({ ...schema, tables: [...schema.tables.values()].map(storeTable) }),
  )
  return JSON.stringify(schemas)
}

const loadCatalog = (text: string): Catalog => {
  const schemas = JSON.parse(text) as readonly StoredSchema[]
  return new Catalog(
    new Map(
      schemas.map((schema) => [
        `${schema.bucket}/${schema.path}`,
        { ...schema, tables: new Map(schema.tables.map((table) => [table.name, loadTable(table)])) },
      ]),
    ),
  )
}

const ROWS = '$rows'

/** A chunk as an IPC stream: its row ids, then its columns named by their ids. */
const storeChunk = (chunk: Chunk): Uint8Array => {
  const ids = chunk.rowIds ?? Float64Array.from({ length: chunk.rows }, (_, row) => chunk.firstRowId + row)
  const rowIds = rowIdData('plain', ids)
  const columns = [...chunk.columns]
  const fields = [new Field(ROWS, rowIds.type, false), ...columns.map(([id, data]) => new Field(String(id), data.type, true))]
  return encodeStream(batchOfData(fields, [rowIds, ...columns.map(([, data]) => data)], chunk.rows))
}

const loadChunk = (content: Uint8Array, clientIds: boolean): Chunk => {
  const batch = decodeOneBatch(content)
  const [rowIds, ...columns] = batch.data.children
  if (rowIds === undefined) throw new Error('a chunk without row ids')
  const ids = readRowIds(rowIds)
  const [first = 0, last = 0] = [ids[0], ids.at(-1)]
  return {
    rows: ids.length,
    firstRowId: first,
    lastRowId: last,
    rowIds: last - first + 1 === ids.length ? undefined : ids,
    clientIds,
    columns: new Map(columns.map((data, i) => [Number(batch.schema.fields[i + 1]?.name), data])),
    commit: 0,
    versions: new Map(),
  }
}

const storeCells = (cells: ReadonlyMap<number, Value>, typeOf: (column: number) => DataType | undefined): Uint8Array => {
  const columns = [...cells].flatMap(([id, value]) => {
    const type = typeOf(id)
    return type === undefined ? [] : [{ field: new Field(String(id), type, true), data: dataOf(type, [value]) }]
  })
  return encodeStream(
    batchOfData(
      columns.map(({ field }) => field),
      columns.map(({ data }) => data),
      1,
    ),
  )
}

const loadCells = (content: Uint8Array | null): Change => {
  if (content === null) return 'deleted'
  const batch = decodeOneBatch(content)
  return new Map(batch.data.children.map((data, i) => [Number(batch.schema.fields[i]?.name), valueAt(data, 0)]))
}

/** What a file held: the committed state, and the numbers to go on with. */
export interface Loaded {
  readonly journal: Journal
  readonly catalog: Catalog
  readonly counters: Counters
}

/** Opens or makes `vast-emulator.sqlite` in `directory`. */
export const openJournal = (directory: string): Loaded => {
  mkdirSync(directory, { recursive: true })
  const database = new Database(join(directory, 'vast-emulator.sqlite'), { create: true, strict: true })
  database.run('pragma journal_mode = wal')
  database.run('pragma synchronous = normal')
  database.run(TABLES)
  const state = (key: string) => database.query<{ value: string }, [string]>('select value from state where key = ?').get(key)?.value
  const catalog = loadCatalog(state('catalog') ?? '[]')
  for (const { store } of catalog.tables()) loadRows(database, store)
  const { nextId = 1, nextTransaction = '1' } = JSON.parse(state('counters') ?? '{}') as { nextId?: number; nextTransaction?: string }
  return { catalog, counters: { nextId, nextTransaction: BigInt(nextTransaction) }, journal: new SqliteJournal(database, catalog) }
}

const loadRows = (database: Database, store: RowStore): void => {
  const chunks = database.query<{ client_ids: number; content: Uint8Array }, [number]>(
    'select client_ids, content from chunks where store = ? order by first_row_id',
  )
  for (const { client_ids, content } of chunks.iterate(store.id)) store.add(loadChunk(content, client_ids === 1), 0)
  const changes = database.query<{ row_id: number; cells: Uint8Array | null }, [number]>(
    'select row_id, cells from changes where store = ?',
  )
  for (const { row_id, cells } of changes.iterate(store.id)) store.addVersion(row_id, { commit: 0, change: loadCells(cells) }, 0)
}

class SqliteJournal implements Journal {
  readonly #database: Database
  #catalog: Catalog

  constructor(database: Database, catalog: Catalog) {
    this.#database = database
    this.#catalog = catalog
  }

  write({ catalog, inserted, changed }: Commit, { nextId, nextTransaction }: Counters): void {
    const database = this.#database
    const setState = database.query('insert or replace into state values (?, ?)')
    database.transaction(() => {
      setState.run('counters', JSON.stringify({ nextId, nextTransaction: String(nextTransaction) }))
      if (catalog !== undefined) this.#writeCatalog(catalog)
      const addChunk = database.query('insert into chunks values (?, ?, ?, ?)')
      for (const { store, chunk } of inserted) addChunk.run(store.id, chunk.firstRowId, Number(chunk.clientIds), storeChunk(chunk))
      const setChange = database.query('insert or replace into changes values (?, ?, ?)')
      for (const { store, rowId, change } of changed) setChange.run(store.id, rowId, this.#cells(store, rowId, change))
    })()
  }

  /** The cells of a row add up over commits; those before are in the store still. */
  #cells(store: RowStore, rowId: number, change: Change): Uint8Array | null {
    if (change === 'deleted') return null
    const before = store.newest(rowId)?.version?.change
    const table = this.#catalog.tables().find((candidate) => candidate.store === store)
    const cells = before === undefined || before === 'deleted' ? change : new Map([...before, ...change])
    return storeCells(cells, (id) => table?.columns.find((column) => column.id === id)?.field.type)
  }

  #writeCatalog(catalog: Catalog): void {
    this.#database.query('insert or replace into state values (?, ?)').run('catalog', storeCatalog(catalog))
    const kept = new Set(catalog.tables().map(({ store }) => store.id))
    for (const { store } of this.#catalog.tables()) {
      if (kept.has(store.id)) continue
      this.#database.query('delete from chunks where store = ?').run(store.id)
      this.#database.query('delete from changes where store = ?').run(store.id)
    }
    this.#catalog = catalog
  }

  close(): void {
    this.#database.close()
  }
}
