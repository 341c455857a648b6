import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFile } from 'node:fs/promises'
import * as fc from 'fast-check'
import { VIEWS } from '../../analytics/user-sql.ts'
import { emptyModel, id, type Model, models } from './model.ts'
import { type Json, type OpenAnalytics, openAnalytics } from './open.ts'

let open: OpenAnalytics
let model: Model
beforeAll(async () => {
  open = await openAnalytics({ memoryLimitBytes: 200 * 2 ** 20 })
  model = fc.sample(models, { numRuns: 50, seed: 7 }).find(({ segments, flows }) => segments.length > 5 && flows.length > 2) ?? emptyModel()
  await open.fill(model.rows)
})
afterAll(() => open.close())

const post = async (body: unknown): Promise<{ readonly status: number; readonly body: Json }> => {
  const response = await open.fetch('/query', {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  })
  return { status: response.status, body: (await response.json()) as Json }
}
const rowsOf = async (sql: string, parameters?: unknown): Promise<Json[]> => {
  const { status, body } = await post({ sql, ...(parameters !== undefined && { parameters }) })
  if (status !== 200) throw new Error(`${sql}: ${JSON.stringify(body)}`)
  return body.rows as Json[]
}

describe('a SELECT over the views', () => {
  test('sees what is live, and nothing of deleted timelines, hidden segments or the trash', async () => {
    expect(model.segments.length).toBeGreaterThan(5)
    const [counts] = await rowsOf(`
      select (select count(*) from sources) as sources, (select count(*) from flows) as flows, (select count(*) from segments) as segments,
        (select count(*) from objects) as objects, (select count(*) from tags) as tags`)
    expect(counts).toEqual({
      sources: model.rows.sources.length,
      flows: model.flows.length,
      segments: model.segments.length,
      objects: model.objects.length,
      tags: model.rows.tags.length,
    })
  })

  test('shows the documented columns of each view with a star', async () => {
    for (const [view, columns] of Object.entries(VIEWS)) {
      const [row] = await rowsOf(`select * from ${view} limit 1`)
      if (row) expect(Object.keys(row)).toEqual([...columns])
    }
  })

  test('joins, groups, windows and common table expressions work', async () => {
    const rows = await rowsOf(`
      with lengths as (select flow_id, end_ns::hugeint - start_ns as ns from segments)
      select f.id, count(*) as n, sum(l.ns)::varchar as ns, row_number() over (order by f.id) as place
      from lengths l join flows f on f.id = l.flow_id group by f.id order by f.id`)
    const expected = model.flows
      .map(({ row }) => ({ id: row.id, segments: model.segments.filter((segment) => segment.flow_id === row.id) }))
      .filter(({ segments }) => segments.length > 0)
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
      .map((flow, i) => ({
        id: flow.id,
        n: flow.segments.length,
        ns: String(flow.segments.reduce((sum, row) => sum + row.end_ns - row.start_ns, 0n)),
        place: i + 1,
      }))
    expect(rows).toEqual(expected)
  })

  test('parameters are bound, by position and by name, whole numbers exactly', async () => {
    const flowId = model.flows[0]?.row.id ?? ''
    const expected = model.segments.filter((row) => row.flow_id === flowId).length
    expect(await rowsOf('select count(*) as n from segments where flow_id = $1', [flowId])).toEqual([{ n: expected }])
    expect(await rowsOf('select count(*) as n from segments where flow_id = $flow', { flow: flowId })).toEqual([{ n: expected }])
    expect(await rowsOf('select $1 + 1 as a, $2 as b, $3 as c, $4 as d', [9007199254740990, "'; drop table x", null, true])).toEqual([
      { a: 9007199254740991, b: "'; drop table x", c: null, d: true },
    ])
  })

  test('numbers that a double cannot hold come as text', async () => {
    expect(
      await rowsOf(
        `select 9223372036854775807 as a, '-9223372036854775808'::bigint as b, 170141183460469231731687303715884105727 as c, 1.50 as d`,
      ),
    ).toEqual([{ a: '9223372036854775807', b: '-9223372036854775808', c: '170141183460469231731687303715884105727', d: '1.50' }])
  })

  test('rows end at the limit, and the answer says so', async () => {
    const { body } = await post({ sql: 'select * from range(5000)', limit: 10 })
    expect(body.rows).toHaveLength(10)
    expect((body.query as Json).truncated).toBe(true)
    const all = await post({ sql: 'select * from range(10)', limit: 10 })
    expect((all.body.query as Json).truncated).toBe(false)
  })

  test('only the columns that it names and the rows of the flow that it asks for are scanned', async () => {
    const flowId = model.flows.find(({ row }) => model.segments.some((segment) => segment.flow_id === row.id))?.row.id ?? ''
    const scans: { columns: readonly string[]; rows: number }[] = []
    const own = await openAnalytics({}, (tables) => ({
      version: (table) => tables.version(table),
      read: (work) =>
        tables.read((tx) =>
          work({
            ...tx,
            find: tx.find.bind(tx),
            list: tx.list.bind(tx),
            count: tx.count.bind(tx),
            readLog: tx.readLog.bind(tx),
            version: tx.version.bind(tx),
            async *scan(table, query) {
              for await (const batch of tx.scan(table, query)) {
                if (table === 'segments') scans.push({ columns: query.columns, rows: batch.numRows })
                yield batch
              }
            },
          }),
        ),
    }))
    try {
      await own.fill(model.rows)
      const sql = 'select sum(end_ns::hugeint) as n from segments s where s.flow_id = $1'
      const response = await own.fetch('/query', { method: 'POST', body: JSON.stringify({ sql, parameters: [flowId] }) })
      const sum = model.segments.filter((row) => row.flow_id === flowId).reduce((total, row) => total + row.end_ns, 0n)
      const [row] = ((await response.json()) as { rows: Json[] }).rows
      expect(String(row?.n)).toBe(String(sum))
      const stored = model.rows.segments.filter((segment) => segment.flow_id === flowId).length
      expect(scans.reduce((total, { rows }) => total + rows, 0)).toBe(stored)
      expect(stored).toBeLessThan(model.rows.segments.length)
      expect([...(scans[0]?.columns ?? [])].sort()).toEqual(['end_ns', 'flow_id', 'start_ns', 'timeline_id'])
    } finally {
      await own.close()
    }
  })

  test('an or, or the same column of two tables, restricts nothing', async () => {
    const a = id(1, 0)
    const either = await rowsOf(`select count(*) as n from segments where flow_id = '${a}' or start_ns is not null`)
    expect(either).toEqual([{ n: model.segments.length }])
    const twice = await rowsOf(
      `select count(*) as n from segments s where flow_id = '${a}' or exists (select 1 from segments where flow_id <> '${a}')`,
    )
    expect(twice).toEqual([{ n: model.segments.length }])
    const outer = await rowsOf(`select count(*) as n from flows f left join segments s on s.flow_id = f.id and f.id = '${a}'`)
    expect(Number(outer[0]?.n)).toBeGreaterThanOrEqual(model.flows.length)
  })
})

