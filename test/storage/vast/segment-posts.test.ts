import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'bun:test'
import { systemClock } from '../../../src/core/clock.ts'
import { eq, everything } from '../../../src/core/predicate.ts'
import { type Context, seesEverything } from '../../../src/domain/context.ts'
import type { Deps } from '../../../src/domain/deps.ts'
import { checkIntegrity } from '../../../src/domain/integrity/index.ts'
import { segmentPostUseCases } from '../../../src/domain/segment-post.ts'
import type { VastTables } from '../../../src/storage/vast/index.ts'
import { flowRow, segmentRow } from '../../contract/table-rows.ts'
import { type Emulator, startEmulator } from '../../emulators/vast/index.ts'
import { testSettings } from '../../support/app.ts'
import { openReplicas, openStore, requestsOf } from './stores.ts'

const CALLERS = 64
const STORED = 20
let emulator: Emulator
let store: VastTables
beforeAll(async () => {
  emulator = await startEmulator()
})
// A new one each: the log of posts is numbered behind the answers, by requests of its own.
beforeEach(async () => {
  store = await openStore(emulator)
})
afterEach(() => store.close())
afterAll(() => emulator.close())

const context: Context = { principal: { name: 'tester' }, requestId: 'r', visible: seesEverything, baseUrl: 'http://localhost' }

const poster = (tables: VastTables) => {
  const deps: Deps = { tables, backends: [], clock: systemClock(), settings: testSettings, serviceVersion: '0.0.0' }
  const { post } = segmentPostUseCases(deps)
  const get_urls = [{ label: 'o', url: 'https://x.example/o' }]
  /** `again`: the second and the flow in which the object was posted first. */
  return (flow: string, second: number, again?: { readonly flow: string; readonly second: number }) =>
    post(context, flow, () => ({
      timerange: `[${second}:0_${second + 1}:0)`,
      ...(again
        ? { object_id: `${again.flow}-${again.second}`, ts_offset: `${second - again.second}:0` }
        : { object_id: `${flow}-${second}`, get_urls }),
    }))
}

/** Flows with segments, of one second each, in the thousandth second and those before. */
const addFlows = (tables: VastTables, ids: readonly string[], segments = STORED): Promise<void> =>
  addFlowsWith(
    tables,
    ids,
    [...Array(segments).keys()].map((n) => 1000 - segments + n),
  )

/** Flows with a segment in each of these seconds. */
const addFlowsWith = (tables: VastTables, ids: readonly string[], seconds: readonly number[]): Promise<void> =>
  tables.write(async (tx) => {
    await tx.lock(ids.map((id) => `flow:${id}`))
    const [first = 0, last = 0] = [seconds[0], seconds.at(-1)]
    const [start_ns, end_ns] = [BigInt(first) * SECOND, BigInt(last + 1) * SECOND]
    const extent = { segment_count: BigInt(seconds.length), start_ns, end_ns, timerange: `[${first}:0_${last + 1}:0)` }
    await tx.insert(
      'flows',
      ids.map((id) => flowRow(id, { timeline_id: `t-${id}`, container: 'video/mp2t', ...(seconds.length > 0 && extent) })),
    )
    const starts = seconds.map((second) => BigInt(second) * SECOND)
    await tx.insert(
      'segments',
      ids.flatMap((id) => starts.map((start) => segmentRow(id, start, { timeline_id: `t-${id}`, end_ns: start + SECOND }))),
    )
  })

const SECOND = 1_000_000_000n

const flowId = (kind: number, n = 0): string =>
  `00000000-0000-4000-8000-${kind.toString().padStart(4, '0')}${n.toString().padStart(8, '0')}`
const numbers = [...Array(CALLERS).keys()]
/** Of a batch, whatever its size. */
const requests = {
  'POST transaction': 1,
  // Segments, objects, references, audit, the log's outbox, marks of change.
  'POST rows': 6,
  // Flows, locks.
  'PUT rows': 2,
  'PUT transaction': 1,
}

const countsOf = async () => {
  const { rows } = await store.read((tx) => tx.list('flows', { columns: ['segment_count'], where: everything, limit: 100 }))
  return rows.map(({ segment_count }) => Number(segment_count))
}

