/** Flows created by single PUT requests, 64 connections. `bun run bench/flow-puts.ts` */
import { flowBody, JSON_HEADERS } from './support/flow.ts'
import { median } from './support/machine.ts'
import { startService } from './support/program.ts'
import { fixed, type Result, report, whole } from './support/report.ts'
import { type Settings, settings } from './support/settings.ts'
import { copyOfStore } from './support/store.ts'
import { type Figures, wrk } from './support/wrk.ts'

const CONNECTIONS = 64

const body = JSON.stringify(flowBody('%s')).replaceAll("'", "\\'")
const scriptOf = (round: number): string => `
local headers = { ['content-type'] = '${JSON_HEADERS['content-type']}' }
request = function()
  counter = counter + 1
  local id = string.format('0${round % 10}000000-0000-4000-8000-%012x', counter)
  return wrk.format('PUT', '/flows/' .. id, headers, string.format('${body}', id))
end`

export const flowPuts = async ({ seconds, rounds }: Settings): Promise<Result[]> => {
  const store = await copyOfStore(0)
  const service = await startService({ dataDir: store.directory })
  try {
    const runs: Figures[] = []
    for (let round = 0; round < rounds; round++)
      runs.push(await wrk({ url: service.url, script: scriptOf(round), connections: CONNECTIONS, seconds }))
    const take = (member: keyof Figures) => median(runs.map((run) => run[member]))
    const what = `flows created, one PUT each, ${CONNECTIONS} connections`
    return [{ what, figure: `${whole(take('requestsPerSecond'))}/s`, p99: fixed(take('p99Ms'), 1) }]
  } finally {
    await service.stop()
    await store.remove()
  }
}

if (import.meta.main) report(await flowPuts(settings()))
