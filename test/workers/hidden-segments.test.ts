import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { eq } from '../../src/core/predicate.ts'
import { TimeRange } from '../../src/core/time-range.ts'
import { deletionWorker } from '../../src/workers/deletion-requests.ts'
import { list, object } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { inconsistencies } from '../support/consistency.ts'
import {
  createFlow,
  expectStatus,
  external,
  postSegment,
  readFlow,
  register,
  seconds,
  segmentsOf,
  timerangesOf,
} from '../support/fixtures.ts'
import { runUntilIdle, step } from '../support/workers.ts'

let app: TestApp
beforeEach(async () => {
  app = await openApp({ settings: { softDeleteDefault: false, asyncDeletionThreshold: 10 } })
})
afterEach(async () => {
  expect(await inconsistencies(app.deps.tables)).toEqual([])
  await app.close()
})

const worker = () => deletionWorker(app.deps, 7)
const workOff = (between?: () => Promise<void>) => runUntilIdle(app.deps, worker(), between)
const consistent = async () => expect(await inconsistencies(app.deps.tables)).toEqual([])

const filled = async (count = 25) => {
  const flow = await createFlow(app)
  return { flow, id: flow.id, objects: await register(app, flow.id, ...seconds(count)) }
}
const removeRange = async (id: string, timerange = '_'): Promise<string> =>
  String(object(expectStatus(await app.delete(`/flows/${id}/segments?timerange=${timerange}`), 202)).id)
const requestOf = async (id: string) => object(expectStatus(await app.get(`/flow-delete-requests/${id}`), 200))
const rowsOf = (flowId: string) => app.deps.tables.read((tx) => tx.count('segments', eq('flow_id', flowId)))
const extent = async (id: string) => (await readFlow(app, id, '?include_timerange=true')).timerange
const deletedRanges = async (flowId: string): Promise<string[]> => {
  const rows = await app.deps.tables.read((tx) => tx.readLog(0n, 100_000))
  const mine = rows.filter((row) => row.flow_id === flowId && row.type === 'flows/segments_deleted')
  return mine.map((row) => String((JSON.parse(row.body) as { event: { timerange: string } }).event.timerange))
}