test.each([
  { what: 'to many flows', count: 64, segments: STORED },
  { what: 'to many flows without a segment', count: 64, segments: 0 },
  { what: 'to a few flows', count: 3, segments: STORED },
  { what: 'to one flow, although each waits for the one before', count: 1, segments: STORED },
  { what: 'to one flow without a segment', count: 1, segments: 0 },
])('posts at once $what, behind all they have, look at flows, objects and locks once', async ({ count, segments }) => {
  const flows = [...Array(count).keys()].map((n) => flowId(n))
  await addFlows(store, flows, segments)
  const post = poster(store)
  const posts = (from: number) => Promise.all(numbers.map((n) => post(flows[n % count] ?? '', from + n)))
  for (const from of [1000, 1000 + CALLERS]) expect(await requestsOf(emulator, () => posts(from))).toEqual({ ...requests, 'GET data': 3 })
  const added = (n: number) => numbers.filter((each) => each % count === n).length
  expect(await countsOf()).toEqual(flows.map((_, n) => segments + 2 * added(n)))
})

test.each([
  { what: 'many flows', count: 64 },
  { what: 'a few flows', count: 3 },
  { what: 'one flow', count: 1 },
])('posts at once between segments of $what look at their neighbours as well', async ({ count }) => {
  const flows = [...Array(count).keys()].map((n) => flowId(n))
  // In every other second; the posts go between them.
  await addFlowsWith(
    store,
    flows,
    [...Array(2 * CALLERS + 1).keys()].map((n) => 1000 + 2 * n),
  )
  const post = poster(store)
  const posts = (from: number) => Promise.all(numbers.map((n) => post(flows[n % count] ?? '', from + 2 * n)))
  await posts(1001)
  // Now it is known where their segments lie.
  expect(await requestsOf(emulator, () => posts(1001 + 2 * CALLERS))).toMatchObject({ ...requests, 'GET data': 4 })
  const object = { flow: flows[0] ?? '', second: 1001 }
  // Of the second post, and one of those before.
  await expect(post(flows[1 % count] ?? '', 1003, object)).rejects.toMatchObject({ code: 'overlap' })
  await expect(post(flows[0] ?? '', 1000 + 4 * CALLERS, object)).rejects.toMatchObject({ code: 'overlap' })
})

test('posts of objects that are there count their uses', async () => {
  const [first, second] = [flowId(0), flowId(1)]
  await addFlows(store, [first, second], 0)
  const post = poster(store)
  const again = (flow: string, from: number) => Promise.all(numbers.map((n) => post(flow, from + n, { flow: first, second: 1000 + n })))
  await Promise.all(numbers.map((n) => post(first, 1000 + n)))
  await Promise.all([again(second, 3000), again(first, 2000)])
  const { rows } = await store.read((tx) => tx.list('object_refs', { where: everything, limit: 1000 }))
  const uses = rows.map(({ flow_id, count }) => `${flow_id} ${count}`)
  expect(uses.sort()).toEqual([...numbers.map(() => `${first} 2`), ...numbers.map(() => `${second} 1`)])
})

test('a flow that has another timeline than at the last post gets its segments there', async () => {
  const flow = flowId(5)
  await addFlows(store, [flow], 0)
  const post = poster(store)
  await post(flow, 7)
  await store.write(async (tx) => {
    await tx.lock([`flow:${flow}`])
    await tx.update('flows', eq('id', flow), { timeline_id: 'other', segment_count: 0n, start_ns: null, end_ns: null, timerange: null })
  })
  await post(flow, 7)
  await expect(post(flow, 7)).resolves.toEqual([])
  const { rows } = await store.read((tx) => tx.list('segments', { columns: ['timeline_id'], where: eq('flow_id', flow), limit: 10 }))
  expect(rows.map((row) => row.timeline_id).sort()).toEqual(['other', `t-${flow}`])
})

test('of posts to one place at once one is registered', async () => {
  await addFlows(store, [flowId(3)], 0)
  const { post } = segmentPostUseCases({
    tables: store,
    backends: [],
    clock: systemClock(),
    settings: testSettings,
    serviceVersion: '0.0.0',
  })
  const segment = (n: number) => ({
    object_id: `place-${n}`,
    timerange: '[0:0_1:0)',
    get_urls: [{ label: 'o', url: 'https://x.example/o' }],
  })
  const results = await Promise.allSettled(numbers.map((n) => post(context, flowId(3), () => segment(n))))
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  expect(results.filter((result) => result.status === 'rejected' && result.reason.code === 'overlap')).toHaveLength(CALLERS - 1)
})

