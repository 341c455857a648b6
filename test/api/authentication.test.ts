import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { connect } from 'node:net'
import { createApp } from '../../api/app.ts'
import { needOf } from '../../api/auth/scopes.ts'
import { readAuthLog } from '../../src/domain/auth-log.ts'
import { createDomain } from '../../src/domain/index.ts'
import { SCOPES, type Scope } from '../../src/domain/scope.ts'
import { type Json, object, readAnswer } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { addToken, addUser, basic, bearer, PASSWORD } from '../support/credentials.ts'
import { uuid, videoFlow } from '../support/fixtures.ts'
import { readStream } from '../support/streams.ts'

const BASE = '/x-tams/v8.2'
let app: TestApp
const tokens = new Map<Scope, string>()
const tokenOf = (scope: Scope): string => tokens.get(scope) ?? ''

beforeAll(async () => {
  app = await openApp({ settings: { strict: false }, http: { basePath: BASE }, authentication: { oidc: undefined } })
  await addUser(app, 'ann', ['read', 'write', 'delete'])
  await addUser(app, 'root', ['admin'])
  for (const scope of SCOPES) tokens.set(scope, (await addToken(app, [scope])).token)
})
afterAll(() => app.close())

const ask = async (method: string, target: string, headers: Record<string, string> = {}, body?: unknown) =>
  readAnswer(
    await app.fetch(target, {
      method,
      headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }),
  )
const status = async (method: string, target: string, headers: Record<string, string> = {}, body?: unknown): Promise<number> =>
  (await ask(method, target, headers, body)).status

