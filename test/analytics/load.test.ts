import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import {
  type Data,
  Dictionary,
  Field,
  Float64,
  Int32,
  Int64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  TimestampMicrosecond,
  Utf8,
  vectorFromArray,
} from 'apache-arrow'
import { packBatch, unpackBatch } from '../../analytics/batch-transfer.ts'
import { Engine } from '../../analytics/engine.ts'
import { type LoadColumn, type LoadedTable, load } from '../../analytics/load.ts'
import { objectIdSql } from '../../analytics/object-keys.ts'

let engine: Engine
beforeAll(async () => {
  engine = await Engine.open({ memoryLimitMiB: 200, threads: 1, concurrency: 2 })
})
afterAll(() => engine.close())

const batchOf = (columns: Readonly<Record<string, Data>>): RecordBatch => {
  const schema = new Schema(Object.entries(columns).map(([name, data]) => new Field(name, data.type, true)))
  const children = Object.values(columns)
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length: children[0]?.length ?? 0, nullCount: 0, children }))
}
const integers = (values: readonly (bigint | null)[]): Data => first(vectorFromArray(values, new Int64()).data)
const texts = (values: readonly (string | null)[]): Data => first(vectorFromArray(values, new Dictionary(new Utf8(), new Int32())).data)
const first = <T>(items: readonly T[]): T => {
  const [item] = items
  if (item === undefined) throw new Error('there is nothing')
  return item
}
async function* given(...batches: readonly RecordBatch[]): AsyncGenerator<RecordBatch> {
  yield* batches
}
let names = 0
const loaded = (columns: readonly LoadColumn[], ...batches: readonly RecordBatch[]): Promise<LoadedTable> =>
  load(engine, { name: `table${++names}`, columns, batches: given(...batches) })
const rowsOf = async (table: LoadedTable, sql = 'select * from v') =>
  (await engine.query({ sql, views: { v: table.select }, maxRows: 100_000, timeoutMs: 5000 })).rows

const hex = (i: number): string => createHash('md5').update(String(i)).digest('hex')
const uuid = (i: number): string => hex(i).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')

const INT: LoadColumn = { name: 'n', kind: 'int64' }
const TEXT: LoadColumn = { name: 't', kind: 'text' }

