import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { TamsError } from '../../src/core/errors.ts'
import { eq } from '../../src/core/predicate.ts'
import { emptyModel, id, type Model, models } from './model.ts'
import { type Json, NOW_US, type OpenAnalytics, openAnalytics } from './open.ts'

let open: OpenAnalytics
let model: Model
let away = false
beforeAll(async () => {
  open = await openAnalytics({}, (tables) => ({
    version: (table) => tables.version(table),
    read: (work) => (away ? Promise.reject(new TamsError('unavailable', 'The store is away')) : tables.read(work)),
  }))
  model = fc.sample(models, { numRuns: 50, seed: 3 }).find(({ segments, flows }) => segments.length > 6 && flows.length > 2) ?? emptyModel()
  await open.fill(model.rows)
})
beforeEach(() => open.analytics.clearCache())
afterAll(() => open.close())

const ask = async (path: string): Promise<{ readonly count: unknown; readonly cache: unknown; readonly scanned: unknown }> => {
  const answer = await open.get(path)
  const query = answer.query as Json
  return { count: answer.total_segments, cache: query.cache, scanned: query.rows_scanned }
}

describe('what is kept', () => {
  test('is the result first, and the loaded tables for another question', async () => {
    expect((await ask('/time-range-analysis')).cache).toBe('none')
    expect(await ask('/time-range-analysis')).toEqual({ count: model.segments.length, cache: 'result', scanned: 0 })
    const other = await open.get('/percentiles')
    expect((other.query as Json).cache).toBe('tables')
  })

  test('is not used with refresh=true', async () => {
    await ask('/time-range-analysis')
    expect(await ask('/time-range-analysis?refresh=true')).toMatchObject({ cache: 'none', count: model.segments.length })
  })

  test('is given up as soon as a table it rests on has changed, and only then', async () => {
    await ask('/time-range-analysis')
    await open.tables.write((tx) => tx.update('objects', eq('id', 'object 0'), { size: 5n }).then(() => undefined))
    expect((await ask('/time-range-analysis')).cache).toBe('result')
    const [gone] = model.segments
    if (!gone) throw new Error('there are no segments')
    await open.tables.write(async (tx) => {
      await tx.delete('segments', eq('object_id', gone.object_id))
      for (const { row } of model.flows) await tx.update('flows', eq('id', row.id), { segments_updated: NOW_US })
    })
    const left = model.segments.filter((row) => row.object_id !== gone.object_id).length
    expect(await ask('/time-range-analysis')).toMatchObject({ cache: 'none', count: left })
    await open.fill(model.rows)
    expect(await ask('/time-range-analysis')).toMatchObject({ cache: 'none', count: model.segments.length })
  })

  test('is also what a report makes of its tables beforehand', async () => {
    const used = async () => {
      const { used_objects, query } = await open.get('/reuse')
      return { used_objects, cache: (query as Json).cache, scanned: (query as Json).rows_scanned }
    }
    const { used_objects } = await used()
    expect(await used()).toEqual({ used_objects, cache: 'result', scanned: 0 })
    open.analytics.forgetResults()
    expect(await used()).toEqual({ used_objects, cache: 'tables', scanned: 0 })
    const [gone] = model.segments
    if (!gone) throw new Error('there are no segments')
    await open.tables.write(async (tx) => {
      await tx.delete('segments', eq('object_id', gone.object_id))
      for (const { row } of model.flows) await tx.update('flows', eq('id', row.id), { segments_updated: NOW_US })
    })
    expect(await used()).toMatchObject({ used_objects: Number(used_objects) - 1, cache: 'none' })
    await open.fill(model.rows)
    expect(await used()).toMatchObject({ used_objects, cache: 'none' })
  })

  test('notices that a flow was deleted although no segment was', async () => {
    await ask('/time-range-analysis')
    const flowId = model.segments[0]?.flow_id ?? ''
    await open.tables.write((tx) => tx.delete('flows', eq('id', flowId)).then(() => undefined))
    expect((await ask('/time-range-analysis')).count).toBe(model.segments.filter((row) => row.flow_id !== flowId).length)
    await open.fill(model.rows)
  })

  test('is loaded once for queries at the same time', async () => {
    const before = await open.get('/cache')
    const answers = await Promise.all([1, 2, 3, 4].map((n) => open.get(`/gaps?n=${n}`)))
    for (const [i, { rows }] of answers.entries()) expect((rows as unknown[]).length).toBeLessThanOrEqual(i + 1)
    const after = await open.get('/cache')
    expect(Number((after.tables as Json).misses) - Number((before.tables as Json | null)?.misses ?? 0)).toBe(2)
  })

  test('shows in the statistics, and goes when it is told to', async () => {
    await open.get('/gaps')
    const { results, tables } = (await open.get('/cache')) as { results: Json; tables: Json }
    expect([results.results, tables.tables]).toEqual([1, 2])
    expect(Number(tables.bytes)).toBeGreaterThan(0)
    expect((await open.fetch('/cache', { method: 'DELETE' })).status).toBe(204)
    const cleared = (await open.get('/cache')) as { results: Json; tables: Json }
    expect([cleared.results.results, cleared.tables.tables, cleared.tables.bytes]).toEqual([0, 0, 0])
  })

  test('never takes more than it may: what was not used for longest goes first', async () => {
    const small = await openAnalytics({ tableCacheBytes: 1 })
    try {
      await small.fill(model.rows)
      for (const n of [1, 2]) expect((await small.get(`/gaps?n=${n}`)).query).toMatchObject({ cache: 'none' })
      expect((await small.get('/gaps?n=3')).rows).toEqual((await open.get('/gaps?n=3')).rows)
      const { tables } = (await small.get('/cache')) as { tables: Json }
      // Two tables for each question, which go as soon as it is answered.
      expect([tables.tables, tables.bytes, tables.evictions]).toEqual([0, 0, 6])
    } finally {
      await small.close()
    }
  })
})

test('a report of one flow scans the rows of this flow only', async () => {
  const flowId = model.segments[0]?.flow_id ?? ''
  const stored = model.rows.segments.filter((row) => row.flow_id === flowId).length
  expect(stored).toBeLessThan(model.rows.segments.length)
  expect(await ask(`/time-range-analysis?flow_id=${flowId}`)).toMatchObject({
    count: model.segments.filter((row) => row.flow_id === flowId).length,
    scanned: stored + 1,
  })
  expect(await ask(`/time-range-analysis?source_id=${id(2, 7)}`)).toMatchObject({ count: 0, scanned: 0 })
})

test('a store that is away is 503, and the next query works again', async () => {
  away = true
  const response = await open.fetch('/gaps')
  away = false
  expect([response.status, ((await response.json()) as Json).type]).toEqual([503, 'unavailable'])
  expect((await open.fetch('/gaps')).status).toBe(200)
})

test('performance tells what each query cost', async () => {
  await open.get('/coverage')
  await open.get('/coverage')
  await open.fetch('/coverage?n=0')
  const { queries, slow_queries, hourly } = (await open.get('/performance?slow_ms=0&limit=1000')) as Record<string, Json[]>
  const coverage = queries?.find(({ name }) => name === 'coverage')
  expect(coverage).toMatchObject({ queries: 2, errors: 0, result_cache_hits: 1 })
  expect(slow_queries?.filter(({ name }) => name === 'coverage')).toHaveLength(2)
  expect(hourly?.find(({ name }) => name === 'coverage')).toMatchObject({ hour: '2026-11-21T08:00:00Z', queries: 1, deviates: false })
})
