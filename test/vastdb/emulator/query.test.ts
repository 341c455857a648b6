import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Int64, Utf8 } from 'apache-arrow'
import { batchOfData, dataOf } from '../../../src/vastdb/wire/build.ts'
import { columnOf } from '../../../src/vastdb/wire/column.ts'
import type { Filter } from '../../../src/vastdb/wire/predicate.ts'
import { anyOf, between, contains, eq, ge, gt, isNull, isValid, le, lt, ne, oneOf, startsWith } from '../../../src/vastdb/wire/predicate.ts'
import { ESTIMATE_SPLIT, FINISHED, ROW_GROUP } from '../../../src/vastdb/wire/query-headers.ts'
import { ROW_ID } from '../../../src/vastdb/wire/row-id.ts'
import { type Emulator, startEmulator } from '../../emulators/vast/index.ts'
import { vector } from '../vectors.ts'
import { chunksOf, FIELDS, Probe, rowsOf } from './support.ts'

let emulator: Emulator
let probe: Probe
const ROWS = 5 * ROW_GROUP + 100

const large = () => {
  const starts = BigInt64Array.from({ length: ROWS }, (_, i) => BigInt(i))
  const start = columnOf(new Int64(), { length: ROWS, nulls: 0, values: starts })
  return batchOfData(FIELDS, [dataOf(new Utf8(), Array(ROWS).fill('x')), start], ROWS)
}

beforeAll(async () => {
  emulator = await startEmulator({ keepAliveEvery: 2, chunkRows: 30_000 })
  probe = new Probe(emulator)
  await probe.createSchema()
  await probe.createTable('t')
  await probe.createTable('large')
  await probe.createTable('sorted', { sorted: [0, 1] })
  const rows = ['a', 'ab', 'abc', null, 'b', 'é', ''].map((id, i) => [id, i === 2 ? null : BigInt(i)] as const)
  await probe.insert(rows)
  await probe.rows('POST', large(), undefined, 'large')
  const keys = Array.from({ length: 2000 }, (_, i) => [`k${i % 10}`, BigInt(i)] as const)
  await probe.insert(keys.slice(0, 1000), undefined, 'sorted')
  await probe.insert(keys.slice(1000), undefined, 'sorted')
})
afterAll(async () => {
  probe.close()
  await emulator.close()
})

describe('a filter', () => {
  const rows: (readonly [Filter, readonly number[]])[] = [
    [eq('id', 'ab'), [1]],
    [ne('id', 'ab'), [0, 2, 4, 5, 6]],
    [lt('id', 'abc'), [0, 1, 6]],
    [le('id', 'abc'), [0, 1, 2, 6]],
    [gt('id', 'b'), [5]],
    [ge('start', 4n), [4, 5, 6]],
    [ne('start', 4n), [0, 1, 3, 5, 6]],
    [between('start', 1n, 4n), [1, 3, 4]],
    [oneOf('start', [0n, 6n, 9n]), [0, 6]],
    [oneOf('start', [0n, 6n, 9n, 1n, 1n, -5n]), [0, 1, 6]],
    [oneOf('id', ['a', 'é', 'z', 'zz', '']), [0, 5, 6]],
    [startsWith('id', 'ab'), [1, 2]],
    [startsWith('id', 'é'), [5]],
    [startsWith('id', ''), [0, 1, 2, 4, 5, 6]],
    [contains('id', 'b'), [1, 2, 4]],
    [isNull('start'), [2]],
    [isValid('id'), [0, 1, 2, 4, 5, 6]],
    [anyOf(eq('id', 'a'), isNull('id'), startsWith('id', 'abc')), [0, 2, 3]],
  ]
  test.each(rows.map(([filter, ids]) => [JSON.stringify(filter, (_, v) => (typeof v === 'bigint' ? `${v}n` : v)), filter, ids] as const))(
    'gives the rows it means: %s',
    async (_, filter, ids) => {
      const found = await probe.select({ columns: [ROW_ID], where: [filter] })
      expect(found).toEqual(ids.map((id) => [BigInt(id)]))
    },
  )

  test('must be passed with every other one', async () => {
    expect(await probe.select({ where: [startsWith('id', 'a'), ge('start', 1n)] })).toEqual([['ab', 1n]])
  })
})