describe('loading Arrow batches', () => {
  test('keeps every number, null and text, across chunks and batches', async () => {
    const size = 5000
    const numbers = Array.from({ length: size }, (_, i) => (i % 7 === 3 ? null : (BigInt(i) - 2500n) * 3_689_348_814_741n))
    const words = Array.from({ length: size }, (_, i) => (i % 11 === 5 ? null : `text ${i % 3 === 0 ? i : 'ü😀'}`))
    const batches = [0, 3000].map((from) =>
      batchOf({ n: integers(numbers.slice(from, from + 3000)), t: texts(words.slice(from, from + 3000)) }),
    )
    const table = await loaded([INT, TEXT], ...batches)
    const rows = await rowsOf(table)
    const order = (row: readonly unknown[]) => row.map(String).join()
    expect(rows.map(order).sort()).toEqual(numbers.map((n, i) => order([n, words[i] ?? null])).sort())
    expect(table.rowsScanned).toBe(size)
    await table.drop()
  })

  test('keeps text that repeats as codes, and the view shows it in full', async () => {
    const words = Array.from({ length: 6000 }, (_, i) => (i % 10 === 0 ? null : `word ${i % 4}`))
    const table = await loaded([TEXT], batchOf({ t: texts(words) }))
    expect(table.select).toContain('left join')
    const rows = await rowsOf(table, 'select t, count(*) from v group by t order by t nulls first')
    expect(rows).toEqual(
      [null, 'word 0', 'word 1', 'word 2', 'word 3'].map((word) => [word, BigInt(words.filter((each) => each === word).length)]),
    )
    await table.drop()
  })

  test('keeps text in codes right when later batches have other dictionaries', async () => {
    const part = (offset: number) => Array.from({ length: 4000 }, (_, i) => `word ${offset + (i % 5)}`)
    const table = await loaded([TEXT], batchOf({ t: texts(part(0)) }), batchOf({ t: texts(part(3)) }), batchOf({ t: texts(part(100)) }))
    const rows = await rowsOf(table, 'select t, count(*) from v group by t')
    const counts = new Map<string, bigint>()
    for (const word of [...part(0), ...part(3), ...part(100)]) counts.set(word, (counts.get(word) ?? 0n) + 1n)
    expect(new Map(rows as [string, bigint][])).toEqual(counts)
    await table.drop()
  })

  test.each([
    ['of 32 digits', (i: number) => hex(i)],
    ['UUIDs', (i: number) => uuid(i)],
    ['any text', (i: number) => `tape ${i}/ü`],
    ['of all kinds', (i: number) => [hex(i), uuid(i), `tape ${i}`, hex(i).toUpperCase(), uuid(i).toUpperCase(), ''][i % 6] ?? ''],
    ['of all kinds, UUIDs first', (i: number) => [uuid(i), hex(i), `${hex(i)}0`, `${uuid(i)}0`, uuid(i).replace('-', '_')][i % 5] ?? ''],
  ])('gives ids of objects a key, and back in full: %s', async (_, make) => {
    const ids = Array.from({ length: 3000 }, (_, i) => make(i))
    const all = [...ids, ...ids]
    const table = await loaded([{ name: 'id', kind: 'object' }], batchOf({ id: texts(ids) }), batchOf({ id: texts(ids) }))
    expect((await rowsOf(table, 'select id from v')).map(([each]) => String(each)).toSorted()).toEqual(all.toSorted())
    expect(await rowsOf(table, `select count(*) from v where ${objectIdSql('v')} is distinct from id`)).toEqual([[0n]])
    expect(await rowsOf(table, 'select count(distinct object), count(distinct id) from v')).toEqual([
      [BigInt(new Set(ids).size), BigInt(new Set(ids).size)],
    ])
    // Another table, which begins with another kind of id, has the same keys.
    const others = await loaded([{ name: 'id', kind: 'object' }], batchOf({ id: texts(ids.toReversed()) }))
    const joined = 'select count(*), count(*) filter (a.id = b.id) from v a join w b on a.object = b.object'
    const views = { v: table.select, w: others.select }
    const pairs = BigInt(ids.reduce((sum, each) => sum + 2 * ids.filter((other) => other === each).length, 0))
    expect((await engine.query({ sql: joined, views, maxRows: 1, timeoutMs: 5000 })).rows).toEqual([[pairs, pairs]])
    await table.drop()
    await others.drop()
  })

  test('goes through another thread as it is, slices too', () => {
    const values = Array.from({ length: 100 }, (_, i) => (i % 3 === 0 ? null : BigInt(i)))
    const words = values.map((value) => (value === null ? null : `wörd ${value}`))
    const flags = first(vectorFromArray(values.map((value) => (value === null ? null : value % 2n === 0n))).data)
    const whole = batchOf({ n: integers(values), t: texts(words), b: flags })
    const shown = (batch: RecordBatch) =>
      batch.toArray().map((row) => JSON.stringify(row, (_, value) => (typeof value === 'bigint' ? `${value}` : value)))
    for (const batch of [whole.slice(5, 78), whole.slice(0, 3), whole]) {
      const expected = shown(batch)
      const { packed, transfer } = packBatch(batch)
      expect(shown(unpackBatch(structuredClone(packed, { transfer })))).toEqual(expected)
    }
  })

  test('reads slices of batches, whose bits do not begin at a byte', async () => {
    const values = Array.from({ length: 100 }, (_, i) => (i % 3 === 0 ? null : BigInt(i)))
    const words = values.map((value) => (value === null ? null : `w${value}`))
    const table = await loaded([INT, TEXT], batchOf({ n: integers(values), t: texts(words) }).slice(5, 78))
    const rows = await rowsOf(table, 'select n, t from v order by n nulls first')
    const expected = values.slice(5, 78).map((n) => [n, n === null ? null : `w${n}`] as const)
    const nulls = expected.filter(([n]) => n === null)
    expect(rows).toEqual([...nulls, ...expected.filter(([n]) => n !== null)].map((row) => [...row]))
    await table.drop()
  })

  test('knows floats, 32-bit integers, booleans and times', async () => {
    const batch = batchOf({
      f: first(vectorFromArray([1.5, null, -0.25], new Float64()).data),
      i: first(vectorFromArray([1, -2, null], new Int32()).data),
      b: first(vectorFromArray([true, null, false]).data),
      s: makeData({ type: new TimestampMicrosecond(), length: 3, nullCount: 0, data: BigInt64Array.of(0n, -1n, 1_700_000_000_123_456n) }),
    })
    const kinds = { f: 'float64', i: 'int32', b: 'bool', s: 'time' } as const
    const table = await loaded(
      Object.entries(kinds).map(([name, kind]) => ({ name, kind })),
      batch,
    )
    expect(await rowsOf(table)).toEqual([
      [1.5, 1n, true, 0n],
      [null, -2n, null, -1n],
      [-0.25, null, false, 1_700_000_000_123_456n],
    ])
    await table.drop()
  })

  test('counts rows without columns, and none', async () => {
    const table = await loaded([], batchOf({ n: integers([1n, 2n, null]) }))
    expect(await rowsOf(table, 'select count(*) from v')).toEqual([[3n]])
    const empty = await loaded([INT, TEXT])
    expect(await rowsOf(empty)).toEqual([])
    expect(await rowsOf(empty, 'select count(t), max(n) from v')).toEqual([[0n, null]])
    await table.drop()
    await empty.drop()
  })

  test('drops rows that the derived column marks', async () => {
    const derived = {
      name: 'mark',
      of: (batch: RecordBatch) => Int32Array.from({ length: batch.numRows }, (_, i) => (i % 2 === 0 ? i : -1)),
    }
    const table = await load(engine, {
      name: 'derived',
      columns: [INT],
      derived,
      batches: given(batchOf({ n: integers([10n, 11n, 12n]) })),
    })
    expect(await rowsOf(table, 'select mark, n from v order by mark')).toEqual([
      [0n, 10n],
      [2n, 12n],
    ])
    expect(table.rowsScanned).toBe(3)
    await table.drop()
  })

  test('leaves no table behind when the scan fails', async () => {
    async function* failing(): AsyncGenerator<RecordBatch> {
      yield batchOf({ n: integers([1n]) })
      throw new Error('the store is away')
    }
    await expect(load(engine, { name: 'half', columns: [INT], batches: failing() })).rejects.toThrow('the store is away')
    const tables = await engine.query({
      sql: "select count(*) from duckdb_tables() where table_name = 'half'",
      maxRows: 1,
      timeoutMs: 5000,
    })
    expect(tables.rows).toEqual([[0n]])
  })
})

