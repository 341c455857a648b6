import { availableParallelism } from 'node:os'
import type { Clock } from '../src/core/clock.ts'
import { isTamsError, TamsError } from '../src/core/errors.ts'
import type { TableName } from '../src/storage/schema.ts'
import type { Tables } from '../src/storage/tables.ts'
import type { Log } from '../src/telemetry/log.ts'
import type { QueryOrder } from './engine-protocol.ts'
import type { Filters } from './filters.ts'
import { Performance, type QueryMetric } from './performance.ts'
import { RemoteEngine } from './remote-engine.ts'
import type { Plan, Report } from './report.ts'
import type { ResultTable } from './result.ts'
import { ResultCache } from './result-cache.ts'
import { type Lease, TableCache } from './table-cache.ts'
import { planUserSql, type UserSql } from './user-sql.ts'

export interface AnalyticsOptions {
  /** Of DuckDB: loaded tables and queries together. */
  readonly memoryLimitBytes: number
  /** Loaded tables that no query uses are dropped above it. Default: half of the memory. */
  readonly tableCacheBytes: number | undefined
  /** The worker that feeds DuckDB, and DuckDB's own. Default: one less than there are cores, so that requests are served meanwhile. */
  readonly threads: number | undefined
  /**
   * Queries that run at a time; others wait. They take turns in one thread, so more of them only make each slower and need more
   * memory. Default: one less than there are cores, at most 4.
   */
  readonly concurrency: number | undefined
  /** For scan, load and query together. */
  readonly queryTimeoutMs: number
  /** How long a result is kept. */
  readonly cacheTtlMs: number
  readonly slowQueryMs: number
  /** Most rows that a user's SQL may ask for. */
  readonly rowLimit: number
}

export interface AnalyticsDeps {
  readonly tables: Pick<Tables, 'read' | 'version'>
  readonly clock: Clock
  readonly options?: Partial<AnalyticsOptions>
  /** For slow queries. */
  readonly log?: Pick<Log, 'warn'>
}

export interface Answer {
  readonly name: string
  readonly shape: 'object' | 'table'
  readonly table: ResultTable
  readonly parameters: object
  readonly metric: QueryMetric
}

export interface RunOptions {
  readonly refresh: boolean
  readonly signal?: AbortSignal | undefined
}

const DEFAULTS: AnalyticsOptions = {
  memoryLimitBytes: 2 ** 30,
  tableCacheBytes: undefined,
  threads: undefined,
  concurrency: undefined,
  queryTimeoutMs: 30_000,
  cacheTtlMs: 60_000,
  slowQueryMs: 1000,
  rowLimit: 100_000,
}

// Every report limits its own rows; this only guards against one that forgot.
const REPORT_ROWS = 1_000_000
const RESULT_CELLS = 1_000_000

/**
 * Reports and read-only SQL over the store, whichever engine it has. DuckDB starts with the first query. Failures: `invalid`
 * (parameters), `unprocessable` (SQL, memory), `unavailable` (the store), `timeout`.
 */
export class Analytics {
  readonly options: AnalyticsOptions
  readonly performance = new Performance()
  readonly parquet = { write: async (table: ResultTable) => (await this.open()).engine.parquet(table) }
  private readonly results: ResultCache
  private opened: Promise<{ readonly engine: RemoteEngine; readonly cache: TableCache }> | undefined

  constructor(private readonly deps: AnalyticsDeps) {
    this.options = { ...DEFAULTS, ...deps.options }
    this.results = new ResultCache(BigInt(this.options.cacheTtlMs) * 1000n, RESULT_CELLS)
  }

  async report(report: Report, texts: Readonly<Record<string, string>>, filters: Filters, options: RunOptions): Promise<Answer> {
    const plan = report.plan(texts, filters, this.deps.clock.nowUs())
    const key = JSON.stringify([report.name, plan.parameters, filters], (_, value: unknown) =>
      typeof value === 'bigint' ? `${value}n` : value,
    )
    if (!options.refresh) {
      const kept = await this.kept(key)
      if (kept) return kept
    }
    const query = { sql: plan.sql, pairs: plan.pairs, maxRows: REPORT_ROWS, ...(plan.bind && { parameters: plan.bind }) }
    return this.measured(report.name, options, async (signal, deadline) => {
      const { lease, table } = await this.execute(plan, query, options.refresh, signal, deadline)
      return { lease, table, shape: report.shape, parameters: plan.parameters, key }
    })
  }

  /** A user's SELECT over the views of `planUserSql`. */
  async query(user: UserSql, options: RunOptions): Promise<Answer> {
    const limit = Math.min(user.limit ?? 1000, this.options.rowLimit)
    const timeoutMs = Math.min(user.timeoutMs ?? this.options.queryTimeoutMs, this.options.queryTimeoutMs)
    return this.measured(
      'query',
      options,
      async (signal, deadline) => {
        const { engine } = await this.open()
        const plan = await planUserSql(engine, user)
        const query = { sql: user.sql, parameters: plan.parameters, maxRows: limit, userText: true }
        const { lease, table } = await this.execute(plan, query, options.refresh, signal, deadline, plan.views)
        return { lease, table, shape: 'table', parameters: { limit } }
      },
      timeoutMs,
    )
  }

  async cacheStatistics() {
    const opened = await this.opened
    return {
      results: this.results.statistics(),
      tables: opened?.cache.statistics() ?? null,
      memory_bytes: opened ? await opened.engine.memoryBytes() : 0,
      memory_limit_bytes: this.options.memoryLimitBytes,
    }
  }

