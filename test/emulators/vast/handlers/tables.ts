import { Field, Utf8 } from 'apache-arrow'
import { decodeProperties } from '../../../../src/vastdb/wire/control.ts'
import { headerFlag, headerInteger } from '../../../../src/vastdb/wire/headers.ts'
import { decodeSchema } from '../../../../src/vastdb/wire/ipc.ts'
import { encodeList, type ObjectDetails } from '../../../../src/vastdb/wire/listing.ts'
import { emptyStats, encodeTableStats } from '../../../../src/vastdb/wire/stats.ts'
import type { Column, TableEntry } from '../catalog.ts'
import { acceptedFields } from '../column-rules.ts'
import { claimOf, type Exchange, type Handler, IMPORTS, pageOf, schemaOf, tableOf, tablePathOf } from '../exchange.ts'
import { badRequest, notEmulated, ProtocolError } from '../protocol-error.ts'

/** Bit 63: sorting is done. The emulator sorts nothing in the background, so it always is. */
const SORTING_DONE = 1n << 63n

export const keepsTimeZones = (version: string): boolean => {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > 5 || (major === 5 && minor >= 4)
}

const columnsOf = (exchange: Exchange, fields: readonly Field[]): Column[] =>
  acceptedFields(fields, keepsTimeZones(exchange.rules.version)).map((field) => ({ id: exchange.transactions.newId(), field }))

/** The key in `tabular-sorted-column-<i>` headers: indexes into the table's columns. */
const sortKeyOf = ({ headers, rules }: Exchange, columns: readonly Column[]): number[] => {
  const key: number[] = []
  for (let i = 0; ; i++) {
    const index = headerInteger(headers, `tabular-sorted-column-${i}`)
    if (index === undefined) return key
    const column = columns[Number(index)]
    if (column === undefined && rules.from55) throw badRequest(`InvalidArgument: sorting key index ${index} of ${columns.length} columns`)
    if (column === undefined) throw new ProtocolError(500, 'InternalError', 'We encountered an internal error. Please try again.')
    key.push(column.id)
  }
}

const newTable = (exchange: Exchange, name: string, columns: readonly Column[], sortKey: readonly number[]): TableEntry => ({
  name,
  handle: exchange.transactions.newId(),
  properties: exchange.target.params?.['table-props'] ?? '',
  columns,
  sortKey,
  projections: [],
  store: exchange.transactions.newStore(),
})

const createImports = (exchange: Exchange): void => {
  const path = tablePathOf(exchange)
  const { transactions, transaction } = exchange
  const table = transaction.catalog.table(path.bucket, path.schema, path.name)
  if (table.imports !== undefined) throw new ProtocolError(500, 'InternalError', `${path.name} has an imports table`)
  const imports = newTable(exchange, IMPORTS, columnsOf(exchange, [new Field('ObjectName', new Utf8(), true)]), [])
  transactions.change(transaction, [claimOf(path)], (catalog) =>
    catalog.changeTable(path.bucket, path.schema, path.name, (current) => ({ ...current, imports })),
  )
}

export const createTable: Handler = (exchange) => {
  const { transactions, transaction, headers, target, body } = exchange
  if (target.params?.['sub-table'] !== undefined) {
    createImports(exchange)
    return {}
  }
  const path = tablePathOf(exchange)
  if (headers['tabular-vector-index-column'] !== undefined) throw notEmulated('a vector index')
  const schema = decodeSchema(body)
  if (schema.metadata.has('VAST:table:partition-key-0')) throw notEmulated('a partitioned table')
  if (new Set(schema.fields.map(({ name }) => name)).size < schema.fields.length) throw badRequest('two columns have the same name')
  const columns = columnsOf(exchange, schema.fields)
  const table = newTable(exchange, path.name, columns, sortKeyOf(exchange, columns))
  transactions.change(transaction, [claimOf(path)], (catalog) => catalog.addTable(path.bucket, path.schema, table))
  return {}
}

/** Renames a table, or gives it a sorting key. */
export const alterTable: Handler = (exchange) => {
  const path = tablePathOf(exchange)
  const { bucket, schema, name } = path
  const { transactions, transaction, target } = exchange
  const properties = decodeProperties(exchange.body)
  const table = transaction.catalog.table(bucket, schema, name)
  const sortKey = sortKeyOf(exchange, table.columns)
  if (sortKey.length > 0 && table.sortKey.length > 0) throw badRequest(`table ${name} has a sorting key already`)
  const renamed = target.params?.['tabular-new-table-name']
  const cut = renamed?.lastIndexOf('/') ?? -1
  if (renamed !== undefined && cut < 1) throw badRequest(`the new name must be <schema>/<name>, not ${renamed}`)
  const [newSchema, newName] = [renamed?.slice(0, cut) ?? schema, renamed?.slice(cut + 1) ?? name]
  transactions.change(transaction, [...new Set([claimOf(path), claimOf({ bucket, schema: newSchema, name: newName })])], (catalog) => {
    const changed = catalog.changeTable(bucket, schema, name, (current) => ({
      ...current,
      properties: properties ?? current.properties,
      sortKey: sortKey.length > 0 ? sortKey : current.sortKey,
    }))
    return renamed === undefined ? changed : changed.moveTable(bucket, schema, name, newSchema, newName)
  })
  return {}
}

export const dropTable: Handler = (exchange) => {
  const path = tablePathOf(exchange)
  const { bucket, schema, name } = path
  tableOf(exchange)
  const onlyImports = exchange.target.params?.['sub-table'] !== undefined
  exchange.transactions.change(exchange.transaction, [claimOf(path)], (catalog) =>
    onlyImports
      ? catalog.changeTable(bucket, schema, name, (current) => ({ ...current, imports: undefined }))
      : catalog.dropTable(bucket, schema, name),
  )
  return {}
}

const figures = (exchange: Exchange, table: TableEntry) => {
  const rows = exchange.transaction.rows(table)
  const numRows = BigInt(rows.count())
  const sorted = table.sortKey.length > 0
  return {
    numRows,
    sizeInBytes: rows
      .chunks()
      .reduce((sum, chunk) => sum + chunk.columns.values().reduce((bytes, data) => bytes + BigInt(data.byteLength), 0n), 0n),
    sortingKeyEnabled: sorted,
    sortingScore: sorted ? SORTING_DONE : 0n,
    insertedRows: BigInt(table.store.inserted),
  }
}

/** A schema that does not exist is a 404 (what a cluster does is not known), a table that does not exist an empty list. */
export const listTables: Handler = (exchange) => {
  const { bucket, schema } = schemaOf(exchange)
  const stats = headerFlag(exchange.headers, 'tabular-include-list-stats')
  const { items, headers } = pageOf(exchange, [...exchange.transaction.catalog.schema(bucket, schema).tables.values()])
  const entries = items.map(
    (table): ObjectDetails => ({
      name: table.name,
      properties: table.properties,
      handle: String(table.handle),
      sortingKeyEnabled: table.sortKey.length > 0,
      ...(stats ? figures(exchange, table) : {}),
    }),
  )
  return { headers, body: encodeList('tables', { parents: [bucket, schema], entries }) }
}

/** No `vips`: clients would connect to every address named there. */
export const tableStats: Handler = (exchange) => {
  const table = tableOf(exchange)
  const externalRowIds = exchange.transaction.rows(table).clientIds
  return { body: encodeTableStats({ ...emptyStats, ...figures(exchange, table), externalRowIds }) }
}
