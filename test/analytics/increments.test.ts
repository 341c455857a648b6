import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { and, eq } from '../../src/core/predicate.ts'
import type { Row } from '../../src/storage/schema.ts'
import type { WriteTx } from '../../src/storage/tables.ts'
import { BASE_US, emptyModel, flowOf, id, segmentOf } from './model.ts'
import { type Json, type OpenAnalytics, openAnalytics, sameNumbers, withoutQuery } from './open.ts'

const SECOND = 1_000_000_000n
const FLOWS = 8
const SEGMENTS = 40

let open: OpenAnalytics
/** Keeps nothing. */
let anew: OpenAnalytics
let clock = BASE_US
let added = 1000n
beforeAll(async () => {
  open = await openAnalytics()
  anew = await openAnalytics({}, () => open.tables)
  const rows = emptyModel().rows
  for (let n = 0; n < FLOWS; n++) {
    const segments = Array.from({ length: SEGMENTS }, (_, i) =>
      segmentOf(id(1, n), `t${n}`, BigInt(i) * 3n * SECOND, 2n * SECOND, `o${n}-${i}`),
    )
    rows.segments.push(...segments)
    rows.flows.push(flowOf(id(1, n), `t${n}`, segments))
  }
  await open.fill(rows)
})
afterAll(async () => {
  await anew.close()
  await open.close()
})

/** What the use-cases do: a change of segments also changes their flow, at a moment of its own. */
const change = (n: number, work: (tx: WriteTx, flow: Row<'flows'>) => Promise<Partial<Row<'flows'>>>): Promise<void> =>
  open.tables.write(async (tx) => {
    const flow = await tx.find('flows', [id(1, n), ''])
    if (!flow) throw new Error(`there is no flow ${n}`)
    await tx.update('flows', and(eq('id', flow.id)), { segments_updated: ++clock, ...(await work(tx, flow)) })
  })
const append = (n: number, count: number): Promise<void> =>
  change(n, async (tx, { id: flowId, timeline_id, segment_count }) => {
    const rows = Array.from({ length: count }, () => segmentOf(flowId, timeline_id, ++added * 7n * SECOND, SECOND, `new ${added}`))
    await tx.insert('segments', rows)
    return { segment_count: segment_count + BigInt(count) }
  })
const remove = (n: number, startNs: bigint): Promise<void> =>
  change(n, async (tx, { id: flowId, segment_count }) => {
    expect(await tx.delete('segments', and(eq('flow_id', flowId), eq('start_ns', startNs)))).toBe(1)
    return { segment_count: segment_count - 1n }
  })

// Their flows have different columns, their segments too; two of the reports show what the flows are called.
const QUESTIONS = ['/time-range-analysis', '/gaps?n=10000', '/coverage?n=1000', '/top-n?group_by=flow_id&n=1000', '/reuse']

const cacheOf = async () => (await open.get('/cache')).tables as { increments: number; tables: number; rows_loaded: number }
const scannedBy = async (path: string): Promise<number> => Number(((await open.get(path)).query as Json).rows_scanned)

/** Every report says the same as one that begins anew; sums of floating-point numbers depend on the order of rows. */
const expectFresh = async (): Promise<void> => {
  const kept = []
  for (const path of QUESTIONS) kept.push(withoutQuery(await open.get(path)))
  await anew.analytics.clearCache()
  for (const [i, path] of QUESTIONS.entries()) sameNumbers(kept[i], withoutQuery(await anew.get(path)))
}

describe('what has changed is loaded, and nothing else', () => {
  test('when segments are added to a flow', async () => {
    await expectFresh()
    const { increments } = await cacheOf()
    await append(3, 2)
    expect(await scannedBy('/gaps?n=10000')).toBe(FLOWS + SEGMENTS + 2)
    expect((await cacheOf()).increments).toBe(increments + 1)
    await expectFresh()
  })

  test('when segments are deleted, one is exchanged for another, or both at the same moment in different flows', async () => {
    await remove(1, 0n)
    await expectFresh()
    await append(1, 1)
    await remove(1, 3n * SECOND)
    await expectFresh()
    await remove(2, 0n)
    await append(4, 1)
    await expectFresh()
    expect((await cacheOf()).increments).toBeGreaterThan(3)
  })

  test('when a flow goes, comes, or is made again with its id', async () => {
    await open.tables.write((tx) => tx.delete('flows', eq('id', id(1, 5))).then(() => undefined))
    await expectFresh()
    const segment = segmentOf(id(1, 5), 'another', 5n * SECOND, SECOND, 'once more')
    await open.tables.write(async (tx) => {
      await tx.insert('segments', [segment])
      await tx.insert('flows', [flowOf(id(1, 5), 'another', [segment]), flowOf(id(1, 20), 'empty', [])])
    })
    await expectFresh()
    await append(20, 1)
    await expectFresh()
  })

  test('when segments are hidden and when they come back', async () => {
    await change(6, () => Promise.resolve({ hidden: JSON.stringify([['0', String(9n * SECOND), 'r']]) }))
    await expectFresh()
    await change(6, () => Promise.resolve({ hidden: null }))
    await expectFresh()
  })

  test('and when nothing of the segments has changed, no row of them', async () => {
    await open.get('/gaps?refresh=true&n=10000')
    await open.tables.write((tx) => tx.update('flows', eq('id', id(1, 0)), { label: 'new' }).then(() => undefined))
    expect(await scannedBy('/gaps?n=10000')).toBe(FLOWS + 1)
    await expectFresh()
  })
})

describe('all is loaded anew', () => {
  test('when too much has changed', async () => {
    await open.get('/gaps?n=10000')
    const { increments } = await cacheOf()
    for (const n of [0, 1, 2, 3, 4]) await append(n, 3)
    await open.get('/gaps?n=10000')
    expect((await cacheOf()).increments).toBe(increments)
    await expectFresh()
  })

  test('when it is told to', async () => {
    await append(0, 1)
    const { increments } = await cacheOf()
    expect(await scannedBy('/gaps?refresh=true&n=10000')).toBeGreaterThan(FLOWS * (SEGMENTS - 3))
    expect((await cacheOf()).increments).toBe(increments)
  })
})

test('what no answer needs any more is dropped', async () => {
  for (let i = 0; i < 5; i++) {
    await append(7, 1)
    await open.get('/gaps?n=10000')
  }
  await open.analytics.clearCache()
  expect(await open.get('/cache')).toMatchObject({ tables: { tables: 0, bytes: 0 } })
})
