/**
 * Bulk posts of 500 segments into a store that holds many already, with object ids as the service allocates them and with random
 * ones that a client chose. `bun run bench/bulk-posts.ts [rows]`; by default 3,000,000 rows.
 */
import { randomBytes } from 'node:crypto'
import { JSON_HEADERS } from './support/flow.ts'
import { type Program, startService } from './support/program.ts'
import { against, type Result, report, whole } from './support/report.ts'
import { type Settings, settings } from './support/settings.ts'
import { copyOfStore, FLOW_ID, type Ids, SEGMENT_SECONDS } from './support/store.ts'

const BULK = 500
const CONNECTIONS = 4
const LEAST = 30_000
/** Some seconds of each kind: random ids are an order of magnitude slower. */
const POSTS: Readonly<Record<Ids, number>> = { ordered: 300, random: 30 }

/** Runs `task` for 0 … count − 1, `CONNECTIONS` at a time, and gives the seconds. */
const timed = async (count: number, task: (index: number) => Promise<void>): Promise<number> => {
  let next = 0
  const began = performance.now()
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (next < count) await task(next++)
    }),
  )
  return (performance.now() - began) / 1000
}

const send = async ({ url }: Program, resource: string, body: string): Promise<Response> => {
  const response = await fetch(`${url}/flows/${FLOW_ID}/${resource}`, { method: 'POST', headers: JSON_HEADERS, body })
  if (response.status !== 201) throw new Error(`POST of ${resource} answered ${response.status}: ${(await response.text()).slice(0, 500)}`)
  return response
}

const randomIds = (): string[] => Array.from({ length: BULK }, () => randomBytes(16).toString('hex'))

const measure = async (service: Program, ids: Ids, before: number): Promise<Result[]> => {
  const posts = POSTS[ids]
  const objects: string[][] = []
  const allocating = await timed(posts, async (index) => {
    const response = await send(service, 'storage', JSON.stringify(ids === 'random' ? { object_ids: randomIds() } : { limit: BULK }))
    const answer = (await response.json()) as { readonly media_objects: readonly { readonly object_id: string }[] }
    objects[index] = answer.media_objects.map((item) => item.object_id)
  })
  const bodies = objects.map((list, index) => {
    const first = (before + index * BULK) * SEGMENT_SECONDS
    return JSON.stringify(
      list.map((object_id, i) => {
        const start = first + i * SEGMENT_SECONDS
        return { object_id, timerange: `[${start}:0_${start + SEGMENT_SECONDS}:0)` }
      }),
    )
  })
  const posting = await timed(posts, async (index) => {
    await send(service, 'segments', bodies[index] ?? '')
  })
  const total = posts * BULK
  const rate = total / posting
  const into = `into ${whole(before)} rows, ${ids} ids`
  return [
    {
      what: `segments in posts of ${BULK} ${into}`,
      figure: `${whole(rate)}/s`,
      target: ids === 'ordered' ? against(rate, LEAST, 'at least') : 'for comparison',
    },
    { what: `their objects allocated ${into}`, figure: `${whole(total / allocating)}/s` },
  ]
}

export const bulkPosts = async ({ numbers }: Settings): Promise<Result[]> => {
  const before = numbers[0] ?? 3_000_000
  const results: Result[] = []
  for (const ids of ['ordered', 'random'] as const) {
    const store = await copyOfStore(before, ids)
    const service = await startService({ dataDir: store.directory })
    try {
      results.push(...(await measure(service, ids, before)))
    } finally {
      await service.stop()
      await store.remove()
    }
  }
  return results
}

if (import.meta.main) report(await bulkPosts(settings()))
