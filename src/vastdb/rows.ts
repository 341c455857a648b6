// Insert, update, delete. A batch may take several requests; that all of them count or none is the transaction's doing.
import type { Field, RecordBatch, Schema } from 'apache-arrow'
import { InvalidArgument, ProtocolError } from './errors.ts'
import { reading, run, type Scope } from './scope.ts'
import { checkCells, INSERT_LIMITS, requestBodies, UPDATE_LIMITS } from './slices.ts'
import type { Table } from './tables.ts'
import { sameLayout } from './wire/arrow-schema.ts'
import { batchOf, batchOfData, dataOf } from './wire/build.ts'
import { decodeOneColumns } from './wire/ipc.ts'
import { onlyRowId, ROW_ID, type RowIdKind, rowIdField } from './wire/row-id.ts'
import { columnValues } from './wire/values.ts'

const nameOf = ({ schema, table }: Table): string => `${schema}/${table}`

const checkColumns = (table: Table, batch: RecordBatch): void => {
  for (const field of batch.schema.fields) {
    const column = table.fields.find((candidate) => candidate.name === field.name)
    if (column === undefined) throw new InvalidArgument(`${nameOf(table)} has no column ${JSON.stringify(field.name)}`)
    if (!sameLayout(field.type, column.type))
      throw new InvalidArgument(`${nameOf(table)}.${field.name} is ${column.type}, the batch has ${field.type}`)
  }
}

const readRowIds = ({ connection }: Scope, table: Table, body: Uint8Array): bigint[] => {
  const { schema, columns } = reading(`row ids of ${nameOf(table)}`, () => decodeOneColumns(body, connection.schemas))
  const column = columns[schema.fields.findIndex((field) => field.name === ROW_ID)]
  if (column === undefined) throw new ProtocolError(`row ids of ${nameOf(table)}: the answer has no column ${ROW_ID}`)
  return columnValues(column).map((value) => {
    if (typeof value !== 'bigint') throw new ProtocolError(`row ids of ${nameOf(table)}: ${String(value)} is no row id`)
    return value
  })
}

/**
 * Adds rows; columns that the batch does not have become null. Gives the ids of the new rows, in order.
 * Without rows or without columns no request is made. A cell above 128 KiB: `TooWideRow`, before anything is sent.
 */
export const insertRows = async (scope: Scope, table: Table, batch: RecordBatch, signal?: AbortSignal): Promise<bigint[]> => {
  if (batch.numRows === 0 || batch.schema.fields.length === 0) return []
  checkColumns(table, batch)
  checkCells(batch)
  const ids: bigint[] = []
  for (const body of requestBodies(batch, INSERT_LIMITS[table.rowIds])) {
    const answer = await run(scope, { method: 'POST', schema: table.schema, table: table.table, command: 'rows', body, signal })
    for (const id of readRowIds(scope, table, answer.body)) ids.push(id)
  }
  if (ids.length !== batch.numRows)
    throw new ProtocolError(`${nameOf(table)}: ${batch.numRows} rows inserted, ${ids.length} row ids came back`)
  return ids
}

/** The order of ids that the server wants: ascending, each once. */
const ascending = (table: Table, ids: readonly bigint[]): number[] => {
  const order = ids.map((_, i) => i).toSorted((a, b) => compare(ids[a] ?? 0n, ids[b] ?? 0n))
  const twice = order.find((at, i) => i > 0 && ids[at] === ids[order[i - 1] ?? 0])
  if (twice !== undefined) throw new InvalidArgument(`${nameOf(table)}: row ${ids[twice]} is named twice`)
  return order
}

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0)

/** Sets the columns of `values` in the rows `ids` (row i of the batch belongs to id i). Columns of the sorting key cannot be updated. */
export const updateRows = async (
  scope: Scope,
  table: Table,
  ids: readonly bigint[],
  values: RecordBatch,
  signal?: AbortSignal,
): Promise<void> => {
  if (ids.length !== values.numRows) throw new InvalidArgument(`${nameOf(table)}: ${ids.length} row ids for ${values.numRows} rows`)
  if (ids.length === 0 || values.schema.fields.length === 0) return
  checkColumns(table, values)
  const key = values.schema.fields.find((field) => table.sortedColumns.includes(field.name))
  if (key !== undefined) throw new InvalidArgument(`${nameOf(table)}.${key.name} is part of the sorting key and cannot be updated`)
  checkCells(values)
  const order = ascending(table, ids)
  const inOrder = order.every((at, i) => at === i)
  const columns = values.data.children.map((column) => {
    if (inOrder) return column
    const cells = columnValues(column)
    return dataOf(
      column.type,
      order.map((at) => cells[at] ?? null),
    )
  })
  const sortedIds = dataOf(
    rowIdField(table.rowIds).type,
    order.map((at) => ids[at] ?? null),
  )
  const batch = batchOfData(withRowId(table.rowIds, values.schema), [sortedIds, ...columns])
  for (const body of requestBodies(batch, UPDATE_LIMITS))
    await run(scope, { method: 'PUT', schema: table.schema, table: table.table, command: 'rows', body, signal })
}

/** Fields of updates, by what they set: an update of the same columns as before finds its schema encoded. */
const fieldLists: Readonly<Record<RowIdKind, WeakMap<Schema, readonly Field[]>>> = { plain: new WeakMap(), wide: new WeakMap() }

const withRowId = (kind: RowIdKind, schema: Schema): readonly Field[] =>
  fieldLists[kind].getOrInsertComputed(schema, () => [rowIdField(kind), ...schema.fields])

/** Removes rows by their ids. */
export const deleteRows = async (scope: Scope, table: Table, ids: readonly bigint[], signal?: AbortSignal): Promise<void> => {
  if (ids.length === 0) return
  const sorted = ascending(table, ids).map((at) => ids[at] ?? 0n)
  const batch = batchOf(onlyRowId(table.rowIds), [sorted])
  for (const body of requestBodies(batch, UPDATE_LIMITS))
    await run(scope, { method: 'DELETE', schema: table.schema, table: table.table, command: 'rows', body, signal })
}
