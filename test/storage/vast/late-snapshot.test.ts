import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { and, compare, eq } from '../../../src/core/predicate.ts'
import { TimeRange } from '../../../src/core/time-range.ts'
import type { WriteTx } from '../../../src/storage/tables.ts'
import type { VastTables } from '../../../src/storage/vast/index.ts'
import { flowRow } from '../../contract/table-rows.ts'
import { type Emulator, startEmulator } from '../../emulators/vast/index.ts'
import { addFlow, addSegments, objectRow, openWatched, pageOf, type Watched, warm } from './pages.ts'
import { failureOf, requestsOf } from './stores.ts'

const SEGMENTS = 100
let emulator: Emulator
let stores = 0
/** The replica that remembers, and another one. */
let watched: Watched
let other: VastTables

beforeAll(async () => {
  emulator = await startEmulator()
})
afterAll(() => emulator.close())
beforeEach(async () => {
  const schema = `late-${++stores}`
  watched = await openWatched(emulator, schema)
  other = (await openWatched(emulator, schema)).store
  await other.write((tx) => addFlow(tx, 'f', SEGMENTS))
})
afterEach(() => Promise.all([watched.store.close(), other.close()]))

const page = pageOf('f')
const middle = pageOf('f', { range: TimeRange.of(505n, 700n) })
const plainly = (work = page) => other.read(work)
const write = (work: (tx: WriteTx) => Promise<unknown>) => () => other.write(work)

describe('a warm page is two requests', () => {
  test.each([
    ['from the beginning', page],
    ['from a moment inside of a segment', middle],
    ['up to the end', pageOf('f', { range: TimeRange.of(905n, undefined) })],
    ['of everything', pageOf('f', { limit: 1000 })],
    ['before the first segment', pageOf('f', { range: TimeRange.of(-50n, 100n) })],
  ])('%s', async (_, work) => {
    await warm(watched, work)
    expect(await requestsOf(emulator, () => watched.store.read(work))).toEqual({ 'GET data': 2 })
    expect(await watched.store.read(work)).toEqual(await plainly(work))
  })

  test('also where other columns of its objects were read before: all are remembered then', async () => {
    const sizes = async () => {
      await watched.store.read(async (tx) => {
        await page(tx)
        await tx.list('objects', { columns: ['id', 'size'], where: and(eq('id', 'f-0'), eq('deletion_id', '')), limit: 1 })
      })
    }
    await warm(watched, page)
    await sizes()
    await watched.store.close()
    expect(watched.engine.rowCache.size.rows).toBe(31)
  })

  test('and as many at once as are asked for in one turn', async () => {
    await warm(watched, page)
    const many = () => Promise.all(Array.from({ length: 16 }, () => watched.store.read(page)))
    expect(await requestsOf(emulator, many)).toEqual({ 'GET data': 2 })
  })
})

describe('requests of what is not warm', () => {
  test('a first page waits for a transaction, the flow, its segments and their objects, and asks for their stamps behind the answer', async () => {
    expect(await requestsOf(emulator, () => watched.store.read(middle))).toEqual({ 'POST transaction': 1, 'GET data': 3 })
    const behind = await requestsOf(emulator, () => watched.store.close())
    expect(behind).toEqual({ 'GET data': 1, 'DELETE transaction': 1 })
  })

  test('further pages of a flow that is known: its segments, a transaction, stamps and objects in one round', async () => {
    await warm(watched, page)
    const next = pageOf('f', { range: TimeRange.of(500n, 600n) })
    const counted = await requestsOf(emulator, () => warm(watched, next))
    expect(counted).toMatchObject({ 'POST transaction': 1, 'GET data': 3 })
    expect(await requestsOf(emulator, () => watched.store.read(next))).toEqual({ 'GET data': 2 })
  })

  test('reads of no timeline ask for no stamps', async () => {
    const flow = () => watched.store.read((tx) => tx.find('flows', ['f', '']))
    expect(await requestsOf(emulator, flow)).toMatchObject({ 'POST transaction': 1, 'GET data': 1 })
    expect(await requestsOf(emulator, flow)).toMatchObject({ 'POST transaction': 1, 'GET data': 1 })
    expect(watched.engine.rowCache.size.rows).toBe(0)
  })

  test('a flow that changes before each page soon costs no more than without memory', async () => {
    for (let i = 0; i < 12; i++) {
      await other.write((tx) => addSegments(tx, 'f', [BigInt(10 * (SEGMENTS + i))]))
      await watched.store.read(page)
    }
    const counts: number[] = []
    for (let i = 12; i < 36; i++) {
      await other.write((tx) => addSegments(tx, 'f', [BigInt(10 * (SEGMENTS + i))]))
      counts.push((await requestsOf(emulator, () => watched.store.read(page)))['GET data'] ?? 0)
    }
    expect(counts.filter((count) => count > 3).length).toBeLessThanOrEqual(3)
  }, 120_000)
})