describe('a table', () => {
  test('is covered exactly once by all splits and sub-splits together', async () => {
    const seen = new Set<unknown>()
    let rows = 0
    for (const index of [0, 1, 2]) {
      let cursors = [0n, 0n]
      while (cursors.some((cursor) => cursor !== FINISHED)) {
        const reply = await probe.query({
          table: 'large',
          columns: ['start'],
          split: { index, total: 3, rowGroups: 1 },
          subsplits: 2,
          cursors,
          limitRows: 50_000,
        })
        const next = [...cursors]
        for (const { stream, nextRowId, batch } of chunksOf(reply.body, { columns: ['start'] }).chunks) {
          next[stream] = nextRowId
          for (const [start] of rowsOf(batch)) seen.add(start)
          rows += batch.numRows
        }
        cursors = next
      }
    }
    expect([rows, seen.size]).toEqual([ROWS, ROWS])
  })

  test('answers every unfinished sub-split, if only with nothing and the finished cursor', async () => {
    const { chunks } = chunksOf((await probe.query({ subsplits: 4 })).body)
    expect(chunks.map(({ stream, batch, nextRowId }) => [stream, batch.numRows, nextRowId])).toEqual([
      [0, 7, FINISHED],
      [1, 0, FINISHED],
      [2, 0, FINISHED],
      [3, 0, FINISHED],
    ])
    const finished = await probe.query({ subsplits: 2, cursors: [FINISHED, FINISHED] })
    expect(chunksOf(finished.body).frames.map(({ kind }) => kind)).toEqual(['completed'])
  })

  test('goes on at the cursor after a row limit, with filters too', async () => {
    const one = chunksOf((await probe.query({ where: [ne('start', 1n)], limitRows: 2 })).body).chunks
    expect(one.map(({ batch, nextRowId }) => [rowsOf(batch), nextRowId])).toEqual([
      [
        [
          ['a', 0n],
          [null, 3n],
        ],
        4n,
      ],
    ])
    const two = chunksOf((await probe.query({ where: [ne('start', 1n)], limitRows: 2, cursors: [4n] })).body).chunks
    expect(two.map(({ batch, nextRowId }) => [batch.numRows, nextRowId])).toEqual([[2, 6n]])
  })

  test('comes in several chunks of interleaved sub-splits, with keep-alives between the frames', async () => {
    const reply = await probe.query({ table: 'large', split: { index: 0, total: 1, rowGroups: 1 }, subsplits: 3, limitRows: 65_536 })
    const { frames, chunks } = chunksOf(reply.body)
    const streams = frames.flatMap((frame) => (frame.kind === 'data' ? [frame.stream] : []))
    expect(streams.slice(0, 6)).toEqual([0, 1, 2, 0, 1, 2])
    expect(frames.filter(({ kind }) => kind === 'keep-alive').length).toBeGreaterThan(5)
    expect(chunks.filter(({ stream }) => stream === 0).map(({ batch }) => batch.numRows)).toEqual([30_000, 30_000, 5_536])
    expect(frames.at(-1)?.kind).toBe('completed')
  })

  test('counts rows when no column is selected', async () => {
    const { chunks } = chunksOf((await probe.query({ columns: [], where: [isValid('start')] })).body, { columns: [] })
    expect(chunks.map(({ batch }) => batch.numRows)).toEqual([6])
  })

  test('is estimated in row groups', async () => {
    const split = { index: ESTIMATE_SPLIT, total: 1, rowGroups: 1 }
    const rows = async (where: Filter[]) =>
      chunksOf((await probe.query({ table: 'large', split, where })).body).chunks.map(({ batch }) => batch.numRows)
    expect(await rows([])).toEqual([6])
    expect(await rows([lt('start', 70_000n)])).toEqual([2])
    expect(await rows([eq('id', 'none')])).toEqual([])
  })

  test('is compressed when the request asks for it', async () => {
    const plain = await probe.query({ table: 'large' })
    const packed = await probe.query({ table: 'large', zstdSavings: 30 })
    expect(packed.body.length).toBeLessThan(plain.body.length / 2)
    expect(chunksOf(packed.body).chunks.map(({ batch }) => rowsOf(batch).length)).toEqual(
      chunksOf(plain.body).chunks.map(({ batch }) => batch.numRows),
    )
  })

  test('answers the recorded query of the Python client', async () => {
    await probe.createTable('recorded')
    await probe.insert(
      [
        ['abc', 5n],
        ['abc', 15n],
        ['abd', 15n],
        ['abc', 20n],
      ],
      undefined,
      'recorded',
    )
    const headers = { 'tabular-split': '0,1,8', 'tabular-num-of-subsplits': '1', 'tabular-start-row-id-0': '0,0' }
    const reply = await probe.send('GET', probe.at('recorded', 'data'), { body: vector('Q1'), headers })
    expect(chunksOf(reply.body).chunks.map(({ batch }) => rowsOf(batch))).toEqual([[['abc', 15n]]])
  })
})

