import {
  BIGINT,
  BOOLEAN,
  DOUBLE,
  DuckDBBlobValue,
  type DuckDBConnection,
  type DuckDBDataChunk,
  DuckDBDecimalType,
  DuckDBDecimalValue,
  DuckDBInstance,
  DuckDBListValue,
  DuckDBMapValue,
  type DuckDBPendingResult,
  DuckDBPendingResultState,
  type DuckDBPreparedStatement,
  type DuckDBResult,
  DuckDBStructValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  type DuckDBType,
  DuckDBTypeId,
  type DuckDBValue,
  HUGEINT,
  SQLNULL,
  StatementType,
  VARCHAR,
} from '@duckdb/node-api'
import duckdb from '@duckdb/node-bindings'
import { invalid, TamsError } from '../src/core/errors.ts'
import { WORDS } from './object-keys.ts'
import { quoteName } from './quote-name.ts'
import { type Cell, exactInteger, type Json, type ResultColumn, type ResultTable } from './result.ts'

export interface EngineOptions {
  /** Of loaded tables and queries together. */
  readonly memoryLimitMiB: number
  readonly threads: number
  /** Queries that run at a time; others wait, and their waiting counts as their time. */
  readonly concurrency: number
  /** The one directory in which files can be reached; without it none can. */
  readonly directory?: string
}

export type Parameter = string | number | bigint | boolean | null

export interface Query {
  readonly sql: string
  /** Bound to `$name`; for user SQL also by position. */
  readonly parameters?: Readonly<Record<string, Parameter>> | readonly Parameter[]
  /** Names that `sql` may use, each with the `select` it stands for; seen by this query only. */
  readonly views?: Readonly<Record<string, string>>
  readonly maxRows: number
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
  /** What is wrong with the text is then its writer's to mend (`unprocessable`), not a bug. */
  readonly userText?: boolean
}

export const LOADED = 'loaded'

/** Why a query is being interrupted, if it is. */
interface Stop {
  readonly reason?: unknown
}

/**
 * DuckDB's lifetime: one in-memory database without access to files, network or extensions, and a connection for each query.
 * `query` throws `timeout` past its limit, the signal's reason when it is aborted, `unprocessable` where memory runs out.
 */
export class Engine {
  private readonly waiting: (() => void)[] = []
  private running = 0
  private reserved = 0

  private constructor(
    private readonly instance: DuckDBInstance,
    private readonly main: DuckDBConnection,
    private readonly options: EngineOptions,
  ) {}

  static async open(options: EngineOptions): Promise<Engine> {
    const instance = await DuckDBInstance.create(':memory:', {
      threads: '1',
      memory_limit: `${options.memoryLimitMiB}MiB`,
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
      allow_community_extensions: 'false',
      preserve_insertion_order: 'false',
    })
    const main = await instance.connect()
    await startThreads(instance, options.threads)
    // In this order: each setting is out of reach behind the next. Without a directory nothing is written to disk when memory runs out.
    const settings = ["temp_directory = ''", "TimeZone = 'UTC'", 'enable_external_access = false', 'lock_configuration = true']
    if (options.directory !== undefined) settings.unshift(`allowed_directories = ['${options.directory.replaceAll("'", "''")}']`)
    for (const setting of settings) await main.run(`set ${setting}`)
    await main.run(`create schema ${LOADED}`)
    return new Engine(instance, main, options)
  }

  /** For statements of this program that change what is loaded. */
  async run(sql: string): Promise<void> {
    await this.main.run(sql)
  }

  /** A connection for loading; the caller disconnects it. */
  connect(): Promise<DuckDBConnection> {
    return this.instance.connect()
  }

  /** The parsed text as JSON. Throws `unprocessable` for what is no SELECT. */
  async parse(sql: string): Promise<unknown> {
    const reader = await this.main.runAndReadAll('select json_serialize_sql($1::varchar)', [sql])
    return JSON.parse(String(reader.getRows()[0]?.[0]))
  }

