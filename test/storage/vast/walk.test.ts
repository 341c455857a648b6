import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { and, compare, eq, type Predicate } from '../../../src/core/predicate.ts'
import type { Row } from '../../../src/storage/schema.ts'
import { rowTest } from '../../../src/storage/vast/column-terms.ts'
import type { VastEngine } from '../../../src/storage/vast/engine.ts'
import { Hints } from '../../../src/storage/vast/hints.ts'
import { VastReadTx } from '../../../src/storage/vast/read-tx.ts'
import type { RowQuery, RowSource, SourceRow } from '../../../src/storage/vast/row-source.ts'
import { SnapshotSource } from '../../../src/storage/vast/snapshot-source.ts'
import { flowRow, segmentRow } from '../../contract/table-rows.ts'
import { type Emulator, startEmulator } from '../../emulators/vast/index.ts'
import { freshEngine, insertRows } from './cluster.ts'
import { CountingSource } from './counting-source.ts'

const SEGMENTS = 20_000
const SECOND = 1_000_000_000n
const START = 1_700_000_000n * SECOND
const live = and(eq('flow_id', 'f'), eq('timeline_id', 't'))

let emulator: Emulator
let engine: VastEngine

beforeAll(async () => {
  emulator = await startEmulator()
  engine = await freshEngine(emulator)
  const rows = Array.from({ length: SEGMENTS }, (_, i) =>
    segmentRow('f', START + BigInt(i) * SECOND, { timeline_id: 't', object_id: `o${i % 100}` }),
  )
  // In an order of their own: what a limit gives is then no beginning.
  await insertRows(
    engine,
    'segments',
    rows.toSorted((a, b) => Number((a.start_ns * 7919n) % 10_007n) - Number((b.start_ns * 7919n) % 10_007n)),
  )
  await insertRows(engine, 'segments', [segmentRow('g', START, { timeline_id: 't' })])
  await insertRows(engine, 'flows', [
    flowRow('f', { timeline_id: 't', start_ns: START, end_ns: START + BigInt(SEGMENTS) * SECOND, segment_count: BigInt(SEGMENTS) }),
  ])
})
afterAll(async () => {
  engine.client.close()
  await emulator.close()
})

let counting: CountingSource
let hints: Hints
const reader = () => new VastReadTx(counting, hints)
beforeEach(() => {
  hints = new Hints()
  counting = new CountingSource(new SnapshotSource(engine, engine.client.database))
})

const starts = (rows: readonly Pick<Row<'segments'>, 'start_ns'>[]) => rows.map((row) => (row.start_ns - START) / SECOND)
const by = (direction: 'asc' | 'desc') => [{ column: 'start_ns', direction }] as const
const upTo = (count: number, from = 0) => Array.from({ length: count }, (_, i) => BigInt(from + i))
const cost = () => [counting.requests, counting.rowsRead] as const