describe('segments of a delete request', () => {
  test('are gone for every reader before the worker has done anything', async () => {
    const { id } = await filled()
    await removeRange(id, '[5:0_20:0)')
    const left = [...seconds(5), ...seconds(5, 20)]
    expect(await timerangesOf(app, id)).toEqual(left)
    expect(await timerangesOf(app, id, '?reverse_order=true')).toEqual(left.toReversed())
    expect(await timerangesOf(app, id, '?timerange=[6:0_19:0)')).toEqual([])
    expect(await timerangesOf(app, id, '?timerange=[4:500000000_20:500000000)')).toEqual(['[4:0_5:0)', '[20:0_21:0)'])
    expect(await extent(id)).toBe('[0:0_25:0)')
    expect((await readFlow(app, id, '?include_timerange=true&timerange=[3:0_19:0)')).timerange).toBe('[3:0_5:0)')
    expect(await rowsOf(id)).toBe(25)
    expectStatus(await app.delete(`/flows/${id}/segments?timerange=[0:0_22:0)`), 202)
    expect(await extent(id)).toBe('[22:0_25:0)')
  })

  test('are gone for pages that were begun before', async () => {
    const { id } = await filled()
    const first = await app.get(`/flows/${id}/segments?limit=4`)
    await removeRange(id, '[2:0_20:0)')
    const key = first.headers.get('x-paging-nextkey')
    expect(await timerangesOf(app, id, `?limit=4&page=${key}`)).toEqual(seconds(4, 20))
  })

  test('are in nobody’s way: new ones of any length may lie across them', async () => {
    const { id } = await filled()
    await removeRange(id, '[2:0_22:0)')
    expectStatus(await postSegment(app, id, external('[3:500000000_7:500000000)')), 201)
    await consistent()
    expectStatus(await postSegment(app, id, [external('[10:0_11:0)'), external('[11:0_11:500000000)')]), 201)
    expectStatus(await postSegment(app, id, external('[21:500000000_22:500000000)')), 400)
    expectStatus(await postSegment(app, id, external('[4:0_5:0)')), 400)
    await consistent()
    const expected = [...seconds(2), '[3:500000000_7:500000000)', '[10:0_11:0)', '[11:0_11:500000000)', ...seconds(3, 22)]
    expect(await timerangesOf(app, id)).toEqual(expected)
    await workOff(consistent)
    expect(await timerangesOf(app, id)).toEqual(expected)
    expect(await rowsOf(id)).toBe(expected.length)
  })

  test('go although new ones are posted between the steps, and the new ones stay', async () => {
    const { id } = await filled(40)
    const request = await removeRange(id)
    const posted: string[] = []
    await workOff(async () => {
      if (posted.length >= 8) return
      const late = [0, 20, 39 - posted.length].map((at) => `[${at}:${posted.length + 1}00000000_${at}:${posted.length + 1}50000000)`)
      await register(app, id, ...late)
      posted.push(...late)
    })
    expect(posted).toHaveLength(9)
    const start = (range: unknown) => Number(/\[(\d+):(\d+)/.exec(String(range))?.slice(1, 3).join('.'))
    expect(await timerangesOf(app, id)).toEqual(posted.toSorted((one, other) => start(one) - start(other)))
    expect(await rowsOf(id)).toBe(posted.length)
    expect(await requestOf(request)).toMatchObject({ status: 'done', timerange_remaining: '()' })
  })

  test('are told of once each, whoever removes their rows', async () => {
    const { id } = await filled(20)
    await removeRange(id)
    await step(app.deps, worker())
    await register(app, id, '[10:0_12:0)')
    await workOff()
    const told = (await deletedRanges(id)).map((text) => TimeRange.parse(text))
    const covering = (at: number) => told.filter((range) => range.covers(TimeRange.parse(`[${at}:0_${at + 1}:0)`))).length
    expect(Array.from({ length: 20 }, (_, at) => covering(at))).toEqual(Array.from({ length: 20 }, () => 1))
  })

  test('leave room for more new ones between them than their flow could remember', async () => {
    const { id } = await filled(3400)
    await removeRange(id)
    await register(app, id, ...Array.from({ length: 1700 }, (_, at) => `[${2 * at}:0_${2 * at}:500000000)`))
    await consistent()
    expect(await rowsOf(id)).toBeGreaterThan(1700)
    await runUntilIdle(app.deps, deletionWorker(app.deps))
    expect(await rowsOf(id)).toBe(1700)
  }, 120_000)
})

describe('two requests for the same flow', () => {
  test('with ranges that overlap take each segment once', async () => {
    const { id } = await filled(40)
    const first = await removeRange(id, '[0:0_25:0)')
    await register(app, id, ...seconds(3, 10))
    const second = await removeRange(id, '[5:0_38:0)')
    await consistent()
    expect(await timerangesOf(app, id)).toEqual(seconds(2, 38))
    await workOff(consistent)
    for (const request of [first, second]) expect(await requestOf(request)).toMatchObject({ status: 'done', timerange_remaining: '()' })
    expect(await rowsOf(id)).toBe(2)
    const told = (await deletedRanges(id)).map((text) => TimeRange.parse(text))
    // Those at 10 to 13 were deleted twice: once the first ones, once those posted in their place.
    const covering = (at: number) => told.filter((range) => range.covers(TimeRange.parse(`[${at}:0_${at + 1}:0)`))).length
    expect(Array.from({ length: 40 }, (_, at) => covering(at))).toEqual(
      Array.from({ length: 40 }, (_, at) => (at >= 38 ? 0 : at >= 10 && at < 13 ? 2 : 1)),
    )
  })

  test('made at the same moment take each segment once', async () => {
    const { id } = await filled(40)
    const answers = await Promise.all(
      ['[0:0_25:0)', '[10:0_40:0)', '_'].map((range) => app.delete(`/flows/${id}/segments?timerange=${range}`)),
    )
    for (const answer of answers) expect(answer.status).toBeOneOf([202, 204])
    expect(await segmentsOf(app, id)).toEqual([])
    await workOff(consistent)
    expect(await rowsOf(id)).toBe(0)
    expect(new Set(list(await app.get('/flow-delete-requests')).map(({ status }) => status))).toEqual(new Set(['done']))
  })

  test('a flow deleted while its segments are worked off is gone, and what remains of both requests only shrinks', async () => {
    const { id, objects } = await filled(40)
    const range = await removeRange(id, '[0:0_30:0)')
    await step(app.deps, worker())
    const flow = String(object(expectStatus(await app.delete(`/flows/${id}`), 202)).id)
    expectStatus(await app.get(`/flows/${id}`), 404)
    const seen = [await requestOf(flow)]
    await workOff(async () => {
      await consistent()
      seen.push(await requestOf(flow))
    })
    const remaining = seen.map((record) => TimeRange.parse(String(record.timerange_remaining)))
    for (const [index, next] of remaining.entries()) expect((remaining[index - 1] ?? TimeRange.eternity).covers(next)).toBe(true)
    for (const request of [range, flow]) expect(await requestOf(request)).toMatchObject({ status: 'done' })
    expect(await rowsOf(id)).toBe(0)
    for (const id of objects) expectStatus(await app.request('GET', `/objects/${id}`, { head: false }), 404)
  })

  test('a small flow with hidden segments goes at once, hidden ones included', async () => {
    const { id } = await filled(11)
    const request = await removeRange(id)
    await step(app.deps, worker())
    expectStatus(await app.delete(`/flows/${id}`), 204)
    expect(await rowsOf(id)).toBe(0)
    await workOff()
    expect(await requestOf(request)).toMatchObject({ status: 'done' })
  })
})

describe('a flow made again while its predecessor is worked off', () => {
  test('keeps its segments and objects; the old ones go [5.5] [14.11]', async () => {
    const { flow, id, objects } = await filled(30)
    expectStatus(await app.delete(`/flows/${id}`), 202)
    await step(app.deps, worker())
    expectStatus(await app.put(`/flows/${id}`, flow), 201)
    const kept = await register(app, id, ...seconds(3, 20))
    // Taken up again before its last reference is gone: it stays.
    expectStatus(await postSegment(app, id, { object_id: objects[29], timerange: '[29:0_30:0)' }), 201)
    await workOff(consistent)
    expect(await timerangesOf(app, id)).toEqual([...seconds(3, 20), '[29:0_30:0)'])
    for (const id of [...kept, objects[29]]) expectStatus(await app.get(`/objects/${id}`), 200)
    for (const id of objects.slice(0, 29)) expectStatus(await app.request('GET', `/objects/${id}`, { head: false }), 404)
  })

  test('may be deleted again while both are worked off', async () => {
    const { flow, id } = await filled(30)
    const requests: unknown[] = []
    for (let round = 0; round < 3; round++) {
      requests.push(object(expectStatus(await app.delete(`/flows/${id}`), 202)).id)
      await step(app.deps, worker())
      expectStatus(await app.put(`/flows/${id}`, flow), 201)
      await register(app, id, ...seconds(12))
    }
    await workOff(consistent)
    for (const request of requests) expect(await requestOf(String(request))).toMatchObject({ status: 'done' })
    expect(await rowsOf(id)).toBe(12)
  })
})