  /** What DuckDB has and what is reserved. */
  async memoryBytes(): Promise<number> {
    const reader = await this.main.runAndReadAll('select coalesce(sum(memory_usage_bytes), 0)::double from duckdb_memory()')
    return Number(reader.getRows()[0]?.[0] ?? 0) + this.reserved
  }

  async query(query: Query): Promise<ResultTable> {
    return this.onConnection(query, (connection, stop) => read(connection, query, stop))
  }

  /** Lets `work` have the rows of a SELECT without nulls as DuckDB lays them out, and go on with them: it keeps its turn until it has ended. */
  async withRows<T>(query: Omit<Query, 'maxRows'>, work: (rows: RawRows) => Promise<T>): Promise<T> {
    return this.onConnection(query, (connection, stop) => work(new RawRows(connection, query, stop)))
  }

  /**
   * Counts memory outside DuckDB, until it is released. Throws `unprocessable` where so much is not left; what DuckDB takes later does not look at
   * what is reserved.
   */
  async reserve(bytes: number): Promise<() => void> {
    if ((await this.memoryBytes()) + bytes > this.options.memoryLimitMiB * 2 ** 20) throw memoryExceeded()
    this.reserved += bytes
    return () => {
      this.reserved -= bytes
    }
  }

  /** Keeps the rows of a SELECT as the table `name`, and gives their number. */
  async derive(name: string, query: Omit<Query, 'maxRows'>): Promise<number> {
    const table = `${LOADED}.${quoteName(name)}`
    try {
      return await this.onConnection(query, async (connection) => {
        const prepared = await connection.prepare(`create table ${table} as ${query.sql}`)
        if (query.parameters) bind(prepared, query.parameters)
        await inThisThread(prepared.start())
        prepared.destroySync()
        const counted = await connection.runAndReadAll(`select count(*)::double from ${table}`)
        return Number(counted.getRows()[0]?.[0])
      })
    } catch (error) {
      await this.run(`drop table if exists ${table}`)
      throw error
    }
  }

  close(): void {
    this.main.disconnectSync()
    this.instance.closeSync()
  }

  private async onConnection<T>(query: Omit<Query, 'maxRows'>, work: (connection: DuckDBConnection, stop: Stop) => Promise<T>): Promise<T> {
    const deadline = performance.now() + query.timeoutMs
    await this.enter(query.signal, query.timeoutMs)
    try {
      return await this.interruptible(query, deadline, work)
    } finally {
      this.leave()
    }
  }

  private async interruptible<T>(
    query: Omit<Query, 'maxRows'>,
    deadline: number,
    work: (connection: DuckDBConnection, stop: Stop) => Promise<T>,
  ): Promise<T> {
    const connection = await this.instance.connect()
    const stop: { reason?: unknown } = {}
    let watch: NodeJS.Timeout | undefined
    // An interruption between two steps is forgotten, so it is repeated until the query has ended.
    const interrupt = (reason: unknown): void => {
      stop.reason ??= reason
      connection.interrupt()
      watch ??= setInterval(() => connection.interrupt(), 20)
    }
    const onAbort = (): void => interrupt(query.signal?.reason ?? new Error('aborted'))
    const timer = setTimeout(() => interrupt(timedOut(query.timeoutMs)), Math.max(0, deadline - performance.now()))
    query.signal?.addEventListener('abort', onAbort)
    try {
      query.signal?.throwIfAborted()
      for (const [name, select] of Object.entries(query.views ?? {}))
        await connection.run(`create temp view ${quoteName(name)} as ${select}`)
      const value = await work(connection, stop)
      if (stop.reason !== undefined) throw stop.reason
      return value
    } catch (error) {
      throw stop.reason ?? failure(error, query)
    } finally {
      clearTimeout(timer)
      clearInterval(watch)
      query.signal?.removeEventListener('abort', onAbort)
      connection.disconnectSync()
    }
  }

