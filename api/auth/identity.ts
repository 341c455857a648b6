import { hasScope, type Scope } from '../../src/domain/scope.ts'

/** Who makes a request, once the credentials are proven. */
export interface Identity {
  readonly principal: string
  readonly scopes: readonly Scope[]
  readonly method: 'basic' | 'token' | 'oidc'
  /** The credentials came in the URL: what answers them belongs in no shared cache (RFC 6750 2.3). */
  readonly inUrl: boolean
}

export const mayEverything = ({ scopes }: Pick<Identity, 'scopes'>): boolean => hasScope(scopes, 'admin')
