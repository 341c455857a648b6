// A query over all splits of a table.
import type { RecordBatch } from 'apache-arrow'
import { InvalidArgument, TooLargeRequest } from './errors.ts'
import type { Scope } from './scope.ts'
import { sliceBatch } from './slices.ts'
import { firstBatchRows, readSplit, type SplitQuery } from './split-reader.ts'
import { type Table, tableStats } from './tables.ts'
import { requireFeature, type ServerVersion } from './version.ts'
import { type Filter, matchesNothing } from './wire/predicate.ts'
import { ESTIMATE_SPLIT, ROW_GROUP } from './wire/query-headers.ts'
import { encodeQueryRequest, queryRequest } from './wire/query-request.ts'
import { ROW_ID, rowIdField } from './wire/row-id.ts'

const MAX_BODY = 4_718_592
const ROWS_PER_SPLIT = 4_000_000n
const SUBSPLITS = 4
const ROW_GROUPS = 8
const SUBSPLIT_ROWS = 2 * ROW_GROUP
const MAX_SUBSPLITS = 64

export interface Query {
  /** The columns of the result, in this order; `$row_id` may be one. Empty: batches without columns that count the rows. */
  readonly columns: readonly string[]
  /** A row must pass all of them. */
  readonly where?: readonly Filter[] | undefined
  /** Most rows of the result; which ones is the server's choice. */
  readonly limit?: number | undefined
  /** Shares that the table is read in. Default: one per 4 million rows, which takes a request for statistics. */
  readonly splits?: number | undefined
  /** Readers that the server runs inside each share, 1 to 64. Default 4. */
  readonly subsplits?: number | undefined
  /** Consecutive row groups (65,536 rows) per reader. Default 8, which projections need. */
  readonly rowGroups?: number | undefined
  /** Rows that one reader gives per request; a multiple of 65,536. Default 131,072. */
  readonly rowsPerSubsplit?: number | undefined
  /** Splits read at a time. Default: one per endpoint. */
  readonly concurrency?: number | undefined
  /** The name of the one projection to answer from. */
  readonly projection?: string | undefined
  /** Whether the server may answer from a projection of its choice. Default true. */
  readonly sortedProjections?: boolean | undefined
  /** Lower goes first on the server. */
  readonly priority?: number | undefined
  /** Asks for zstd bodies. */
  readonly compress?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

const ZSTD_SAVINGS = 30

const checkInteger = (name: string, value: number, from: number, to = Number.MAX_SAFE_INTEGER): void => {
  if (!Number.isSafeInteger(value) || value < from || value > to)
    throw new InvalidArgument(`${name}: ${value} is not an integer from ${from}${to === Number.MAX_SAFE_INTEGER ? '' : ` to ${to}`}`)
}

const requestOf = (version: ServerVersion, table: Table, query: Query): Omit<SplitQuery, 'headers'> => {
  if (query.projection !== undefined) requireFeature(version, 'choosing a projection in a query')
  const fields = [...table.fields.filter((field) => field.name !== ROW_ID), rowIdField(table.rowIds)]
  let request: ReturnType<typeof queryRequest>
  let body: Uint8Array
  try {
    request = queryRequest(fields, query.columns, query.where ?? [])
    body = encodeQueryRequest(request)
  } catch (cause) {
    if (!(cause instanceof RangeError || cause instanceof TypeError)) throw cause
    throw new InvalidArgument(`query of ${table.schema}/${table.table}: ${cause.message}`, { cause })
  }
  if (body.length > MAX_BODY)
    throw new TooLargeRequest(`query of ${table.schema}/${table.table}: ${body.length} bytes, at most ${MAX_BODY} are taken`)
  const params: Record<string, string> = query.projection === undefined ? {} : { name: query.projection }
  return { name: table, fields: request.fields.slice(0, request.selected), body, params, signal: query.signal }
}

/** How many splits the statistics of a table ask for. */
export const splitsFor = (rows: bigint): number => Math.max(1, Number(rows / ROWS_PER_SPLIT))

/** A query that is checked and encoded, for any transaction. */
export interface PreparedQuery {
  readonly table: Table
  readonly query: Query
  readonly request: Omit<SplitQuery, 'headers'>
}

/** Writes the request of a query before there is a transaction to ask it in. */
export const prepareQuery = (version: ServerVersion, table: Table, query: Query): PreparedQuery => {
  const { limit, priority, subsplits = SUBSPLITS, rowGroups = ROW_GROUPS, rowsPerSubsplit = SUBSPLIT_ROWS } = query
  checkInteger('subsplits', subsplits, 1, MAX_SUBSPLITS)
  checkInteger('rowGroups', rowGroups, 1)
  checkInteger('rowsPerSubsplit', rowsPerSubsplit, 1)
  if (priority !== undefined) checkInteger('priority', priority, 0)
  if (limit !== undefined) checkInteger('limit', limit, 0)
  return { table, query, request: requestOf(version, table, query) }
}

/**
 * The rows of a table that pass all filters, as record batches of the chosen columns, in no order. Memory holds about one batch per split that is
 * being read; a slow consumer slows the server down. Leaving the loop early ends the requests.
 */
export async function* select(scope: Scope, table: Table, query: Query): AsyncGenerator<RecordBatch> {
  yield* selectPrepared(scope, prepareQuery(scope.version, table, query))
}

/** The same for a query that is prepared. */
export async function* selectPrepared(scope: Scope, { table, query, request }: PreparedQuery): AsyncGenerator<RecordBatch> {
  const { where = [], limit, subsplits = SUBSPLITS, rowGroups = ROW_GROUPS, rowsPerSubsplit = SUBSPLIT_ROWS } = query
  if (limit === 0 || where.some(matchesNothing)) return
  const total = query.splits ?? splitsFor((await tableStats(scope, table)).numRows)
  checkInteger('splits', total, 1)
  const headers = {
    subsplits,
    sortedProjections: query.sortedProjections ?? true,
    limitRows: limit === undefined ? rowsPerSubsplit : Math.min(limit, rowsPerSubsplit),
    priority: query.priority,
    zstdSavings: query.compress ? ZSTD_SAVINGS : undefined,
  }
  const split = (index: number, signal = query.signal) =>
    readSplit(scope, { ...request, signal, headers: { ...headers, split: { index, total, rowGroups } } })
  const workers = Math.min(total, Math.max(1, query.concurrency ?? scope.connection.pool.size))
  // A look-up has nothing that could be read ahead.
  const batches = total === 1 && subsplits === 1 ? split(0) : splits(split, total, workers, query.signal)
  let left = limit ?? Number.POSITIVE_INFINITY
  for await (const batch of batches) {
    const rows = Math.min(left, batch.numRows)
    left -= rows
    yield rows === batch.numRows ? batch : sliceBatch(batch, 0, rows)
    if (left === 0) return
  }
}

/** Several splits, so many of them at a time. */
function splits(
  split: (index: number, signal: AbortSignal) => AsyncGenerator<RecordBatch>,
  total: number,
  workers: number,
  given: AbortSignal | undefined,
): AsyncGenerator<RecordBatch> {
  const controller = new AbortController()
  const signal = given === undefined ? controller.signal : AbortSignal.any([given, controller.signal])
  const waiting = Array.from({ length: total }, (_, index) => index)
  async function* worker(): AsyncGenerator<RecordBatch> {
    for (let index = waiting.shift(); index !== undefined; index = waiting.shift()) yield* split(index, signal)
  }
  return merged(Array.from({ length: workers }, worker), () => controller.abort(new Error('the query is over')))
}

/** What any of the sources gives, as it comes. Each is asked for one thing ahead. At the end, early or not, `stop` is called and all are closed. */
async function* merged<T>(sources: readonly AsyncGenerator<T>[], stop: () => void): AsyncGenerator<T> {
  const pending = new Map<AsyncGenerator<T>, Promise<{ readonly source: AsyncGenerator<T>; readonly result: IteratorResult<T> }>>()
  const ask = (source: AsyncGenerator<T>): void => {
    const next = source.next().then((result) => ({ source, result }))
    // A failure that is not waited for any more must not end the process.
    next.catch(() => undefined)
    pending.set(source, next)
  }
  try {
    for (const source of sources) ask(source)
    while (pending.size > 0) {
      const { source, result } = await Promise.race(pending.values())
      pending.delete(source)
      if (result.done) continue
      ask(source)
      yield result.value
    }
  } finally {
    stop()
    await Promise.allSettled(sources.map((source) => source.return(undefined)))
  }
}

/** How many rows pass all filters. */
export const count = async (scope: Scope, table: Table, query: Omit<Query, 'columns'> = {}): Promise<number> => {
  let rows = 0
  for await (const batch of select(scope, table, { ...query, columns: [] })) rows += batch.numRows
  return rows
}

/** The server's guess of how many rows a query reads, in steps of 65,536; it helps with sorted tables. 0: it does not know. */
export const estimate = async (scope: Scope, table: Table, query: Omit<Query, 'columns'> = {}): Promise<number> => {
  if ((query.where ?? []).some(matchesNothing)) return 0
  const headers = { split: { index: ESTIMATE_SPLIT, total: 1, rowGroups: 1 }, subsplits: 1, sortedProjections: true }
  const rows = await firstBatchRows(scope, { ...requestOf(scope.version, table, { ...query, columns: [] }), headers })
  return (rows ?? 0) * ROW_GROUP
}
