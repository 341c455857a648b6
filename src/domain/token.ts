import { randomBytes } from 'node:crypto'
import { type Static, Type } from '@sinclair/typebox'
import { toMicroseconds } from '../core/clock.ts'
import { invalid, notFound } from '../core/errors.ts'
import { eq, everything } from '../core/predicate.ts'
import { quote } from '../core/uuid.ts'
import type { Row } from '../storage/schema.ts'
import type { Context } from './context.ts'
import type { Deps } from './deps.ts'
import { effectiveLimit, type Listing, nextKey, type PageRequest, pageValues } from './paging.ts'
import { record, timeOrderedId } from './record.ts'
import { parseScopes, ScopeList } from './scope.ts'
import { checker } from './validate.ts'

/** What every token of this service begins with: tells it from a JWT, and lets scanners for leaked secrets find it. */
export const TOKEN_PREFIX = 'tams_'

const members = {
  name: Type.String({
    pattern: '^[A-Za-z0-9][A-Za-z0-9_.@ -]{0,63}$',
    title: 'a name of up to 64 letters, digits, blanks and _ . @ - that begins with a letter or digit',
    examples: ['nightly ingest'],
  }),
  scopes: ScopeList,
  user_name: Type.Optional(
    Type.String({
      description: 'The user it stands for, whose scopes limit those of the token. Without one it stands for itself.',
      examples: ['ann'],
    }),
  ),
  expires: Type.Optional(Type.String({ format: 'date-time', description: 'Without it: never.', examples: ['2027-03-02T09:15:00Z'] })),
}

/** A secret that a program logs in with. */
export const Token = Type.Object({
  id: Type.String(),
  ...members,
  created: Type.String({ format: 'date-time' }),
  last_used: Type.Optional(Type.String({ format: 'date-time', description: 'To some minutes.' })),
  revoked: Type.Boolean(),
})
export type Token = Static<typeof Token>
export const CreatedToken = Type.Object({
  ...Token.properties,
  token: Type.String({ description: 'Shown only here: only its SHA-256 hash is stored.' }),
})
export type CreatedToken = Static<typeof CreatedToken>
export const TokenPost = Type.Object(members, { additionalProperties: false })

const checkPost = checker(TokenPost)
const SCOPE = 'tokens'

/** No salt and no slow hash: 256 random bits cannot be guessed. */
export const hashToken = (token: string): string => new Bun.CryptoHasher('sha256').update(token).digest('hex')

const document = (row: Row<'tokens'>): Token => ({
  id: row.id,
  name: row.name,
  scopes: parseScopes(row.scopes),
  ...(row.user_name !== '' && { user_name: row.user_name }),
  created: toMicroseconds(row.created),
  ...(row.expires !== null && { expires: toMicroseconds(row.expires) }),
  ...(row.last_used !== null && { last_used: toMicroseconds(row.last_used) }),
  revoked: row.revoked,
})

export const tokenUseCases = ({ tables, clock, settings }: Deps) => ({
  /** Oldest first; revoked and expired ones too. */
  list: (_context: Context, page: PageRequest): Promise<Listing<Token>> =>
    tables.read(async (tx) => {
      const limit = effectiveLimit(page, settings)
      const after = pageValues(SCOPE, page, 1)
      const orderBy = [{ column: 'id', direction: page.reverse ? 'desc' : 'asc' }] as const
      const found = await tx.list('tokens', { where: everything, orderBy, limit, ...(after && { after }) })
      return { items: found.rows.map(document), limit, ...nextKey(SCOPE, found.after) }
    }),

  /** Throws `invalid`, also for a user who does not exist. */
  create: (context: Context, body: unknown): Promise<CreatedToken> => {
    const { name, scopes, user_name, expires } = checkPost(body)
    const token = TOKEN_PREFIX + randomBytes(32).toString('base64url')
    return tables.write(async (tx) => {
      const nowUs = clock.nowUs()
      const expiresUs = expires === undefined ? null : parseExpiry(expires, nowUs)
      if (user_name !== undefined) {
        await tx.lock([`user:${user_name}`])
        if (!(await tx.find('users', [user_name]))) throw invalid('user_name', `there is no user ${quote(user_name)}`)
      }
      const row: Row<'tokens'> = {
        id: timeOrderedId(nowUs),
        hash: hashToken(token),
        name,
        user_name: user_name ?? '',
        scopes: JSON.stringify(scopes),
        classes: '[]',
        created: nowUs,
        expires: expiresUs,
        last_used: null,
        revoked: false,
      }
      await tx.insert('tokens', [row])
      const detail = { name, scopes, ...(user_name && { user_name }) }
      await record(tx, context, nowUs, [], { action: 'token.create', entityType: 'token', entityId: row.id, detail })
      return { ...document(row), token }
    })
  },

  /** From the next request on it is refused. Throws `not_found`; may be done again. */
  revoke: (context: Context, id: string): Promise<void> =>
    tables.write(async (tx) => {
      await tx.lock([`token:${id}`])
      const row = await tx.find('tokens', [id])
      if (!row) throw notFound(`Token ${id}`)
      if (row.revoked) return
      await tx.update('tokens', eq('id', id), { revoked: true })
      const detail = { name: row.name }
      await record(tx, context, clock.nowUs(), [], { action: 'token.revoke', entityType: 'token', entityId: id, detail })
    }),
})

const parseExpiry = (text: string, nowUs: bigint): bigint => {
  const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(ms)) throw invalid('expires', `${quote(text)} is not a time such as 2027-03-02T09:15:00Z`)
  const us = BigInt(ms) * 1000n
  if (us <= nowUs) throw invalid('expires', `${quote(text)} is in the past`)
  return us
}
