import { afterAll, beforeEach, describe, expect, test } from 'bun:test'
import { createHmac } from 'node:crypto'
import { exportSPKI, generateKeyPair, UnsecuredJWT } from 'jose'
import { object, readAnswer } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { addUser, bearer } from '../support/credentials.ts'
import { uuid, videoFlow } from '../support/fixtures.ts'
import { AUDIENCE, startIssuer, type TestIssuer } from '../support/issuer.ts'

let app: TestApp
let issuer: TestIssuer
const opened: (() => Promise<void>)[] = []

beforeEach(async () => {
  issuer = await startIssuer()
  app = await openApp({
    settings: { strict: false },
    authentication: { oidc: { issuer: issuer.url, audiences: [AUDIENCE, 'another'], algorithms: ['ES256', 'RS256'], scopeClaim: 'scope' } },
  })
  opened.push(() => app.close(), issuer.stop)
  return async () => {}
})
afterAll(async () => {
  for (const close of opened) await close()
})

const nowSeconds = (): number => Math.floor(Number(app.clock.nowUs() / 1_000_000n))
const get = async (token: string, path = '/flows') => readAnswer(await app.fetch(path, { headers: bearer(token) }))
const statusOf = async (token: string, path?: string): Promise<number> => (await get(token, path)).status
const soon = () => nowSeconds() + 600
const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

describe('a JWT of the issuer', () => {
  test('is enough by Bearer and as access_token, with the scopes of its claim [12-M1]', async () => {
    const token = await issuer.token(soon())
    expect(await statusOf(token)).toBe(200)
    expect((await app.fetch(`/flows?access_token=${token}`)).status).toBe(200)
    expect(await statusOf(token, '/flow-delete-requests')).toBe(403)
    expect(await statusOf(await issuer.token(soon(), { scope: ['tams-api/admin'] }), '/flow-delete-requests')).toBe(200)
    for (const scope of ['openid', '', 'read', 'tams-api/readx', 7, null]) {
      const weak = await issuer.token(soon(), { scope })
      expect(await statusOf(weak)).toBe(403)
      expect(await statusOf(weak, '/')).toBe(403)
    }
  })

  test('names its subject apart from all users', async () => {
    await addUser(app, 'ann', ['read', 'write'])
    const token = await issuer.token(soon(), { sub: 'ann', scope: 'tams-api/read tams-api/write' })
    const body = videoFlow()
    const headers = { ...bearer(token), 'content-type': 'application/json' }
    expect((await app.fetch(`/flows/${body.id}`, { method: 'PUT', headers, body: JSON.stringify(body) })).status).toBe(201)
    expect(object(await get(token, `/flows/${body.id}`)).created_by).toBe('oidc:ann')
  })

  test('counts until its expiry and from its nbf, with 30 s of leeway', async () => {
    const token = await issuer.token(nowSeconds() + 60)
    expect(await statusOf(token)).toBe(200)
    app.clock.advance(85)
    expect(await statusOf(token)).toBe(200)
    app.clock.advance(10)
    expect(await statusOf(token)).toBe(401)
    expect(await statusOf(await issuer.token(soon(), { nbf: nowSeconds() + 20 }))).toBe(200)
    expect(await statusOf(await issuer.token(soon(), { nbf: nowSeconds() + 40 }))).toBe(401)
  })

  test('is refused with invalid_token for another audience or issuer, and without expiry or subject', async () => {
    const wrong = [
      await issuer.token(soon(), { aud: 'another service' }),
      await issuer.token(soon(), { aud: [] }),
      await issuer.token(soon(), { aud: undefined, client_id: 'somebody' }),
      await issuer.token(soon(), { iss: `${issuer.url}/` }),
      await issuer.token(soon(), { iss: undefined }),
      await issuer.token(soon(), { sub: undefined }),
      await issuer.token(soon(), { sub: '' }),
      await issuer.token(soon(), { exp: undefined }),
    ]
    for (const token of wrong) {
      const answer = await get(token)
      expect(answer.status).toBe(401)
      expect(answer.headers.get('www-authenticate')).toContain('error="invalid_token"')
      expect(answer.text).not.toContain(token.slice(0, 20))
    }
    expect(await statusOf(await issuer.token(soon(), { aud: ['x', 'another'] }))).toBe(200)
    expect(await statusOf(await issuer.token(soon(), { aud: undefined, client_id: AUDIENCE }))).toBe(200)
  })
})