describe('every route', () => {
  const OPEN = ['/docs', '/docs/:file', '/health/live', '/health/ready', '/media/*', '/openapi.json']
  const routes = () => createApp(app.deps).routes.filter(({ path }) => path.startsWith(BASE))

  test('but those that are open asks for credentials, on both paths and for HEAD too [12]', async () => {
    const open = new Set<string>()
    for (const { method, path } of routes()) {
      const target = path.replace(/:[^/]+/g, uuid()).replace('*', 'x')
      for (const verb of method === 'GET' ? ['GET', 'HEAD'] : [method === 'ALL' || method === 'WS' ? 'GET' : method])
        for (const place of [target, target.slice(BASE.length) || '/']) {
          const answer = await ask(verb, place, method === 'WS' ? { upgrade: 'websocket' } : {})
          if (needOf(method, path.slice(BASE.length) || '/') === 'open') open.add(path.slice(BASE.length))
          else {
            expect([verb, place, answer.status]).toEqual([verb, place, 401])
            expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="tams", Basic realm="tams", charset="UTF-8"')
          }
        }
    }
    expect([...open].filter((path) => !path.startsWith('/ui')).sort()).toEqual(OPEN)
  })

  test('refuses each single scope but its own and admin [12]', async () => {
    for (const { method, path } of routes()) {
      const need = needOf(method, path.slice(BASE.length) || '/')
      if (need === 'open') continue
      const target = path.replace(/:[^/]+/g, uuid()).replace('*', 'x')
      for (const scope of SCOPES) {
        // A stream would begin, and a socket needs a server.
        if (path.includes('/events/') && (scope === 'read' || scope === 'admin')) continue
        const answer = await ask(method === 'WS' ? 'GET' : method, target, {
          ...bearer(tokenOf(scope)),
          ...(method === 'WS' && { upgrade: 'websocket' }),
        })
        const may = need === 'any' || need === scope || scope === 'admin'
        if (may) expect([scope, method, path, answer.status]).not.toEqual([scope, method, path, 403])
        else {
          expect([scope, method, path, answer.status]).toEqual([scope, method, path, 403])
          expect(answer.headers.get('www-authenticate')).toContain(`error="insufficient_scope", scope="tams-api/${need}"`)
        }
        expect([method, path, answer.status]).not.toEqual([method, path, 401])
      }
    }
  })

  test('is asked for by what the router makes of a path: no way of writing one leads past [12]', async () => {
    const port = app.listen()
    const statusOf = (method: string, target: string): Promise<number> =>
      new Promise((resolve, reject) => {
        const socket = connect(port, '127.0.0.1', () =>
          socket.write(`${method} ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`),
        )
        let text = ''
        socket.on('data', (data) => {
          text += String(data)
        })
        socket.on('error', reject).on('close', () => resolve(Number(text.slice(9, 12))))
      })
    const asked = ['/flows', '/flows/', '/./flows', '/docs/../flows', '/media/%2e%2e/flows', 'http://other.example/flows', `${BASE}/flows/`]
    for (const target of asked)
      for (const method of ['GET', 'HEAD']) expect([method, target, await statusOf(method, target)]).toEqual([method, target, 401])
    const nowhere = [
      '//flows',
      '/FLOWS',
      '/%66lows',
      '/flows%2F',
      '/flows;x',
      '/docs/..%2fflows',
      '/media/..%2fflows',
      `/x-tams//v8.2/flows`,
    ]
    for (const target of nowhere)
      for (const method of ['GET', 'POST', 'DELETE', 'TRACE'])
        expect([target, [400, 403, 404, 405].includes(await statusOf(method, target))]).toEqual([target, true])
  })

  test('that the table does not have stops the start', () => {
    expect(() => needOf('GET', '/secrets')).toThrow('does not say which scope it asks for')
    expect(() => needOf('PATCH', '/flows/{flowId}')).toThrow()
    expect(() => needOf('OPTIONS', '/flows')).toThrow()
  })

  test.each([
    ['GET', '/', 'any'],
    ['GET', '/service', 'any'],
    ['GET', '/service/storage-backends', 'any'],
    ['POST', '/service', 'admin'],
    ['GET', '/service/webhooks', 'read'],
    ['POST', '/service/webhooks', 'write'],
    ['PUT', '/service/webhooks/:id', 'read'],
    ['DELETE', '/service/webhooks/:id', 'read'],
    ['GET', '/sources', 'read'],
    ['DELETE', '/sources/:id/tags/:name', 'write'],
    ['PUT', '/flows/:id', 'write'],
    ['DELETE', '/flows/:id', 'delete'],
    ['PUT', '/flows/:id/read_only', 'write'],
    ['DELETE', '/flows/:id/label', 'write'],
    ['POST', '/flows/:id/segments', 'write'],
    ['DELETE', '/flows/:id/segments', 'delete'],
    ['POST', '/flows/:id/storage', 'write'],
    ['GET', '/objects/:id', 'read'],
    ['POST', '/objects/:id/instances', 'write'],
    ['DELETE', '/objects/:id/instances', 'write'],
    ['GET', '/flow-delete-requests', 'admin'],
    ['HEAD', '/flow-delete-requests/:id', 'delete'],
    ['POST', '/service/profiles/:id', 'write'],
    ['POST', '/admin/users', 'admin'],
  ] as const)('%s %s asks for %s [12]', (method, path, need) => {
    expect(needOf(method, path)).toBe(need)
  })
})

