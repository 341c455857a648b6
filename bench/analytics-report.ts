/** One report in a process of its own, for its peak of memory: `bun run bench/analytics-report.ts {data directory} {report}` prints JSON. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { parseReportQuery } from '../analytics/query-string.ts'
import { reports } from '../analytics/reports/index.ts'
import { jsonOf } from '../analytics/result.ts'
import { createAnalytics } from '../analytics/routes.ts'
import { systemClock } from '../src/core/clock.ts'
import { openSqliteTables } from '../src/storage/sqlite/index.ts'

const [directory = '', name = ''] = process.argv.slice(2)
const report = reports.find((each) => each.name === name)
if (!report) throw new Error(`there is no report ${name}`)
const clock = systemClock()
const tables = await openSqliteTables({ file: path.join(directory, 'tams.sqlite'), clock })
const analytics = createAnalytics({ tables, clock, options: { queryTimeoutMs: 300_000 } })
const query = parseReportQuery('http://x/', Object.keys(report.parameters.properties), report.filters)
const run = () => analytics.report(report, query.parameters, query.filters, { refresh: false })

const cold = await run()
analytics.forgetResults()
const loaded = await run()
const { columns, rows } = loaded.table
const row = Object.fromEntries(columns.map((column, i) => [column.name, jsonOf(column, rows[0]?.[i] ?? null)]))
await analytics.close()
await tables.close()
console.log(
  JSON.stringify({
    cold_ms: cold.metric.elapsedMs,
    loaded_ms: loaded.metric.elapsedMs,
    peak_mib: Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024,
    row,
  }),
)
