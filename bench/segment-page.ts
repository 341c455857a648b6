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
  const p99s = new Map(cases.map((test) => [test, [] as number[]]))
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
        p99s.get(test)?.push(found.service.p99Ms)
        const what = `page of ${LIMIT} of ${whole(segments)} segments, ${nameOf(test)}`
        results.push({ what, ...compared(found), target: against(found.ratio, LEAST_RATIO, 'at least') })
      }
    } finally {
      await Promise.all([service.stop(), bare.stop()])
    }
  }
  const [first = 0, last = 0] = [sizes[0], sizes.at(-1)]
  if (sizes.length > 1)
    for (const [test, [small = 0, ...larger]] of p99s) {
      const growth = (larger.at(-1) ?? 0) / small
      const what = `its p99 at ${whole(last)} over that at ${whole(first)}, ${nameOf(test)}`
      results.push({ what, figure: `× ${fixed(growth)}`, target: against(growth, MOST_GROWTH, 'at most') })
    }
  return results
}

if (import.meta.main) report(await segmentPage(settings()))
