import { toMicroseconds } from '../core/clock.ts'
import { eq, everything } from '../core/predicate.ts'
import type { Row } from '../storage/schema.ts'
import type { Tables } from '../storage/tables.ts'
import { timeOrderedId } from './record.ts'

export interface AuthAttempts {
  readonly outcome: 'success' | 'failure' | 'blocked'
  /** Who it was or would have been; `''` for nobody known. Never what was typed: that may be a password in the wrong field. */
  readonly principal: string
  readonly method: 'basic' | 'token' | 'oidc'
  /** `''` for many. */
  readonly address: string
  readonly count: number
  readonly firstUs: bigint
}

export interface AuthLogLine extends Omit<AuthAttempts, 'firstUs'> {
  readonly time: string
}

/** Also writes down when tokens were last used. */
export const writeAuthLog = (tables: Tables, attempts: readonly AuthAttempts[], tokensUsed: ReadonlyMap<string, bigint>): Promise<void> =>
  tables.write(async (tx) => {
    await tx.insert(
      'auth_log',
      attempts.map(({ firstUs, count, ...attempt }) => ({
        id: timeOrderedId(firstUs),
        time: firstUs,
        ...attempt,
        detail: JSON.stringify({ count }),
      })),
    )
    for (const [id, last_used] of tokensUsed) await tx.update('tokens', eq('id', id), { last_used })
  })

/** Newest first. */
export const readAuthLog = (tables: Tables, limit: number): Promise<AuthLogLine[]> =>
  tables.read(async (tx) => {
    const { rows } = await tx.list('auth_log', { where: everything, orderBy: [{ column: 'id', direction: 'desc' }], limit })
    return rows.map(line)
  })

const line = ({ principal, outcome, method, address, time, detail }: Row<'auth_log'>): AuthLogLine => ({
  time: toMicroseconds(time),
  outcome: outcome as AuthAttempts['outcome'],
  method: method as AuthAttempts['method'],
  principal,
  address,
  count: (JSON.parse(detail ?? '{"count":1}') as { readonly count: number }).count,
})
