import { Bool, Field, Schema } from 'apache-arrow'
import { decodeAlterColumn } from '../../../../src/vastdb/wire/control.ts'
import { headerFlag } from '../../../../src/vastdb/wire/headers.ts'
import { decodeSchema, encodeSchemaStream } from '../../../../src/vastdb/wire/ipc.ts'
import type { Column, TableEntry } from '../catalog.ts'
import { acceptedFields } from '../column-rules.ts'
import { type Answer, claimOf, type Exchange, type Handler, pageOf, tableOf, tablePathOf } from '../exchange.ts'
import { badRequest, conflict, notFound } from '../protocol-error.ts'
import { keepsTimeZones } from './tables.ts'

/** The largest answer of a listing with types. A cluster has such a limit (its value is not known); 64,000 columns in one page exceed it. */
const MAX_LISTING = 3 * 1024 * 1024

const marked = (column: Column, table: TableEntry): Field => {
  const index = table.sortKey.indexOf(column.id)
  const marks =
    index < 0
      ? [['VAST:sort_type', 'Unsorted'] as const]
      : ([
          ['VAST:sort_type', 'Sorted'],
          ['VAST:sort_index', String(index)],
        ] as const)
  return new Field(column.field.name, column.field.type, column.field.nullable, new Map([...column.field.metadata, ...marks]))
}

const listing = (exchange: Exchange, table: TableEntry, columns: readonly Column[]): Answer => {
  const namesOnly = headerFlag(exchange.headers, 'tabular-only-column-names') && exchange.rules.from55
  const { items, headers } = pageOf(
    exchange,
    columns.map((column) => ({ name: column.field.name, column })),
  )
  const fields = items.map(({ column }) => (exchange.rules.from55 ? marked(column, table) : column.field))
  const body = encodeSchemaStream(new Schema(namesOnly ? fields.map(({ name }) => new Field(name, SHORTEST, true)) : fields))
  if (body.length > MAX_LISTING && !namesOnly) throw badRequest(`list column result size of ${body.length} bytes is too long`)
  return { headers, body }
}

/** What stands for the type where only names were asked for. */
const SHORTEST = new Bool()

export const listColumns: Handler = (exchange) => {
  const table = tableOf(exchange)
  return listing(exchange, table, table.columns)
}

export const listSortedColumns: Handler = (exchange) => {
  const table = tableOf(exchange)
  if (table.sortKey.length === 0) throw badRequest('Listing sorted columns on a table without elysium (sorting key) enabled')
  return listing(
    exchange,
    table,
    table.sortKey.flatMap((id) => table.columns.filter((column) => column.id === id)),
  )
}

const alter = (exchange: Exchange, change: (table: TableEntry) => TableEntry): Answer => {
  const path = tablePathOf(exchange)
  exchange.transactions.change(exchange.transaction, [claimOf(path)], (catalog) =>
    catalog.changeTable(path.bucket, path.schema, path.name, change),
  )
  return {}
}

const named = (table: TableEntry, name: string): Column => {
  const column = table.columns.find(({ field }) => field.name === name)
  if (column === undefined) throw notFound(`table ${table.name} has no column ${name}`)
  return column
}

/** The rows that are there read as null in a new column. */
export const addColumns: Handler = (exchange) => {
  const fields = acceptedFields(decodeSchema(exchange.body).fields, keepsTimeZones(exchange.rules.version))
  const added = fields.map((field) => ({ id: exchange.transactions.newId(), field }))
  return alter(exchange, (table) => {
    const twice = fields.find(({ name }) => table.columns.some(({ field }) => field.name === name))
    if (twice !== undefined) throw conflict(`table ${table.name} has a column ${twice.name} already`, 'ColumnAlreadyExists')
    return { ...table, columns: [...table.columns, ...added] }
  })
}

export const alterColumn: Handler = (exchange) => {
  decodeAlterColumn(exchange.body)
  const { 'tabular-column-name': name = '', 'tabular-new-column-name': newName } = exchange.target.params ?? {}
  return alter(exchange, (table) => {
    const { id } = named(table, name)
    if (newName === undefined) return table
    if (newName !== name && table.columns.some(({ field }) => field.name === newName))
      throw conflict(`table ${table.name} has a column ${newName} already`, 'ColumnAlreadyExists')
    const renamed = ({ type, nullable, metadata }: Field) => new Field(newName, type, nullable, metadata)
    return { ...table, columns: table.columns.map((column) => (column.id === id ? { id, field: renamed(column.field) } : column)) }
  })
}

export const dropColumns: Handler = (exchange) => {
  const names = decodeSchema(exchange.body).fields.map(({ name }) => name)
  return alter(exchange, (table) => {
    const dropped = names.map((name) => named(table, name).id)
    if (table.sortKey.some((id) => dropped.includes(id))) throw badRequest('a column of the sorting key cannot be dropped')
    const used = table.projections.find(({ columns }) => columns.some(({ id }) => dropped.includes(id)))
    if (used !== undefined) throw conflict(`projection ${used.name} uses a column that is to be dropped`)
    return { ...table, columns: table.columns.filter(({ id }) => !dropped.includes(id)) }
  })
}
