/**
 * Durable posts of single segments, against a bare program that runs the same statements with one commit for each post.
 * `bun run bench/single-posts.ts [--sync-delay ms]`: without the option once as the disk is, and once with 2 ms added to a sync.
 */
import { alternate } from './support/alternate.ts'
import { syncLatencyMs } from './support/machine.ts'
import { startBare, startService } from './support/program.ts'
import { against, compared, fixed, type Result, report } from './support/report.ts'
import { scratchDirectory } from './support/scratch.ts'
import { type Settings, settings } from './support/settings.ts'
import { slowSync } from './support/slow-sync.ts'
import { copyOfStore, FLOW_ID } from './support/store.ts'
import { wrk } from './support/wrk.ts'

const CONNECTIONS = 64
const SEGMENTS = 10_000
const SLOW_MS = 0.5

/** Every post has an object and a second of its own, also among the runs of one round. */
const scriptOf = (round: number): string => `
local headers = { ['content-type'] = 'application/json' }
request = function()
  counter = counter + 1
  local start = ${(round + 1) * 10_000_000} + counter
  local body = string.format('{"object_id":"%016x","timerange":"[%d:0_%d:0)","get_urls":[{"label":"origin","url":"https://media.example/%d.ts"}]}',
    start, start, start + 1, start)
  return wrk.format('POST', '/flows/${FLOW_ID}/segments', headers, body)
end`

export const singlePosts = async ({ seconds, rounds, syncDelayMs }: Settings): Promise<Result[]> => {
  const disk = syncLatencyMs(await scratchDirectory())
  const results: Result[] = []
  for (const delayMs of syncDelayMs > 0 ? [syncDelayMs] : [0, 2]) {
    const env = await slowSync(delayMs)
    const stores = [await copyOfStore(SEGMENTS), await copyOfStore(SEGMENTS)] as const
    const service = await startService({ dataDir: stores[0].directory, env })
    const bare = await startBare('single-posts', { dataDir: stores[1].directory, env })
    try {
      const found = await alternate(service, bare, rounds, ({ url }, round) =>
        wrk({ url, script: scriptOf(round), connections: CONNECTIONS, seconds }),
      )
      results.push({
        what: `posts of one segment, ${CONNECTIONS} connections, a sync takes ${fixed(disk, 3)}${delayMs > 0 ? ` + ${delayMs}` : ''} ms`,
        ...compared(found),
        target: against(found.ratio, disk + delayMs >= SLOW_MS ? 3 : 1.5, 'at least'),
      })
    } finally {
      await Promise.all([service.stop(), bare.stop()])
      for (const store of stores) await store.remove()
    }
  }
  return results
}

if (import.meta.main) report(await singlePosts(settings()))
