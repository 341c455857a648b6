import { randomUUID } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import { eq, isIn } from '../core/predicate.ts'
import type { MediaBackend } from '../domain/storage-backend.ts'
import type { Tables } from '../storage/tables.ts'
import { acquireLease, releaseLease } from './lease.ts'
import type { Worker } from './worker.ts'

const BATCH = 200

/**
 * Deletes bytes whose last reference is durably gone. The row of a removal goes after the bytes: a crash in between repeats a
 * deletion, and an id that is used again meanwhile has another key.
 */
export const mediaRemovalWorker = ({
  tables,
  backends,
}: {
  readonly tables: Tables
  readonly backends: readonly MediaBackend[]
}): Worker => ({
  name: 'media-removals',
  intervalMs: 1000,
  watches: ['media_removals'],
  async step(lease, signal) {
    // Some of each backend: one that is away must not fill the batch.
    const { rows } = await tables.read(async (tx) => {
      const parts = []
      for (const { info } of backends)
        parts.push(...(await tx.list('media_removals', { where: eq('storage_id', info.id), limit: BATCH })).rows)
      return { rows: parts }
    })
    if (rows.length === 0) return false
    // Whoever is not the holder any more must not touch bytes that the new one may have given away.
    await tables.write((tx) => lease.keep(tx))
    const failures: unknown[] = []
    for (const { info, store } of backends) {
      const removed = rows.filter((row) => row.storage_id === info.id)
      if (removed.length === 0) continue
      try {
        await store.delete(
          removed.map((row) => row.media_key),
          signal,
        )
      } catch (error) {
        // A backend that is away keeps its rows; the others go on.
        failures.push(error)
        continue
      }
      await tables.write(async (tx) => {
        await lease.keep(tx)
        await tx.delete(
          'media_removals',
          isIn(
            'id',
            removed.map((row) => row.id),
          ),
        )
      })
    }
    if (failures.length > 0) throw failures[0]
    return rows.length >= BATCH
  },
})

/** Does the worker's work here and now, unless a service is there to do it. */
export const removeQueuedMedia = async (deps: {
  readonly tables: Tables
  readonly backends: readonly MediaBackend[]
  readonly clock: Clock
}): Promise<void> => {
  const worker = mediaRemovalWorker(deps)
  const lease = await acquireLease(deps.tables, deps.clock, worker.name, randomUUID())
  if (!lease) return
  try {
    while (await worker.step(lease, new AbortController().signal)) await Promise.resolve()
  } finally {
    await releaseLease(deps.tables, lease)
  }
}
