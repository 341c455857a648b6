import type { Clock } from '../core/clock.ts'
import { and, compare, eq } from '../core/predicate.ts'
import { findObjects, objectLocks, removeObjects } from '../domain/media-object.ts'
import type { Tables } from '../storage/tables.ts'
import type { Worker } from './worker.ts'

const BATCH = 500

/** Removes allocations that no segment used in time, uploaded bytes included (tams-behaviour.md 7, 11.7). */
export const allocationSweepWorker = ({ tables, clock }: { readonly tables: Tables; readonly clock: Clock }): Worker => ({
  name: 'allocation-sweep',
  intervalMs: 30_000,
  async step(lease) {
    const lapsed = and(eq('state', 'allocated'), compare('expires', '<=', clock.nowUs()))
    const found = await tables.read((tx) => tx.list('objects', { columns: ['id'], where: lapsed, limit: BATCH }))
    if (found.rows.length === 0) return false
    const ids = found.rows.map((row) => row.id)
    await tables.write(async (tx) => {
      await lease.keep(tx)
      await tx.lock(objectLocks(ids))
      const nowUs = clock.nowUs()
      const rows = await findObjects(tx, ids)
      // Registered since it was looked up: not ours any more.
      const still = [...rows.values()].filter((row) => row.state === 'allocated' && row.expires !== null && row.expires <= nowUs)
      await removeObjects(tx, nowUs, still)
    })
    return found.rows.length === BATCH
  },
})
