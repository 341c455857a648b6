/** Every benchmark, one after the other, and one table. `bun run bench/all.ts [--seconds 4] [--rounds 3]` */
import { bulkPosts } from './bulk-posts.ts'
import { events } from './events.ts'
import { flowPuts } from './flow-puts.ts'
import { segmentPage } from './segment-page.ts'
import { signUrl } from './sign-url.ts'
import { singlePosts } from './single-posts.ts'
import { type Result, report } from './support/report.ts'
import { settings } from './support/settings.ts'

const given = settings()
if (given.numbers.length > 0) throw new Error('numbers mean something else to each benchmark: run it alone')

const results: Result[] = []
for (const benchmark of [signUrl, segmentPage, singlePosts, bulkPosts, flowPuts, events]) results.push(...(await benchmark(given)))
report(results)