describe('credentials', () => {
  test('by Basic, by Bearer and as access_token are each enough alone [12-M1]', async () => {
    expect(await status('GET', '/flows', basic('ann'))).toBe(200)
    expect(await status('GET', '/flows', bearer(tokenOf('read')))).toBe(200)
    expect(await status('GET', '/flows', { authorization: `bEARER  ${tokenOf('read')}` })).toBe(200)
    expect(await status('GET', `/flows?access_token=${tokenOf('read')}`)).toBe(200)
    expect(await status('GET', `/flows?limit=1&access_token=${tokenOf('read')}`)).toBe(200)
  })

  test('are asked for where there are none, without an error code [12]', async () => {
    const answer = await ask('GET', '/flows')
    expect(answer.status).toBe(401)
    expect(object(answer)).toMatchObject({ type: 'unauthorized', summary: expect.stringContaining('Credentials are required') })
    expect(object(answer).message).toBe(object(answer).summary)
    expect(answer.headers.get('www-authenticate')).not.toContain('error')
    expect(await status('GET', '/flows', { authorization: 'Digest x' })).toBe(401)
    expect(await status('GET', '/flows', { authorization: 'Bearer' })).toBe(401)
    expect(await status('GET', '/flows', { authorization: '' })).toBe(401)
  })

  const wrongTokens: (readonly [string, (token: string) => string])[] = [
    ['unknown', () => `tams_${'A'.repeat(43)}`],
    ['cut short', (token) => token.slice(0, -1)],
    ['in other letters', (token) => token.toLowerCase()],
    ['with a blank', (token) => `${token} x`],
    ['empty of its prefix', (token) => token.slice(5)],
    ['no JWT and no token', () => 'a.b.c'],
    ['its own hash', (token) => new Bun.CryptoHasher('sha256').update(token).digest('hex')],
    ['longer than any', () => `tams_${'A'.repeat(9000)}`],
  ]
  test.each(wrongTokens)('are refused with invalid_token: a token that is %s [12]', async (_, spoil) => {
    const answer = await ask('GET', '/flows', bearer(spoil(tokenOf('admin'))))
    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toStartWith('Bearer realm="tams", error="invalid_token"')
    expect(await status('GET', `/flows?access_token=${encodeURIComponent(spoil(tokenOf('admin')))}`)).toBe(401)
  })

  test('are refused: a wrong password, an unknown user, what is no base64, no UTF-8, or has no colon', async () => {
    const raw = (value: string | Buffer) => ({ authorization: `Basic ${Buffer.from(value).toString('base64')}` })
    const bad = [
      basic('ann', `${PASSWORD}x`),
      basic('nobody'),
      basic('ann', ''),
      basic('', ''),
      raw('ann'),
      raw(Buffer.from([0xff, 0x3a, 0xfe])),
    ]
    for (const headers of [...bad, { authorization: 'Basic %%%' }, { authorization: 'Basic' }]) {
      const answer = await ask('GET', '/flows', headers)
      expect(answer.status).toBe(401)
      expect(answer.headers.get('www-authenticate')).toContain('Basic realm="tams"')
    }
  })

  test('of two kinds at once, or twice, are a bad request', async () => {
    const both = await ask('GET', `/flows?access_token=${tokenOf('read')}`, bearer(tokenOf('read')))
    expect(both.status).toBe(400)
    expect(await status('GET', `/flows?access_token=${tokenOf('read')}&access_token=${tokenOf('admin')}`)).toBe(400)
  })

  test('count for nothing under another spelling of access_token', async () => {
    expect(await status('GET', `/flows?access%5Ftoken=${tokenOf('read')}`)).toBe(401)
    expect(await status('GET', `/flows?Access_Token=${tokenOf('read')}`)).toBe(401)
    expect(await status('GET', `/flows?x=1#access_token=${tokenOf('read')}`)).toBe(401)
  })

  test('go with a method of the order 401, 403, 404 [1.4]', async () => {
    const missing = `/flows/${uuid()}/label`
    expect(await status('PUT', missing)).toBe(401)
    expect(await status('PUT', missing, bearer(tokenOf('read')), 'x')).toBe(403)
    expect(await status('PUT', missing, bearer(tokenOf('write')), 'x')).toBe(404)
    expect(await status('GET', missing, bearer(tokenOf('read')))).toBe(404)
  })

  test('are asked for again at once when a token is revoked, its user is disabled, or the password is changed', async () => {
    const { users, tokens: own } = createDomain(app.deps)
    const context = {
      principal: { name: 'operator' },
      visible: { sources: X, flows: X, storage_backends: X, webhooks: X },
      requestId: '',
      baseUrl: '',
    }
    await addUser(app, 'bob', ['read'])
    const first = await addToken(app, ['read'])
    const ofBob = await addToken(app, ['read', 'write'], { user_name: 'bob' })
    expect(await status('GET', '/flows', bearer(first.token))).toBe(200)
    expect(await status('GET', '/flows', bearer(ofBob.token))).toBe(200)
    expect(await status('GET', '/flows', basic('bob'))).toBe(200)
    await own.revoke(context, first.id)
    expect(await status('GET', '/flows', bearer(first.token))).toBe(401)
    await users.update(context, 'bob', () => ({ password: 'another long password' }))
    expect(await status('GET', '/flows', basic('bob'))).toBe(401)
    expect(await status('GET', '/flows', basic('bob', 'another long password'))).toBe(200)
    await users.update(context, 'bob', () => ({ disabled: true }))
    expect(await status('GET', '/flows', basic('bob', 'another long password'))).toBe(401)
    expect(await status('GET', '/flows', bearer(ofBob.token))).toBe(401)
    await users.update(context, 'bob', () => ({ disabled: false }))
    expect(await status('GET', '/flows', bearer(ofBob.token))).toBe(200)
    await users.remove(context, 'bob')
    await addUser(app, 'bob', ['admin'])
    expect(await status('GET', '/flows', bearer(ofBob.token))).toBe(401)
  })
  const X = { kind: 'and', terms: [] } as const

  test('of a user bound the scopes of the user’s tokens', async () => {
    await addUser(app, 'cid', ['read'])
    const { token } = await addToken(app, ['admin'], { user_name: 'cid' })
    expect(await status('GET', '/flows', bearer(token))).toBe(200)
    expect(await status('GET', '/flow-delete-requests', bearer(token))).toBe(403)
    expect(await status('PUT', `/flows/${uuid()}/label`, bearer(token), 'x')).toBe(403)
  })

  test('end with the expiry of a token', async () => {
    const expires = new Date(Number(app.clock.nowUs() / 1000n) + 60_000).toISOString()
    const { token } = await addToken(app, ['read'], { expires })
    expect(await status('GET', '/flows', bearer(token))).toBe(200)
    app.clock.advance(61)
    expect(await status('GET', '/flows', bearer(token))).toBe(401)
  })

  test('say who made and changed things [11.4-S3]', async () => {
    const body = videoFlow()
    expect(await status('PUT', `/flows/${body.id}`, basic('ann'), body)).toBe(201)
    expect(await status('PUT', `/flows/${body.id}/label`, bearer(tokenOf('write')), 'x')).toBe(204)
    expect(object(await ask('GET', `/flows/${body.id}`, basic('ann')))).toMatchObject({ created_by: 'ann', updated_by: 'token:of write' })
  })
})

