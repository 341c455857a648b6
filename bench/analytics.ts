/**
 * Reports over seeded data, in this process: cold (scan, load, query), with the tables loaded, and from the result cache; then one flow
 * of all, how fast Arrow is loaded, pandas beside it, and pages of segments while reports run.
 * `bun run bench/analytics.ts [segments] [flows]`; for pandas `TAMS_BENCH_PYTHON` names a Python that has pandas and pyarrow.
 */
import path from 'node:path'
import { Field, Int64, makeData, RecordBatch, Schema, Struct } from 'apache-arrow'
import { Engine } from '../analytics/engine.ts'
import { load } from '../analytics/load.ts'
import { parseReportQuery } from '../analytics/query-string.ts'
import { reports } from '../analytics/reports/index.ts'
import { createAnalytics } from '../analytics/routes.ts'
import type { Analytics, Answer } from '../analytics/service.ts'
import { systemClock } from '../src/core/clock.ts'
import { isTamsError } from '../src/core/errors.ts'
import { compare } from '../src/core/predicate.ts'
import { openSqliteTables } from '../src/storage/sqlite/index.ts'
import type { Tables } from '../src/storage/tables.ts'
import { besidePages } from './analytics-pages.ts'
import { besidePandas } from './analytics-pandas.ts'
import { median } from './support/machine.ts'
import { against, fixed, type Result, report, whole } from './support/report.ts'
import { seededStore } from './support/seeded.ts'
import { type Settings, settings } from './support/settings.ts'

const REPORT_QUERIES: Readonly<Record<string, string>> = { trends: '?bucket=hour', 'moving-average': '?bucket=hour' }

export const analytics = async ({ seconds, rounds, numbers }: Settings): Promise<Result[]> => {
  const [segments = 1_000_000, flows = Math.ceil(segments / 1000)] = numbers
  const directory = await seededStore(segments, flows)
  const file = path.join(directory, 'tams.sqlite')
  const clock = systemClock()
  const tables = await openSqliteTables({ file, clock })
  const service = createAnalytics({
    tables,
    clock,
    options: { memoryLimitBytes: 4 * 2 ** 30, queryTimeoutMs: LIMIT_MS, cacheTtlMs: 600_000 },
  })
  let peak = 0
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }, 50)
  try {
    const results: Result[] = []
    for (const each of reports) {
      const query = parseReportQuery(`http://x/${REPORT_QUERIES[each.name] ?? ''}`, Object.keys(each.parameters.properties), each.filters)
      const run = () => service.report(each, query.parameters, query.filters, { refresh: false })
      await service.clearCache()
      await intoMemory(file)
      try {
        results.push(await measured(each.name, service, run, rounds))
      } catch (error) {
        if (!isTamsError(error)) throw error
        results.push({ what: each.name, figure: error.message, target: 'MISSED' })
      }
    }
    results.push({ what: 'peak memory of the process', figure: `${whole(peak / 2 ** 20)} MiB` })
    results.push(await oneFlow(service, tables, segments))
    await service.close()
    return [...results, await loadRate(), ...(await besidePandas(directory)), ...(await besidePages(directory, { seconds, rounds }))]
  } finally {
    clearInterval(watch)
    await service.close()
    await tables.close()
  }
}

/** A system may take from its cache what was not read for a while: figures would be those of its disk. */
const intoMemory = (file: string): Promise<number> => Bun.spawn(['cat', file], { stdout: 'ignore' }).exited

const measured = async (what: string, service: Analytics, run: () => Promise<Answer>, rounds: number): Promise<Result> => {
  const cpuBefore = process.cpuUsage()
  const { metric: cold } = await run()
  const cpu = process.cpuUsage(cpuBefore)
  const loaded: number[] = []
  for (let round = 0; round < rounds; round++) {
    service.forgetResults()
    loaded.push((await run()).metric.elapsedMs)
  }
  const { metric: kept } = await run()
  return {
    what,
    target: targetOf(cold.elapsedMs, median(loaded), kept.elapsedMs),
    figure: `cold ${whole(cold.elapsedMs)} ms, processor ${whole((cpu.user + cpu.system) / 1000)} ms`,
    baseline: `loaded ${whole(median(loaded))} ms, kept ${fixed(kept.elapsedMs)} ms`,
    ratio: `${whole(cold.rowsScanned)} rows, ${whole(cold.bytesLoaded / 1e6)} MB`,
  }
}

