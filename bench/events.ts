/**
 * What events cost: posts of single segments with 0, 10 and 100 webhooks (that concern other flows, and that get every event), how many
 * events are delivered meanwhile and afterwards, how long a change takes to a webhook and to 1,000 readers of the stream.
 * `bun run bench/events.ts [--seconds 4]`
 */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import path from 'node:path'
import { JSON_HEADERS, putFlow } from './support/flow.ts'
import { median } from './support/machine.ts'
import { type Program, startService } from './support/program.ts'
import { against, fixed, type Result, report, whole } from './support/report.ts'
import { scratchDirectory } from './support/scratch.ts'
import { type Settings, settings } from './support/settings.ts'
import { wrk } from './support/wrk.ts'

const CONNECTIONS = 64
const READERS = 1000
const CHANGES = 200

const scriptOf = (flow: string): string => `
local headers = { ['content-type'] = 'application/json' }
request = function()
  counter = counter + 1
  local body = string.format('{"object_id":"%016x","timerange":"[%d:0_%d:0)","get_urls":[{"label":"origin","url":"https://media.example/%d.ts"}]}',
    counter, counter, counter + 1, counter)
  return wrk.format('POST', '/flows/${flow}/segments', headers, body)
end`

const withService = async <T>(work: (service: Program) => Promise<T>): Promise<T> => {
  const dataDir = await mkdtemp(path.join(await scratchDirectory(), 'events-'))
  const service = await startService({ dataDir, env: { WEBHOOK_ALLOWED_HOSTS: '127.0.0.1' } })
  try {
    return await work(service)
  } finally {
    await service.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}

const send = async (service: Program, method: string, path: string, body: unknown): Promise<void> => {
  const response = await fetch(`${service.url}${path}`, { method, body: JSON.stringify(body), headers: JSON_HEADERS })
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`)
}

const addWebhooks = async (service: Program, url: string, count: number, filter: object): Promise<void> => {
  for (let index = 0; index < count; index++)
    await send(service, 'POST', '/service/webhooks', {
      url: `${url}/${index}`,
      events: ['flows/segments_added', 'flows/updated'],
      ...filter,
    })
}

/** Posts in a second, and events delivered in a second meanwhile. */
const posts = (count: number, filter: object, seconds: number): Promise<{ readonly perSecond: number; readonly delivered: number }> =>
  withService(async (service) => {
    let received = 0
    const receiver = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response(`${received++}`) })
    const flow = randomUUID()
    await putFlow(service, flow)
    await addWebhooks(service, `http://127.0.0.1:${receiver.port}`, count, filter)
    const { requestsPerSecond } = await wrk({ url: service.url, script: scriptOf(flow), connections: CONNECTIONS, seconds })
    const delivered = received / seconds
    await receiver.stop(true)
    return { perSecond: requestsPerSecond, delivered }
  })

/** Events delivered in a second when a backlog of them is all there is to do. */
const backlog = (count: number, seconds: number): Promise<number> =>
  withService(async (service) => {
    let received = 0
    const receiver = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response(`${received++}`) })
    const flow = randomUUID()
    await putFlow(service, flow)
    await addWebhooks(service, `http://127.0.0.1:${receiver.port}`, count, {})
    await wrk({ url: service.url, script: scriptOf(flow), connections: CONNECTIONS, seconds })
    const [before, began] = [received, performance.now()]
    await Bun.sleep(seconds * 1000)
    const perSecond = ((received - before) * 1000) / (performance.now() - began)
    await receiver.stop(true)
    return perSecond
  })

const percentile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? 0

/** Milliseconds from the begin of a change to its event at a webhook, one change after the other. */
const webhookLatency = (): Promise<number[]> =>
  withService(async (service) => {
    let arrived: () => void = () => {}
    const receiver = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: () => {
        arrived()
        return new Response()
      },
    })
    const flow = randomUUID()
    await putFlow(service, flow)
    await addWebhooks(service, `http://127.0.0.1:${receiver.port}`, 1, {})
    const times: number[] = []
    for (let index = 0; index < CHANGES; index++) {
      const arrival = new Promise<void>((resolve) => {
        arrived = resolve
      })
      const began = performance.now()
      await send(service, 'PUT', `/flows/${flow}/label`, `${index}`)
      await arrival
      times.push(performance.now() - began)
    }
    await receiver.stop(true)
    return times
  })

