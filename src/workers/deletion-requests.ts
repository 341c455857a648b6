import type { Clock } from '../core/clock.ts'
import { isTamsError } from '../core/errors.ts'
import { and, compare, isIn } from '../core/predicate.ts'
import { deletionStep, failDeletion } from '../domain/deletion-steps.ts'
import type { Tables } from '../storage/tables.ts'
import { type Lease, LeaseLost } from './lease.ts'
import type { Worker } from './worker.ts'

/** Segments of one transaction: a few milliseconds of the writer. */
const BATCH = 500
/** Failures in a row after which a request ends as `error`. */
const MAX_FAILURES = 20

/** Works off delete requests, oldest first (tams-behaviour.md 9), and drops their records once they have expired. */
export const deletionWorker = ({ tables, clock }: { readonly tables: Tables; readonly clock: Clock }, batch = BATCH): Worker => {
  const failures = new Map<string, number>()
  return {
    name: 'deletion-requests',
    intervalMs: 500,
    watches: ['deletion_requests'],
    async step(lease) {
      const open = await tables.read((tx) =>
        tx.list('deletion_requests', {
          where: isIn('status', ['created', 'started']),
          orderBy: [{ column: 'created', direction: 'asc' }],
          limit: 1,
        }),
      )
      const id = open.rows[0]?.id
      if (id === undefined) return dropExpired(tables, clock, lease)
      try {
        await tables.write(async (tx) => {
          await lease.keep(tx)
          const request = await tx.find('deletion_requests', [id])
          if (request && (request.status === 'created' || request.status === 'started'))
            await deletionStep(tx, clock.nowUs(), request, batch)
        })
        failures.delete(id)
        return true
      } catch (error) {
        if (error instanceof LeaseLost || isPassing(error)) throw error
        const count = (failures.get(id) ?? 0) + 1
        failures.set(id, count)
        if (count < MAX_FAILURES) throw error
        await tables.write(async (tx) => {
          await lease.keep(tx)
          const request = await tx.find('deletion_requests', [id])
          if (request) await failDeletion(tx, clock.nowUs(), request, error instanceof Error ? error.message : String(error))
        })
        failures.delete(id)
        return true
      }
    },
  }
}

// The store is away or full: that says nothing about the request, however often it happens.
const isPassing = (error: unknown): boolean =>
  ['unavailable', 'storage_full', 'timeout'].some((code) => isTamsError(error) && error.code === code)

const dropExpired = async (tables: Tables, clock: Clock, lease: Lease): Promise<boolean> => {
  const where = and(isIn('status', ['done', 'error']), compare('expiry', '<=', clock.nowUs()))
  const expired = await tables.read((tx) => tx.list('deletion_requests', { columns: ['id'], where, limit: BATCH }))
  if (expired.rows.length === 0) return false
  const ids = expired.rows.map(({ id }) => id)
  await tables.write(async (tx) => {
    await lease.keep(tx)
    await tx.delete('deletion_requests', isIn('id', ids))
  })
  return expired.rows.length === BATCH
}