describe('a forged JWT', () => {
  const claims = () => ({ iss: issuer.url, sub: 'x', aud: AUDIENCE, exp: soon(), scope: 'tams-api/admin' })

  test('is refused: without a signature, in all spellings of none', async () => {
    for (const alg of ['none', 'None', 'NONE', '', undefined])
      expect(await statusOf(`${part({ alg, kid: 'first' })}.${part(claims())}.`)).toBe(401)
    expect(await statusOf(new UnsecuredJWT(claims()).encode())).toBe(401)
    const [head, , signature] = (await issuer.token(soon())).split('.')
    expect(await statusOf(`${head}.${part(claims())}.${signature}`)).toBe(401)
    expect(await statusOf(`${head}.${part(claims())}.`)).toBe(401)
  })

  test('is refused: with the public key as the shared secret of HS256', async () => {
    await issuer.rotate('rsa', 'RS256')
    const secret = await exportSPKI(issuer.key().publicKey)
    for (const key of [secret, secret.trim(), JSON.stringify(await crypto.subtle.exportKey('jwk', issuer.key().publicKey))]) {
      const input = `${part({ alg: 'HS256', kid: 'rsa' })}.${part(claims())}`
      expect(await statusOf(`${input}.${createHmac('sha256', key).update(input).digest('base64url')}`)).toBe(401)
    }
  })

  test('is refused: signed by another key under the kid of the right one, by a key in its header, or by an algorithm that is not allowed', async () => {
    const own = await generateKeyPair('ES256', { extractable: true })
    const forged = { kid: 'first', alg: 'ES256', privateKey: own.privateKey, publicKey: own.publicKey }
    const token = await issuer.token(soon(), {}, { key: forged })
    expect(await statusOf(token)).toBe(401)
    const { SignJWT } = await import('jose')
    const jwk = await crypto.subtle.exportKey('jwk', own.publicKey)
    const inHeader = await new SignJWT(claims()).setProtectedHeader({ alg: 'ES256', jwk, kid: 'first' } as never).sign(own.privateKey)
    expect(await statusOf(inHeader)).toBe(401)
    await issuer.rotate('ps', 'PS256')
    app.clock.advance(60)
    expect(await statusOf(await issuer.token(soon()))).toBe(401)
  })
})

describe('keys of the issuer', () => {
  test('that are new are fetched once, and those that are gone are refused', async () => {
    const before = await issuer.token(soon())
    expect(await statusOf(before)).toBe(200)
    expect(await statusOf(before)).toBe(200)
    expect(issuer.asked()).toBe(1)
    await issuer.rotate('second')
    app.clock.advance(31)
    const after = await issuer.token(soon())
    expect(await Promise.all([statusOf(after), statusOf(after), statusOf(after)])).toEqual([200, 200, 200])
    expect(issuer.asked()).toBe(2)
    expect(await statusOf(before)).toBe(401)
  })

  test('are not asked for again with every token that names an unknown one', async () => {
    expect(await statusOf(await issuer.token(soon()))).toBe(200)
    for (let i = 0; i < 20; i++) expect(await statusOf(await issuer.token(soon(), {}, { kid: `unknown-${i}` }))).toBe(401)
    expect(issuer.asked()).toBe(1)
    app.clock.advance(31)
    expect(await statusOf(await issuer.token(soon(), {}, { kid: 'unknown' }))).toBe(401)
    expect(issuer.asked()).toBe(2)
  })

  test('go on for a day while the issuer is away; without any the answer is 503, not 401', async () => {
    issuer.away(true)
    const early = await get(await issuer.token(soon()))
    expect(early.status).toBe(503)
    expect(early.headers.get('retry-after')).toBe('5')
    issuer.away(false)
    app.clock.advance(6)
    expect(await statusOf(await issuer.token(soon()))).toBe(200)
    issuer.away(true)
    app.clock.advance(3600)
    expect(await statusOf(await issuer.token(soon()))).toBe(200)
    app.clock.advance(24 * 3600)
    expect(await statusOf(await issuer.token(soon()))).toBe(503)
  })

  test('are not taken from whoever calls itself something else', async () => {
    issuer.pretend('https://somebody.example.com')
    expect(await statusOf(await issuer.token(soon()))).toBe(503)
  })

  test('are not asked for by what is no JWT', async () => {
    for (const token of ['x', 'a.b.c', `${part({ alg: 'HS256' })}.${part({})}.`, uuid()]) expect(await statusOf(token)).toBe(401)
    expect(issuer.asked()).toBe(0)
  })
})