test('of three replicas that post to one place behind all segments one is registered, each time', async () => {
  const stores = await openReplicas(emulator, 3)
  try {
    const flows = [flowId(0), flowId(1)]
    const [first] = stores
    if (first) await addFlows(first, flows, 0)
    const get_urls = [{ label: 'o', url: 'https://x.example/o' }]
    const posts = stores.map((tables) => {
      const { post } = segmentPostUseCases({ tables, backends: [], clock: systemClock(), settings: testSettings, serviceVersion: '0.0.0' })
      return (flow: string, object_id: string, timerange: string) =>
        post(context, flow, () => ({ object_id, object_timerange: '[0:0_100:0)', timerange, get_urls }))
    })
    for (let second = 0; second < 8; second++) {
      // In every other round they begin at different moments, with one object.
      const asked = posts.flatMap((post, r) =>
        flows.flatMap((flow) => {
          const range = `[${second}:${second % 2 === 0 ? 0 : r * 100}_${second + 1}:0)`
          const object = second % 2 === 0 ? `${flow}-${second}-${r}` : `${flow}-${second}`
          // The second is the first again, as by a client that has lost the answer.
          return [post(flow, object, range), post(flow, object, range)]
        }),
      )
      for (const result of await Promise.allSettled(asked))
        if (result.status === 'rejected') expect(['overlap', 'invalid']).toContain(result.reason.code)
    }
    const read = async <N extends 'segments' | 'object_refs' | 'flows'>(table: N) =>
      (await (stores[0] ?? store).read((tx) => tx.list(table, { where: everything, limit: 1000 }))).rows
    const [segments, refs, rows] = [await read('segments'), await read('object_refs'), await read('flows')]
    for (const { id, segment_count, start_ns, end_ns } of rows) {
      const mine = segments.filter(({ flow_id }) => flow_id === id).toSorted((a, b) => Number(a.start_ns - b.start_ns))
      expect(mine.map((row) => row.end_ns)).toEqual([...Array(8).keys()].map((n) => BigInt(n + 1) * SECOND))
      for (const [i, row] of mine.entries()) expect(row.start_ns).toBeGreaterThanOrEqual(mine[i - 1]?.end_ns ?? 0n)
      expect([segment_count, start_ns, end_ns]).toEqual([8n, 0n, 8n * SECOND])
    }
    expect(rows).toHaveLength(2)
    const uses = segments.map(({ object_id, flow_id }) => `${object_id} ${flow_id} 1`)
    expect(refs.map(({ object_id, flow_id, count }) => `${object_id} ${flow_id} ${count}`).sort()).toEqual(uses.sort())
  } finally {
    for (const replica of stores) await replica.close()
  }
})

test('two replicas that post to flows of their own at once both get everything in', async () => {
  const stores = await openReplicas(emulator, 2)
  try {
    const posts: Promise<unknown>[] = []
    for (const [r, replica] of stores.entries()) {
      const flows = numbers.map((n) => flowId(1000 * r + n))
      await addFlows(replica, flows, 0)
      const post = poster(replica)
      posts.push(
        ...flows.map(async (flow) => {
          for (const second of [1, 2, 3]) await post(flow, second)
        }),
      )
    }
    await Promise.all(posts)
    for (const replica of stores) expect(await replica.read((tx) => tx.count('segments', everything))).toBe(2 * 3 * CALLERS)
  } finally {
    for (const replica of stores) await replica.close()
  }
})

test('posts to one flow out of order are read ahead, not one after the other', async () => {
  const flow = flowId(0)
  await addFlows(store, [flow])
  const post = poster(store)
  await post(flow, 1000)
  const shuffled = numbers.map((n) => 1001 + ((n * 37) % CALLERS))
  const { 'GET data': asked } = await requestsOf(emulator, () => Promise.all(shuffled.map((second) => post(flow, second))))
  // 7; one after the other some 30.
  expect(asked).toBeLessThan(12)
})

test('a use that is counted in two rows is found', async () => {
  const flow = flowId(0)
  await addFlows(store, [flow], 0)
  await poster(store)(flow, 1000)
  const use = { object_id: `${flow}-1000`, flow_id: flow, timeline_id: `t-${flow}`, count: 1n }
  await store.write(async (tx) => {
    await tx.lock([`object:${use.object_id}`])
    await tx.insert('object_refs', [use], { vacant: true })
  })
  const findings = await Array.fromAsync(checkIntegrity({ tables: store, clock: systemClock() }))
  const counted = findings.filter(({ rule }) => rule === 'reference-count').map(({ problem }) => problem)
  expect(counted).toEqual([expect.stringContaining('counted 2 times')])
})
