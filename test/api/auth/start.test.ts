import { describe, expect, test } from 'bun:test'
import { Access } from '../../../api/auth/access.ts'
import { startAuthentication } from '../../../api/auth/start.ts'
import { readAuthLog, writeAuthLog } from '../../../src/domain/auth-log.ts'
import { createDomain } from '../../../src/domain/index.ts'
import { authLogRetentionWorker } from '../../../src/workers/auth-log-retention.ts'
import { openApp, type TestApp } from '../../support/app.ts'
import { addToken, addUser, bearer, operator } from '../../support/credentials.ts'
import { runUntilIdle } from '../../support/workers.ts'

const withApp = async (work: (app: TestApp) => Promise<void>): Promise<void> => {
  const app = await openApp()
  try {
    await work(app)
  } finally {
    await app.close()
  }
}
const start = async ({ deps }: TestApp, mode: 'on' | 'off' | 'if-any', oidc = false) => {
  const options = { issuer: 'https://issuer.example.com', audiences: ['tams'], algorithms: ['ES256'], scopeClaim: 'scope' }
  const authentication = await startAuthentication({ mode, host: '0.0.0.0', oidc: oidc ? options : undefined }, deps)
  await authentication?.close()
  return authentication !== undefined
}

describe('at the start', () => {
  test('authentication that nobody could pass is refused, with what to do about it [12-M2]', () =>
    withApp(async (app) => {
      await expect(start(app, 'on')).rejects.toThrow(/HOST 0\.0\.0\.0: .*tams users add.*AUTH_OIDC_ISSUER.*TAMS_INSECURE/)
      expect(await start(app, 'on', true)).toBe(true)
      await addToken(app, ['read'])
      expect(await start(app, 'on')).toBe(true)
    }))

  test('nobody is asked where there is neither user nor token, and everybody is once there was one', () =>
    withApp(async (app) => {
      expect(await start(app, 'if-any')).toBe(false)
      await addUser(app, 'ann', ['read'])
      expect(await start(app, 'if-any')).toBe(true)
      await createDomain(app.deps).users.update(operator, 'ann', () => ({ disabled: true }))
      expect(await start(app, 'if-any')).toBe(true)
      expect(await start(app, 'off')).toBe(false)
    }))
})

test('a stream ends once its credentials are no longer good, and not before', async () => {
  const app = await openApp({ authentication: { oidc: undefined } })
  try {
    const { authentication, http } = app.deps
    if (!authentication) throw new Error('no authentication')
    const access = new Access(authentication, http, 1)
    const made = await addToken(app, ['read'])
    const request = new Request('http://localhost/events/stream', { headers: bearer(made.token) })
    await access.admit(request, 'read', 'an address')
    const ended = Promise.withResolvers<void>()
    let isGood = true
    const unwatch = access.watch(request, () => (isGood ? ended.reject(new Error('too early')) : ended.resolve()))
    for (let i = 0; i < 5; i++) await app.deps.tables.check()
    isGood = false
    await createDomain(app.deps).tokens.revoke(operator, made.id)
    await ended.promise
    unwatch()
  } finally {
    await app.close()
  }
})

test('the authentication log keeps the newest lines, and none that is too old', () =>
  withApp(async ({ deps: { tables, clock }, clock: testClock }) => {
    const write = (count: number) =>
      writeAuthLog(
        tables,
        Array.from({ length: count }, () => {
          return { outcome: 'failure', principal: '', method: 'basic', address: '192.0.2.7', count: 1, firstUs: clock.nowUs() } as const
        }),
        new Map(),
      )
    const worker = authLogRetentionWorker({ tables, clock, retentionMs: 60_000, maxRows: 700 })
    await write(1300)
    const newest = (await readAuthLog(tables, 700)).map(({ time }) => time)
    await runUntilIdle({ tables, clock }, worker)
    expect((await readAuthLog(tables, 2000)).map(({ time }) => time)).toEqual(newest)
    testClock.advance(61)
    await write(2)
    await runUntilIdle({ tables, clock }, worker)
    expect(await readAuthLog(tables, 2000)).toHaveLength(2)
  }))
