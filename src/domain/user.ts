import { type Static, Type } from '@sinclair/typebox'
import { toMicroseconds } from '../core/clock.ts'
import { notFound, TamsError } from '../core/errors.ts'
import { and, eq, everything, isIn, type Predicate } from '../core/predicate.ts'
import type { Row } from '../storage/schema.ts'
import type { WriteTx } from '../storage/tables.ts'
import type { Context } from './context.ts'
import { findUser } from './credentials.ts'
import type { Deps } from './deps.ts'
import { listAll } from './list-all.ts'
import { effectiveLimit, type Listing, nextKey, type PageRequest, pageValues } from './paging.ts'
import { checkPassword, hashPassword } from './password.ts'
import { record } from './record.ts'
import { hasScope, parseScopes, ScopeList } from './scope.ts'
import { checker } from './validate.ts'

/** Without a colon: Basic ends the name with it (RFC 7617 2), and principals from elsewhere have one, so that nobody takes a user's name. */
const UserName = Type.String({
  pattern: '^(?!(anonymous|system)$)[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$',
  title: 'a name of up to 64 letters, digits and _ . @ - that begins with a letter or digit (and is not anonymous or system)',
  examples: ['ann'],
})
const Password = Type.String({ title: 'a password', examples: ['correct horse battery staple'] })

/** Somebody who logs in with a name and a password. */
export const User = Type.Object({
  name: UserName,
  scopes: ScopeList,
  disabled: Type.Boolean(),
  created: Type.String({ format: 'date-time' }),
  updated: Type.String({ format: 'date-time' }),
})
export type User = Static<typeof User>
export const UserPost = Type.Object({ name: UserName, password: Password, scopes: ScopeList }, { additionalProperties: false })
export const UserPatch = Type.Object(
  { password: Type.Optional(Password), scopes: Type.Optional(ScopeList), disabled: Type.Optional(Type.Boolean()) },
  { additionalProperties: false, minProperties: 1 },
)

const checkPost = checker(UserPost)
const checkPatch = checker(UserPatch)
const SCOPE = 'users'

const document = (row: Row<'users'>): User => ({
  name: row.name,
  scopes: parseScopes(row.scopes),
  disabled: row.disabled,
  created: toMicroseconds(row.created),
  updated: toMicroseconds(row.updated),
})

/** Passwords are hashed before the transactions, which may wait for nothing but the store. No answer holds a password or its hash. */
export const userUseCases = ({ tables, clock, settings }: Deps) => {
  const change = <T>(
    context: Context,
    name: string,
    action: string,
    detail: Readonly<Record<string, unknown>>,
    make: (tx: WriteTx, row: Row<'users'>, nowUs: bigint) => Promise<T>,
  ): Promise<T> =>
    tables.write(async (tx) => {
      await tx.lock([`user:${name}`])
      const row = await tx.find('users', [name])
      if (!row) throw notFound(`User ${name}`)
      const nowUs = clock.nowUs()
      const result = await make(tx, row, nowUs)
      await record(tx, context, nowUs, [], { action, entityType: 'user', entityId: name, detail })
      return result
    })

  return {
    /** By name. */
    list: (_context: Context, page: PageRequest): Promise<Listing<User>> =>
      tables.read(async (tx) => {
        const limit = effectiveLimit(page, settings)
        const after = pageValues(SCOPE, page, 1)
        const orderBy = [{ column: 'name', direction: page.reverse ? 'desc' : 'asc' }] as const
        const found = await tx.list('users', { where: everything, orderBy, limit, ...(after && { after }) })
        return { items: found.rows.map(document), limit, ...nextKey(SCOPE, found.after) }
      }),

    /** Throws `invalid`, and `exists` for a name that is taken. */
    async create(context: Context, body: unknown): Promise<User> {
      const { name, password, scopes } = checkPost(body)
      checkPassword(password)
      const hash = await hashPassword(password)
      return tables.write(async (tx) => {
        await tx.lock([`user:${name}`])
        if (await tx.find('users', [name])) throw new TamsError('exists', `User ${name} exists already`)
        const nowUs = clock.nowUs()
        const row: Row<'users'> = {
          name,
          password_hash: hash,
          scopes: JSON.stringify(scopes),
          classes: '[]',
          disabled: false,
          created: nowUs,
          updated: nowUs,
        }
        await tx.insert('users', [row])
        await record(tx, context, nowUs, [], { action: 'user.create', entityType: 'user', entityId: name, detail: { scopes } })
        return document(row)
      })
    },

    /** Takes effect on the next request of the user. Who may not read any more has no active webhooks. Throws `not_found`, `invalid`. */
    async update(context: Context, name: string, parse: () => unknown): Promise<User> {
      if (!(await findUser(tables, name))) throw notFound(`User ${name}`)
      const { password, scopes, disabled } = checkPatch(parse())
      if (password !== undefined) checkPassword(password)
      const hash = password === undefined ? undefined : await hashPassword(password)
      const detail = { ...(hash && { password: 'changed' }), ...(scopes && { scopes }), ...(disabled !== undefined && { disabled }) }
      return change(context, name, 'user.update', detail, async (tx, row, nowUs) => {
        const set: Partial<Row<'users'>> = {
          ...(hash && { password_hash: hash }),
          ...(scopes && { scopes: JSON.stringify(scopes) }),
          ...(disabled !== undefined && { disabled }),
          updated: nowUs,
        }
        await tx.update('users', eq('name', name), set)
        if (disabled || (scopes && !hasScope(scopes, 'read'))) await disableWebhooks(tx, name, nowUs)
        return document({ ...row, ...set })
      })
    },

    /** Nothing is left for whoever gets the name next: the user's tokens go, and the webhooks become nobody's. Throws `not_found`. */
    remove: (context: Context, name: string): Promise<void> =>
      change(context, name, 'user.remove', {}, async (tx, _row, nowUs) => {
        await tx.delete('tokens', eq('user_name', name))
        await disableWebhooks(tx, name, nowUs)
        await changeWebhooks(tx, eq('owner', name), { owner: null })
        await tx.delete('users', eq('name', name))
      }),
  }
}

/** Events are not sent on to somebody who may not read them any more. */
const disableWebhooks = async (tx: WriteTx, owner: string, nowUs: bigint): Promise<void> => {
  await tx.lock([`webhooks of ${owner}`])
  const active = and(eq('owner', owner), isIn('status', ['created', 'started']))
  await changeWebhooks(tx, active, { status: 'disabled', updated: nowUs })
}

const changeWebhooks = async (tx: WriteTx, where: Predicate, set: Partial<Row<'webhooks'>>): Promise<void> => {
  const rows = await listAll(tx, 'webhooks', { columns: ['id'], where, limit: 100_000 })
  await tx.lock(rows.map(({ id }) => `webhook:${id}`))
  await tx.update('webhooks', where, set)
}
