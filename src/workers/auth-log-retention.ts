import type { Clock } from '../core/clock.ts'
import { compare, everything } from '../core/predicate.ts'
import type { Tables } from '../storage/tables.ts'
import type { Worker } from './worker.ts'

const BATCH = 500
/** However many attempts there are, the log takes some tens of megabytes. */
const MAX_ROWS = 100_000

/** Removes lines of the authentication log that are older than `retentionMs`, and the oldest above `maxRows`. */
export const authLogRetentionWorker = ({
  tables,
  clock,
  retentionMs,
  maxRows = MAX_ROWS,
}: {
  readonly tables: Tables
  readonly clock: Clock
  readonly retentionMs: number
  readonly maxRows?: number
}): Worker => ({
  name: 'auth-log-retention',
  intervalMs: 10 * 60_000,
  step: (lease) =>
    tables.write(async (tx) => {
      await lease.keep(tx)
      const surplus = (await tx.count('auth_log', everything, { atMost: maxRows + BATCH })) - maxRows
      const oldUs = clock.nowUs() - BigInt(retentionMs) * 1000n
      // In the order of the key, which is that of time.
      const oldest = (await tx.list('auth_log', { columns: ['id', 'time'], where: everything, limit: BATCH })).rows
      const last = oldest.findLast(({ time }, index) => time < oldUs || index < surplus)
      if (!last) return false
      const removed = await tx.delete('auth_log', compare('id', '<=', last.id))
      return removed === BATCH
    }),
})