describe('secrets', () => {
  test('in the URL are in no Link, no media URL and no log line, and the answer is in no shared cache', async () => {
    const lines: string[] = []
    const flow = videoFlow()
    const guarded = await openApp({ settings: { strict: false }, authentication: { oidc: undefined }, onLog: (line) => lines.push(line) })
    try {
      const { token } = await addToken(guarded, ['admin'])
      await readAnswer(
        await guarded.fetch(`/flows/${flow.id}?access_token=${token}`, {
          method: 'PUT',
          body: JSON.stringify(flow),
          headers: { 'content-type': 'application/json' },
        }),
      )
      const storage = await readAnswer(
        await guarded.fetch(`/flows/${flow.id}/storage?access_token=${token}`, {
          method: 'POST',
          body: '{"limit":2}',
          headers: { 'content-type': 'application/json' },
        }),
      )
      expect(storage.status).toBe(201)
      await readAnswer(await guarded.fetch(`/flows/${uuid()}?access_token=${token}`))
      const other = videoFlow()
      await readAnswer(
        await guarded.fetch(`/flows/${other.id}?access_token=${token}`, {
          method: 'PUT',
          body: JSON.stringify(other),
          headers: { 'content-type': 'application/json' },
        }),
      )
      const page = await readAnswer(await guarded.fetch(`/flows?limit=1&access_token=${token}`))
      expect(page.headers.get('link')).toContain('page=')
      expect(page.headers.get('cache-control')).toBe('private')
      for (const { text, headers } of [storage, page]) expect(text + JSON.stringify([...headers])).not.toContain(token)
      // A line is written behind its answer.
      while (lines.filter((line) => line.includes('access_token=***')).length < 5) await new Promise((resolve) => setImmediate(resolve))
      expect(lines.filter((line) => line.includes(token.slice(0, 20)))).toEqual([])
      expect(lines.some((line) => line.includes('"principal":"token:of admin"'))).toBe(true)
    } finally {
      await guarded.close()
    }
  })

  test('are in no Referer, and no answer is taken for another type than it says', async () => {
    const flow = `/flows?access_token=${tokenOf('read')}`
    for (const path of [flow, '/flows', `/flows/${uuid()}`, '/nowhere', '/docs', '/health/live', '/media/x', '/openapi.json']) {
      const { headers } = await ask('GET', path)
      expect([path, headers.get('referrer-policy'), headers.get('x-content-type-options')]).toEqual([path, 'no-referrer', 'nosniff'])
    }
  })

  test('are in no row of the store and no answer but the one that makes a token', async () => {
    const made = await ask('POST', '/admin/tokens', bearer(tokenOf('admin')), { name: 'shown once', scopes: ['read'] })
    expect(made.status).toBe(201)
    expect(made.headers.get('cache-control')).toBe('no-store')
    const { token, ...rest }: Json = object(made)
    const rows = await app.deps.tables.read(async (tx) => [
      ...(await tx.list('tokens', { where: { kind: 'and', terms: [] }, limit: 100 })).rows,
      ...(await tx.list('users', { where: { kind: 'and', terms: [] }, limit: 100 })).rows,
      ...(await tx.list('audit', { where: { kind: 'and', terms: [] }, limit: 1000 })).rows,
    ])
    const stored = rows.map((row) => Object.values(row).join(' ')).join('\n')
    expect(stored).toContain(String(rest.id))
    for (const secret of [String(token), String(token).slice(5), PASSWORD]) expect(stored).not.toContain(secret)
    const lists =
      (await ask('GET', '/admin/tokens?limit=100', bearer(tokenOf('admin')))).text + (await ask('GET', '/admin/users', basic('root'))).text
    expect(lists).toContain(String(rest.id))
    expect(lists).not.toMatch(/tams_|argon2|hash/)
  })
})

