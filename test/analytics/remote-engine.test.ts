import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { constants, getPriority } from 'node:os'
import { RemoteEngine } from '../../analytics/remote-engine.ts'
import { type OpenAnalytics, openAnalytics } from './open.ts'

const OPTIONS = { memoryLimitMiB: 200, threads: 1, concurrency: 1 }
const ENDLESS = 'with recursive r(n) as (select 1 union all select n + 1 from r) select max(n) from r'

/** A message that no thread of ours understands ends it as an unforeseen failure would. */
const crash = (engine: RemoteEngine): void => (Reflect.get(engine, 'worker') as Worker).postMessage({ type: 'nonsense' })

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no failure',
    (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
  )

test('closing ends the queries that run', async () => {
  const engine = await RemoteEngine.open(OPTIONS)
  const waiting = [0, 1].map(() => codeOf(engine.query({ sql: ENDLESS, maxRows: 1, timeoutMs: 60_000 })))
  await engine.close()
  expect((await Promise.all(waiting)).map(String)).toEqual(Array(2).fill('Error: the analytics engine is closed'))
  await engine.close()
})

/** Threads of this process with a lower priority. */
const yielding = () =>
  new Set(
    readdirSync('/proc/self/task').filter((thread) => {
      try {
        return getPriority(Number(thread)) > constants.priority.PRIORITY_NORMAL
      } catch {
        // It has ended since the folder was read.
        return false
      }
    }),
  )

// Elsewhere threads have no priority of their own, and nothing yields.
test.skipIf(process.platform !== 'linux')('DuckDB’s own threads yield to others as well', async () => {
  const before = yielding()
  const engine = await RemoteEngine.open({ ...OPTIONS, threads: 9 })
  expect(yielding().difference(before).size).toBeGreaterThanOrEqual(9)
  await engine.close()
})

describe('when the thread of DuckDB fails', () => {
  test('all that wait for it, and all that ask later, fail with `unavailable`', async () => {
    const engine = await RemoteEngine.open(OPTIONS)
    const waiting = [0, 1].map(() => codeOf(engine.query({ sql: ENDLESS, maxRows: 1, timeoutMs: 60_000 })))
    crash(engine)
    expect(await Promise.all(waiting)).toEqual(['unavailable', 'unavailable'])
    expect(engine.failed).toBe(true)
    expect(await codeOf(engine.memoryBytes())).toBe('unavailable')
    await engine.close()
  })

  test('a load fails although its batches go on', async () => {
    const engine = await RemoteEngine.open(OPTIONS)
    const batches = (async function* () {
      crash(engine)
      yield* []
    })()
    expect(await codeOf(engine.load({ name: 't', columns: [] }, batches))).toBe('unavailable')
    await engine.close()
  })

  describe('the service', () => {
    let open: OpenAnalytics
    beforeAll(async () => {
      open = await openAnalytics()
    })
    afterAll(() => open.close())

    test('answers 503 and starts another with the next query', async () => {
      const ask = (sql: string) =>
        open.fetch('/query', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ sql }) })
      expect((await ask('select 1 as one')).status).toBe(200)
      const { engine } = (await Reflect.get(open.analytics, 'opened')) as { readonly engine: RemoteEngine }
      const pending = ask(ENDLESS)
      crash(engine)
      expect((await pending).status).toBe(503)
      expect(await (await ask('select 1 as one')).json()).toMatchObject({ rows: [{ one: 1 }] })
    })
  })
})
