import { eq, everything, type Predicate } from '../core/predicate.ts'

/** Who makes a request. Without authentication everybody is `anonymous`. */
export interface Principal {
  readonly name: string
}

/** What the principal may see, as predicates on the tables of these names. Use-cases add them to every read. */
export interface Visibility {
  readonly sources: Predicate
  readonly flows: Predicate
  readonly storage_backends: Predicate
  readonly webhooks: Predicate
}

/** What every use-case is told about the request it serves. */
export interface Context {
  readonly principal: Principal
  readonly visible: Visibility
  readonly requestId: string
  /** The endpoint the client used, without a trailing slash: where links and media URLs of this service begin. */
  readonly baseUrl: string
}

export const seesEverything: Visibility = {
  sources: everything,
  flows: everything,
  storage_backends: everything,
  webhooks: everything,
}

/** Webhooks are their owners' own business (they carry secrets); `admin` sees those of others too. */
export const visibleTo = (principal: string, isAdmin: boolean): Visibility =>
  isAdmin ? seesEverything : { ...seesEverything, webhooks: eq('owner', principal) }