  forgetResults(): void {
    this.results.clear()
  }

  async clearCache(): Promise<void> {
    this.forgetResults()
    await (await this.opened)?.cache.clear()
  }

  /** Ends DuckDB, where it has been started. */
  async close(): Promise<void> {
    const opened = await this.opened
    this.opened = undefined
    this.results.clear()
    await opened?.engine.close()
  }

  private async open() {
    const opened = await this.opened
    if (opened?.engine.failed) this.opened = undefined
    this.opened ??= this.start().catch((error: unknown) => {
      this.opened = undefined
      throw error
    })
    return this.opened
  }

  private async start() {
    const { memoryLimitBytes, threads, concurrency, tableCacheBytes } = this.options
    const spare = Math.max(1, availableParallelism() - 1)
    const engine = await RemoteEngine.open({
      memoryLimitMiB: Math.floor(memoryLimitBytes / 2 ** 20),
      threads: threads ?? spare,
      concurrency: concurrency ?? Math.min(4, spare),
    })
    return { engine, cache: new TableCache(engine, this.deps.tables, tableCacheBytes ?? memoryLimitBytes / 2) }
  }

  private async kept(key: string): Promise<Answer | undefined> {
    const startedUs = this.deps.clock.nowUs()
    const began = performance.now()
    const entry = this.results.find(key, startedUs)
    const fresh = entry !== undefined && (await this.unchanged(entry.versions))
    this.results.count(fresh)
    if (!entry || !fresh) return undefined
    const { answer } = entry
    const metric: QueryMetric = {
      ...answer.metric,
      startedUs,
      elapsedMs: performance.now() - began,
      loadMs: 0,
      rowsScanned: 0,
      bytesLoaded: 0,
      cache: 'result',
    }
    this.performance.record(metric)
    return { ...answer, metric }
  }

  private async unchanged(versions: Readonly<Record<string, string>>): Promise<boolean> {
    for (const [table, version] of Object.entries(versions))
      if ((await this.deps.tables.version(table as TableName)) !== version) return false
    return true
  }

  private async execute(
    { datasets, steps }: Pick<Plan, 'datasets' | 'steps'>,
    query: Omit<QueryOrder, 'timeoutMs' | 'views'>,
    refresh: boolean,
    signal: AbortSignal,
    deadline: number,
    views: (views: Readonly<Record<string, string>>) => Readonly<Record<string, string>> = (same) => same,
  ): Promise<{ readonly lease: Lease; readonly table: ResultTable }> {
    const { engine, cache } = await this.open()
    const lease = await cache.acquire(datasets, steps ?? [], { refresh, signal })
    try {
      const timeoutMs = Math.max(1, deadline - performance.now())
      return { lease, table: await engine.query({ ...query, views: views(lease.views), timeoutMs, signal }) }
    } finally {
      lease.release()
    }
  }

  private async measured(
    name: string,
    options: RunOptions,
    work: (
      signal: AbortSignal,
      deadline: number,
    ) => Promise<Omit<Answer, 'name' | 'metric'> & { readonly lease: Lease; readonly key?: string }>,
    timeoutMs = this.options.queryTimeoutMs,
  ): Promise<Answer> {
    const startedUs = this.deps.clock.nowUs()
    const began = performance.now()
    const limit = new AbortController()
    const timer = setTimeout(() => limit.abort(new TamsError('timeout', `The query took longer than ${timeoutMs} ms`)), timeoutMs)
    const signal = options.signal ? AbortSignal.any([options.signal, limit.signal]) : limit.signal
    const base = { name, startedUs, loadMs: 0, rowsScanned: 0, rowsReturned: 0, bytesLoaded: 0, cache: 'none' as const }
    try {
      const { lease, key, ...rest } = await work(signal, began + timeoutMs + GRACE_MS)
      const metric: QueryMetric = {
        ...base,
        elapsedMs: performance.now() - began,
        loadMs: lease.loadMs,
        rowsScanned: lease.rowsScanned,
        rowsReturned: rest.table.rows.length,
        bytesLoaded: lease.bytesLoaded,
        cache: lease.misses === 0 ? 'tables' : 'none',
        status: 'ok',
      }
      this.performance.record(metric)
      if (metric.elapsedMs >= this.options.slowQueryMs)
        this.deps.log?.warn(
          { report: name, elapsed_ms: metric.elapsedMs, rows_scanned: metric.rowsScanned, cache: metric.cache },
          'slow query',
        )
      const answer: Answer = { ...rest, name, metric }
      if (key !== undefined) this.results.keep(key, answer, lease.versions, this.deps.clock.nowUs())
      return answer
    } catch (error) {
      const gone = options.signal?.aborted === true
      const status = gone ? 'cancelled' : isTamsError(error) ? error.code : 'internal'
      this.performance.record({ ...base, elapsedMs: performance.now() - began, status })
      // Nobody reads this answer, and it is no failure of ours that would have to be looked into.
      throw gone ? new TamsError('invalid', 'The client went away before its answer', { cause: error }) : error
    } finally {
      clearTimeout(timer)
    }
  }
}

export const createAnalytics = (deps: AnalyticsDeps): Analytics => new Analytics(deps)

// The signal ends a query at its limit; the engine's own limit is only behind it.
const GRACE_MS = 1000
