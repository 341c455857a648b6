import { type Data, type Field, Schema } from 'apache-arrow'
import { columnOf } from '../../../../src/vastdb/wire/column.ts'
import { concatData } from '../../../../src/vastdb/wire/combine.ts'
import { decodeOneColumns, encodeColumnsStream } from '../../../../src/vastdb/wire/ipc.ts'
import { SchemaMemo } from '../../../../src/vastdb/wire/ipc-message.ts'
import { onlyRowId, ROW_ID } from '../../../../src/vastdb/wire/row-id.ts'
import { columnValues, type Value } from '../../../../src/vastdb/wire/values.ts'
import type { Column, TableEntry } from '../catalog.ts'
import { checkSameColumn } from '../column-rules.ts'
import { type Exchange, type Handler, rowIdKindOf, tableOf } from '../exchange.ts'
import { badRequest, conflict, notEmulated, notFound, ProtocolError } from '../protocol-error.ts'
import type { Chunk } from '../store/chunk.ts'
import { readRowIds, rowIdData } from '../wire/row-ids.ts'
import { takeRows } from '../wire/take.ts'

/** Clients send the same few again and again. */
const schemas = new SchemaMemo()

/** A column of this name is the row id itself. The first insert decides who chooses its values. */
export const CLIENT_ROW_ID = 'vastdb_rowid'
/** Bytes of one text or binary cell. */
const MAX_CELL = 128 * 1024

/** Of the answer to an insert. */
const ROW_IDS = { plain: new Schema([...onlyRowId('plain')]), wide: new Schema([...onlyRowId('wide')]) }

interface Given {
  readonly column: Column
  readonly data: Data
}

type Batch = ReturnType<typeof decodeOneColumns>

const dataAt = (batch: Batch, index: number): Data => {
  const data = batch.columns[index]
  if (data === undefined) throw badRequest(`the batch has no column ${index}`)
  return data
}

const checkCells = (field: Field, data: Data): void => {
  if (!field.nullable && data.nullCount > 0)
    throw badRequest(`column ${field.name} is not nullable, the request has ${data.nullCount} nulls`)
  const offsets: Int32Array | undefined = data.children.length === 0 ? data.valueOffsets : undefined
  if (offsets === undefined) return
  for (let i = 0; i < data.length; i++) {
    const size = (offsets[i + 1] ?? 0) - (offsets[i] ?? 0)
    if (size > MAX_CELL)
      throw badRequest(`column ${field.name}: a cell of ${size} bytes, at most ${MAX_CELL} are stored`, 'TabularCellTooLarge')
  }
}

/** The columns of a request, found by name, except those of row ids. */
const givenColumns = (table: TableEntry, batch: Batch): Given[] =>
  batch.schema.fields.flatMap((field, i) => {
    if (field.name === ROW_ID) return []
    const column = table.columns.find((candidate) => candidate.field.name === field.name)
    if (column === undefined) throw notFound(`table ${table.name} has no column ${field.name}`, 'TabularMismatchColumnName')
    if (field.name === CLIENT_ROW_ID) return []
    checkSameColumn(column.field, field)
    const data = dataAt(batch, i)
    checkCells(column.field, data)
    return [{ column, data }]
  })

const named = (batch: Batch, name: string): Data | undefined => {
  const index = batch.schema.fields.findIndex((field) => field.name === name)
  return index < 0 ? undefined : dataAt(batch, index)
}

/** Row ids that the client chose: unique, and brought into ascending order. */
const clientChunk = (exchange: Exchange, table: TableEntry, ids: Float64Array, given: readonly Given[]): Chunk => {
  const rows = exchange.transaction.rows(table)
  const order = Uint32Array.from(ids.keys()).sort((a, b) => (ids[a] ?? 0) - (ids[b] ?? 0))
  const rowIds = Float64Array.from(order, (row) => ids[row] ?? 0)
  rowIds.forEach((id, i) => {
    if (id === rowIds[i - 1] || rows.find(id) !== undefined) throw conflict(`row ${id} is there already`, 'TabularRowExists')
  })
  return {
    rows: rowIds.length,
    firstRowId: rowIds[0] ?? 0,
    lastRowId: rowIds.at(-1) ?? 0,
    rowIds,
    clientIds: true,
    columns: new Map(given.map(({ column, data }) => [column.id, takeRows(data, order)])),
    commit: Number.POSITIVE_INFINITY,
    versions: new Map(),
  }
}