/** A report that takes longer is given up, and the others go on. */
const LIMIT_MS = 60_000
const COLD_MS = 5000
const LOADED_MS = 1500
const KEPT_MS = 5

const targetOf = (coldMs: number, loadedMs: number, keptMs: number): string => {
  const missed = [coldMs > COLD_MS && 'cold', loadedMs > LOADED_MS && 'loaded', keptMs > KEPT_MS && 'kept'].filter(Boolean)
  return missed.length === 0 ? 'met' : `MISSED: ${missed.join(', ')}`
}

/** A report of one flow reads its rows and no others. */
const oneFlow = async (service: ReturnType<typeof createAnalytics>, tables: Tables, segments: number): Promise<Result> => {
  const [flow] = (await tables.read((tx) => tx.list('flows', { where: compare('segment_count', '>', 100n), limit: 1 }))).rows
  const gaps = reports.find(({ name }) => name === 'gaps')
  if (!flow || !gaps) throw new Error('there is nothing to report on')
  const query = parseReportQuery(`http://x/?flow_id=${flow.id}`, Object.keys(gaps.parameters.properties), gaps.filters)
  const { metric } = await service.report(gaps, query.parameters, query.filters, { refresh: true })
  const own = Number(flow.segment_count) + 1
  return {
    what: `gaps of one of the flows, cold, among ${whole(segments)} segments`,
    figure: `${whole(metric.elapsedMs)} ms, ${whole(metric.rowsScanned)} rows`,
    baseline: `the flow and its segments are ${whole(own)} rows`,
    target: metric.rowsScanned === own ? 'met' : 'MISSED',
  }
}

const BATCH_ROWS = 65_536
const BATCHES = 100
const LOADS = 7

const loadRate = async (): Promise<Result> => {
  const engine = await Engine.open({ memoryLimitMiB: 2048, threads: 1, concurrency: 1 })
  try {
    const children = [1, 2, 3].map((column) =>
      makeData({
        type: new Int64(),
        length: BATCH_ROWS,
        nullCount: 0,
        data: BigInt64Array.from({ length: BATCH_ROWS }, (_, i) => BigInt(i * column)),
      }),
    )
    const names = ['a', 'b', 'c']
    const schema = new Schema(names.map((name) => new Field(name, new Int64(), false)))
    const batch = new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length: BATCH_ROWS, nullCount: 0, children }))
    const rates: number[] = []
    const before = process.cpuUsage()
    for (let i = 0; i < LOADS; i++) {
      const name = `load${i}`
      const began = performance.now()
      const batches = (async function* () {
        for (let i = 0; i < BATCHES; i++) yield batch
      })()
      const table = await load(engine, { name, columns: names.map((column) => ({ name: column, kind: 'int64' })), batches })
      rates.push((BATCHES * BATCH_ROWS) / (performance.now() - began) / 1000)
      await table.drop()
    }
    const { user, system } = process.cpuUsage(before)
    const share = (us: number): string => `${whole(us / 1000 / LOADS)} ms`
    return {
      what: `loading three columns of 64-bit integers from Arrow, ${LOADS} tables of ${fixed((BATCHES * BATCH_ROWS) / 1e6, 1)} M rows`,
      figure: `${fixed(median(rates), 1)} M rows/s (${fixed(Math.min(...rates), 1)} to ${fixed(Math.max(...rates), 1)})`,
      // The system's part is new memory, whose price is the host's.
      baseline: `processor for a table: ${share(user)} here, ${share(system)} the system`,
      target: against(median(rates), 8, 'at least'),
    }
  } finally {
    engine.close()
  }
}

if (import.meta.main) report(await analytics(settings()))
