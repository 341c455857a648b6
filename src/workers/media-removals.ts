import { isIn } from '../core/predicate.ts'
import type { MediaBackend } from '../domain/storage-backend.ts'
import type { Tables } from '../storage/tables.ts'
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
  async step(lease, signal) {
    const where = isIn(
      'storage_id',
      backends.map(({ info }) => info.id),
    )
    const { rows } = await tables.read((tx) => tx.list('media_removals', { where, limit: BATCH }))
    if (rows.length === 0) return false
    for (const { info, store } of backends) {
      const keys = rows.filter((row) => row.storage_id === info.id).map((row) => row.media_key)
      if (keys.length > 0) await store.delete(keys, signal)
    }
    await tables.write(async (tx) => {
      await lease.keep(tx)
      const ids = rows.map((row) => row.id)
      await tx.delete('media_removals', isIn('id', ids))
    })
    return rows.length === BATCH
  },
})
