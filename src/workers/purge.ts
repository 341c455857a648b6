import type { Clock } from '../core/clock.ts'
import { purgeable, purgeStep } from '../domain/purge.ts'
import type { Tables } from '../storage/tables.ts'
import type { Worker } from './worker.ts'

/** Segments of one transaction. */
const BATCH = 500
/** Deletions looked at in one round: those that have to wait must not hold up the others. */
const CANDIDATES = 100

export interface PurgeDeps {
  readonly tables: Tables
  readonly clock: Clock
  readonly retentionMs: number
}

/** Empties the trash of what has lain there for `retentionMs`, oldest first. */
export const purgeWorker = ({ tables, clock, retentionMs }: PurgeDeps, batch = BATCH): Worker => ({
  name: 'purge',
  intervalMs: 60_000,
  async step(lease) {
    const before = clock.nowUs() - BigInt(retentionMs) * 1000n
    const { rows } = await tables.read((tx) =>
      tx.list('deletions', {
        columns: ['id'],
        where: purgeable(before),
        orderBy: [{ column: 'created', direction: 'asc' }],
        limit: CANDIDATES,
      }),
    )
    for (const { id } of rows) {
      const { outcome } = await tables.write(async (tx) => {
        await lease.keep(tx)
        return purgeStep(tx, clock.nowUs(), id, batch)
      })
      if (outcome !== 'later') return true
    }
    return false
  },
})
