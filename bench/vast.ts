/**
 * The VAST client and engine against the emulator, in a process of its own: requests per operation, posts of single segments
 * (`vast-posts.ts`), scans, and the first page of a long flow. The emulator's speed says nothing of a cluster's; what counts is the number of
 * requests and rows, and what the client itself costs. `bun run bench/vast.ts [--seconds 4] [ROWS]`
 */
import { mkdtemp, rm } from 'node:fs/promises'
import path from 'node:path'
import { Field, Int64, type RecordBatch, Utf8 } from 'apache-arrow'
import { and, compare, eq } from '../src/core/predicate.ts'
import { openVastTables } from '../src/storage/vast/index.ts'
import { batchOf, batchOfRows, eq as cellIs, Database, type Query, type Table, type Value, type VastClient } from '../src/vastdb/index.ts'
import { flowRow, segmentRow } from '../test/contract/table-rows.ts'
import { JSON_HEADERS, putFlow } from './support/flow.ts'
import { type Program, startService } from './support/program.ts'
import { against, fixed, type Result, report, whole } from './support/report.ts'
import { scratchDirectory } from './support/scratch.ts'
import { type Settings, settings } from './support/settings.ts'
import { type EmulatorProgram, startEmulator } from './support/vast-emulator.ts'
import { CALLERS, vastPosts } from './vast-posts.ts'

const ROWS = 1_000_000
const BATCH = 50_000
const FLOWS = 100
const COLUMNS = [new Field('flow_id', new Utf8(), true), new Field('start_ns', new Int64(), true), new Field('object_id', new Utf8(), true)]
const NAMES = COLUMNS.map(({ name }) => name)

const flowId = (index: number): string => `7d3c1a52-94c5-4c0e-8a4b-${String(index % FLOWS).padStart(12, '0')}`

/** Rows like those of segments, in the order of the key. */
const fill = async (client: VastClient, rows: number): Promise<Table> => {
  await client.database.createSchema('scan')
  const table = await client.database.createTable({ schema: 'scan', table: 't' }, COLUMNS, { sortedColumns: ['flow_id', 'start_ns'] })
  const perFlow = Math.ceil(rows / FLOWS)
  for (let from = 0; from < rows; from += BATCH) {
    const numbers = Array.from({ length: Math.min(BATCH, rows - from) }, (_, i) => from + i)
    const cells = [
      numbers.map((n) => flowId(Math.floor(n / perFlow))),
      numbers.map((n) => BigInt(n) * 2_000_000_000n),
      numbers.map((n) => n.toString(16).padStart(32, '0')),
    ]
    await client.database.insert(table, batchOf(COLUMNS, cells))
  }
  return table
}

interface Scan {
  readonly rows: number
  readonly ms: number
  /** Of this process. */
  readonly cpuMs: number
}

const scan = async (client: VastClient, table: Table, query: Query): Promise<Scan> => {
  const [began, cpu] = [performance.now(), process.cpuUsage()]
  let rows = 0
  for await (const batch of client.database.select(table, query)) rows += batch.numRows
  const { user, system } = process.cpuUsage(cpu)
  return { rows, ms: performance.now() - began, cpuMs: (user + system) / 1000 }
}

const best = async (rounds: number, work: () => Promise<Scan>): Promise<Scan> => {
  const runs: Scan[] = []
  for (let round = 0; round < rounds; round++) runs.push(await work())
  return runs.toSorted((a, b) => a.ms - b.ms)[0] ?? { rows: 0, ms: 0, cpuMs: 0 }
}