describe('a page of a long flow', () => {
  test('the first takes the look at the flow and one request, and reads little more than the page', async () => {
    const page = await reader().list('segments', { where: live, orderBy: by('asc'), limit: 300 })
    expect(starts(page.rows)).toEqual(upTo(300))
    expect(counting.requests).toBe(2)
    expect(counting.rowsRead).toBeLessThan(450)
  })

  test('a flow that was looked up before is not asked for again, and no hint is needed twice', async () => {
    const tx = reader()
    await tx.find('flows', ['f', ''])
    counting.requests = 0
    await tx.list('segments', { where: live, limit: 30 })
    await tx.list('segments', { where: live, limit: 30 })
    expect(counting.requests).toBe(2)
  })

  test('the last ones, in the middle, and behind a page', async () => {
    const tx = reader()
    const last = await tx.list('segments', { where: live, orderBy: by('desc'), limit: 50 })
    expect(starts(last.rows)).toEqual(upTo(50, SEGMENTS - 50).reverse())
    const next = await tx.list('segments', { where: live, orderBy: by('desc'), limit: 50, after: last.after ?? [] })
    expect(starts(next.rows)).toEqual(upTo(50, SEGMENTS - 100).reverse())
    const middle = and(live, compare('start_ns', '>=', START + 9000n * SECOND), compare('start_ns', '<', START + 9010n * SECOND))
    const range = await tx.list('segments', { where: middle, limit: 50 })
    expect([starts(range.rows), range.after]).toEqual([upTo(10, 9000), undefined])
    expect(counting.requests).toBeLessThanOrEqual(4)
    expect(counting.rowsRead).toBeLessThan(300)
  })

  test.each([
    ['inside', START + 12_345n * SECOND + 5n, 12_345n],
    ['far behind the end', START + 10n ** 18n, BigInt(SEGMENTS - 1)],
    ['at the first', START, 0n],
  ])('the predecessor of a moment %s is one request and a few rows', async (_, ns, expected) => {
    const tx = reader()
    await tx.find('flows', ['f', ''])
    counting.requests = 0
    const where = and(live, compare('start_ns', '<=', ns))
    expect(starts((await tx.list('segments', { where, orderBy: by('desc'), limit: 1 })).rows)).toEqual([expected])
    expect(counting.requests).toBe(1)
    expect(counting.rowsRead).toBeLessThan(12)
  })

  test.each(['asc', 'desc'] as const)('a hint that points beyond the range asked for hides no rows (%s)', async (direction) => {
    hints.learn('segments', ['f', 't'], { spacing: 1000n * SECOND, first: START + 10n ** 18n, last: START - 10n ** 18n })
    const where = and(live, compare('start_ns', '>=', START), compare('start_ns', '<', START + 5000n * SECOND))
    const page = await reader().list('segments', { where, orderBy: by(direction), limit: 3 })
    expect(starts(page.rows)).toEqual(direction === 'asc' ? upTo(3) : upTo(3, 4997).reverse())
  })

  test('nothing lies before the first', async () => {
    const where = and(live, compare('start_ns', '<', START))
    expect(await reader().list('segments', { where, orderBy: by('desc'), limit: 1 })).toEqual({ rows: [] })
  })

  test.each(['asc', 'desc'] as const)('without a row of the flow its end is found by reading one column, once (%s)', async (direction) => {
    const where = live
    hints.learn('segments', ['f', 't'], { spacing: 1n })
    const tx = reader()
    const found = await tx.list('segments', { where, orderBy: by(direction), limit: 100 })
    expect(starts(found.rows)).toEqual(direction === 'asc' ? upTo(100) : upTo(100, SEGMENTS - 100).reverse())
    const [requests, rows] = cost()
    await tx.list('segments', { where, orderBy: by(direction), limit: 100 })
    expect(counting.requests - requests).toBeLessThanOrEqual(2)
    expect(counting.rowsRead - rows).toBeLessThan(300)
  })

  test('hints that are wrong cost requests, not rows', async () => {
    const wrong = [
      { spacing: 1n, first: 0n, last: 0n },
      { spacing: 10n ** 15n, first: START, last: START },
      { spacing: SECOND, first: START + 15_000n * SECOND, last: START + 15_001n * SECOND },
      { spacing: 10n ** 18n, first: -(10n ** 18n), last: 9n * 10n ** 18n },
    ]
    for (const hint of wrong)
      for (const direction of ['asc', 'desc'] as const) {
        hints = new Hints()
        hints.learn('segments', ['f', 't'], hint)
        const found = await reader().list('segments', { where: live, orderBy: by(direction), limit: 20 })
        expect(starts(found.rows)).toEqual(direction === 'asc' ? upTo(20) : upTo(20, SEGMENTS - 20).reverse())
      }
    expect(counting.requests).toBeLessThan(200)
  })

  test('a filter that matches rarely is looked for in growing windows, and gives a short page that can be followed', async () => {
    const where: Predicate = and(live, eq('object_id', 'o7'))
    const tx = reader()
    const found: bigint[] = []
    let after: readonly (string | bigint | number | boolean | null)[] | undefined
    do {
      const page = await tx.list('segments', { where, limit: 150, ...(after ? { after } : {}) })
      found.push(...starts(page.rows))
      after = page.after
    } while (after)
    expect(found).toEqual(Array.from({ length: SEGMENTS / 100 }, (_, i) => BigInt(7 + i * 100)))
    expect(counting.requests).toBeLessThan(60)
  })
})

/** Rows of one timeline in memory; a limit gives whichever rows the seed says. */
class Memory implements RowSource {
  constructor(
    private readonly values: readonly bigint[],
    private readonly backwards: boolean,
  ) {}
  async *rows(_: string, { where, limit }: RowQuery): AsyncGenerator<readonly SourceRow[]> {
    const rows = this.values.map((start_ns): SourceRow => ({ flow_id: 'f', timeline_id: 't', start_ns })).filter(rowTest(where))
    yield (this.backwards ? rows.toReversed() : rows).slice(0, limit)
  }
  find = () => Promise.resolve(undefined)
  count = () => Promise.resolve(0)
}

test('a walk gives what sorting would, whatever the gaps, the hints and the order in which the store answers', async () => {
  const value = fc.oneof(
    fc.bigInt({ min: 0n, max: 300n }),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.bigInt({ min: START, max: START + 10n ** 12n }),
  )
  const hint = fc.option(
    fc.record({
      spacing: fc.bigInt({ min: 1n, max: 10n ** 13n }),
      first: fc.option(value, { nil: undefined }),
      last: fc.option(value, { nil: undefined }),
    }),
    { nil: undefined },
  )
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(value, { maxLength: 300 }),
      hint,
      fc.option(value, { nil: undefined }),
      fc.option(value, { nil: undefined }),
      fc.boolean(),
      fc.boolean(),
      fc.integer({ min: 1, max: 12 }),
      async (values, known, low, high, descending, backwards, limit) => {
        const memory = new Memory(values, backwards)
        const learned = new Hints()
        if (known) learned.learn('segments', ['f', 't'], known)
        const tx = new VastReadTx(memory, learned)
        const where = and(
          live,
          ...(low === undefined ? [] : [compare('start_ns', '>=', low)]),
          ...(high === undefined ? [] : [compare('start_ns', '<', high)]),
        )
        const expected = values
          .filter((each) => (low === undefined || each >= low) && (high === undefined || each < high))
          .toSorted((a, b) => (a < b !== descending ? -1 : 1))
        const found: bigint[] = []
        let after: Parameters<typeof tx.list>[1]['after']
        let pages = 0
        do {
          const page = await tx.list('segments', {
            columns: ['start_ns'],
            where,
            orderBy: by(descending ? 'desc' : 'asc'),
            limit,
            ...(after ? { after } : {}),
          })
          found.push(...page.rows.map((row) => row.start_ns))
          after = page.after
        } while (after && ++pages < 3)
        expect(found).toEqual(after ? expected.slice(0, found.length) : expected)
        if (after) expect(found).toHaveLength(3 * limit)
      },
    ),
    { numRuns: 300 },
  )
})