const HOSTILE = [
  'insert into flows values (1)',
  'update flows set id = 1',
  'delete from flows',
  'drop table flows',
  'drop view flows',
  'create table x (a int)',
  'create table x as select * from flows',
  'create view flows as select 1',
  'create macro m(a) as a + 1',
  'create schema x',
  'create sequence s',
  'create type t as enum (1)',
  'alter table flows add column x int',
  'truncate flows',
  'select 1; select 2',
  'select 1; drop schema loaded cascade',
  'begin',
  'commit',
  'checkpoint',
  'vacuum',
  'analyze',
  "copy (select 1) to '/tmp/x'",
  "copy flows from '/etc/passwd'",
  "export database '/tmp/x'",
  "import database '/tmp/x'",
  "attach '/tmp/x.db' as x",
  'detach memory',
  'use loaded',
  'install httpfs',
  'load httpfs',
  "set memory_limit = '100GB'",
  'reset memory_limit',
  'pragma database_list',
  'call pragma_version()',
  'explain analyze select 1',
  'describe flows',
  'summarize flows',
  'show tables',
  'show all tables',
  'prepare p as select 1',
  'execute p',
  'with x as (delete from flows returning *) select * from x',
  "select * from '/etc/passwd'",
  "select * from '/tmp/x.parquet'",
  "select * from read_csv('/etc/passwd')",
  "select * from read_text('/etc/passwd')",
  "select * from read_blob('/proc/self/environ')",
  "select * from read_parquet('https://example.org/x.parquet')",
  "select * from read_json_auto('/x')",
  "select * from glob('/etc/*')",
  "select * from sniff_csv('/etc/passwd')",
  "select * from parquet_metadata('/x')",
  'select * from duckdb_tables()',
  'select * from duckdb_settings()',
  'select * from duckdb_secrets()',
  'select * from duckdb_tables',
  'select * from duckdb_views',
  'select * from sqlite_master',
  'select * from information_schema.tables',
  'select * from pg_catalog.pg_class',
  'select * from pg_class',
  'select * from loaded.t1',
  'select * from memory.loaded.t1',
  'select * from temp.flows',
  'select * from main.flows',
  'select * from t1',
  'select * from object_access',
  'select * from storage_backends',
  "select * from query('select 1')",
  "select * from query_table('flows')",
  "select * from pragma_table_info('flows')",
  "select * from json_execute_serialized_sql('x')",
  'select * from test_all_types()',
  'select * from summary((select 1))',
  "select * from seq_scan('t1')",
  "select current_setting('memory_limit')",
  "select getenv('HOME')",
  "select getvariable('x')",
  'select current_query()',
  'select version()',
  'select current_database()',
  "select nextval('s')",
  "select write_log('x')",
  'select sleep_ms(100000)',
  'select pg_sleep(100000)',
  'select setseed(0.1)',
  "select repeat('x', 4000000000)",
  "select lpad('x', 2000000000, 'y')",
  'select range(4000000000)',
  'select len(generate_series(1, 4000000000))',
  'select unnest(range(4000000000))',
  'select main.current_query()',
  'select system.main.version()',
  'with duckdb_tables as (select 1) select * from duckdb_tables',
  'select * from (with sqlite_master as (select 1) select 1), sqlite_master',
  'select * from flows at (version => 1)',
  '(select 1) union all (select 2 from loaded.t1)',
  'select (select max(a) from loaded.t1)',
  'select 1 where exists (from duckdb_settings())',
  'from flows, lateral (select * from pg_class)',
  '',
  '-- nothing',
  'select',
  'selec 1',
  'select * from nothing',
  'select nothing from flows',
  'select timeline_id from segments',
  'select hidden from flows',
  'select flow from segments',
  'select instances from objects',
  "select 'x'::integer",
  'select $1',
]

