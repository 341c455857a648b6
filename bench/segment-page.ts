/**
 * A page of 100 segments from flows of very different lengths, against a bare program with the same look-ups.
 * `bun run bench/segment-page.ts [segments …]`; by default 10,000, 1,000,000 and 10,000,000.
 */
import { alternate } from './support/alternate.ts'
import { type Program, startBare, startService } from './support/program.ts'
import { against, compared, fixed, type Result, report, whole } from './support/report.ts'
import { type Settings, settings } from './support/settings.ts'
import { FLOW_ID, SEGMENT_SECONDS, storeWith } from './support/store.ts'
import { wrk } from './support/wrk.ts'

const CONNECTIONS = 32
const LIMIT = 100
const LEAST_RATIO = 0.6
const MOST_GROWTH = 1.5

const SIZES: readonly number[] = [10_000, 1_000_000, 10_000_000]

interface Case {
  readonly urls: boolean
  readonly place: 'start' | 'middle'
}
const cases: readonly Case[] = [
  { urls: true, place: 'start' },
  { urls: true, place: 'middle' },
  { urls: false, place: 'start' },
  { urls: false, place: 'middle' },
]
const nameOf = ({ urls, place }: Case): string => `${urls ? 'signed URLs' : 'no URLs'}, ${place}`

const queryOf = ({ urls, place }: Case, second: number | string): string =>
  `limit=${LIMIT}${urls ? '' : '&accept_get_urls='}${place === 'middle' ? `&timerange=[${second}:0_)` : ''}`

const pathOf = `/flows/${FLOW_ID}/segments`

/** The middle is another place for each request, anywhere in the middle half: one place would only show that caches work. */
const scriptOf = (test: Case, segments: number): string => `
local from, to = ${Math.floor((segments * SEGMENT_SECONDS) / 4)}, ${Math.floor((segments * SEGMENT_SECONDS * 3) / 4)}
request = function()
  return wrk.format('GET', '${pathOf}?${queryOf(test, "' .. math.random(from, to) .. '")}')
end`

const sameAnswers = async (service: Program, bare: Program, test: Case): Promise<void> => {
  const bodies = [service, bare].map(async ({ url }) =>
    (await (await fetch(`${url}${pathOf}?${queryOf(test, 7001)}`)).text()).replaceAll(url, ''),
  )
  const [ours, theirs] = (await Promise.all(bodies)).map((body) => JSON.parse(body) as unknown[])
  if (ours?.length !== LIMIT || !Bun.deepEquals(ours, theirs)) throw new Error(`the answers differ: ${await Promise.all(bodies)}`)
}

export const segmentPage = async ({ seconds, rounds, numbers }: Settings): Promise<Result[]> => {
  const sizes = numbers.length > 0 ? numbers : SIZES
  const results: Result[] = []
  for (const segments of sizes) {
    const dataDir = await storeWith(segments)
    const service = await startService({ dataDir })
    const bare = await startBare('segment-page', { dataDir })
    try {
      for (const test of cases) {
        await sameAnswers(service, bare, test)
        const found = await alternate(service, bare, rounds, ({ url }) =>
          wrk({ url, script: scriptOf(test, segments), connections: CONNECTIONS, seconds }),
        )
        const what = `page of ${LIMIT} of ${whole(segments)} segments, ${nameOf(test)}`
        results.push({ what, ...compared(found), target: against(found.ratio, LEAST_RATIO, 'at least') })
      }
    } finally {
      await Promise.all([service.stop(), bare.stop()])
    }
  }
  const [smallest, largest] = [Math.min(...sizes), Math.max(...sizes)]
  if (largest > smallest) results.push(...(await growth(smallest, largest, { seconds, rounds })))
  return results
}

/** The service on a short flow and on a long one, in turn as well: what else the machine does would tell as growth otherwise. */
const growth = async (smallest: number, largest: number, { seconds, rounds }: Pick<Settings, 'seconds' | 'rounds'>): Promise<Result[]> => {
  const small = await startService({ dataDir: await storeWith(smallest) })
  const large = await startService({ dataDir: await storeWith(largest) })
  const results: Result[] = []
  try {
    for (const test of cases) {
      const found = await alternate(large, small, rounds, ({ url }) =>
        wrk({ url, script: scriptOf(test, url === large.url ? largest : smallest), connections: CONNECTIONS, seconds }),
      )
      const ratio = found.service.p99Ms / found.bare.p99Ms
      const what = `the service's p99 with ${whole(largest)} segments over that with ${whole(smallest)}, ${nameOf(test)}`
      const { p99 } = compared(found)
      results.push({ what, figure: `× ${fixed(ratio)}`, p99, target: against(ratio, MOST_GROWTH, 'at most') })
    }
  } finally {
    await Promise.all([small.stop(), large.stop()])
  }
  return results
}

if (import.meta.main) report(await segmentPage(settings()))