/** What splits cost and bring: a whole table, and a look-up of a few rows. */
const splits = async ({ rounds, numbers }: Settings): Promise<Result[]> => {
  const emulator = await startEmulator()
  const client = await emulator.connect()
  try {
    const table = await fill(client, numbers[0] ?? ROWS)
    const results: Result[] = []
    for (const count of [1, 2, 4, 8]) {
      await emulator.takeRequests()
      const { rows, ms, cpuMs } = await best(rounds, () => scan(client, table, { columns: NAMES, splits: count, concurrency: count }))
      const { 'GET data': requests = 0 } = await emulator.takeRequests()
      results.push({
        what: `scan of ${whole(rows)} rows, 3 columns, ${count} splits`,
        figure: `${whole((rows / ms) * 1000)} rows/s`,
        baseline: `${fixed(requests / rounds, 0)} requests, client CPU ${whole((cpuMs / rows) * 1e6)} ms per million rows`,
      })
    }
    const where = [
      cellIs('flow_id', flowId(7)),
      cellIs('start_ns', 2_000_000_000n * BigInt(Math.ceil((numbers[0] ?? ROWS) / FLOWS) * 7 + 5)),
    ]
    for (const count of [1, 2, 4, 8]) {
      await emulator.takeRequests()
      const { rows, ms } = await best(10 * rounds, () => scan(client, table, { columns: NAMES, where, splits: count, concurrency: count }))
      const { 'GET data': requests = 0 } = await emulator.takeRequests()
      results.push({
        what: `look-up of ${rows} row by key, ${count} splits`,
        figure: `${fixed(ms)} ms`,
        baseline: `${fixed(requests / rounds / 10, 0)} requests`,
      })
    }
    return results
  } finally {
    client.close()
    await emulator.stop()
  }
}

const FLOW = '0c2d6f0e-7a51-4c53-9d3e-6f6a1c0b7d11'

const postOf = (second: number): string =>
  JSON.stringify({
    object_id: second.toString(16).padStart(16, '0'),
    timerange: `[${second}:0_${second + 1}:0)`,
    get_urls: [{ label: 'origin', url: `https://media.example/${second}.ts` }],
  })

/** Requests of `work` by kind, without those that the service makes by itself in the same time. */
const requestsOf = async (emulator: EmulatorProgram, times: number, work: (turn: number) => Promise<unknown>): Promise<string> => {
  await emulator.takeRequests()
  const idleFrom = performance.now()
  await Bun.sleep(3000)
  const idle = await emulator.takeRequests()
  const idleMs = performance.now() - idleFrom
  const from = performance.now()
  for (let turn = 0; turn < times; turn++) await work(turn)
  const ms = performance.now() - from
  // The log is numbered behind the answers.
  await Bun.sleep(300)
  const during = await emulator.takeRequests()
  const each = Object.entries(during)
    .map(([kind, count]) => [kind, (count - ((idle[kind] ?? 0) * (ms + 300)) / idleMs) / times] as const)
    .filter(([, count]) => count >= 0.05)
  const total = each.reduce((sum, [, count]) => sum + count, 0)
  return `${fixed(total, 1)} requests: ${each.map(([kind, count]) => `${fixed(count, 1)} ${kind}`).join(', ')}`
}