describe('anything else', () => {
  test.each(HOSTILE)('%j is refused', async (sql) => {
    const { status, body } = await post({ sql })
    expect([status, body.type]).toEqual(sql === '' ? [400, 'invalid'] : [422, 'unprocessable'])
    expect(String(body.summary)).not.toMatch(/\n|\bt\d+\b.*loaded/)
  })

  test('leaves everything as it was', async () => {
    expect(await rowsOf('select count(*) as n from flows')).toEqual([{ n: model.flows.length }])
    expect(open.failures).toEqual([])
  })

  test.each<[string, unknown]>([
    ['no sql', {}],
    ['sql that is no text', { sql: 1 }],
    ['an unknown member', { sql: 'select 1', what: 1 }],
    ['a limit of 0', { sql: 'select 1', limit: 0 }],
    ['a parameter that is a list', { sql: 'select $1', parameters: [[1]] }],
    ['ill-formed Unicode', { sql: 'select $1', parameters: ['\ud800'] }],
  ])('a body with %s is 400', async (_, body) => {
    expect((await post(body)).status).toBe(400)
  })

  test('a query that takes too long is ended: 504', async () => {
    const began = performance.now()
    const { status, body } = await post({
      sql: 'with recursive r(n) as (select 1 union all select n + 1 from r) select max(n) from r',
      timeout_ms: 200,
    })
    expect([status, body.type]).toEqual([504, 'timeout'])
    expect(performance.now() - began).toBeLessThan(5000)
  })

  test('a query that needs too much memory is 422', async () => {
    const { status, body } = await post({ sql: 'select list(a.range) from range(60000000) a' })
    expect([status, body.type]).toEqual([422, 'unprocessable'])
    expect(await rowsOf('select 1 as a')).toEqual([{ a: 1 }])
  })

  test('a client that goes away ends its query', async () => {
    const gone = new AbortController()
    const sql = 'with recursive r(n) as (select 1 union all select n + 1 from r) select max(n) from r'
    const began = performance.now()
    const answer = open.fetch('/query', { method: 'POST', body: JSON.stringify({ sql }), signal: gone.signal })
    await open.analytics.cacheStatistics()
    gone.abort()
    expect((await answer).status).toBeGreaterThanOrEqual(400)
    expect(performance.now() - began).toBeLessThan(5000)
    expect(open.analytics.performance.slow(0, 1000).some(({ status }) => status === 'cancelled')).toBe(true)
  })
})

test('queries that run for long leave the files of the service readable', async () => {
  const sql = 'with recursive r(n) as (select 1 union all select n + 1 from r) select avg(n) from r'
  let running = 3
  const queries = [1, 2, 3].map((n) => post({ sql: `${sql} where n <> ${n}`, timeout_ms: 1500 }).finally(() => running--))
  let longest = 0
  while (running > 0) {
    const began = performance.now()
    await readFile(import.meta.path)
    longest = Math.max(longest, performance.now() - began)
    await new Promise(setImmediate)
  }
  for (const { status } of await Promise.all(queries)) expect(status).toBe(504)
  expect(longest).toBeLessThan(1000)
}, 120_000)

test('a connection that breaks off ends its query', async () => {
  const port = open.listen()
  const began = performance.now()
  const before = open.analytics.performance.slow(0, 1000).filter(({ status }) => status === 'cancelled').length
  const sql = 'with recursive r(n) as (select 1 union all select n + 1 from r) select min(n) from r'
  const gone = new AbortController()
  const request = fetch(`http://127.0.0.1:${port}/analytics/query`, { method: 'POST', body: JSON.stringify({ sql }), signal: gone.signal })
  // Answered behind it: the query has arrived.
  await (await fetch(`http://127.0.0.1:${port}/analytics/cache`)).text()
  gone.abort()
  await expect(request).rejects.toThrow()
  const cancelled = () => open.analytics.performance.slow(0, 1000).filter(({ status }) => status === 'cancelled').length
  while (cancelled() === before && performance.now() - began < 10_000)
    await (await fetch(`http://127.0.0.1:${port}/analytics/cache`)).text()
  expect(cancelled()).toBe(before + 1)
}, 120_000)