/** One batch in, its row ids out, in its order. */
export const insertRows: Handler = (exchange) => {
  const table = tableOf(exchange)
  const batch = decodeOneColumns(exchange.body, schemas)
  if (batch.schema.fields.length === 0) throw new ProtocolError(501, 'NotImplemented', 'an insert without columns')
  const given = givenColumns(table, batch)
  const ids = named(batch, CLIENT_ROW_ID)
  const rows = exchange.transaction.rows(table)
  const kind = rowIdKindOf(table)
  const answer = (rowIds: Float64Array) => ({
    body: encodeColumnsStream(ROW_IDS[kind], { rows: rowIds.length, columns: [rowIdData(kind, rowIds)] }),
  })
  if (batch.rows === 0) return answer(new Float64Array(0))
  if (ids !== undefined) {
    if (!rows.clientIds && rows.count() > 0) throw badRequest(`the server allocates the row ids of ${table.name}`)
    const chosen = readRowIds(ids)
    rows.insert(clientChunk(exchange, table, chosen, given))
    return answer(chosen)
  }
  if (rows.clientIds) throw badRequest(`rows of ${table.name} need a value of ${CLIENT_ROW_ID}`)
  const firstRowId = table.store.allocate(batch.rows)
  rows.insert({
    rows: batch.rows,
    firstRowId,
    lastRowId: firstRowId + batch.rows - 1,
    clientIds: false,
    // Copies: the body of the request would otherwise be kept whole for one of its columns.
    columns: new Map(
      given.map(({ column, data }) => [
        column.id,
        takeRows(
          data,
          Uint32Array.from({ length: batch.rows }, (_, row) => row),
        ),
      ]),
    ),
    commit: Number.POSITIVE_INFINITY,
    versions: new Map(),
  })
  return answer(Float64Array.from({ length: batch.rows }, (_, row) => firstRowId + row))
}

/** The ids of the rows that an update or delete is about: ascending, none twice. */
const addressed = (batch: Batch): Float64Array => {
  const [first] = batch.schema.fields
  if (first?.name !== ROW_ID && first?.name !== CLIENT_ROW_ID) throw badRequest(`the first column must be ${ROW_ID}, not ${first?.name}`)
  const ids = readRowIds(dataAt(batch, 0))
  ids.forEach((id, i) => {
    if (i > 0 && id <= (ids[i - 1] ?? 0)) throw badRequest(`row ids must be ascending: ${id} follows ${ids[i - 1]}`)
  })
  return ids
}

const located = (exchange: Exchange, table: TableEntry, rowId: number) => {
  exchange.transactions.checkRow(exchange.transaction, table.store, rowId)
  const found = exchange.transaction.rows(table).find(rowId)
  if (found === undefined) throw notFound(`table ${table.name} has no row ${rowId}`, 'TabularRowNotFound')
  return found
}

/** New cells for rows that this transaction inserted itself: put into the column at once, instead of one change per row. */
const replaceInside = (chunk: Chunk, from: number, given: readonly Given[], count: number): void => {
  const rows = Uint32Array.from({ length: chunk.rows }, (_, row) => (row >= from && row < from + count ? chunk.rows + row - from : row))
  for (const { column, data } of given) {
    const before = chunk.columns.get(column.id)
    if (before === undefined && count < chunk.rows) chunk.columns.set(column.id, padded(data, from, chunk.rows))
    else chunk.columns.set(column.id, before === undefined ? data : takeRows(concatData(column.field.type, [before, data]), rows))
  }
}

/** `data` with nulls around it: rows `from` and following of `rows`. */
const padded = (data: Data, from: number, rows: number): Data => {
  // Row `data.length` of the second part is the first of an all-null row: one null is taken as often as needed.
  const withNull = concatData(data.type, [data, nullOf(data)])
  return takeRows(
    withNull,
    Uint32Array.from({ length: rows }, (_, row) => (row >= from && row < from + data.length ? row - from : data.length)),
  )
}

const nullOf = (data: Data): Data => {
  const one = takeRows(data, Uint32Array.of(0))
  return columnOf(
    one.type,
    { length: 1, nulls: 1, offsets: one.valueOffsets, values: one.values, validity: new Uint8Array(1) },
    one.children,
  )
}

export const updateRows: Handler = (exchange) => {
  const table = tableOf(exchange)
  const batch = decodeOneColumns(exchange.body, schemas)
  const ids = addressed(batch)
  const given = givenColumns(table, batch)
  const keyed = given.find(({ column }) => table.sortKey.includes(column.id))
  if (keyed !== undefined) throw badRequest(`column ${keyed.column.field.name} is part of the sorting key and cannot be updated`)
  const rows = exchange.transaction.rows(table)
  const firstId = ids[0]
  if (firstId === undefined) return {}
  const first = located(exchange, table, firstId)
  const whole = (ids.at(-1) ?? 0) - firstId + 1 === ids.length && ids.length > 64
  if (
    whole &&
    rows.inserted.includes(first.chunk) &&
    first.chunk.rowIds === undefined &&
    rows.touched(first.chunk).size === 0 &&
    (ids.at(-1) ?? 0) <= first.chunk.lastRowId
  ) {
    replaceInside(first.chunk, first.row, given, ids.length)
    return {}
  }
  const columns = given.map(({ column, data }) => ({ id: column.id, values: columnValues(data) }))
  ids.forEach((id, i) => {
    const { chunk, row } = located(exchange, table, id)
    rows.change(chunk, row, new Map(columns.map((column): [number, Value] => [column.id, column.values[i] ?? null])))
  })
  return {}
}

export const deleteRows: Handler = (exchange) => {
  const table = tableOf(exchange)
  const rows = exchange.transaction.rows(table)
  for (const id of addressed(decodeOneColumns(exchange.body, schemas))) {
    const { chunk, row } = located(exchange, table, id)
    rows.change(chunk, row, 'deleted')
  }
  return {}
}

export const importData: Handler = () => {
  throw notEmulated('importing Parquet files')
}
