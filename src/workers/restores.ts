import type { Clock } from '../core/clock.ts'
import { eq } from '../core/predicate.ts'
import { restoreStep } from '../domain/restore-steps.ts'
import type { Tables } from '../storage/tables.ts'
import type { Worker } from './worker.ts'

/** Segments of one transaction. */
const BATCH = 500

/** Goes on with restores that were too large to be done at once. */
export const restoreWorker = ({ tables, clock }: { readonly tables: Tables; readonly clock: Clock }, batch = BATCH): Worker => ({
  name: 'restores',
  intervalMs: 500,
  watches: ['deletions'],
  async step(lease) {
    const open = await tables.read((tx) =>
      tx.list('deletions', {
        columns: ['id'],
        where: eq('status', 'restoring'),
        orderBy: [{ column: 'created', direction: 'asc' }],
        limit: 1,
      }),
    )
    const id = open.rows[0]?.id
    if (id === undefined) return false
    await tables.write(async (tx) => {
      await lease.keep(tx)
      await tx.lock([`deletion:${id}`])
      const deletion = await tx.find('deletions', [id])
      if (deletion?.status === 'restoring') await restoreStep(tx, clock.nowUs(), deletion, batch)
    })
    return true
  },
})
