/** Pages of segments of a service that is asked for cold reports all the time, against the same service left alone. */
import path from 'node:path'
import { everything } from '../src/core/predicate.ts'
import { openSqliteTables } from '../src/storage/sqlite/index.ts'
import { median } from './support/machine.ts'
import { type Program, startService } from './support/program.ts'
import { against, fixed, type Result, whole } from './support/report.ts'
import { type Figures, wrk } from './support/wrk.ts'

const CONNECTIONS = 4
const FLOWS = 500
const MOST_GROWTH = 1.5
const REPORTS = ['percentiles', 'gaps', 'storage-usage']

export const besidePages = async (
  dataDir: string,
  { seconds, rounds }: { readonly seconds: number; readonly rounds: number },
): Promise<Result[]> => {
  const script = scriptOf(await flowsOf(dataDir))
  const service = await startService({ dataDir, env: { ANALYTICS_QUERY_TIMEOUT: '300s', ANALYTICS_MEMORY_LIMIT: '4 GiB' } })
  const pages = () => wrk({ url: service.url, script, connections: CONNECTIONS, seconds })
  try {
    // The code of both is compiled and the file in the system's cache before anything counts.
    await pages()
    await whileReporting(service, pages)
    const alone: Figures[] = []
    const beside: Figures[] = []
    for (let round = 0; round < rounds; round++) {
      alone.push(await pages())
      beside.push(await whileReporting(service, pages))
    }
    const p99 = (figures: readonly Figures[]) => median(figures.map(({ p99Ms }) => p99Ms))
    const perSecond = (figures: readonly Figures[]) => median(figures.map(({ requestsPerSecond }) => requestsPerSecond))
    const growth = p99(beside) / p99(alone)
    return [
      {
        what: 'p99 of pages of 100 segments while cold reports run, over that without',
        figure: `× ${fixed(growth)}`,
        baseline: `${whole(perSecond(beside))}/s beside reports, ${whole(perSecond(alone))}/s alone`,
        p99: `${fixed(p99(beside), 1)} (${fixed(p99(alone), 1)})`,
        target: against(growth, MOST_GROWTH, 'at most'),
      },
    ]
  } finally {
    await service.stop()
  }
}

const whileReporting = async ({ url }: Program, work: () => Promise<Figures>): Promise<Figures> => {
  let on = true
  const reporting = (async () => {
    for (let i = 0; on; i++) {
      const response = await fetch(`${url}/analytics/${REPORTS[i % REPORTS.length]}?refresh=true`)
      if (!response.ok) throw new Error(`a report was answered ${response.status}: ${await response.text()}`)
      await response.text()
    }
  })()
  const figures = await work()
  on = false
  await reporting
  return figures
}

const flowsOf = async (dataDir: string): Promise<readonly string[]> => {
  const tables = await openSqliteTables({ file: path.join(dataDir, 'tams.sqlite') })
  const { rows } = await tables.read((tx) => tx.list('flows', { columns: ['id', 'segment_count'], where: everything, limit: FLOWS }))
  await tables.close()
  return rows.filter(({ segment_count }) => segment_count >= 100n).map(({ id }) => id)
}

const scriptOf = (flows: readonly string[]): string => `
local flows = {${flows.map((id) => `'${id}'`).join(',')}}
request = function()
  return wrk.format('GET', '/flows/' .. flows[math.random(#flows)] .. '/segments?limit=100')
end`