const CHANGES: readonly (readonly [string, (tx: WriteTx) => Promise<unknown>])[] = [
  ['the flow', (tx) => tx.update('flows', eq('id', 'f'), { label: 'other' })],
  ['an object', (tx) => tx.update('objects', eq('id', 'f-520'), { key_frame_count: 7n })],
  ['an object that goes', (tx) => tx.delete('objects', eq('id', 'f-520'))],
  ['a segment that goes', (tx) => tx.delete('segments', and(eq('flow_id', 'f'), eq('start_ns', 520n)))],
  ['a segment', (tx) => tx.update('segments', and(eq('flow_id', 'f'), eq('start_ns', 520n)), { object_id: 'f-0' })],
  [
    'the flow, its segments and objects at once',
    async (tx) => {
      await tx.update('flows', eq('id', 'f'), { label: 'other' })
      await tx.delete('segments', and(eq('flow_id', 'f'), compare('start_ns', '>=', 550n)))
      await tx.update('objects', eq('id', 'f-520'), { key_frame_count: 7n })
    },
  ],
  [
    'the flow, which is made again with another timeline',
    async (tx) => {
      await tx.lock(['flow:f'])
      await tx.put('flows', [flowRow('f', { timeline_id: 'new' })])
      await addSegments(tx, 'f', [510n])
    },
  ],
  ['the flow, which goes', (tx) => tx.delete('flows', eq('id', 'f'))],
]

// None of these takes the locks by itself that a reader compares.
describe.each(CHANGES)('another replica changes %s', (_, change) => {
  test('before a page that is remembered: it shows the change', async () => {
    await warm(watched, middle)
    await other.write(change)
    expect(await watched.store.read(middle)).toEqual(await plainly(middle))
  })

  test.each(['segments', 'locks'] as const)('just before the request for %s of such a page: it shows the change', async (table) => {
    await warm(watched, middle)
    const unchanged = await plainly(middle)
    watched.before(table, write(change))
    const shown = await watched.store.read(middle)
    expect(watched.waiting).toBe(0)
    expect(shown).toEqual(await plainly(middle))
    expect(shown).not.toEqual(unchanged)
  })

  test('between a page and a read of something else: both show the change', async () => {
    await warm(watched, middle)
    const counting = async (tx: Parameters<typeof middle>[0]) => ({
      page: await middle(tx),
      flows: await tx.list('flows', { columns: ['id', 'label'], where: eq('source_id', 'source'), limit: 10 }),
      segments: await tx.count('segments', eq('flow_id', 'f')),
      kept: await tx.list('objects', { columns: ['id'], where: eq('key_frame_count', 7n), limit: 10 }),
    })
    watched.before('segments', write(change))
    const shown = await watched.store.read(counting)
    expect(watched.waiting).toBe(0)
    expect(shown).toEqual(await other.read(counting))
  })
})

test('a change of this process lets go of what it remembers', async () => {
  await warm(watched, page)
  await watched.store.write((tx) => tx.update('flows', eq('id', 'f'), { label: 'mine' }))
  expect((await requestsOf(emulator, () => watched.store.read(page)))['GET data']).toBe(3)
  expect((await watched.store.read(page))?.label).toBe('mine')
})