describe('guessing', () => {
  const guard = async () => {
    const target = await openApp({ settings: { strict: false }, http: { trustProxy: true }, authentication: { oidc: undefined } })
    await addUser(target, 'ann', ['read'])
    const from = async (address: string, headers: Record<string, string>) =>
      target.fetch('/flows', { headers: { ...headers, 'x-forwarded-for': `1.2.3.4, ${address}` } })
    return { target, from }
  }

  test('is stopped per address for a while, without the right password being tried; tokens and known passwords go on', async () => {
    const { target, from } = await guard()
    try {
      const { token } = await addToken(target, ['read'])
      const answers: number[] = []
      for (let i = 0; i < 32; i++) answers.push((await from('9.9.9.9', bearer(`tams_${i}`))).status)
      expect(answers).toEqual([...Array.from({ length: 30 }, () => 401), 429, 429])
      const blocked = await from('9.9.9.9', basic('ann'))
      expect(blocked.status).toBe(429)
      expect(Number(blocked.headers.get('retry-after'))).toBeWithin(250, 301)
      expect((await from('9.9.9.9', bearer(token))).status).toBe(200)
      expect((await from('9.9.9.8', basic('ann'))).status).toBe(200)
      expect((await from('9.9.9.9', basic('ann'))).status).toBe(200)
      target.clock.advance(301)
      expect((await from('9.9.9.9', bearer('tams_x'))).status).toBe(401)
    } finally {
      await target.close()
    }
  })

  test('from one IPv6 network counts as one, and many at a time are no way around', async () => {
    const { target, from } = await guard()
    try {
      const all = await Promise.all(Array.from({ length: 40 }, (_, i) => from(`2001:db8:1:2::${i}`, basic('ann', `wrong password ${i}`))))
      const statuses = all.map((each) => each.status)
      expect(statuses.filter((each) => each === 401)).toHaveLength(30)
      expect(statuses.filter((each) => each === 429)).toHaveLength(10)
      expect((await from('2001:db8:1:3::1', basic('ann'))).status).toBe(200)
    } finally {
      await target.close()
    }
  }, 120_000)

  test('many right logins at a time are verified once and count as no failure', async () => {
    const { target, from } = await guard()
    try {
      const all = await Promise.all(Array.from({ length: 100 }, () => from('9.9.9.9', basic('ann'))))
      expect(new Set(all.map((each) => each.status))).toEqual(new Set([200]))
      for (let i = 0; i < 30; i++) expect((await from('9.9.9.9', bearer('tams_x'))).status).toBe(401)
    } finally {
      await target.close()
    }
  })

  test('leaves lines in the log, few and without what was typed', async () => {
    const { target, from } = await guard()
    try {
      for (let i = 0; i < 5; i++) await from(`9.8.${i}.9`, basic(`my secret password ${i}`, 'x'))
      for (let i = 0; i < 55; i++) await from(`9.9.${i}.9`, bearer(`my-secret-${i}`))
      await from('9.9.9.1', basic('ann', 'a wrong password'))
      await from('9.9.9.2', basic('ann'))
      await from('9.9.9.2', basic('ann'))
      await target.deps.authentication?.journal.flush()
      const log = await readAuthLog(target.deps.tables, 100)
      expect(log.length).toBeLessThanOrEqual(25)
      expect(log.reduce((sum, { outcome, count }) => sum + (outcome === 'failure' ? count : 0), 0)).toBe(61)
      expect(log.filter(({ outcome }) => outcome === 'success')).toEqual([
        expect.objectContaining({ principal: 'ann', method: 'basic', address: '9.9.9.2', count: 1 }),
      ])
      expect(JSON.stringify(log)).not.toContain('secret')
    } finally {
      await target.close()
    }
  })
})

