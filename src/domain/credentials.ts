import { eq, everything } from '../core/predicate.ts'
import type { Row } from '../storage/schema.ts'
import type { Tables } from '../storage/tables.ts'
import { commonScopes, parseScopes, type Scope } from './scope.ts'
import { hashToken } from './token.ts'

export type UserRow = Row<'users'>

export const findUser = (tables: Tables, name: string): Promise<UserRow | undefined> => tables.read((tx) => tx.find('users', [name]))

/** A token that is valid at this moment. */
export interface ValidToken {
  readonly id: string
  /** The user it stands for, or `token:` and its own name. */
  readonly principal: string
  readonly scopes: readonly Scope[]
  readonly expiresUs: bigint | null
  readonly lastUsedUs: bigint | null
}

/** Undefined for one that is unknown, expired or revoked, and for that of a user who is disabled. Looked up by its hash alone. */
export const findToken = (tables: Tables, token: string, nowUs: bigint): Promise<ValidToken | undefined> =>
  tables.read(async (tx) => {
    const found = await tx.list('tokens', { where: eq('hash', hashToken(token)), limit: 1 })
    const row = found.rows[0]
    if (!row || row.revoked || (row.expires !== null && row.expires <= nowUs)) return undefined
    const own = { id: row.id, expiresUs: row.expires, lastUsedUs: row.last_used }
    const scopes = parseScopes(row.scopes)
    if (row.user_name === '') return { ...own, principal: `token:${row.name}`, scopes }
    const user = await tx.find('users', [row.user_name])
    if (!user || user.disabled) return undefined
    return { ...own, principal: user.name, scopes: commonScopes(scopes, parseScopes(user.scopes)) }
  })

/** Whether there are users or tokens, even disabled and revoked ones: then nobody comes in without. */
export const credentialsExist = (tables: Tables): Promise<boolean> =>
  tables.read(async (tx) => {
    const users = await tx.count('users', everything, { atMost: 1 })
    return users > 0 || (await tx.count('tokens', everything, { atMost: 1 })) > 0
  })
