import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Engine } from '../../analytics/engine.ts'
import { sumPairs } from '../../analytics/pair-sums.ts'

let engine: Engine
beforeAll(async () => {
  engine = await Engine.open({ memoryLimitMiB: 200, threads: 1, concurrency: 1 })
})
afterAll(() => engine.close())

const TIMEOUT = { timeoutMs: 20_000 }
const sums = (sql: string) => sumPairs(engine, { sql, ...TIMEOUT })

describe('sums of pairs', () => {
  // Several chunks; few and many different numbers on either side, and many equal ones.
  test.each([
    ['few of x, many of y', '(i * 7919 % 12)::double', '(hash(i) % 4000)::double - 1000'],
    ['many of x, few of y', '(hash(i) % 100000)::double / 7', '(i * 7919 % 12)::double'],
    ['many of both', 'sin(i) * 1e6', '(hash(i) % 100000)::double'],
    ['x the same for all', '3::double', '(i % 100)::double'],
  ])('and of their ranks are those of plain SQL: %s', async (_, x, y) => {
    const sql = `select ${x} as x, ${y} as y from range(20000) t(i)`
    const given = await sums(sql)
    const expected = await engine.query({
      sql: `
        with ranked as (
          select x, y, 2 * rank() over (order by x) - 1 + count(*) over (partition by x) - 1 - 20000 as rank_x,
            2 * rank() over (order by y) - 1 + count(*) over (partition by y) - 1 - 20000 as rank_y from (${sql}))
        select count(*)::double, avg(x), avg(y), coalesce(var_pop(x), 0) * 20000, var_pop(y) * 20000, covar_pop(x, y) * 20000,
          sum(rank_x * rank_x)::double, sum(rank_y * rank_y)::double, sum(rank_x * rank_y)::double from ranked`,
      maxRows: 1,
      ...TIMEOUT,
    })
    const names = ['count', 'mean_x', 'mean_y', 'xx', 'yy', 'xy', 'rank_xx', 'rank_yy', 'rank_xy'] as const
    for (const [i, name] of names.entries()) {
      const value = Number(expected.rows[0]?.[i])
      const scale = Math.max(1, Math.abs(value), name === 'xy' ? Math.sqrt(given.xx * given.yy) : 0)
      expect(Math.abs(Number(given[name]) - value) / scale).toBeLessThan(1e-9)
    }
  })

  test('of no rows have no means', async () => {
    const none = { count: 0, mean_x: null, mean_y: null, xx: 0, yy: 0, xy: 0, rank_xx: 0, rank_yy: 0, rank_xy: 0 }
    expect(await sums('select 1::double as x, 1::double as y where false')).toEqual(none)
  })

  test('take a negative zero for zero', async () => {
    const { rank_xx, rank_yy } = await sums("select x, y from (values (0::double, '-0'::double), ('-0'::double, 0::double)) t(x, y)")
    expect([rank_xx, rank_yy]).toEqual([0, 0])
  })

  test('are refused with `unprocessable` where memory does not suffice, and leave room for the next', async () => {
    const large = 'select i::double as x, i::double as y from range(9000000) t(i)'
    await expect(sums(large)).rejects.toMatchObject({ code: 'unprocessable' })
    expect((await sums(large.replace('9000000', '1000'))).count).toBe(1000)
  })

  test('count the memory of all that are made at a time', async () => {
    const release = await engine.reserve(150 * 2 ** 20)
    await expect(engine.reserve(60 * 2 ** 20)).rejects.toMatchObject({ code: 'unprocessable' })
    release()
    const again = await engine.reserve(60 * 2 ** 20)
    again()
  })

  test('end where they are given up, fail or take too long, and the next are made', async () => {
    const abort = new AbortController()
    const reason = new Error('enough')
    const rows = 'select sin(i) as x, cos(i) as y from range(2000000) t(i)'
    const given = sumPairs(engine, { sql: rows.replace('2000000', '20000000000'), timeoutMs: 60_000, signal: abort.signal })
    setTimeout(() => abort.abort(reason), 50)
    expect(await given.catch((error: unknown) => error)).toBe(reason)
    await expect(sumPairs(engine, { sql: rows.replace('2000000', '20000000000'), timeoutMs: 50 })).rejects.toMatchObject({
      code: 'timeout',
    })
    await expect(
      sums("select case when i = 50000 then error('broken') else i end::double as x, 1::double as y from range(100000) t(i)"),
    ).rejects.toThrow('broken')
    expect((await sums(rows.replace('2000000', '3000'))).count).toBe(3000)
  })
})

describe('rows that something is made of', () => {
  test('are given up while it is made', async () => {
    const abort = new AbortController()
    const reason = new Error('enough')
    const made = engine.eachChunk(
      { sql: 'select 1::double as x', timeoutMs: 60_000, signal: abort.signal },
      () => {},
      async (pause) => {
        abort.abort(reason)
        await pause()
      },
    )
    expect(await made.catch((error: unknown) => error)).toBe(reason)
    const late = engine.eachChunk(
      { sql: 'select 1::double as x', timeoutMs: 20 },
      () => {},
      async (pause) => {
        for (;;) await pause()
      },
    )
    await expect(late).rejects.toMatchObject({ code: 'timeout' })
  })
})