describe('pages of other origins', () => {
  const guard = (corsOrigins: '*' | readonly string[]) =>
    openApp({ settings: { strict: false }, http: { corsOrigins }, authentication: { oidc: undefined } })
  const origin = 'https://evil.example.com'

  test('change nothing with a password that the browser remembers, unless they are named', async () => {
    for (const [origins, expected] of [
      ['*', 403],
      [[origin], 404],
    ] as const) {
      const target = await guard(origins)
      try {
        await addUser(target, 'ann', ['admin'])
        const { token } = await addToken(target, ['admin'])
        const rotate = async (headers: Record<string, string>) =>
          (await target.fetch(`/service/webhooks/${uuid()}/signing-secret/rotate`, { method: 'POST', headers })).status
        expect(await rotate({ ...basic('ann'), origin })).toBe(expected)
        expect(await rotate({ ...basic('ann'), origin: 'http://localhost' })).toBe(404)
        expect(await rotate(basic('ann'))).toBe(404)
        expect(await rotate({ ...bearer(token), origin })).toBe(404)
        expect(await rotate({ ...basic('ann'), origin: 'null' })).toBe(403)
        const socket = await target.fetch('/events/ws', { headers: { ...basic('ann'), origin, upgrade: 'websocket' } })
        expect(socket.status === 403).toBe(expected === 403)
      } finally {
        await target.close()
      }
    }
  })
})

