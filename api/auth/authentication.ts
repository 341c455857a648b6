import type { Clock } from '../../src/core/clock.ts'
import { findToken, findUser, type UserRow } from '../../src/domain/credentials.ts'
import { parseScopes, type Scope } from '../../src/domain/scope.ts'
import { TOKEN_PREFIX } from '../../src/domain/token.ts'
import type { Tables } from '../../src/storage/tables.ts'
import type { Log } from '../../src/telemetry/log.ts'
import { invalidToken, missingCredentials, wrongPassword } from './challenge.ts'
import { type Credentials, credentialsOf } from './credentials.ts'
import { Failures } from './failures.ts'
import type { Identity } from './identity.ts'
import { Journal } from './journal.ts'
import type { FetchDocument } from './key-set.ts'
import { type OidcOptions, OidcTokens } from './oidc.ts'
import { Passwords } from './passwords.ts'

export interface AuthenticationDeps {
  readonly tables: Tables
  readonly clock: Clock
  readonly log: Log
  readonly oidc: OidcOptions | undefined
  readonly fetch?: FetchDocument
}

/** Longer than any token of ours or of an issuer that is meant to be sent in a header. */
const MAX_TOKEN = 8192

/** Proves who makes requests. One for the life of the service; to be closed. */
export class Authentication {
  private readonly failures: Failures
  private readonly passwords: Passwords
  private readonly oidc: OidcTokens | undefined
  readonly journal: Journal

  constructor(private readonly deps: AuthenticationDeps) {
    this.failures = new Failures(deps.clock)
    this.passwords = new Passwords(deps.clock)
    this.journal = new Journal(deps.tables, deps.clock, deps.log)
    this.oidc = deps.oidc && new OidcTokens(deps.oidc, deps.clock, deps.fetch)
  }

  /** Throws a `Refusal` (401, or 429 for an address that has failed too often), `invalid`, or `unavailable`. */
  async identify(request: Request, address: string): Promise<Identity> {
    const credentials = credentialsOf(request)
    if (!credentials) throw missingCredentials()
    const identity = credentials.kind === 'basic' ? await this.basic(credentials, address) : await this.token(credentials, address)
    this.journal.success({ principal: identity.principal, method: identity.method, address })
    return identity
  }

  close(): Promise<void> {
    return this.journal.close()
  }

  private async basic({ name, password }: Extract<Credentials, { kind: 'basic' }>, address: string): Promise<Identity> {
    const user = await findUser(this.deps.tables, name)
    const isKnown = user?.disabled === false && this.passwords.isRemembered(user, password)
    if (!isKnown && !(await this.verify(user, name, password, address))) throw wrongPassword()
    if (!user) throw wrongPassword()
    return { principal: user.name, scopes: parseScopes(user.scopes), method: 'basic', inUrl: false }
  }

  /** Counted as a failure from the start: many at a time would otherwise all be tried before the first of them is counted. */
  private async verify(user: UserRow | undefined, name: string, password: string, address: string): Promise<boolean> {
    const attempt = { principal: user?.name ?? '', method: 'basic', address } as const
    let isCounted = false
    const begin = () => {
      this.spend(attempt)
      isCounted = true
    }
    let matches: boolean | undefined
    try {
      matches = await this.passwords.verify(user, name, password, begin)
      return matches
    } finally {
      if (isCounted && matches !== false) this.failures.refund(address)
      else if (isCounted) this.journal.failure(attempt, 'failure')
    }
  }

  private async token({ token, from }: Extract<Credentials, { kind: 'token' }>, address: string): Promise<Identity> {
    const isOwn = token.startsWith(TOKEN_PREFIX)
    const found = token.length > MAX_TOKEN ? undefined : isOwn ? await this.own(token) : await this.oidc?.verify(token)
    const method = isOwn ? 'token' : 'oidc'
    if (found) return { principal: found.principal, scopes: found.scopes, method, inUrl: from === 'query' }
    const attempt = { principal: '', method, address } as const
    this.spend(attempt)
    this.journal.failure(attempt, 'failure')
    throw invalidToken()
  }

  private async own(token: string): Promise<{ readonly principal: string; readonly scopes: readonly Scope[] } | undefined> {
    const found = await findToken(this.deps.tables, token, this.deps.clock.nowUs())
    if (found) this.journal.tokenUsed(found.id, found.lastUsedUs)
    return found
  }

  private spend(attempt: Parameters<Journal['failure']>[0]): void {
    try {
      this.failures.spend(attempt.address)
    } catch (error) {
      this.journal.failure(attempt, 'blocked')
      throw error
    }
  }
}
