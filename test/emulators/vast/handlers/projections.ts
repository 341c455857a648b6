// Projections are kept as metadata. Queries read the table itself and give rows in the projection's order where a cluster would (query.ts).
import { Field, Schema } from 'apache-arrow'
import { decodeAlterProjection, decodeCreateProjection } from '../../../../src/vastdb/wire/control.ts'
import { encodeSchemaStream } from '../../../../src/vastdb/wire/ipc.ts'
import { encodeList, type ObjectDetails } from '../../../../src/vastdb/wire/listing.ts'
import { encodeProjectionStats } from '../../../../src/vastdb/wire/stats.ts'
import type { Projection, TableEntry } from '../catalog.ts'
import { type Answer, claimOf, type Exchange, type Handler, pageOf, tableOf, tablePathOf } from '../exchange.ts'
import { badRequest, conflict, notFound } from '../protocol-error.ts'

const nameOf = ({ target }: Exchange): string => {
  const name = target.params?.name
  if (name === undefined || name === '') throw badRequest('the request names no projection')
  return name
}

export const projectionOf = (table: TableEntry, name: string): Projection => {
  const found = table.projections.find((projection) => projection.name === name)
  if (found === undefined) throw notFound(`table ${table.name} has no projection ${name}`)
  return found
}

const alter = (exchange: Exchange, change: (table: TableEntry) => readonly Projection[]): Answer => {
  const path = tablePathOf(exchange)
  exchange.transactions.change(exchange.transaction, [claimOf(path)], (catalog) =>
    catalog.changeTable(path.bucket, path.schema, path.name, (table) => ({ ...table, projections: change(table) })),
  )
  return {}
}

export const createProjection: Handler = (exchange) => {
  const name = nameOf(exchange)
  const wanted = decodeCreateProjection(exchange.body)
  if (!wanted.some(({ sorted }) => sorted)) throw badRequest('a projection needs a sorted column')
  const handle = exchange.transactions.newId()
  return alter(exchange, (table) => {
    if (table.projections.some((projection) => projection.name === name))
      throw conflict(`projection ${name} exists`, 'ProjectionAlreadyExists')
    const columns = wanted.map(({ name: column, sorted }) => {
      const found = table.columns.find(({ field }) => field.name === column)
      if (found === undefined) throw badRequest(`table ${table.name} has no column ${column}`)
      return { id: found.id, sorted }
    })
    return [...table.projections, { name, handle, properties: '', columns }]
  })
}

export const alterProjection: Handler = (exchange) => {
  const name = nameOf(exchange)
  const { newName = name, properties } = decodeAlterProjection(exchange.body)
  return alter(exchange, (table) => {
    const current = projectionOf(table, name)
    if (newName !== name && table.projections.some((projection) => projection.name === newName))
      throw conflict(`projection ${newName} exists`, 'ProjectionAlreadyExists')
    const changed = { ...current, name: newName, properties: properties ?? current.properties }
    return table.projections.map((projection) => (projection === current ? changed : projection))
  })
}

export const dropProjection: Handler = (exchange) => {
  const name = nameOf(exchange)
  return alter(exchange, (table) => {
    const dropped = projectionOf(table, name)
    return table.projections.filter((projection) => projection !== dropped)
  })
}

const figures = (exchange: Exchange, table: TableEntry, projection: Projection) => {
  const rows = exchange.transaction.rows(table)
  const size = (id: number) => rows.chunks().reduce((sum, chunk) => sum + BigInt(chunk.columns.get(id)?.byteLength ?? 0), 0n)
  return { numRows: BigInt(rows.count()), sizeInBytes: projection.columns.reduce((sum, { id }) => sum + size(id), 0n) }
}

export const listProjections: Handler = (exchange) => {
  const table = tableOf(exchange)
  const { bucket, schema, name } = tablePathOf(exchange)
  const { items, headers } = pageOf(exchange, table.projections)
  const entries = items.map(
    (projection): ObjectDetails => ({
      name: projection.name,
      properties: projection.properties,
      handle: String(projection.handle),
      ...figures(exchange, table, projection),
    }),
  )
  return { headers, body: encodeList('projections', { parents: [bucket, schema, name], entries }) }
}

export const projectionStats: Handler = (exchange) => {
  const table = tableOf(exchange)
  const projection = projectionOf(table, nameOf(exchange))
  return { body: encodeProjectionStats({ ...figures(exchange, table, projection), dirtyBlocksPercentage: 0n, initialSyncProgress: 100n }) }
}

export const projectionColumns: Handler = (exchange) => {
  const table = tableOf(exchange)
  const projection = projectionOf(table, nameOf(exchange))
  const columns = projection.columns.flatMap(({ id, sorted }) =>
    table.columns.filter((column) => column.id === id).map(({ field }) => ({ name: field.name, field, sorted })),
  )
  const { items, headers } = pageOf(exchange, columns)
  const fields = items.map(
    ({ field, sorted }) => new Field(field.name, field.type, field.nullable, new Map([['VAST:sort_type', sorted ? 'Sorted' : 'Unsorted']])),
  )
  return { headers, body: encodeSchemaStream(new Schema(fields)) }
}