describe('webhooks', () => {
  let target: TestApp
  let path: string
  let root: Record<string, string>
  const post = { url: 'https://example.com/hook', events: ['flows/created'] }
  const call = (method: string, path: string, headers: Record<string, string>, body?: unknown) =>
    target.request(method, path, { headers, ...(body !== undefined && { body }) })
  const stateOf = async () => object(await call('GET', path, root)).status
  const patchAnn = async (change: object) => expect((await call('PATCH', '/admin/users/ann', root, change)).status).toBe(200)

  beforeEach(async () => {
    target = await openApp({ settings: { strict: false }, authentication: { oidc: undefined } })
    for (const name of ['ann', 'bob']) await addUser(target, name, ['read', 'write'])
    root = bearer((await addToken(target, ['admin'])).token)
    path = `/service/webhooks/${object(await call('POST', '/service/webhooks', basic('ann'), post)).id}`
  })
  afterEach(() => target.close())

  test('are seen and changed by their owner and by admin alone [12]', async () => {
    for (const [who, expected] of [
      [basic('ann'), 200],
      [root, 200],
      [basic('bob'), 404],
    ] as const) {
      expect((await call('GET', path, who)).status).toBe(expected)
      expect((await call('GET', `${path}/signing-secret`, who)).status).toBe(expected)
      expect((await call('GET', '/service/webhooks', who)).body).toHaveLength(expected === 200 ? 1 : 0)
    }
    expect((await call('DELETE', path, basic('bob'))).status).toBe(404)
  })

  test('are disabled with their owner, and when the owner may not read any more', async () => {
    for (const [change, expected] of [
      [{ scopes: ['read'] }, 'created'],
      [{ scopes: ['admin'] }, 'created'],
      [{ scopes: ['write', 'delete'] }, 'disabled'],
      [{ disabled: true }, 'disabled'],
    ] as const) {
      await patchAnn(change)
      expect(await stateOf()).toBe(expected)
      await patchAnn({ scopes: ['read', 'write'], disabled: false })
      expect(await stateOf()).toBe(expected)
      expect((await call('PUT', path, basic('ann'), { ...post, id: path.split('/').at(-1), status: 'created' })).status).toBe(201)
    }
  })

  test('are not passed on to whoever gets the name of a former owner', async () => {
    expect((await call('DELETE', '/admin/users/ann', root)).status).toBe(204)
    expect(await stateOf()).toBe('disabled')
    await addUser(target, 'ann', ['read', 'write'], 'another long password')
    expect((await call('GET', `${path}/signing-secret`, basic('ann', 'another long password'))).status).toBe(404)
  })
})

describe('streams', () => {
  test('carry events to whoever may read them, by Server-Sent Events and by WebSocket with access_token', async () => {
    const target = await openApp({ settings: { strict: false }, authentication: { oidc: undefined } })
    try {
      const { token } = await addToken(target, ['read', 'write'])
      const port = target.listen()
      const socket = new WebSocket(`ws://127.0.0.1:${port}/events/ws?last_event_id=0&access_token=${token}`)
      const first = new Promise<string>((resolve, reject) => {
        socket.onmessage = ({ data }) => resolve(String(data))
        socket.onclose = () => reject(new Error('closed'))
      })
      const refused = new WebSocket(`ws://127.0.0.1:${port}/events/ws?access_token=x`)
      const refusal = new Promise<void>((resolve) => {
        refused.onerror = () => resolve()
      })
      const stream = await fetch(`http://127.0.0.1:${port}/events/stream?last_event_id=0`, { headers: bearer(token) })
      const flow = videoFlow()
      const headers = { ...bearer(token), 'content-type': 'application/json' }
      const put = await fetch(`http://127.0.0.1:${port}/flows/${flow.id}`, { method: 'PUT', headers, body: JSON.stringify(flow) })
      expect(put.status).toBe(201)
      expect(JSON.parse(await first)).toMatchObject({ event_type: 'sources/created' })
      const reader = readStream(stream)
      expect((await reader.have(1))[0]?.type).toBe('sources/created')
      await refusal
      await reader.close()
      socket.close()
    } finally {
      await target.close()
    }
  })
})