test('a transaction does not begin while segments are asked for without it', async () => {
  await warm(watched, page)
  watched.before('segments', () => other.write((tx) => addSegments(tx, 'f', [BigInt(10 * SEGMENTS)])))
  const both = await watched.store.read(async (tx) => {
    const timeline = and(eq('flow_id', 'f'), eq('timeline_id', "f's"))
    const listing = tx.list('segments', { columns: ['start_ns'], where: timeline, limit: 1000 })
    await tx.find('flows', ['f', ''])
    return Promise.all([listing, tx.count('segments', eq('flow_id', 'f'))])
  })
  expect(watched.waiting).toBe(0)
  expect(both[0].rows).toHaveLength(SEGMENTS + 1)
  expect(both[1]).toBe(SEGMENTS + 1)
})

test('an error that a work made of a mixture of states is not its answer', async () => {
  await warm(watched, page)
  const strict = async (tx: Parameters<typeof page>[0]) => {
    const shown = await page(tx)
    if (shown?.label === 'whole' ? shown.starts.length > 5 : shown?.starts.length !== 30) throw new Error('a state that never was')
    return shown
  }
  const cut = write(async (tx) => {
    await tx.update('flows', eq('id', 'f'), { label: 'whole' })
    await tx.delete('segments', and(eq('flow_id', 'f'), compare('start_ns', '>=', 50n)))
  })
  watched.before('segments', cut)
  expect((await watched.store.read(strict))?.starts).toHaveLength(5)
})

test('an error of a work stays its answer', async () => {
  await warm(watched, page)
  const failing = async (tx: Parameters<typeof page>[0]) => {
    await page(tx)
    throw new Error('not for me')
  }
  expect(await failureOf(watched.store.read(failing))).toMatchObject({ message: 'not for me' })
})

test('a flow that takes the slot of another one changes no answer', async () => {
  const schema = `late-${++stores}`
  const few = await openWatched(emulator, schema, 1)
  try {
    await few.store.write((tx) => addFlow(tx, 'f', 3))
    await few.store.write((tx) => addFlow(tx, 'g', 2))
    for (const work of [pageOf('f'), pageOf('g'), pageOf('f')])
      for (let i = 0; i < 3; i++)
        expect((await few.store.read(work))?.keyFrames).toHaveLength(
          work === page ? 3 : ((await few.store.read(work))?.starts.length ?? -1),
        )
  } finally {
    await few.store.close()
  }
})

test('rows of one slot that were remembered at different moments do not come together in one answer', async () => {
  const schema = `late-${++stores}`
  const few = await openWatched(emulator, schema, 1)
  const replica = (await openWatched(emulator, schema)).store
  try {
    await few.store.write((tx) => addFlow(tx, 'f', 3))
    const remember = async () => {
      const before = few.engine.rowCache.stamp(0)
      while (few.engine.rowCache.stamp(0) === before || few.engine.rowCache.stamp(0) === undefined) await few.store.read(page)
    }
    await remember()
    let runs = 0
    const shown = await few.store.read(async (tx) => {
      const flow = await tx.find('flows', ['f', ''])
      if (++runs === 1) {
        await replica.write(async (other) => {
          await other.update('flows', eq('id', 'f'), { label: 'new' })
          await other.update('objects', eq('id', 'f-0'), { key_frame_count: 7n })
        })
        await remember()
      }
      const where = and(eq('id', 'f-0'), eq('deletion_id', ''))
      const { rows } = await tx.list('objects', { columns: ['id', 'key_frame_count'], where, limit: 1 })
      return [flow?.label, rows[0]?.key_frame_count]
    })
    expect(shown).toEqual(['new', 7n])
    expect(runs).toBe(2)
  } finally {
    await Promise.all([few.store.close(), replica.close()])
  }
})

test('an object that nobody has is looked for each time', async () => {
  await other.write((tx) => tx.delete('objects', eq('id', 'f-0')))
  await warm(watched, page)
  expect((await watched.store.read(page))?.keyFrames[0]).toBeUndefined()
  await other.write((tx) => tx.put('objects', [objectRow('f-0', { key_frame_count: 3n })]))
  expect((await watched.store.read(page))?.keyFrames[0]).toBe(3n)
})
