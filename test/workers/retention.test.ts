import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { TAI_AHEAD_SECONDS } from '../../src/core/retention.ts'
import { deletionWorker } from '../../src/workers/deletion-requests.ts'
import { mediaRemovalWorker } from '../../src/workers/media-removals.ts'
import { retentionWorker } from '../../src/workers/retention.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { inconsistencies, strayBytes } from '../support/consistency.ts'
import { faultyTables, InjectedFault } from '../support/faulty-tables.ts'
import {
  allocateOne,
  createFlow,
  expectStatus,
  external,
  postSegment,
  readFlow,
  register,
  timerangesOf,
  videoFlow,
} from '../support/fixtures.ts'
import { deletions } from '../support/trash.ts'
import { runUntilIdle, step, takeLease } from '../support/workers.ts'

let app: TestApp
beforeEach(async () => {
  app = await openApp({ settings: { strict: false, asyncDeletionThreshold: 5 } })
})
afterEach(async () => {
  expect(await inconsistencies(app.deps.tables)).toEqual([])
  expect(app.errors).toEqual([])
  await app.close()
})

const HOUR = 3600
/** Seconds of a timeline that is the time of day, TAI. */
const taiNow = (): number => Math.floor(Number(app.clock.nowUs()) / 1e6) + TAI_AHEAD_SECONDS
const range = (start: number, seconds = 10): string => `[${start}:0_${start + seconds}:0)`
const tagged = (tags: Record<string, unknown>, over = {}) => createFlow(app, videoFlow({ tags, ...over }))
const retain = (batch?: number) => runUntilIdle(app.deps, retentionWorker(app.deps, batch))

const uploaded = async (flowId: string, timerange: string): Promise<string> => {
  const { object_id, put_url } = await allocateOne(app, flowId)
  const headers = { 'content-type': 'video/mp2t', ...put_url.headers }
  expect((await app.fetch(put_url.url, { method: 'PUT', body: timerange, headers })).status).toBe(200)
  expectStatus(await postSegment(app, flowId, { object_id, timerange }), 201)
  return object_id
}

describe('segment_retention_offset', () => {
  test('makes a flow a loop recorder: what ended more than the offset ago goes for good, bytes included', async () => {
    const { id } = await tagged({ segment_retention_offset: `${HOUR}:0` })
    const start = taiNow()
    const first = await uploaded(id, range(start))
    const second = await uploaded(id, range(start + 10))
    await retain()
    expect(await timerangesOf(app, id)).toEqual([range(start), range(start + 10)])

    app.clock.advance(HOUR + 10)
    const third = await uploaded(id, range(start + HOUR))
    await retain()
    expect(await timerangesOf(app, id)).toEqual([range(start + 10), range(start + HOUR)])
    expect(await app.events(id)).toEqual(['flows/created', ...Array(3).fill('flows/segments_added'), 'flows/segments_deleted'])
    expectStatus(await app.get(`/objects/${first}`), 404)
    expectStatus(await app.get(`/objects/${second}`), 200)

    app.clock.advance(10)
    await retain()
    expect(await timerangesOf(app, id)).toEqual([range(start + HOUR)])
    expectStatus(await app.get(`/objects/${third}`), 200)
    expect((await readFlow(app, id, '?include_timerange=true')).timerange).toBe(range(start + HOUR))

    await runUntilIdle(app.deps, mediaRemovalWorker(app.deps))
    expect(await strayBytes(app.deps.tables, app.deps.backends)).toEqual([])
    const keys = []
    for (const { store } of app.deps.backends) for await (const { key } of store.list({})) keys.push(key)
    expect(keys).toHaveLength(1)
    // Not into the trash, although that is where a DELETE would put them.
    expect(await deletions(app)).toEqual([])
  })

  test('is worked off in batches, by time, one event for each', async () => {
    const { id } = await tagged({ segment_retention_offset: '0:0' })
    const start = taiNow() - 1000
    await register(app, id, ...Array.from({ length: 7 }, (_, index) => range(start + index * 10)), range(start + 5000))
    const worker = retentionWorker(app.deps, 3)
    await step(app.deps, worker)
    expect(await timerangesOf(app, id)).toEqual([3, 4, 5, 6].map((index) => range(start + index * 10)).concat(range(start + 5000)))
    await runUntilIdle(app.deps, worker)
    expect(await timerangesOf(app, id)).toEqual([range(start + 5000)])
    expect((await app.events(id)).filter((type) => type === 'flows/segments_deleted')).toHaveLength(3)
  })

  test('counts from the end of a segment: one that reaches beyond the moment stays', async () => {
    const { id } = await tagged({ segment_retention_offset: '100:0' })
    const now = taiNow()
    await register(app, id, range(now - 120, 19), range(now - 101, 100))
    await retain()
    expect(await timerangesOf(app, id)).toEqual([range(now - 101, 100)])
  })

  test('holds for what is on the tag now, not for what was', async () => {
    const { id } = await tagged({ segment_retention_offset: '100:0' })
    const start = taiNow() - 200
    await register(app, id, range(start))
    expectStatus(await app.put(`/flows/${id}/tags/segment_retention_offset`, '500:0'), 204)
    await retain()
    expect(await timerangesOf(app, id)).toEqual([range(start)])
    expectStatus(await app.put(`/flows/${id}/tags/segment_retention_offset`, '100:0'), 204)
    await retain()
    expect(await timerangesOf(app, id)).toEqual([])
  })

  test.each([['forever'], ['3600'], ['1:0:0'], [['1:0', '2:0']], [[]], ['99999999999999999999999:0']])(
    'means nothing as %p',
    async (value) => {
      const { id } = await tagged({ segment_retention_offset: value, flow_retention_offset: value })
      await register(app, id, range(taiNow() - 5000))
      await retain()
      expect(await timerangesOf(app, id)).toHaveLength(1)
    },
  )
})