describe('the engine', () => {
  const endless = 'with recursive r(n) as (select 1 union all select n + 1 from r) select max(n) from r'
  const query = (sql: string, more: { timeoutMs?: number; signal?: AbortSignal } = {}) =>
    engine.query({ sql, maxRows: 10, timeoutMs: 5000, ...more })

  test('ends a query at its time limit, also one that waits for its turn', async () => {
    const began = performance.now()
    const running = [1, 2, 3].map(() => query(endless, { timeoutMs: 300 }).catch((error: unknown) => error))
    for (const error of await Promise.all(running)) expect(error).toMatchObject({ code: 'timeout' })
    expect(performance.now() - began).toBeLessThan(4000)
    expect((await query('select 1')).rows).toEqual([[1n]])
  })

  test('ends a query when its signal is aborted, and runs none for one that was before', async () => {
    const stop = new AbortController()
    const running = [1, 2, 3].map(() => query(endless, { signal: stop.signal }).catch((error: unknown) => error))
    stop.abort(new Error('enough'))
    for (const error of await Promise.all(running)) expect(error).toEqual(new Error('enough'))
    await expect(query('select 1', { signal: stop.signal })).rejects.toThrow('enough')
    expect((await query('select 1')).rows).toEqual([[1n]])
  })

  test('refuses files, extensions and its own settings', async () => {
    for (const sql of ["select * from read_text('/etc/hostname')", "select * from '/etc/hostname'"])
      await expect(query(sql)).rejects.toThrow()
    for (const sql of [
      "copy (select 1) to '/tmp/x.csv'",
      'install httpfs',
      'load httpfs',
      'set enable_external_access = true',
      "attach '/tmp/x.db'",
    ])
      await expect(engine.run(sql)).rejects.toThrow()
  })

  test('shows a view to one query only', async () => {
    await engine.query({ sql: 'select * from mine', views: { mine: 'select 1 as a' }, maxRows: 1, timeoutMs: 5000 })
    await expect(query('select * from mine')).rejects.toThrow('mine')
  })
})
