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

  // With a number between the two zeros, they are apart unless they are the same.
  test.each([
    ['few', "(0), (5), ('-0')"],
    ['many', `(0), (5), ('-0'), ${Array.from({ length: 5000 }, (_, i) => `(${i + 10})`).join()}`],
  ])('take a negative zero for zero, among %s different numbers', async (_, values) => {
    const numbers = `(select v::double as v from (values ${values}) t(v))`
    const [asX, asY] = [await sums(`select v as x, 1 as y from ${numbers}`), await sums(`select 1 as x, v as y from ${numbers}`)]
    const withZero = await sums(`select abs(v) as x, 1 as y from ${numbers}`)
    expect([asX.rank_xx, asY.rank_yy]).toEqual([withZero.rank_xx, withZero.rank_xx])
  })

  test('lose no digits where all numbers are large, and leave nothing where all are equal', async () => {
    const near = await sums('select pow(2, 60) + 1024 * (i % 2) as x, i as y from range(10000) t(i)')
    expect(near.xx).toBe(10_000 * 512 ** 2)
    expect(near.xy).toBe(512 * 5000)
    const equal = await sums('select i as x, 1.92 as y from range(10000) t(i)')
    expect([equal.mean_y, equal.yy, equal.xy]).toEqual([1.92, 0, 0])
  })

  test('take any type of number, and end where one is none', async () => {
    const { mean_x, xy } = await sums('select i * -3 + 0.1 as x, i as y from range(3) t(i)')
    expect([mean_x, xy]).toEqual([expect.closeTo(-2.9), expect.closeTo(-6)])
    expect((await sums(`select if(i = 7, 'nan'::double, sin(i)) as x, if(i = 9, 'nan'::double, i) as y from range(9000) t(i)`)).count).toBe(
      9000,
    )
  })

  test('are refused with `unprocessable` where memory does not suffice', async () => {
    await expect(sums('select i as x, i as y from range(9000000) t(i)')).rejects.toMatchObject({ code: 'unprocessable' })
    await engine.run('create table loaded.kept as select i from range(8000000) t(i)')
    const rows = 'select i as x, i as y from range(5000000) t(i)'
    await expect(sums(rows)).rejects.toMatchObject({ code: 'unprocessable' })
    await engine.run('drop table loaded.kept')
    await allIsFree()
  })

  test('are made one after the other where there is one place', async () => {
    const rows = 'select sin(i) as x, i as y from range(3000000) t(i)'
    const all = await Promise.all([sums(rows), sums(rows), sums(rows)])
    expect(all.map(({ count }) => count)).toEqual([3_000_000, 3_000_000, 3_000_000])
    await allIsFree()
  })
})

/** Nearly the whole limit can be reserved, and a query runs. */
const allIsFree = async () => {
  const release = await engine.reserve(190 * 2 ** 20)
  release()
  expect((await sums('select i as x, i as y from range(3) t(i)')).count).toBe(3)
}

describe('sums of pairs that nobody waits for any more', () => {
  const ROWS = 3_000_000
  const sql = `select sin(i) as x, cos(i) as y from range(${ROWS}) t(i)`
  const reason = new Error('enough')
  type Rows = Parameters<Parameters<Engine['withRows']>[1]>[0]

  /** The sums, given up where `at` says: it gets what the rows are read with. */
  const givenUp = async (at: (rows: Rows, abort: () => void) => void): Promise<unknown> => {
    const abort = new AbortController()
    const watched = Object.create(engine, {
      withRows: {
        value: (query: Parameters<Engine['withRows']>[0], work: (rows: Rows) => Promise<unknown>) =>
          engine.withRows(query, (rows) => {
            at(rows, () => abort.abort(reason))
            return work(rows)
          }),
      },
    }) as Engine
    return sumPairs(watched, { sql, timeoutMs: 60_000, signal: abort.signal }).catch((error: unknown) => error)
  }

  test('end while their rows are read', async () => {
    let chunks = 0
    const ended = await givenUp((rows, abort) => {
      const { each } = rows
      rows.each = (take) =>
        each.call(rows, (chunk) => {
          if (++chunks === 3) abort()
          take(chunk)
        })
    })
    expect(ended).toBe(reason)
    expect(chunks).toBeLessThan(10)
    await allIsFree()
  })

  test('end at whichever pause while they are sorted', async () => {
    let pauses = 0
    const counting = (rows: Rows, onPause: () => void) => {
      const { pause } = rows
      Object.assign(rows, {
        pause: () => {
          pauses++
          onPause()
          return pause()
        },
      })
    }
    const all = (await givenUp((rows) => counting(rows, () => {}))) as { readonly count: number }
    expect(all.count).toBe(ROWS)
    const most = pauses
    expect(most).toBeGreaterThan(6)
    for (const n of [1, Math.ceil(most / 2), most]) {
      pauses = 0
      expect(await givenUp((rows, abort) => counting(rows, () => pauses === n && abort()))).toBe(reason)
      expect(pauses).toBe(n)
      await allIsFree()
    }
  }, 30_000)

  test('end where they fail or take too long', async () => {
    const failing = "select case when i = 50000 then error('broken') else i end::double as x, 1 as y from range(100000) t(i)"
    await expect(sums(failing)).rejects.toThrow('broken')
    await expect(sumPairs(engine, { sql, timeoutMs: 20 })).rejects.toMatchObject({ code: 'timeout' })
    await allIsFree()
  })

  test('end where there are more or fewer rows than were counted', async () => {
    const lying = (by: number) =>
      givenUp((rows) => {
        const { count } = rows
        rows.count = async () => (await count.call(rows)) + by
      })
    expect(String(await lying(-1))).toContain('there are more pairs')
    expect(String(await lying(1))).toContain(`and there are ${ROWS}`)
    await allIsFree()
  })
})
