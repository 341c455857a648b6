import { isTamsError, TamsError } from '../../src/core/errors.ts'
import { hasScope } from '../../src/domain/scope.ts'
import { baseUrl, type HttpSettings } from '../request-context.ts'
import type { Authentication } from './authentication.ts'
import { insufficientScope } from './challenge.ts'
import type { Identity } from './identity.ts'
import type { Need } from './scopes.ts'

/** What is not open to everybody. */
export type GuardedNeed = Exclude<Need, 'open'>

const RECHECK_MS = 30_000

/** Calls `onEnd` when a request would no longer be let in. Gives the function that ends the watch. */
export type Watch = (request: Request, onEnd: () => void) => () => void

interface Admission {
  readonly need: GuardedNeed
  readonly address: string
}

/** Lets requests in: who makes them, and whether they may. */
export class Access {
  private readonly admissions = new WeakMap<Request, Admission>()

  constructor(
    private readonly authentication: Authentication,
    private readonly http: HttpSettings,
    private readonly recheckMs = RECHECK_MS,
  ) {}

  /** Throws 401, 403, 429 and 503 by their codes, and `invalid`. */
  async admit(request: Request, need: GuardedNeed, address: string): Promise<Identity> {
    const identity = await this.authentication.identify(request, address)
    if (need === 'any' ? identity.scopes.length === 0 : !hasScope(identity.scopes, need)) throw insufficientScope(need)
    if (identity.method === 'basic' && this.mayBeForged(request))
      throw new TamsError(
        'forbidden',
        'Pages of this origin may not use a password that the browser remembers: see CORS_ORIGINS, or use a token',
      )
    this.admissions.set(request, { need, address })
    return identity
  }

  /** A stream may last longer than the right to read it. */
  readonly watch: Watch = (request, onEnd) => {
    const admission = this.admissions.get(request)
    const recheck = () =>
      admission &&
      this.admit(request, admission.need, admission.address).catch((error: unknown) => {
        // A store or an issuer that is away says nothing about the credentials.
        if (isTamsError(error, 'unauthorized') || isTamsError(error, 'forbidden')) onEnd()
      })
    const timer = setInterval(() => void recheck(), this.recheckMs)
    timer.unref()
    return () => clearInterval(timer)
  }

  /**
   * A browser adds a password it remembers to whatever any page sends. What changes something, and WebSockets, whose answers any page may
   * read, are only for pages of this service and of the origins that are named (`*` names none). Programs send no `Origin`.
   */
  private mayBeForged(request: Request): boolean {
    const { headers, method } = request
    const origin = headers.get('origin')
    const isHarmless = (method === 'GET' || method === 'HEAD') && headers.get('upgrade')?.toLowerCase() !== 'websocket'
    if (origin === null || isHarmless || this.http.corsOrigins.includes(origin)) return false
    return URL.parse(origin)?.host !== new URL(baseUrl(this.http, request)).host
  }
}