  private async enter(signal: AbortSignal | undefined, timeoutMs: number): Promise<void> {
    signal?.throwIfAborted()
    if (this.running < this.options.concurrency) {
      this.running++
      return
    }
    const turn = Promise.withResolvers<void>()
    this.waiting.push(turn.resolve)
    const giveUp = (reason: unknown): void => {
      const at = this.waiting.indexOf(turn.resolve)
      if (at < 0) return
      this.waiting.splice(at, 1)
      turn.reject(reason)
    }
    const onAbort = (): void => giveUp(signal?.reason)
    const timer = setTimeout(() => giveUp(timedOut(timeoutMs)), timeoutMs)
    signal?.addEventListener('abort', onAbort)
    try {
      await turn.promise
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
  }

  // The place goes to the next in line without becoming free in between.
  private leave(): void {
    const next = this.waiting.shift()
    if (next) next()
    else this.running--
  }
}

/** The rows of one query; all of it ends with an error when the query is given up. */
export class RawRows {
  constructor(
    private readonly connection: DuckDBConnection,
    private readonly query: Pick<Query, 'sql' | 'parameters'>,
    private readonly stop: Stop,
  ) {}

  /** How many there are. */
  async count(): Promise<number> {
    const { sql, ...rest } = this.query
    const { rows } = await read(this.connection, { ...rest, sql: `select count(*)::double from (${sql})`, maxRows: 1 }, this.stop)
    this.assertWanted()
    return Number(rows[0]?.[0])
  }

  /** Gives them to `take`, some while the next are made. */
  async each(take: (chunk: RawChunk) => void): Promise<void> {
    const prepared = await this.connection.prepare(this.query.sql)
    try {
      if (this.query.parameters) bind(prepared, this.query.parameters)
      const result = await inThisThread(prepared.startStream())
      let next = result.fetchChunk()
      try {
        for (let chunk = await next; chunk && chunk.rowCount > 0 && this.stop.reason === undefined; chunk = await next) {
          next = result.fetchChunk()
          take(new RawChunk(chunk))
        }
      } finally {
        // Nothing may be made for a query that has ended.
        await Promise.allSettled([next])
      }
    } finally {
      prepared.destroySync()
    }
    this.assertWanted()
  }

  /** To be awaited now and then during long work: others have their turn. */
  readonly pause = async (): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve))
    this.assertWanted()
  }

  private assertWanted(): void {
    if (this.stop.reason !== undefined) throw this.stop.reason
  }
}

/** Some rows as DuckDB lays them out; valid while they are given. */
export class RawChunk {
  constructor(private readonly chunk: DuckDBDataChunk) {}

  get rows(): number {
    return this.chunk.rowCount
  }

  /** A column of type DOUBLE. */
  doubles(column: number): Float64Array {
    const { buffer, byteOffset } = this.bytes(column, 8)
    return new Float64Array(buffer, byteOffset, this.rows)
  }

  /** A column of a type that takes four words. */
  words(column: number): Int32Array {
    const { buffer, byteOffset } = this.bytes(column, WORDS * 4)
    return new Int32Array(buffer, byteOffset, this.rows * WORDS)
  }

  private bytes(column: number, width: number): Uint8Array {
    return duckdb.vector_get_data(duckdb.data_chunk_get_vector(this.chunk.chunk, column), this.rows * width)
  }
}

const timedOut = (timeoutMs: number): TamsError => new TamsError('timeout', `The query took longer than ${timeoutMs} ms`)

const memoryExceeded = (cause?: unknown): TamsError =>
  new TamsError('unprocessable', 'The query needs more memory than analytics may use; narrow it by filters', { cause })

/** `unprocessable` where the database ran out of the memory it may use, undefined for anything else. */
export const memoryFailure = (error: unknown): TamsError | undefined =>
  error instanceof Error && /out of memory|failed to (allocate|pin)|could not allocate/i.test(error.message)
    ? memoryExceeded(error)
    : undefined

