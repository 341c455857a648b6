import { errors, type JWTPayload, jwtVerify } from 'jose'
import type { Clock } from '../../src/core/clock.ts'
import { claimedScopes, type Scope } from '../../src/domain/scope.ts'
import { type FetchDocument, KeySet } from './key-set.ts'

export interface OidcOptions {
  /** Exactly as in the claim `iss`. */
  readonly issuer: string
  /** A token has to be made for one of these. */
  readonly audiences: readonly string[]
  /** Asymmetric ones only: a public key must never do as a shared secret. */
  readonly algorithms: readonly string[]
  /** The claim that holds the scopes, as a text with blanks between them or as a list. */
  readonly scopeClaim: string
}

export interface VerifiedJwt {
  /** `oidc:` and the subject: no user of this service has a colon in the name. */
  readonly principal: string
  readonly scopes: readonly Scope[]
  readonly expiresMs: number
}

/** Clocks of issuers differ by so much. */
const LEEWAY_SECONDS = 30
const MAX_SUBJECT = 255

/** Access tokens of one OpenID Connect issuer. */
export class OidcTokens {
  private readonly keys: KeySet

  constructor(
    private readonly options: OidcOptions,
    private readonly clock: Clock,
    fetch?: FetchDocument,
  ) {
    this.keys = new KeySet(options.issuer, clock, fetch)
  }

  /** Undefined for a token that is not valid. Throws `unavailable` when the issuer's keys cannot be had. */
  async verify(token: string): Promise<VerifiedJwt | undefined> {
    const payload = await this.payload(token)
    if (!payload) return undefined
    const { sub, exp } = payload
    if (typeof sub !== 'string' || sub === '' || sub.length > MAX_SUBJECT || !sub.isWellFormed() || exp === undefined) return undefined
    if (!audiencesOf(payload).some((audience) => this.options.audiences.includes(audience))) return undefined
    return {
      principal: `oidc:${sub}`,
      scopes: claimedScopes(words(payload[this.options.scopeClaim])),
      expiresMs: (exp + LEEWAY_SECONDS) * 1000,
    }
  }

  private async payload(token: string): Promise<JWTPayload | undefined> {
    try {
      const verified = await jwtVerify(token, this.keys.find, {
        issuer: this.options.issuer,
        algorithms: [...this.options.algorithms],
        requiredClaims: ['exp', 'sub'],
        clockTolerance: LEEWAY_SECONDS,
        currentDate: new Date(Number(this.clock.nowUs() / 1000n)),
      })
      return verified.payload
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined
      throw error
    }
  }
}

// Access tokens of Amazon Cognito have no `aud`: there the client they were given to is what is checked.
const audiencesOf = ({ aud, client_id }: JWTPayload): string[] => {
  if (aud !== undefined) return [aud].flat()
  return typeof client_id === 'string' ? [client_id] : []
}

const words = (claim: unknown): string[] => {
  if (typeof claim === 'string') return claim.split(' ')
  return Array.isArray(claim) ? claim.filter((word) => typeof word === 'string') : []
}
