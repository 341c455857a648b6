import { describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { planNextSet } from '../../src/cli/seed/next-set.ts'
import { type PlannedFlow, planSeed, type SeedOptions } from '../../src/cli/seed/plan.ts'
import { type SeedBatch, seedRows } from '../../src/cli/seed/rows.ts'
import { writeSeed } from '../../src/cli/seed/write.ts'
import { everything } from '../../src/core/predicate.ts'
import { TimeRange } from '../../src/core/time-range.ts'
import { timestampNs } from '../../src/core/timestamp.ts'
import { isUuid } from '../../src/core/uuid.ts'
import { openSqliteTables } from '../../src/storage/sqlite/index.ts'
import type { Tables } from '../../src/storage/tables.ts'

const UNTIL = 1_795_000_000_000_000n
const DAY_US = 86_400_000_000n
const options: SeedOptions = { flows: 120, segments: 6000, sources: 60, segmentsPerObject: 1, days: 20, seed: 'x', untilUs: UNTIL }
const rowOptions = { storageId: '5f4d5d3a-0a53-4d5e-9c0b-7d1a3e6f2b10', storagePath: 'tams', batchSize: 500 }

const make = (changes: Partial<SeedOptions> = {}) => {
  const all = { ...options, ...changes }
  const flows = planSeed(all)
  return { flows, batches: [...seedRows(flows, { ...all, ...rowOptions })] }
}

const rows = <K extends Exclude<keyof SeedBatch, 'tags'>>(batches: readonly SeedBatch[], table: K) =>
  batches.flatMap((batch) => batch[table] as SeedBatch[K][number][])

const { flows, batches } = make()
const segments = rows(batches, 'segments')
const objects = new Map(rows(batches, 'objects').map((row) => [row.id, row]))
const refs = rows(batches, 'object_refs')

describe('seeded rows', () => {
  test('are as many as asked for', () => {
    expect(rows(batches, 'flows')).toHaveLength(120)
    expect(rows(batches, 'sources')).toHaveLength(60)
    expect(segments).toHaveLength(6000)
    expect(batches.every((batch) => batch.segments.length <= 500)).toBe(true)
  })

  test('are the same for the same seed and others for another', () => {
    expect(make().batches).toEqual(batches)
    expect(rows(make({ seed: 'y' }).batches, 'flows')[0]?.id).not.toBe(rows(batches, 'flows')[0]?.id)
  })

  test('have segments that never overlap within a flow, with some gaps', () => {
    const lastEnd = new Map<string, bigint>()
    let gaps = 0
    for (const { flow_id, start_ns, end_ns, timerange } of segments) {
      const before = lastEnd.get(flow_id)
      expect(end_ns > start_ns && (before === undefined || start_ns >= before)).toBe(true)
      expect([TimeRange.parse(timerange).startNs, TimeRange.parse(timerange).endNs]).toEqual([start_ns, end_ns])
      if (before !== undefined && start_ns > before) gaps++
      lastEnd.set(flow_id, end_ns)
    }
    expect(gaps).toBeGreaterThan(5)
    expect(gaps).toBeLessThan(100)
  })

  test('state the extent and the number of the segments of each flow', () => {
    for (const flow of rows(batches, 'flows')) {
      const own = segments.filter(({ flow_id }) => flow_id === flow.id)
      expect(flow.segment_count).toBe(BigInt(own.length))
      expect([flow.start_ns, flow.end_ns]).toEqual([own[0]?.start_ns ?? null, own.at(-1)?.end_ns ?? null])
      expect(flow.timerange === null).toBe(own.length === 0)
      if (flow.timerange !== null) expect(TimeRange.parse(flow.timerange).endNs).toBe(flow.end_ns ?? 0n)
      expect(own.every(({ timeline_id }) => timeline_id === flow.timeline_id)).toBe(true)
    }
  })

  test('have segments that lie within their objects, shifted by their offset', () => {
    for (const { object_id, start_ns, end_ns, ts_offset } of segments) {
      const object = objects.get(object_id)
      const offset = timestampNs(ts_offset ?? '0:0') ?? 0n
      expect(object && (object.start_ns ?? 0n) <= start_ns - offset && end_ns - offset <= (object.end_ns ?? 0n)).toBe(true)
    }
  })

  test('count the references to each object', () => {
    const counted = new Map<string, bigint>()
    for (const { object_id, flow_id, timeline_id } of segments) {
      const key = `${object_id} ${flow_id} ${timeline_id}`
      counted.set(key, (counted.get(key) ?? 0n) + 1n)
    }
    expect(new Map(refs.map(({ object_id, flow_id, timeline_id, count }) => [`${object_id} ${flow_id} ${timeline_id}`, count]))).toEqual(
      counted,
    )
    expect(refs).toHaveLength(counted.size)
  })

  test('have edits that use the objects of another flow', () => {
    const edits = flows.filter(({ donor }) => donor)
    expect(edits.length).toBeGreaterThan(0)
    const shared = [...Map.groupBy(refs, ({ object_id }) => object_id).values()].filter((list) => list.length > 1)
    expect(shared.length).toBeGreaterThan(0)
    for (const { object_id, first_referenced_by_flow } of objectsOf(shared)) {
      expect(refs.some((ref) => ref.object_id === object_id && ref.flow_id === first_referenced_by_flow)).toBe(true)
    }
  })

  test('have objects with a size, an instance and a key that follows from the day', () => {
    const instances = new Map(rows(batches, 'object_instances').map((row) => [row.object_id, row]))
    for (const { id, size, instances: json, created } of objects.values()) {
      const row = instances.get(id)
      const day = new Date(Number(created / 1000n)).toISOString().slice(0, 10).replaceAll('-', '/')
      const place = { storage_id: rowOptions.storageId, key: `tams/${day}/${id}` }
      expect(JSON.parse(json)).toEqual([{ ...place, status: 'ready', size: Number(size) }])
      expect(row).toMatchObject({ storage_id: rowOptions.storageId, media_key: `tams/${day}/${id}`, size })
      expect(size).toBeGreaterThan(0n)
    }
    expect(instances.size).toBe(objects.size)
  })

  test('have sizes with outliers and accesses of some objects', () => {
    const sizes = [...objects.values()].map(({ size }) => Number(size)).toSorted((a, b) => a - b)
    expect((sizes.at(-1) ?? 0) / (sizes[Math.floor(sizes.length / 2)] ?? 1)).toBeGreaterThan(10)
    const access = rows(batches, 'object_access')
    expect(access.length / objects.size).toBeGreaterThan(0.08)
    expect(access.length / objects.size).toBeLessThan(0.3)
    expect(access.every((row) => objects.has(row.object_id) && row.read_count > 0n && row.last_access <= UNTIL)).toBe(true)
  })

  test('spread their creation over the days', () => {
    const times = rows(batches, 'flows').map(({ created }) => created)
    expect(times.every((time) => time <= UNTIL && time >= UNTIL - 20n * DAY_US)).toBe(true)
    expect(new Set(times.map((time) => time / DAY_US)).size).toBeGreaterThan(15)
    expect([...objects.values()].every(({ created }) => created <= UNTIL)).toBe(true)
  })

  test('mix the formats, and each flow has that of its source', () => {
    const sources = new Map(rows(batches, 'sources').map((row) => [row.id, row]))
    expect(new Set([...sources.values()].map(({ format }) => format)).size).toBe(5)
    for (const { id, source_id, format } of rows(batches, 'flows')) {
      expect(sources.get(source_id)?.format).toBe(format)
      expect(isUuid(id) && isUuid(source_id)).toBe(true)
    }
  })

  test('have collections of flows and of their sources that agree', () => {
    const byId = new Map(flows.map((flow) => [flow.id, flow]))
    const collections = rows(batches, 'collections')
    const members = collections.filter(({ entity_type }) => entity_type === 'flow')
    expect(members.length).toBeGreaterThan(0)
    for (const { parent_id, child_id, position, role } of members) {
      const source = (id: string): string => byId.get(id)?.source.id ?? ''
      const twin = {
        entity_type: 'source',
        deletion_id: '',
        parent_id: source(parent_id),
        via: parent_id,
        position,
        child_id: source(child_id),
        role,
      }
      expect(collections).toContainEqual(twin)
    }
  })

  test('may be several segments of one object', () => {
    const shared = make({ segmentsPerObject: 4 }).batches
    expect(rows(shared, 'segments')).toHaveLength(6000)
    const own = rows(shared, 'objects').length
    expect(own).toBeGreaterThan(1300)
    expect(own).toBeLessThan(1700)
    const used = rows(shared, 'object_refs').reduce((sum, { count }) => sum + count, 0n)
    expect(used).toBe(6000n)
  })
})

const objectsOf = (groups: readonly (readonly { readonly object_id: string }[])[]) =>
  groups.flatMap(([first]) => {
    const object = first && objects.get(first.object_id)
    return object ? [{ object_id: object.id, first_referenced_by_flow: object.first_referenced_by_flow }] : []
  })

test.each([
  [1, 1, 1],
  [3, 10, 3],
  [7, 0, 2],
])('%d flows with %d segments of %d sources can be planned', (count, total, sources) => {
  const planned: readonly PlannedFlow[] = planSeed({ ...options, flows: count, segments: total, sources })
  expect(planned).toHaveLength(count)
  expect(planned.reduce((sum, flow) => sum + flow.segments, 0)).toBe(total)
  expect(new Set(planned.map(({ source }) => source.id)).size).toBeLessThanOrEqual(sources)
})

test('more sources than flows are refused', () => {
  expect(() => planSeed({ ...options, flows: 2, sources: 3 })).toThrow('3 sources')
})

const withTables = async (work: (tables: Tables) => Promise<void>) => {
  const dir = await mkdtemp(join(tmpdir(), 'tams-test-'))
  const tables = await openSqliteTables({ file: join(dir, 'seed.sqlite'), checkLocks: true })
  try {
    await work(tables)
  } finally {
    await tables.close()
    await rm(dir, { recursive: true })
  }
}

test('the rows can be written to a store that demands locks', () =>
  withTables(async (tables) => {
    const reports: number[] = []
    await writeSeed(tables, batches, (written) => reports.push(written))
    expect(reports.at(-1)).toBe(6000)
    const counts = await tables.read((tx) =>
      Promise.all([tx.count('segments', everything), tx.count('flows', everything), tx.count('object_refs', everything)]),
    )
    expect(counts).toEqual([6000, 120, refs.length])
  }))

describe('what the store has already', () => {
  const few = { ...options, flows: 4, segments: 40, sources: 2 }
  const addSet = async (tables: Tables, over: Partial<SeedOptions> = {}, stopAfter = Number.POSITIVE_INFINITY) => {
    const set = await planNextSet(tables, { ...few, ...over })
    const all = seedRows(set.flows, { ...few, ...over, seed: set.seed, ...rowOptions, batchSize: 3 })
    await writeSeed(tables, all.take(stopAfter), () => {})
    return set.seed
  }

  test('stays as it is, and a further run adds a set of its own', () =>
    withTables(async (tables) => {
      expect([await addSet(tables), await addSet(tables), await addSet(tables, { seed: 'y' }), await addSet(tables)]).toEqual([
        'x',
        'x/2',
        'y',
        'x/3',
      ])
      expect(await tables.read((tx) => tx.count('flows', everything))).toBe(16)
      expect(await tables.read((tx) => tx.count('segments', everything))).toBe(160)
    }))

  test('may be the beginning of a set that broke off', () =>
    withTables(async (tables) => {
      await addSet(tables, {}, 1)
      expect(await tables.read((tx) => tx.count('flows', everything))).toBe(0)
      expect(await addSet(tables)).toBe('x/2')
      expect(await tables.read((tx) => tx.count('flows', everything))).toBe(4)
    }))
})
