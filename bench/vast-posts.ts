/**
 * Posts of one segment by 64 callers on the VAST engine when a request takes 2 ms at least: through HTTP, and the use-case called in this process. What the
 * service and the emulator spend on a post is stated apart, as CPU time: two processes share the machine, and the emulator's part is no cluster's.
 * `bun run bench/vast-posts.ts [--seconds 4] [--rounds 3]`
 */
import { mkdtemp, rm } from 'node:fs/promises'
import path from 'node:path'
import { systemClock } from '../src/core/clock.ts'
import { type Context, seesEverything } from '../src/domain/context.ts'
import type { Deps } from '../src/domain/deps.ts'
import { flowPutUseCases } from '../src/domain/flow-put.ts'
import { segmentPostUseCases } from '../src/domain/segment-post.ts'
import { openVastTables } from '../src/storage/vast/index.ts'
import { testSettings } from '../test/support/app.ts'
import { flowBody, putFlow } from './support/flow.ts'
import { median, processCpuMs } from './support/machine.ts'
import { startService } from './support/program.ts'
import { against, fixed, type Result, report, whole } from './support/report.ts'
import { scratchDirectory } from './support/scratch.ts'
import { type Settings, settings } from './support/settings.ts'
import { type EmulatorProgram, startEmulator } from './support/vast-emulator.ts'
import { wrk } from './support/wrk.ts'

export const CALLERS = 64
const REQUEST_MS = 2
/** Until the code is compiled as well as it is going to be: the first posts cost twice as much, and for ten seconds compiling takes a seventh of the time. */
const WARM_SECONDS = 15

const FLOWS = Array.from({ length: CALLERS }, (_, index) => `7d3c1a52-94c5-4c0e-8a4b-${String(index).padStart(12, '0')}`)

const segmentAt = (second: number) => ({
  object_id: second.toString(16).padStart(16, '0'),
  timerange: `[${second}:0_${second + 1}:0)`,
  get_urls: [{ label: 'origin', url: `https://media.example/${second}.ts` }],
})

interface Run {
  readonly perSecond: number
  readonly p99Ms?: number
  readonly serviceUs: number
  readonly emulatorUs: number
}

/** @param pid Of the process that serves the posts. */
const measured = async (
  emulator: EmulatorProgram,
  pid: number,
  work: () => Promise<{ readonly posts: number; readonly p99Ms?: number }>,
): Promise<Run> => {
  const began = performance.now()
  const cpu = [processCpuMs(pid), processCpuMs(emulator.pid)] as const
  const { posts, ...rest } = await work()
  const [service, other] = [processCpuMs(pid) - cpu[0], processCpuMs(emulator.pid) - cpu[1]]
  const seconds = (performance.now() - began) / 1000
  return { perSecond: posts / seconds, serviceUs: (service * 1000) / posts, emulatorUs: (other * 1000) / posts, ...rest }
}

const resultOf = (how: string, flows: number, runs: readonly Run[]): Result => {
  const perSecond = median(runs.map((run) => run.perSecond))
  const [service, emulator] = [median(runs.map((run) => run.serviceUs)), median(runs.map((run) => run.emulatorUs))]
  const p99Ms = runs.flatMap((run) => run.p99Ms ?? [])
  return {
    what: `posts of one segment ${how}, ${CALLERS} callers, ${flows === 1 ? 'one flow' : `${flows} flows`}, a request takes ${REQUEST_MS} ms`,
    figure: `${whole(perSecond)}/s`,
    baseline: `CPU for a post: service ${whole(service)} µs, emulator ${whole(emulator)} µs`,
    ...(p99Ms.length > 0 && { p99: fixed(median(p99Ms), 1) }),
    target: against(perSecond, 2000, 'at least'),
  }
}

const scriptOf = (run: number, flows: readonly string[]): string => `
local headers = { ['content-type'] = 'application/json' }
local flows = { ${flows.map((id) => `'${id}'`).join(', ')} }
request = function()
  counter = counter + 1
  local start = ${run * 10_000_000} + counter
  local body = string.format('{"object_id":"%016x","timerange":"[%d:0_%d:0)","get_urls":[{"label":"origin","url":"https://media.example/%d.ts"}]}',
    start, start, start + 1, start)
  return wrk.format('POST', '/flows/' .. flows[counter % #flows + 1] .. '/segments', headers, body)
end`

const throughHttp = async ({ seconds, rounds }: Settings): Promise<Result[]> => {
  const emulator = await startEmulator({ latencyMs: REQUEST_MS })
  const dataDir = await mkdtemp(path.join(await scratchDirectory(), 'vast-'))
  const service = await startService({ dataDir, env: emulator.env })
  try {
    for (const id of FLOWS) await putFlow(service, id)
    let run = 0
    const load = (flows: readonly string[], duration: number) =>
      measured(emulator, service.pid, async () => {
        const { requestsPerSecond, p99Ms } = await wrk({
          url: service.url,
          script: scriptOf(++run, flows),
          connections: CALLERS,
          seconds: duration,
        })
        return { posts: requestsPerSecond * duration, p99Ms }
      })
    await load(FLOWS, WARM_SECONDS)
    const results: Result[] = []
    for (const flows of [FLOWS, FLOWS.slice(0, 1)]) {
      const runs: Run[] = []
      for (let round = 0; round < rounds; round++) runs.push(await load(flows, seconds))
      results.push(resultOf('through HTTP', flows.length, runs))
    }
    return results
  } finally {
    await service.stop()
    await emulator.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}

const CONTEXT: Context = { principal: { name: 'anonymous' }, visible: seesEverything, requestId: 'bench', baseUrl: 'http://localhost' }

const inProcess = async ({ seconds, rounds }: Settings): Promise<Result[]> => {
  const emulator = await startEmulator({ latencyMs: REQUEST_MS })
  const tables = await openVastTables({ ...emulator.options, schema: 'tams' })
  const deps: Deps = { tables, backends: [], clock: systemClock(), settings: testSettings, serviceVersion: 'bench' }
  try {
    const { put } = flowPutUseCases(deps)
    for (const id of FLOWS) await put(CONTEXT, id, () => flowBody(id))
    const { post } = segmentPostUseCases(deps)
    let second = 0
    const load = (flows: readonly string[], duration: number) =>
      measured(emulator, process.pid, async () => {
        const until = performance.now() + duration * 1000
        let posts = 0
        const caller = async () => {
          while (performance.now() < until) {
            const body = segmentAt(second++)
            await post(CONTEXT, flows[second % flows.length] ?? '', () => body)
            posts += 1
          }
        }
        await Promise.all(Array.from({ length: CALLERS }, caller))
        return { posts }
      })
    await load(FLOWS, WARM_SECONDS)
    const results: Result[] = []
    for (const flows of [FLOWS, FLOWS.slice(0, 1)]) {
      const runs: Run[] = []
      for (let round = 0; round < rounds; round++) runs.push(await load(flows, seconds))
      results.push(resultOf('in process', flows.length, runs))
    }
    return results
  } finally {
    await tables.close()
    await emulator.stop()
  }
}

export const vastPosts = async (given: Settings): Promise<Result[]> => [...(await inProcess(given)), ...(await throughHttp(given))]

if (import.meta.main) report(await vastPosts(settings()))
