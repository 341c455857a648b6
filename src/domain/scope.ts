import { Type } from '@sinclair/typebox'

/** What somebody may do in the whole service (tams-behaviour.md section 12); `admin` may do everything, the others include nothing. */
export const SCOPES = ['read', 'write', 'delete', 'admin'] as const
export type Scope = (typeof SCOPES)[number]

/** As it is written in the claims of a token and in challenges: `tams-api/read`. */
export const scopeClaim = (scope: Scope): string => `tams-api/${scope}`

export const ScopeList = Type.Array(Type.Union(SCOPES.map((scope) => Type.Literal(scope))), {
  minItems: 1,
  maxItems: SCOPES.length,
  uniqueItems: true,
  title: `a list of ${SCOPES.join(', ')}`,
  examples: [['read', 'write']],
})

/** Those scopes among the words that are ours; any other word means something to another service. */
export const claimedScopes = (words: readonly string[]): Scope[] => SCOPES.filter((scope) => words.includes(scopeClaim(scope)))

/** The `scopes` cell of a user or token. */
export const parseScopes = (cell: string): Scope[] => {
  const stored = JSON.parse(cell) as readonly string[]
  return SCOPES.filter((scope) => stored.includes(scope))
}

export const hasScope = (scopes: readonly Scope[], scope: Scope): boolean => scopes.includes(scope) || scopes.includes('admin')

/** What is in both, where `admin` stands for all. */
export const commonScopes = (some: readonly Scope[], others: readonly Scope[]): Scope[] =>
  SCOPES.filter((scope) => hasScope(some, scope) && hasScope(others, scope))
