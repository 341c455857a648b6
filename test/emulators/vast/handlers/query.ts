// QueryData: a filter over the rows of a share of the table, answered as interleaved frames of leaf columns.
import type { Data, Field } from 'apache-arrow'
import { sameLayout } from '../../../../src/vastdb/wire/arrow-schema.ts'
import { type ChunkColumns, encodeChunkColumns } from '../../../../src/vastdb/wire/chunks.ts'
import { encodeCompleted, encodeKeepAlive } from '../../../../src/vastdb/wire/frames.ts'
import { numberNodes } from '../../../../src/vastdb/wire/leaves.ts'
import { decodeQueryHeaders, ESTIMATE_SPLIT, FINISHED, type QueryHeaders, ROW_GROUP } from '../../../../src/vastdb/wire/query-headers.ts'
import { decodeQueryRequest } from '../../../../src/vastdb/wire/query-request.ts'
import { ROW_ID, rowIdField } from '../../../../src/vastdb/wire/row-id.ts'
import { valueAt } from '../../../../src/vastdb/wire/values.ts'
import type { Projection, TableEntry } from '../catalog.ts'
import { type Exchange, type Handler, rowIdKindOf, tableOf } from '../exchange.ts'
import { badRequest, notFound } from '../protocol-error.ts'
import { rowIdAt } from '../store/chunk.ts'
import { compileFilter } from '../store/compile-filter.ts'
import { columnsOf, compareValues, type Predicate } from '../store/predicate.ts'
import { type RowRange, type ScanColumn, scan } from '../store/scan.ts'
import type { RowView, Selection } from '../store/view.ts'
import { rowIdData, rowIdValues } from '../wire/row-ids.ts'
import { takeRows } from '../wire/take.ts'
import { projectionOf } from './projections.ts'
import { CLIENT_ROW_ID } from './rows.ts'

/** Row groups of a row block, inside which a projection sorts. */
const BLOCK_GROUPS = 8
/** Rows of one sub-split in an answer when the request sets no limit. */
const DEFAULT_LIMIT = 131_072
/** The SDK's own limit for the body of a query. */
const MAX_QUERY = 4_718_592

interface Query {
  readonly table: TableEntry
  readonly view: RowView
  readonly fields: readonly Field[]
  readonly columns: readonly ScanColumn[]
  /** Numbers of the request's fields that are selected, in order. */
  readonly selected: readonly number[]
  readonly filter: Predicate
  readonly sortKey: readonly number[]
  readonly order: Projection | undefined
}

const scanColumn = (table: TableEntry, requested: Field): { readonly column: ScanColumn; readonly field: Field } => {
  if (requested.name === ROW_ID) return { column: 'row-id', field: rowIdField(rowIdKindOf(table)) }
  const column = table.columns.find(({ field }) => field.name === requested.name)
  if (column === undefined) throw notFound(`table ${table.name} has no column ${requested.name}`)
  if (!sameLayout(column.field.type, requested.type))
    throw badRequest(`column ${requested.name} is ${column.field.type}, the request has ${requested.type}`, 'TabularMismatchColumnType')
  return { column: requested.name === CLIENT_ROW_ID ? 'row-id' : column.id, field: column.field }
}

/** Whole columns, in the order of the projection's leaf numbers. */
const selectedColumns = (fields: readonly Field[], projection: readonly number[]): number[] => {
  const nodes = numberNodes(fields)
  const columns = projection.map((position) => {
    const node = nodes[position]
    if (node === undefined || !node.isLeaf) throw badRequest(`the projection names node ${position}, which is no leaf`)
    return node.column
  })
  return [...new Set(columns)]
}

/** Below one row group a projection is not considered; unforced only if the filter is on what it is sorted by and it has all columns. */
const projectionFor = (
  table: TableEntry,
  view: RowView,
  headers: QueryHeaders,
  forced: string | undefined,
  query: Omit<Query, 'order'>,
) => {
  if (forced !== undefined) return projectionOf(table, forced)
  if (table.projections.length === 0 || !headers.sortedProjections || headers.split.rowGroups !== BLOCK_GROUPS) return undefined
  if (view.count() < ROW_GROUP) return undefined
  const filtered = columnsOf(query.filter).map((column) => query.columns[column])
  const used = new Set([...filtered, ...query.selected.map((column) => query.columns[column])])
  return table.projections.find(
    ({ columns }) => filtered.includes(columns[0]?.id) && [...used].every((column) => columns.some(({ id }) => id === column)),
  )
}

const readQuery = (exchange: Exchange, headers: QueryHeaders): Query => {
  if (exchange.body.length > MAX_QUERY) throw badRequest(`a query of ${exchange.body.length} bytes, at most ${MAX_QUERY} are taken`)
  const table = tableOf(exchange)
  const view = exchange.transaction.rows(table)
  const request = decodeQueryRequest(exchange.body)
  const found = request.fields.map((field) => scanColumn(table, field))
  const fields = found.map(({ field }) => field)
  const query = {
    table,
    view,
    fields,
    columns: found.map(({ column }) => column),
    selected: selectedColumns(fields, request.projection),
    filter: compileFilter(fields, request.filter),
    sortKey: table.sortKey,
  }
  return { ...query, order: projectionFor(table, view, headers, exchange.target.params?.name, query) }
}

const selectedRowIds = (selections: readonly Selection[]): Float64Array =>
  Float64Array.from(selections.flatMap(({ chunk, rows }) => Array.from(rows, (row) => rowIdAt(chunk, row))))

