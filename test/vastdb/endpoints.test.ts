import { describe, expect, test } from 'bun:test'
import { EndpointPool } from '../../src/vastdb/endpoints.ts'

const poolOf = (...urls: string[]) => {
  let now = 0
  const pool = new EndpointPool(
    urls.map((url) => ({ url, value: url })),
    () => now,
  )
  const pass = (ms: number) => {
    now += ms
  }
  /** One request that takes `ms` and answers. */
  const answer = (ms: number, options: Parameters<typeof pool.acquire>[0] = {}) => {
    const lease = pool.acquire(options)
    pass(ms)
    lease.answered()
    lease.succeeded()
    return lease.url
  }
  const fail = (options: Parameters<typeof pool.acquire>[0] = {}) => {
    const lease = pool.acquire(options)
    lease.failed(new Error('refused'))
    return lease.url
  }
  return { pool, pass, answer, fail }
}

describe('endpoints', () => {
  test('are out after three failures in a row, not after two', () => {
    const { pool, fail, answer } = poolOf('a')
    fail()
    fail()
    expect(pool.health()[0]?.state).toBe('up')
    answer(1)
    fail()
    fail()
    expect(pool.health()[0]?.state).toBe('up')
    fail()
    expect(pool.health()[0]).toMatchObject({ state: 'down', failures: 5, requests: 6, lastError: 'refused' })
  })

  test('that are out get no requests until their pause is over, then one, and come back when it succeeds', () => {
    const { pool, pass, answer, fail } = poolOf('a', 'b')
    for (let i = 0; i < 3; i++) fail({ avoid: 'b' })
    expect([answer(1), answer(1), answer(1)]).toEqual(['b', 'b', 'b'])
    pass(1000)
    const probe = pool.acquire()
    expect(probe.url).toBe('a')
    expect(pool.acquire().url).toBe('b')
    probe.succeeded()
    expect(pool.health()[0]?.state).toBe('up')
  })

  test('wait twice as long after each probe that fails', () => {
    const { pass, answer, fail } = poolOf('a', 'b')
    for (let i = 0; i < 3; i++) fail({ avoid: 'b' })
    pass(1000)
    expect(fail()).toBe('a')
    pass(1999)
    expect(answer(0)).toBe('b')
    pass(1)
    expect(fail()).toBe('a')
  })

  test('that all are out are still tried', () => {
    const { fail } = poolOf('a')
    for (let i = 0; i < 5; i++) expect(fail()).toBe('a')
  })

  test('that answer quicker are preferred, unless they are busy', () => {
    const { pool, answer } = poolOf('a', 'b')
    answer(100, { avoid: 'b' })
    answer(30, { avoid: 'a' })
    expect(pool.acquire().url).toBe('b')
    expect(pool.acquire().url).toBe('b')
    expect(pool.acquire().url).toBe('b')
    expect(pool.acquire().url).toBe('a')
  })

  test('share a scan by split number', () => {
    const { pool } = poolOf('a', 'b', 'c')
    expect([0, 1, 2, 3, 4].map((prefer) => pool.acquire({ prefer }).url)).toEqual(['a', 'b', 'c', 'a', 'b'])
  })

  test('have a moving latency', () => {
    const { pool, answer } = poolOf('a')
    answer(100)
    expect(pool.health()[0]?.latencyMs.read).toBe(100)
    answer(200)
    expect(pool.health()[0]?.latencyMs.read).toBe(120)
  })

  test('are chosen by the latency of the kind of request', () => {
    const { pool, answer } = poolOf('a', 'b')
    answer(100, { avoid: 'b', kind: 'read' })
    answer(10, { avoid: 'b', kind: 'write' })
    answer(10, { avoid: 'a', kind: 'read' })
    answer(100, { avoid: 'a', kind: 'write' })
    expect([answer(10, { kind: 'read' }), answer(10, { kind: 'write' })]).toEqual(['b', 'a'])
    expect(pool.health().map(({ latencyMs }) => latencyMs)).toEqual([
      { read: 100, write: 10 },
      { read: 10, write: 100 },
    ])
  })

  test('that were slow are asked again after a while', () => {
    const { pass, answer } = poolOf('a', 'b')
    answer(1000, { avoid: 'b' })
    answer(1, { avoid: 'a' })
    expect([answer(1), answer(1)]).toEqual(['b', 'b'])
    pass(10_000)
    expect([answer(1), answer(1)].toSorted()).toEqual(['a', 'b'])
  })

  test('are not probed by writes while another is up', () => {
    const { pass, answer, fail } = poolOf('a', 'b')
    for (let i = 0; i < 3; i++) fail({ avoid: 'b' })
    pass(1000)
    expect([answer(1, { kind: 'write' }), answer(1, { kind: 'write' }), answer(1, { kind: 'read' })]).toEqual(['b', 'b', 'a'])
  })

  test('whose answers break off three times in a row are out', () => {
    const { pool } = poolOf('a')
    for (let i = 0; i < 3; i++) {
      const lease = pool.acquire()
      lease.answered()
      lease.failed(new Error('broke off'))
      lease.succeeded()
    }
    expect(pool.health()[0]).toMatchObject({ state: 'down', failures: 3, lastError: 'broke off' })
  })
})
