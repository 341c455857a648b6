import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'

export const AUDIENCE = 'tams-of-the-tests'

interface Key {
  readonly kid: string
  readonly alg: string
  readonly privateKey: CryptoKey
  readonly publicKey: CryptoKey
}

/** An OpenID Connect issuer on 127.0.0.1, with one key at a time. */
export interface TestIssuer {
  readonly url: string
  /** Requests for its keys so far. */
  readonly asked: () => number
  readonly key: () => Key
  /** A new key; the former one is no longer published. */
  rotate(kid: string, alg?: string): Promise<void>
  /** It answers 503 from now on, or again as it should. */
  away(isAway: boolean): void
  /** What it says of itself instead of its URL. */
  pretend(issuer: string | undefined): void
  /** A good token of somebody with `tams-api/read` that ends at `expSeconds`, changed by `claims` and `header`. */
  token(
    expSeconds: number,
    claims?: Readonly<Record<string, unknown>>,
    header?: { readonly key?: Key; readonly kid?: string },
  ): Promise<string>
  stop(): Promise<void>
}

const makeKey = async (kid: string, alg: string): Promise<Key> => ({ kid, alg, ...(await generateKeyPair(alg, { extractable: true })) })

export const startIssuer = async (): Promise<TestIssuer> => {
  let key = await makeKey('first', 'ES256')
  let asked = 0
  let isAway = false
  let pretended: string | undefined
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      if (isAway) return new Response('away', { status: 503 })
      const { pathname, origin } = new URL(request.url)
      if (pathname === '/.well-known/openid-configuration')
        return Response.json({ issuer: pretended ?? origin, jwks_uri: `${origin}/keys` })
      asked++
      return Response.json({ keys: [{ ...(await exportJWK(key.publicKey)), kid: key.kid, alg: key.alg, use: 'sig' }] })
    },
  })
  const url = `http://127.0.0.1:${server.port}`
  return {
    url,
    asked: () => asked,
    key: () => key,
    rotate: async (kid, alg = 'ES256') => {
      key = await makeKey(kid, alg)
    },
    away: (value) => {
      isAway = value
    },
    pretend: (issuer) => {
      pretended = issuer
    },
    token: (expSeconds, claims = {}, { key: signer = key, kid = signer.kid } = {}) =>
      new SignJWT({ iss: url, sub: 'a-subject', aud: AUDIENCE, exp: expSeconds, scope: 'openid tams-api/read', ...claims } as JWTPayload)
        .setProtectedHeader({ alg: signer.alg, kid, typ: 'at+jwt' })
        .sign(signer.privateKey),
    stop: () => server.stop(true),
  }
}