describe('administration', () => {
  const admin = () => bearer(tokenOf('admin'))

  test('registers, changes and removes users', async () => {
    const user = { name: 'dora', password: PASSWORD, scopes: ['read'] }
    expect(await status('POST', '/admin/users', admin(), user)).toBe(201)
    expect(await status('POST', '/admin/users', admin(), user)).toBe(409)
    expect(await status('GET', '/flows', basic('dora'))).toBe(200)
    expect(object(await ask('PATCH', '/admin/users/dora', admin(), { scopes: ['write'] }))).toMatchObject({
      name: 'dora',
      scopes: ['write'],
    })
    expect(await status('GET', '/flows', basic('dora'))).toBe(403)
    expect(await status('DELETE', '/admin/users/dora', admin())).toBe(204)
    expect(await status('GET', '/flows', basic('dora'))).toBe(401)
    expect(await status('DELETE', '/admin/users/dora', admin())).toBe(404)
    expect(await status('PATCH', '/admin/users/dora', admin(), { disabled: true })).toBe(404)
    expect(await status('PATCH', '/admin/users/dora', admin(), { disabled: 'x' })).toBe(404)
    expect(await status('PATCH', '/admin/users/ann', admin(), { disabled: 'x' })).toBe(400)
  })

  test.each([
    [{ name: 'anonymous', password: PASSWORD, scopes: ['read'] }],
    [{ name: 'system', password: PASSWORD, scopes: ['read'] }],
    [{ name: 'a:b', password: PASSWORD, scopes: ['read'] }],
    [{ name: 'oidc:x', password: PASSWORD, scopes: ['read'] }],
    [{ name: '', password: PASSWORD, scopes: ['read'] }],
    [{ name: 'eve', password: 'too short', scopes: ['read'] }],
    [{ name: 'eve', password: 'x'.repeat(600), scopes: ['read'] }],
    [{ name: 'eve', password: PASSWORD, scopes: [] }],
    [{ name: 'eve', password: PASSWORD, scopes: ['root'] }],
    [{ name: 'eve', password: PASSWORD }],
    [{ name: 'eve', password: PASSWORD, scopes: ['read'], password_hash: 'x' }],
    [[]],
    [null],
  ])('refuses the user %j, and repeats no password', async (body) => {
    const answer = await ask('POST', '/admin/users', admin(), body)
    expect(answer.status).toBe(400)
    expect(answer.text).not.toContain(PASSWORD)
    expect(answer.text).not.toContain('too short"')
  })

  test('makes, lists and revokes tokens', async () => {
    const made = object(await ask('POST', '/admin/tokens', admin(), { name: 'robot', scopes: ['read'], user_name: 'ann' }))
    expect(await status('GET', '/flows', bearer(String(made.token)))).toBe(200)
    expect(await status('DELETE', `/admin/tokens/${made.id}`, admin())).toBe(204)
    expect(await status('DELETE', `/admin/tokens/${made.id}`, admin())).toBe(204)
    expect(await status('GET', '/flows', bearer(String(made.token)))).toBe(401)
    expect(await status('DELETE', '/admin/tokens/nothing', admin())).toBe(404)
    expect(await status('POST', '/admin/tokens', admin(), { name: 'x', scopes: ['read'], user_name: 'nobody' })).toBe(400)
    expect(await status('POST', '/admin/tokens', admin(), { name: 'x', scopes: ['read'], expires: '2020-01-01T00:00:00Z' })).toBe(400)
    expect(await status('POST', '/admin/tokens', admin(), { name: 'x', scopes: ['read'], expires: 'soon' })).toBe(400)
  })

  test('lists users page by page', async () => {
    const first = await ask('GET', '/admin/users?limit=1', admin())
    const next = /<([^>]+)>/.exec(first.headers.get('link') ?? '')?.[1] ?? ''
    const second = await ask('GET', next, admin())
    expect([first.body, second.body]).toMatchObject([[{ name: 'ann' }], [{ name: expect.stringMatching(/^(bob|root)$/) }]])
  })

  test('is not there in strict mode, where credentials are asked for all the same', async () => {
    const strict = await openApp({ settings: { strict: true }, authentication: { oidc: undefined } })
    try {
      await addUser(strict, 'root', ['admin'])
      expect((await strict.fetch('/admin/users', { headers: basic('root') })).status).toBe(404)
      expect((await strict.fetch('/flows', { headers: basic('root') })).status).toBe(200)
      expect((await strict.fetch('/flows')).status).toBe(401)
    } finally {
      await strict.close()
    }
  })
})