const failure = (error: unknown, query: Pick<Query, 'userText'>): unknown => {
  const message = error instanceof Error ? error.message : String(error)
  const tooLarge = memoryFailure(error)
  if (tooLarge) return tooLarge
  // A report's own complaint about a parameter, made with `error()`.
  const complaint = /\bparameter (\w+): (.*)/.exec(message)
  if (complaint && !query.userText) return invalid(complaint[1] ?? '', complaint[2] ?? '', error)
  if (!query.userText) return error
  return new TamsError('unprocessable', `sql: ${firstLine(message)}`, { field: 'sql', cause: error })
}

const firstLine = (message: string): string => message.split('\n', 1).join().slice(0, 500)

const read = async (
  connection: DuckDBConnection,
  query: Pick<Query, 'sql' | 'parameters' | 'maxRows'>,
  stop: Stop,
): Promise<ResultTable> => {
  const extracted = await connection.extractStatements(query.sql)
  if (extracted.count !== 1) throw new Error(`one statement is needed, not ${extracted.count}`)
  const prepared = await extracted.prepare(0)
  try {
    if (prepared.statementType !== StatementType.SELECT) throw new Error('only SELECT is possible')
    const { parameters } = query
    if (parameters) bind(prepared, parameters)
    return await readRows(await inThisThread(prepared.startStream()), query.maxRows, stop)
  } finally {
    prepared.destroySync()
  }
}

/**
 * DuckDB's own threads inherit the priority of the one that starts them. That is whichever ends the query that sets their number, and so
 * here the beginning of the next one: left to itself the client ends it in a thread of the runtime.
 */
const startThreads = async (instance: DuckDBInstance, threads: number): Promise<void> => {
  const connection = await instance.connect()
  const next = await connection.prepare('select 1')
  await untilReady((await connection.prepare(`set threads = ${threads}`)).start())
  await untilReady(next.start())
  connection.disconnectSync()
}

const TURN_MS = 10

/**
 * Runs a statement until it has its first rows, in this thread, whose priority is low. Left to itself the client does it in one of the
 * threads that the runtime reads and writes files with, before requests and in their way.
 */
const inThisThread = async (pending: DuckDBPendingResult): Promise<DuckDBResult> => {
  await untilReady(pending)
  return pending.getResult()
}

const untilReady = async (pending: DuckDBPendingResult): Promise<void> => {
  let since = performance.now()
  for (;;) {
    const state = pending.runTask()
    if (state === DuckDBPendingResultState.RESULT_READY) return
    if (state === DuckDBPendingResultState.NO_TASKS_AVAILABLE) await Bun.sleep(1)
    else if (performance.now() - since > TURN_MS) {
      await new Promise((resolve) => setImmediate(resolve))
      since = performance.now()
    }
  }
}

// Left to itself the client binds bigints as 128-bit integers, which few functions take.
const bind = (prepared: DuckDBPreparedStatement, parameters: NonNullable<Query['parameters']>): void => {
  const typeOf = (value: Parameter): DuckDBType => {
    if (typeof value === 'bigint') return BigInt.asIntN(64, value) === value ? BIGINT : HUGEINT
    if (typeof value === 'number') return DOUBLE
    if (typeof value === 'boolean') return BOOLEAN
    return value === null ? SQLNULL : VARCHAR
  }
  if (Array.isArray(parameters)) {
    const values: readonly Parameter[] = parameters
    prepared.bind([...values], values.map(typeOf))
    return
  }
  const values = Object.entries(parameters as Readonly<Record<string, Parameter>>)
  prepared.bind(Object.fromEntries(values), Object.fromEntries(values.map(([name, value]) => [name, typeOf(value)])))
}