describe('flow_retention_offset', () => {
  test('deletes a flow that neither its metadata nor its segments were changed of for so long, and its source', async () => {
    const flow = await tagged({ flow_retention_offset: '100:0' })
    app.clock.advance(60)
    await register(app, flow.id, range(0))
    app.clock.advance(60)
    await retain()
    expect((await readFlow(app, flow.id)).id).toBe(flow.id)
    app.clock.advance(50)
    await retain()
    expectStatus(await app.get(`/flows/${flow.id}`), 404)
    expectStatus(await app.get(`/sources/${flow.source_id}`), 404)
    expect((await app.events(flow.id, flow.source_id)).slice(-3)).toEqual(['flows/segments_deleted', 'flows/deleted', 'sources/deleted'])
    expect(await deletions(app)).toEqual([])
  })

  test('leaves the segments of a long flow to a delete request', async () => {
    const { id } = await tagged({ flow_retention_offset: '100:0' })
    await register(app, id, ...Array.from({ length: 8 }, (_, index) => range(index * 10)))
    app.clock.advance(101)
    await retain()
    expectStatus(await app.get(`/flows/${id}`), 404)
    await runUntilIdle(app.deps, deletionWorker(app.deps, 3))
    expect(await app.deps.tables.read((tx) => tx.count('segments', { kind: 'and', terms: [] }))).toBe(0)
  })
})

test('a read-only flow keeps everything until it is writable again', async () => {
  const { id } = await tagged({ segment_retention_offset: '0:0', flow_retention_offset: '100:0' })
  await register(app, id, range(0))
  expectStatus(await app.put(`/flows/${id}/read_only`, true), 204)
  app.clock.advance(HOUR)
  await retain()
  expect(await timerangesOf(app, id)).toEqual([range(0)])
  expectStatus(await app.put(`/flows/${id}/read_only`, false), 204)
  await retain()
  expect(await timerangesOf(app, id)).toEqual([])
})

test('flows without the tags are not looked at', async () => {
  for (let made = 0; made < 20; made++) await createFlow(app)
  const { id } = await tagged({ segment_retention_offset: '0:0' })
  await register(app, id, range(0))
  const asked: unknown[] = []
  const { tables } = app.deps
  const watched = {
    ...app.deps,
    tables: Object.assign(Object.create(tables), {
      read: (work: Parameters<typeof tables.read>[0]) =>
        tables.read((tx) =>
          work(
            new Proxy(tx, {
              get: (target, name: keyof typeof tx) =>
                name === 'list'
                  ? async (...args: Parameters<typeof tx.list>) => {
                      const page = await target.list(...args)
                      if (args[0] === 'flows') asked.push(...page.rows.map((row) => 'id' in row && row.id))
                      return page
                    }
                  : target[name].bind(target),
            }),
          ),
        ),
      write: tables.write.bind(tables),
    }) as typeof tables,
  }
  await runUntilIdle(watched, retentionWorker(watched))
  expect([...new Set(asked)]).toEqual([id])
  expect(await timerangesOf(app, id)).toEqual([])
})

test('a flow that cannot be worked on holds up no other', async () => {
  const flows = await Promise.all([0, 1, 2].map(() => tagged({ segment_retention_offset: '0:0' })))
  for (const { id } of flows) await postSegment(app, id, external(range(0)))
  const faulty = faultyTables(app.deps.tables)
  const deps = { ...app.deps, tables: faulty.tables }
  const worker = retentionWorker(deps)
  const lease = await takeLease(app.deps.tables, app.clock, worker.name)
  faulty.arm(2)
  await expect(worker.step(lease, new AbortController().signal)).rejects.toThrow(InjectedFault)
  const left = await Promise.all(flows.map(async ({ id }) => (await timerangesOf(app, id)).length))
  expect(left.toSorted()).toEqual([0, 0, 1])
  faulty.arm(0)
  await runUntilIdle(deps, worker)
  // The next round comes to it again.
  await runUntilIdle(deps, worker)
  for (const { id } of flows) expect(await timerangesOf(app, id)).toEqual([])
})