/** The same to the last of many readers of the stream, and how many events reach them in a second. */
const streamLatency = (): Promise<{ readonly times: number[]; readonly perSecond: number }> =>
  withService(async (service) => {
    const flow = randomUUID()
    await putFlow(service, flow)
    let blocks = 0
    let wake: () => void = () => {}
    const { host, hostname, port } = new URL(service.url)
    const data = (_: unknown, chunk: Uint8Array) => {
      blocks += Buffer.from(chunk).toString().split('\n\n').length - 1
      wake()
    }
    // Sockets: `fetch` has no more than 256 requests in flight.
    const connect = async () => {
      const socket = await Bun.connect({ hostname, port: Number(port), socket: { data } })
      socket.write(`GET /events/stream?type=flows/updated HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
      return socket
    }
    const until = async (count: number): Promise<void> => {
      while (blocks < count)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
    }
    const readers = await Promise.all(Array.from({ length: READERS }, connect))
    await until(READERS)
    const times: number[] = []
    const began = performance.now()
    for (let index = 1; index <= 20; index++) {
      const start = performance.now()
      await send(service, 'PUT', `/flows/${flow}/label`, `${index}`)
      await until(READERS * (index + 1))
      times.push(performance.now() - start)
    }
    const perSecond = (READERS * 20 * 1000) / (performance.now() - began)
    for (const socket of readers) socket.end()
    return { times, perSecond }
  })

interface Case {
  readonly what: string
  readonly count: number
  readonly filter: object
}

const NONE: Case = { what: 'no webhook', count: 0, filter: {} }
const CASES: readonly Case[] = [10, 100].flatMap((count) => [
  { what: `${count} webhooks of other flows`, count, filter: { flow_ids: [randomUUID()] } },
  { what: `${count} webhooks that get every event`, count, filter: { accept_get_urls: [] } },
])

/** Each case in turn with none before it, so that what else happens on the machine meets both; medians. */
const postsWithWebhooks = async ({ seconds, rounds }: Settings): Promise<Result[]> => {
  const runs = CASES.map(() => ({ none: [] as number[], with: [] as number[], delivered: [] as number[], ratio: [] as number[] }))
  for (let round = 0; round < rounds; round++)
    for (const [index, { count, filter }] of CASES.entries()) {
      const none = await posts(NONE.count, NONE.filter, seconds)
      const run = await posts(count, filter, seconds)
      runs[index]?.none.push(none.perSecond)
      runs[index]?.with.push(run.perSecond)
      runs[index]?.delivered.push(run.delivered)
      runs[index]?.ratio.push(run.perSecond / none.perSecond)
    }
  return CASES.map(({ what }, index) => {
    const run = runs[index]
    const ratio = median(run?.ratio ?? [])
    return {
      what: `posts of one segment, ${what}; delivered meanwhile: ${whole(median(run?.delivered ?? []))}/s`,
      figure: `${whole(median(run?.with ?? []))}/s`,
      baseline: `${whole(median(run?.none ?? []))}/s`,
      ratio: fixed(ratio),
      target: against(ratio, 0.9, 'at least'),
    }
  })
}

export const events = async (given: Settings): Promise<Result[]> => {
  const results = await postsWithWebhooks(given)
  for (const count of [1, 10, 100])
    results.push({
      what: `a backlog of posts delivered to ${count} webhooks, nothing else to do`,
      figure: `${whole(await backlog(count, given.seconds))} events/s`,
    })
  const times = await webhookLatency()
  results.push({ what: 'change to webhook, ms (median)', figure: fixed(median(times), 1), p99: fixed(percentile(times, 0.99), 1) })
  const stream = await streamLatency()
  results.push({
    what: `change to the last of ${whole(READERS)} stream readers, ms (median); ${whole(stream.perSecond)} messages/s`,
    figure: fixed(median(stream.times), 1),
    p99: fixed(percentile(stream.times, 0.99), 1),
  })
  return results
}

if (import.meta.main) report(await events(settings()))
