import { createLocalJWKSet, errors, type FlattenedJWSInput, type JSONWebKeySet, type JWSHeaderParameters } from 'jose'
import type { Clock } from '../../src/core/clock.ts'
import { TamsError } from '../../src/core/errors.ts'

/** Keys older than this are asked for again. */
const FRESH_MS = 10 * 60_000
/** Until then nobody waits for the answer: the keys that are there go on meanwhile. */
const WAIT_MS = 20 * 60_000
/** A key that is not there may have come since: asked for again, but not more often than this, whatever comes in. */
const COOLDOWN_MS = 30_000
const RETRY_MS = 5000
/** While the issuer cannot be reached its last keys go on for so long. */
const STALE_MS = 24 * 3_600_000
const TIMEOUT_MS = 5000

export type FetchDocument = (url: string, init: RequestInit) => Promise<Response>
type LocalKeys = ReturnType<typeof createLocalJWKSet>

/** The public keys of an issuer, found by OpenID Connect Discovery 1.0 and kept. */
export class KeySet {
  private keys: LocalKeys | undefined
  private fetchedMs = Number.NEGATIVE_INFINITY
  private triedMs = Number.NEGATIVE_INFINITY
  private fetching: Promise<void> | undefined
  private failure: unknown

  constructor(
    private readonly issuer: string,
    private readonly clock: Clock,
    private readonly fetch: FetchDocument = (url, init) => globalThis.fetch(url, init),
  ) {}

  /** Throws errors of `jose` for a header that names no key of the issuer, and `unavailable` when the issuer's keys cannot be had. */
  find = async (header: JWSHeaderParameters | undefined, token: FlattenedJWSInput | undefined): Promise<CryptoKey> => {
    const refreshed = this.age() > FRESH_MS ? this.refresh() : undefined
    if (this.age() > WAIT_MS) await refreshed
    try {
      return await this.current()(header, token)
    } catch (error) {
      const before = this.fetchedMs
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
      await this.refresh()
      if (this.fetchedMs === before) throw error
      return await this.current()(header, token)
    }
  }

  private current(): LocalKeys {
    if (this.keys && this.age() <= STALE_MS) return this.keys
    throw new TamsError('unavailable', 'The keys of the token issuer cannot be fetched', { cause: this.failure })
  }

  private age(): number {
    return this.nowMs() - this.fetchedMs
  }

  private async refresh(): Promise<void> {
    if (!this.fetching && this.nowMs() - this.triedMs < (this.failure ? RETRY_MS : COOLDOWN_MS)) return
    this.fetching ??= this.load().finally(() => {
      this.fetching = undefined
    })
    await this.fetching
  }

  /** Never rejects: what was there before stays. */
  private async load(): Promise<void> {
    this.triedMs = this.nowMs()
    try {
      const { issuer, jwks_uri: uri } = await this.json(`${this.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`)
      if (issuer !== this.issuer) throw new Error(`${this.issuer} calls itself ${JSON.stringify(issuer)}`)
      if (typeof uri !== 'string' || !/^https?:/.test(uri)) throw new Error(`${this.issuer} names no jwks_uri`)
      if (uri.startsWith('http:') && !this.issuer.startsWith('http:')) throw new Error(`${uri} is not protected as the issuer is`)
      const { keys } = await this.json(uri)
      if (!Array.isArray(keys)) throw new Error(`${uri} is no JWK set`)
      this.keys = createLocalJWKSet({ keys } as JSONWebKeySet)
      this.fetchedMs = this.nowMs()
      this.failure = undefined
    } catch (error) {
      this.failure = error
    }
  }

  private async json(url: string): Promise<Readonly<Record<string, unknown>>> {
    const response = await this.fetch(url, {
      headers: { accept: 'application/json' },
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    if (response.status !== 200) throw new Error(`${url} answered ${response.status}`)
    return { ...Object(await response.json()) }
  }

  private nowMs(): number {
    return Number(this.clock.nowUs() / 1000n)
  }
}