const withService = async <T>(latencyMs: number, work: (service: Program, emulator: EmulatorProgram) => Promise<T>): Promise<T> => {
  const emulator = await startEmulator({ latencyMs })
  const dataDir = await mkdtemp(path.join(await scratchDirectory(), 'vast-'))
  try {
    const service = await startService({ dataDir, env: emulator.env })
    try {
      return await work(service, emulator)
    } finally {
      await service.stop()
    }
  } finally {
    await emulator.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}

const called = async (service: Program, method: string, target: string, body?: string): Promise<void> => {
  const response = await fetch(`${service.url}${target}`, { method, ...(body && { body, headers: JSON_HEADERS }) })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${target} answered ${response.status}: ${text}`)
}

/** What one call of the API costs a cluster. */
const requests = (): Promise<Result[]> =>
  withService(0, async (service, emulator) => {
    await putFlow(service, FLOW)
    let second = 0
    const segments = `/flows/${FLOW}/segments`
    const post = () => called(service, 'POST', segments, postOf(second++))
    for (let n = 0; n < 100; n++) await post()
    const measure = async (what: string, times: number, work: (turn: number) => Promise<unknown>): Promise<Result> => {
      await work(0)
      return { what, figure: await requestsOf(emulator, times, work) }
    }
    return [
      await measure('warm page of 30 segments', 20, () => called(service, 'GET', `${segments}?limit=30`)),
      await measure('the same from a moment on', 20, () => called(service, 'GET', `${segments}?limit=30&timerange=[20:500000000_`)),
      await measure('further pages of 10 segments of this flow', 9, (turn) =>
        called(service, 'GET', `${segments}?limit=10&timerange=[${10 * turn}:0_`),
      ),
      await measure('page of flows', 20, () => called(service, 'GET', '/flows?limit=30')),
      await measure('one flow', 20, () => called(service, 'GET', `/flows/${FLOW}`)),
      await measure('post of one segment', 20, post),
      await measure(`${CALLERS} posts of one segment at once`, 10, () => Promise.all(Array.from({ length: CALLERS }, post))),
    ]
  })

/** Rows that came over the wire since the last call. */
const countRows = (): (() => number) => {
  let rows = 0
  const counting = async function* (batches: AsyncGenerator<RecordBatch>) {
    for await (const batch of batches) {
      rows += batch.numRows
      yield batch
    }
  }
  const { select, selectPrepared } = Database.prototype
  Database.prototype.select = function (...given) {
    return counting(select.apply(this, given))
  }
  Database.prototype.selectPrepared = function (...given) {
    return counting(selectPrepared.apply(this, given))
  }
  return () => {
    const counted = rows
    rows = 0
    return counted
  }
}

/** Pages in a flow of many segments, from its beginning and from its middle. */
const longFlow = async ({ numbers }: Settings): Promise<Result[]> => {
  const emulator = await startEmulator()
  const tables = await openVastTables({ ...emulator.options, schema: 'tams' })
  const client = await emulator.connect()
  try {
    const count = numbers[0] ?? ROWS
    await fillSegments(client, count)
    await tables.write(async (tx) => {
      await tx.lock(['flow:f'])
      const extent = { segment_count: BigInt(count), start_ns: 0n, end_ns: BigInt(count) * SEGMENT_NS }
      await tx.insert('flows', [flowRow('f', { timeline_id: 't', ...extent })])
    })
    const takeRows = countRows()
    const results: Result[] = []
    for (const [where, from] of [
      ['first', 0n],
      ['first again', 0n],
      ['middle', BigInt(count >> 1) * SEGMENT_NS],
    ] as const)
      for (const limit of [30, 1000]) {
        await emulator.takeRequests()
        takeRows()
        const began = performance.now()
        const terms = and(eq('flow_id', 'f'), eq('timeline_id', 't'), compare('start_ns', '>=', from))
        const page = await tables.read(async (tx) => {
          await tx.find('flows', ['f', ''])
          return tx.list('segments', { where: terms, orderBy: [{ column: 'start_ns', direction: 'asc' }], limit })
        })
        const ms = performance.now() - began
        if (page.rows.length !== limit) throw new Error(`a page of ${page.rows.length} rows instead of ${limit}`)
        const { 'GET data': queries = 0 } = await emulator.takeRequests()
        const rows = takeRows()
        if (rows < limit) throw new Error(`a page of ${limit} rows, of which only ${rows} were counted`)
        results.push({
          what: `${where} page of ${limit} in a flow of ${whole(count)} segments`,
          figure: `${whole(rows)} rows read, ${queries} queries, ${fixed(ms, 1)} ms`,
          target: against(rows, 3 * limit, 'at most'),
        })
      }
    return results
  } finally {
    client.close()
    await tables.close()
    await emulator.stop()
  }
}

const SEGMENT_NS = 2_000_000_000n

const fillSegments = async (client: VastClient, count: number): Promise<void> => {
  const table = await client.database.table({ schema: 'tams', table: 'segments' })
  for (let from = 0; from < count; from += BATCH) {
    const rows = Array.from({ length: Math.min(BATCH, count - from) }, (_, i) => {
      const start = BigInt(from + i) * SEGMENT_NS
      return segmentRow('f', start, { timeline_id: 't', end_ns: start + SEGMENT_NS, object_id: `o${from + i}` })
    })
    await client.database.insert(table, batchOfRows(table.fields, rows as readonly Readonly<Record<string, Value>>[]))
  }
}

export const vast = async (given: Settings): Promise<Result[]> => [
  ...(await requests()),
  ...(await vastPosts(given)),
  ...(await longFlow(given)),
  ...(await splits(given)),
]

if (import.meta.main) report(await vast(settings()))
