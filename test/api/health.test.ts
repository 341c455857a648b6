import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { healthRoutes } from '../../api/routes/health.ts'
import { type ErrorCode, TamsError } from '../../src/core/errors.ts'
import type { Deps } from '../../src/domain/deps.ts'
import { openApp, type TestApp } from '../support/app.ts'

let app: TestApp
beforeAll(async () => {
  app = await openApp()
})
afterAll(() => app.close())

const examine = async (changes: Partial<Deps>) => {
  const routes = healthRoutes({ ...app.deps, ...changes })
  const response = await routes.handle(new Request('http://localhost/health'))
  return { status: response.status, body: JSON.parse(await response.text()) }
}

/** The store of the tests, but its check fails. */
const away = (error: unknown): Partial<Deps> => ({
  tables: new Proxy(app.deps.tables, {
    get: (target, name) => (name === 'check' ? () => Promise.reject(error) : Reflect.get(target, name)),
  }),
})

describe('/health', () => {
  test('says that everything is there, without endpoints where there are none', async () => {
    const { status, body } = await examine({})
    expect(status).toBe(200)
    expect(body.dependencies.database).toEqual({ status: 'healthy' })
  })

  test.each<[ErrorCode, string]>([
    ['unavailable', 'it does not answer, or refuses what it is asked'],
    ['timeout', 'it does not answer in time'],
    ['storage_full', 'it has no room left for new data'],
    ['internal', 'it failed'],
  ])('says of a database that fails as %s only a fixed sentence', async (code, reason) => {
    const { status, body } = await examine(away(new TamsError(code, 'at http://10.0.0.1 with key AKIA-very-secret')))
    expect(status).toBe(503)
    expect(body.dependencies.database).toEqual({ status: 'unhealthy', reason })
    expect(JSON.stringify(body)).not.toContain('AKIA')
  })

  test('shows each endpoint of the database, with latencies that are known and no message', async () => {
    const endpoint = { url: 'http://10.0.0.1', state: 'down' as const, requests: 7, failures: 3, lastError: 'refused: secret' }
    const databaseEndpoints = () => [{ ...endpoint, latencyMs: { read: 1.23456, write: undefined } }]
    const { body } = await examine({ databaseEndpoints })
    expect(body.dependencies.database.endpoints).toEqual([
      { url: 'http://10.0.0.1', state: 'down', read_ms: 1.23, requests: 7, failures: 3 },
    ])
  })
})
