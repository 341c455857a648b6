import type { Domain } from '../../src/domain/index.ts'
import type { ContextOf, HttpSettings } from '../request-context.ts'

/** What the routes of a resource are given. */
export interface RouteDeps {
  readonly domain: Domain
  readonly http: HttpSettings
  readonly contextOf: ContextOf
  /** Only what the specification has: parameters that it does not know are ignored. */
  readonly strict: boolean
}
