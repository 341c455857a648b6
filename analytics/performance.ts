/** What one query cost. */
export interface QueryMetric {
  /** Name of the report, or `query`. */
  readonly name: string
  /** Microseconds since the Unix epoch. */
  readonly startedUs: bigint
  readonly elapsedMs: number
  readonly loadMs: number
  readonly rowsScanned: number
  readonly rowsReturned: number
  readonly bytesLoaded: number
  /** What did not have to be done again: `result`, all `tables`, or nothing. */
  readonly cache: 'result' | 'tables' | 'none'
  /** `ok`, or the code of its error. */
  readonly status: string
}

interface Hour {
  readonly startUs: bigint
  count: number
  sumMs: number
  maxMs: number
}

const RECENT = 1000
const HOURS = 24 * 14
const HOUR_US = 3_600_000_000n
/** An hour whose mean lies so many standard deviations above that of the hours before it is flagged. */
const DEVIATION = 3
const BASELINE_HOURS = 3

/** Metrics of the queries of this process: the last thousand, and hourly sums per report of two weeks. */
export class Performance {
  private readonly recent: QueryMetric[] = []
  private readonly hours = new Map<string, Hour[]>()

  record(metric: QueryMetric): void {
    this.recent.push(metric)
    if (this.recent.length > RECENT) this.recent.shift()
    if (metric.status !== 'ok' || metric.cache === 'result') return
    const hours = this.hours.get(metric.name) ?? []
    this.hours.set(metric.name, hours)
    const startUs = metric.startedUs - (metric.startedUs % HOUR_US)
    let hour = hours.at(-1)
    if (hour?.startUs !== startUs) {
      hour = { startUs, count: 0, sumMs: 0, maxMs: 0 }
      hours.push(hour)
      if (hours.length > HOURS) hours.shift()
    }
    hour.count++
    hour.sumMs += metric.elapsedMs
    hour.maxMs = Math.max(hour.maxMs, metric.elapsedMs)
  }

  summaries() {
    const names = [...new Set(this.recent.map(({ name }) => name))].sort()
    return names.map((name) => {
      const metrics = this.recent.filter((metric) => metric.name === name)
      const times = metrics.map(({ elapsedMs }) => elapsedMs).sort((a, b) => a - b)
      return {
        name,
        queries: metrics.length,
        errors: metrics.filter(({ status }) => status !== 'ok').length,
        result_cache_hits: metrics.filter(({ cache }) => cache === 'result').length,
        mean_ms: round(times.reduce((sum, ms) => sum + ms, 0) / times.length),
        p50_ms: round(times[Math.floor((times.length - 1) * 0.5)] ?? 0),
        p95_ms: round(times[Math.ceil((times.length - 1) * 0.95)] ?? 0),
        max_ms: round(times.at(-1) ?? 0),
        rows_scanned: metrics.reduce((sum, { rowsScanned }) => sum + rowsScanned, 0),
        rows_returned: metrics.reduce((sum, { rowsReturned }) => sum + rowsReturned, 0),
        bytes_loaded: metrics.reduce((sum, { bytesLoaded }) => sum + bytesLoaded, 0),
      }
    })
  }

  /** Slowest first, among the last thousand. */
  slow(thresholdMs: number, limit: number): readonly QueryMetric[] {
    return this.recent
      .filter(({ elapsedMs }) => elapsedMs >= thresholdMs)
      .sort((a, b) => b.elapsedMs - a.elapsedMs)
      .slice(0, limit)
  }

  /** Hour by hour per report; answers from the result cache and failures do not count. */
  hourly() {
    return [...this.hours].flatMap(([name, hours]) =>
      hours.map(({ startUs, count, sumMs, maxMs }, i) => {
        const meanMs = sumMs / count
        const before = hours.slice(0, i).map((hour) => hour.sumMs / hour.count)
        const limit = before.length < BASELINE_HOURS ? undefined : mean(before) + DEVIATION * deviation(before)
        return {
          name,
          startUs,
          queries: count,
          mean_ms: round(meanMs),
          max_ms: round(maxMs),
          baseline_ms: before.length < BASELINE_HOURS ? null : round(mean(before)),
          deviates: limit !== undefined && meanMs > limit,
        }
      }),
    )
  }
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
const deviation = (values: readonly number[]): number => Math.sqrt(mean(values.map((value) => (value - mean(values)) ** 2)))
const round = (ms: number): number => Math.round(ms * 100) / 100