describe('a sorted table', () => {
  const select = (...where: Filter[]) => probe.select({ table: 'sorted', where, rowIds: 'wide' })
  const expected = (passes: (id: string, start: number) => boolean) =>
    Array.from({ length: 2000 }, (_, i) => [`k${i % 10}`, BigInt(i)]).filter(([id, start]) => passes(String(id), Number(start)))

  test.each<[string, Filter[], (id: string, start: number) => boolean]>([
    ['a whole key', [eq('id', 'k3'), eq('start', 1503n)], (id, start) => id === 'k3' && start === 1503],
    ['the first column', [eq('id', 'k3')], (id) => id === 'k3'],
    [
      'a range of the second',
      [eq('id', 'k3'), ge('start', 500n), lt('start', 1200n)],
      (id, start) => id === 'k3' && start >= 500 && start < 1200,
    ],
    ['an open range', [eq('id', 'k9'), gt('start', 1950n)], (id, start) => id === 'k9' && start > 1950],
    [
      'several values',
      [oneOf('id', ['k1', 'k8', 'k1', 'none']), le('start', 20n)],
      (id, start) => (id === 'k1' || id === 'k8') && start <= 20,
    ],
    ['a range of the first', [ge('id', 'k8')], (id) => id >= 'k8'],
    ['nothing that is there', [eq('id', 'k')], () => false],
    ['only the second column', [eq('start', 77n)], (_, start) => start === 77],
  ])('finds %s', async (_, where, passes) => {
    expect(await select(...where)).toEqual(expected(passes))
  })

  test('has wide row ids', async () => {
    const [row] = await probe.select({ table: 'sorted', where: [eq('start', 1234n)], columns: [ROW_ID], rowIds: 'wide' })
    expect(row).toEqual([1234n])
  })
})

describe('a query is refused', () => {
  test.each<[string, Parameters<Probe['query']>[0] & object, number]>([
    ['for a table that is not there', { table: 'none' }, 404],
    ['for a split beyond the last', { split: { index: 2, total: 2, rowGroups: 8 } }, 400],
    ['for an unknown projection', { params: { name: 'none' } }, 404],
    ['with a negative priority', { priority: -1 }, 400],
  ])('%s', async (_, options, status) => {
    expect((await probe.query(options)).status).toBe(status)
  })

  test('when its body is no query', async () => {
    const headers = { 'tabular-split': '0,1,8', 'tabular-num-of-subsplits': '1', 'tabular-start-row-id-0': '0,0' }
    expect((await probe.send('GET', probe.at('t', 'data'), { body: vector('C1'), headers })).status).toBe(400)
  })
})