const columnOf = (query: Query, number: number, selections: readonly Selection[]): Data => {
  const field = query.fields[number]
  const column = query.columns[number]
  if (field === undefined || column === undefined) throw new Error(`no field ${number} in the request`)
  if (column === 'row-id') {
    const ids = selectedRowIds(selections)
    return field.name === ROW_ID ? rowIdData(rowIdKindOf(query.table), ids) : rowIdValues(ids)
  }
  return query.view.column(selections, column, field.type)
}

/** The order of a projection inside each row block; rows outside it keep their order. */
const inOrderOf = (query: Query, projection: Projection, selections: readonly Selection[], columns: readonly Data[]): readonly Data[] => {
  const ids = selectedRowIds(selections)
  const keys = projection.columns
    .filter(({ sorted }) => sorted)
    .flatMap(({ id }) => {
      const column = query.table.columns.find((candidate) => candidate.id === id)
      return column === undefined ? [] : [query.view.column(selections, id, column.field.type)]
    })
  const block = (row: number) => Math.floor((ids[row] ?? 0) / (ROW_GROUP * BLOCK_GROUPS))
  const order = Uint32Array.from(ids.keys()).sort((a, b) => {
    if (block(a) !== block(b)) return block(a) - block(b)
    for (const key of keys) {
      const [left, right] = [valueAt(key, a), valueAt(key, b)]
      const difference = left === null || right === null ? Number(left === null) - Number(right === null) : compareValues(left, right)
      if (difference !== 0 && !Number.isNaN(difference)) return difference
    }
    return a - b
  })
  return columns.map((column) => takeRows(column, order))
}

const chunkOf = (query: Query, selections: readonly Selection[]): ChunkColumns => {
  const rows = selections.reduce((sum, selection) => sum + selection.rows.length, 0)
  const columns = query.selected.map((number) => columnOf(query, number, selections))
  const ordered = query.order === undefined || rows === 0 ? columns : inOrderOf(query, query.order, selections, columns)
  return { fields: query.selected.flatMap((number) => query.fields[number] ?? []), columns: ordered, rows }
}

/** Frames of one sub-split: one chunk, or several when it is larger than `chunkRows`. */
const subsplitFrames = (exchange: Exchange, query: Query, headers: QueryHeaders, stream: number, cursor: bigint): Uint8Array[] => {
  const { split, subsplits, limitRows = DEFAULT_LIMIT } = headers
  const range: RowRange = {
    from: Number(cursor),
    limit: Math.max(1, limitRows),
    groups: { share: split.index * subsplits + stream, shares: split.total * subsplits, size: split.rowGroups },
  }
  const zstd = headers.zstdSavings !== undefined
  const frames: Uint8Array[] = []
  let from = range.from
  let left = range.limit
  for (;;) {
    const found = scan(query.view, query, { ...range, from, limit: Math.min(left, exchange.rules.chunkRows) })
    const nextRowId = found.next === undefined ? FINISHED : BigInt(found.next)
    frames.push(...encodeChunkColumns({ stream, nextRowId }, chunkOf(query, found.selections), { zstd }))
    left -= found.count
    if (found.next === undefined || left <= 0) return frames
    from = found.next
  }
}

/** The frames of all sub-splits in turn, one of each, with keep-alives in between. */
const interleaved = (streams: readonly (readonly Uint8Array[])[], keepAliveEvery: number): Uint8Array[] => {
  const result: Uint8Array[] = []
  const longest = Math.max(0, ...streams.map((frames) => frames.length))
  for (let i = 0; i < longest; i++) {
    for (const frame of streams.flatMap((frames) => frames[i] ?? [])) {
      if (keepAliveEvery > 0 && result.length % (keepAliveEvery + 1) === 0) result.push(encodeKeepAlive())
      result.push(frame)
    }
  }
  return result
}

/** As many rows as row groups hold a match, at least roughly: what a client multiplies by 65,536. */
const estimate = (query: Query): Uint8Array[] => {
  const all: RowRange = { from: 0, limit: Number.MAX_SAFE_INTEGER, groups: { share: 0, shares: 1, size: 1 } }
  const { count } = scan(query.view, query, all)
  if (count === 0) return [encodeCompleted()]
  const { selections } = scan(query.view, query, { ...all, limit: Math.ceil(count / ROW_GROUP) })
  return [...encodeChunkColumns({ stream: 0, nextRowId: FINISHED }, chunkOf(query, selections)), encodeCompleted()]
}

export const queryData: Handler = (exchange) => {
  const headers = decodeQueryHeaders(exchange.headers)
  if (headers.priority !== undefined && headers.priority < 0) throw badRequest(`tabular-schedule-id ${headers.priority} is negative`)
  const query = readQuery(exchange, headers)
  if (headers.split.index === ESTIMATE_SPLIT) return { frames: estimate(query) }
  if (headers.split.index >= headers.split.total || headers.split.rowGroups < 1)
    throw badRequest(`split ${headers.split.index} of ${headers.split.total} with ${headers.split.rowGroups} row groups`)
  const streams = headers.cursors.flatMap((cursor, stream) =>
    cursor >= FINISHED ? [] : [subsplitFrames(exchange, query, headers, stream, cursor)],
  )
  return { frames: [...interleaved(streams, exchange.rules.keepAliveEvery), encodeCompleted()] }
}