const readRows = async (result: DuckDBResult, maxRows: number, stop: Stop): Promise<ResultTable> => {
  const types = result.columnTypes()
  const columns = result.deduplicatedColumnNames().map((name, i) => columnOf(name, types[i]))
  const rows: Cell[][] = []
  for (;;) {
    const chunk = await result.fetchChunk()
    if (!chunk || chunk.rowCount === 0 || stop.reason !== undefined) return { columns, rows, truncated: false }
    const room = maxRows - rows.length
    if (room <= 0) return { columns, rows, truncated: true }
    const values = columns.map((column, i) => chunk.getColumnValues(i).map((value) => cellOf(column, value)))
    const count = Math.min(room, chunk.rowCount)
    for (let row = 0; row < count; row++) rows.push(values.map((cells) => cells[row] ?? null))
    if (count < chunk.rowCount) return { columns, rows, truncated: true }
  }
}

const INTEGERS = new Set([
  DuckDBTypeId.TINYINT,
  DuckDBTypeId.SMALLINT,
  DuckDBTypeId.INTEGER,
  DuckDBTypeId.BIGINT,
  DuckDBTypeId.UTINYINT,
  DuckDBTypeId.USMALLINT,
  DuckDBTypeId.UINTEGER,
])
const WIDE_INTEGERS = new Set([DuckDBTypeId.HUGEINT, DuckDBTypeId.UBIGINT, DuckDBTypeId.UHUGEINT])
const NESTED = new Set([DuckDBTypeId.LIST, DuckDBTypeId.STRUCT, DuckDBTypeId.MAP, DuckDBTypeId.ARRAY])

const columnOf = (name: string, type: DuckDBType | undefined): ResultColumn => {
  const id = type?.typeId ?? DuckDBTypeId.VARCHAR
  if (INTEGERS.has(id)) return { name, kind: 'int64', scale: 0 }
  if (WIDE_INTEGERS.has(id)) return { name, kind: 'decimal', scale: 0 }
  if (type instanceof DuckDBDecimalType) return { name, kind: 'decimal', scale: type.scale }
  if (id === DuckDBTypeId.DOUBLE || id === DuckDBTypeId.FLOAT) return { name, kind: 'float64', scale: 0 }
  if (id === DuckDBTypeId.BOOLEAN) return { name, kind: 'bool', scale: 0 }
  if (id === DuckDBTypeId.TIMESTAMP || id === DuckDBTypeId.TIMESTAMP_TZ) return { name, kind: 'time', scale: 0 }
  if (NESTED.has(id)) return { name, kind: 'json', scale: 0 }
  return { name, kind: 'text', scale: 0 }
}

const cellOf = (column: ResultColumn, value: DuckDBValue): Cell => {
  if (value === null) return null
  switch (column.kind) {
    case 'int64':
      return BigInt(value as number | bigint)
    case 'decimal':
      return value instanceof DuckDBDecimalValue ? value.value : BigInt(value as bigint)
    case 'time':
      return value instanceof DuckDBTimestampValue || value instanceof DuckDBTimestampTZValue ? value.micros : null
    case 'json':
      return nested(value)
    case 'text':
      return value instanceof DuckDBBlobValue ? Buffer.from(value.bytes).toString('hex') : String(value)
    case 'float64':
    case 'bool':
      return value as number | boolean
    default:
      throw new Error(`unhandled ${column.kind satisfies never}`)
  }
}

const nested = (value: DuckDBValue): Json => {
  if (value === null) return null
  if (typeof value === 'bigint') return exactInteger(value)
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (value instanceof DuckDBListValue) return value.items.map(nested)
  if (value instanceof DuckDBStructValue)
    return Object.fromEntries(Object.entries(value.entries).map(([name, member]) => [name, nested(member)]))
  if (value instanceof DuckDBMapValue)
    return Object.fromEntries(value.entries.map(({ key, value: member }) => [String(key), nested(member)]))
  return 'items' in value && Array.isArray(value.items) ? value.items.map(nested) : String(value)
}
