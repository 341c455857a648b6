import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Engine, LOADED } from '../../analytics/engine.ts'
import { keepRepeatedKeys } from '../../analytics/repeated-keys.ts'

let engine: Engine
beforeAll(async () => {
  engine = await Engine.open({ memoryLimitMiB: 200, threads: 1, concurrency: 2 })
})
afterAll(() => engine.close())

const TIMEOUT = { timeoutMs: 10_000 }
const rowsOf = async (sql: string) => (await engine.query({ sql, maxRows: 1000, ...TIMEOUT })).rows
const tables = () => rowsOf(`select table_name from duckdb_tables() where schema_name = '${LOADED}'`)

// Keys alike but for one word, as ids that begin with a time are, and others.
const KEYS = {
  'that differ in their first word': `(printf('%08x', i) || repeat('a', 24))::uuid`,
  'that differ in their second word': `(repeat('b', 8) || printf('%08x', i) || repeat('c', 16))::uuid`,
  'that differ in their third word': `(repeat('d', 16) || printf('%08x', i) || repeat('e', 8))::uuid`,
  'that differ in their last word': `(repeat('f', 24) || printf('%08x', i))::uuid`,
  'without a pattern': `md5(i::varchar)::uuid`,
}

describe('keys that come more than once', () => {
  test.each(Object.entries(KEYS))('are kept, with few others: keys %s', async (_, key) => {
    // 60,000 keys of which every seventh comes again, and every 70th a third time, far from its first place.
    const sql = `select ${key} as object from (
      select i from range(60000) t(i) union all select i * 7 from range(8571) t(i) union all select i * 70 from range(857) t(i))`
    const views = { given: sql }
    const kept = await keepRepeatedKeys(engine, 'again', { sql: 'select object from given', views, ...TIMEOUT })
    const counted = await engine.query({
      sql: `
        select count(*), count(*) filter (n > 1 and found is null), count(*) filter (n = 1 and found is not null)
        from (select object, count(*) as n from given group by object)
        left join (select distinct object as found from ${LOADED}.again) on found = object`,
      views,
      maxRows: 1,
      ...TIMEOUT,
    })
    const [all, missed, others] = (counted.rows[0] ?? []).map(Number)
    expect({ all, missed }).toEqual({ all: 60_000, missed: 0 })
    // About 7 rows are expected to meet another key's bit.
    expect(others).toBeLessThan(60)
    expect(kept - 8571 - 857).toBeWithin(others ?? 0, 60)
    await engine.run(`drop table ${LOADED}.again`)
  })

  test('of no rows are none', async () => {
    expect(await keepRepeatedKeys(engine, 'none', { sql: 'select uuid() as object where false', ...TIMEOUT })).toBe(0)
    await engine.run(`drop table ${LOADED}.none`)
  })

  test('are refused with `unprocessable` where memory does not suffice, and leave room for the next', async () => {
    const small = await Engine.open({ memoryLimitMiB: 12, threads: 1, concurrency: 1 })
    const twice = 'select md5((i % 1000000)::varchar)::uuid as object from range(2000000) t(i)'
    await expect(keepRepeatedKeys(small, 'large', { sql: twice, timeoutMs: 60_000 })).rejects.toMatchObject({ code: 'unprocessable' })
    expect(await keepRepeatedKeys(small, 'small', { sql: 'select uuid() as object', ...TIMEOUT })).toBe(0)
    small.close()
  }, 60_000)

  test('leave nothing behind where the query is given up, fails or takes too long', async () => {
    const abort = new AbortController()
    const reason = new Error('enough')
    const endless = `select md5((i % 1000)::varchar)::uuid as object from range(100000000000) t(i)`
    const given = keepRepeatedKeys(engine, 'aborted', { sql: endless, timeoutMs: 60_000, signal: abort.signal })
    setTimeout(() => abort.abort(reason), 50)
    expect(await given.catch((error: unknown) => error)).toBe(reason)
    await expect(keepRepeatedKeys(engine, 'late', { sql: endless, timeoutMs: 50 })).rejects.toMatchObject({ code: 'timeout' })
    const failing = `select case when i = 50000 then error('broken')::uuid else md5(i::varchar)::uuid end as object from range(100000) t(i)`
    await expect(keepRepeatedKeys(engine, 'failing', { sql: failing, ...TIMEOUT })).rejects.toThrow('broken')
    expect(await tables()).toEqual([])
  })
})
