/**
 * Reports over seeded data, in this process: cold (scan, load, query), with the tables loaded, and from the result cache; then how fast
 * Arrow is loaded. `bun run bench/analytics.ts [segments] [flows]`
 */
import { exists, mkdir, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { Field, Int64, makeData, RecordBatch, Schema, Struct } from 'apache-arrow'
import { Engine } from '../analytics/engine.ts'
import { load } from '../analytics/load.ts'
import { parseReportQuery } from '../analytics/query-string.ts'
import { reports } from '../analytics/reports/index.ts'
import { createAnalytics } from '../analytics/routes.ts'
import { systemClock } from '../src/core/clock.ts'
import { openSqliteTables } from '../src/storage/sqlite/index.ts'
import { median } from './support/machine.ts'
import { fixed, type Result, report, whole } from './support/report.ts'
import { scratchDirectory } from './support/scratch.ts'
import { type Settings, settings } from './support/settings.ts'

const REPORT_QUERIES: Readonly<Record<string, string>> = { trends: '?bucket=hour', 'moving-average': '?bucket=hour' }

export const analytics = async ({ rounds, numbers }: Settings): Promise<Result[]> => {
  const [segments = 1_000_000, flows = Math.ceil(segments / 1000)] = numbers
  const directory = await seededStore(segments, flows)
  const clock = systemClock()
  const tables = await openSqliteTables({ file: path.join(directory, 'tams.sqlite'), clock })
  const service = createAnalytics({
    tables,
    clock,
    options: { memoryLimitBytes: 4 * 2 ** 30, queryTimeoutMs: 300_000, cacheTtlMs: 600_000 },
  })
  let peak = 0
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }, 50)
  try {
    const results: Result[] = []
    for (const each of reports) {
      const query = parseReportQuery(`http://x/${REPORT_QUERIES[each.name] ?? ''}`, Object.keys(each.parameters.properties), each.filters)
      const run = (refresh: boolean) => service.report(each, query.parameters, query.filters, { refresh })
      await service.clearCache()
      const cold = await run(false)
      const loaded: number[] = []
      for (let round = 0; round < rounds; round++) {
        service.forgetResults()
        loaded.push((await run(false)).metric.elapsedMs)
      }
      const kept = await run(false)
      results.push({
        what: each.name,
        figure: `cold ${whole(cold.metric.elapsedMs)} ms`,
        baseline: `loaded ${whole(median(loaded))} ms, kept ${fixed(kept.metric.elapsedMs)} ms`,
        ratio: `${whole(cold.metric.rowsScanned)} rows, ${whole(cold.metric.bytesLoaded / 1e6)} MB`,
      })
    }
    results.push({ what: 'peak memory of the process', figure: `${whole(peak / 2 ** 20)} MiB` })
    return [...results, await loadRate()]
  } finally {
    clearInterval(watch)
    await service.close()
    await tables.close()
  }
}

/** What `tams seed` makes. Kept. */
const seededStore = async (segments: number, flows: number): Promise<string> => {
  const directory = path.join(await scratchDirectory(), `seed-${flows}-${segments}`)
  if (await exists(directory)) return directory
  const unfinished = `${directory}.part`
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished)
  const child = Bun.spawn(
    [
      process.execPath,
      'run',
      'src/cli/tams.ts',
      'seed',
      '--flows',
      String(flows),
      '--segments',
      String(segments),
      '--until',
      '2026-11-21T00:00:00Z',
    ],
    { cwd: path.resolve(import.meta.dir, '..'), env: { ...process.env, TAMS_DATA_DIR: unfinished }, stdout: 'inherit', stderr: 'inherit' },
  )
  if ((await child.exited) !== 0) throw new Error('the store could not be filled')
  await rename(unfinished, directory)
  return directory
}

const BATCH_ROWS = 65_536
const BATCHES = 100

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
    for (const name of ['first', 'second', 'third']) {
      const began = performance.now()
      const batches = (async function* () {
        for (let i = 0; i < BATCHES; i++) yield batch
      })()
      const table = await load(engine, { name, columns: names.map((column) => ({ name: column, kind: 'int64' })), batches })
      rates.push((BATCHES * BATCH_ROWS) / (performance.now() - began) / 1000)
      await table.drop()
    }
    return {
      what: 'loading three columns of 64-bit integers from Arrow',
      figure: `${fixed(median(rates), 1)} M rows/s`,
      target: 'at least 8',
    }
  } finally {
    engine.close()
  }
}

if (import.meta.main) report(await analytics(settings()))
