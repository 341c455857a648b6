import type { Clock } from '../core/clock.ts'
import { compare } from '../core/predicate.ts'
import { firstIdAt } from '../domain/record.ts'
import type { Tables } from '../storage/tables.ts'
import type { Worker } from './worker.ts'

const BATCH = 500

/** Removes rows of the audit trail that are older than `retentionMs`. */
export const auditRetentionWorker = ({
  tables,
  clock,
  retentionMs,
}: {
  readonly tables: Tables
  readonly clock: Clock
  readonly retentionMs: number
}): Worker => ({
  name: 'audit-retention',
  intervalMs: 10 * 60_000,
  step: (lease) =>
    tables.write(async (tx) => {
      await lease.keep(tx)
      const old = compare('id', '<', firstIdAt(clock.nowUs() - BigInt(retentionMs) * 1000n))
      const oldest = await tx.list('audit', { columns: ['id'], where: old, limit: BATCH })
      const last = oldest.rows.at(-1)
      if (!last) return false
      await tx.delete('audit', compare('id', '<=', last.id))
      return oldest.rows.length === BATCH
    }),
})
