import { and, eq, isIn, type Value } from '../../core/predicate.ts'
import type { MediaStore, StoredObject } from '../../storage/media.ts'
import type { Row } from '../../storage/schema.ts'
import type { ReadTx, Tables } from '../../storage/tables.ts'
import { differences } from '../reconcile/differences.ts'

/** One storage backend whose bytes go along. */
export interface Place {
  readonly storageId: string
  /** Where they come to. */
  readonly to: MediaStore
  /** Brings one object there, whole or not at all; at once where it is there already. undefined where the source does not have it. */
  clone(key: string): Promise<StoredObject | undefined>
}

export interface Brought {
  objects: number
  bytes: number
  /** Records whose bytes the source does not have either: not uploaded yet, or lost before. */
  without: number
}

const PAGE = 500
const AT_ONCE = 8

type Record = Pick<Row<'object_instances'>, 'media_key'>
const COLUMNS = ['storage_id', 'media_key'] as const

/** Pages of the places that this snapshot knows in one backend, in key order. */
export async function* placesIn(tables: Tables, storageId: string): AsyncGenerator<readonly Record[]> {
  for (let after: readonly Value[] | undefined; ; ) {
    const query = { columns: COLUMNS, where: eq('storage_id', storageId), limit: PAGE, ...(after && { after }) }
    const page = await tables.read((tx: ReadTx) => tx.list('object_instances', query))
    if (page.rows.length > 0) yield page.rows
    if (!page.after) return
    after = page.after
  }
}

/**
 * Brings the bytes of every record of `snapshot`. Gives how many of them were deleted in `live` before their turn came: with those the
 * snapshot is no use, and a newer one is needed.
 */
export const bringAll = async (
  snapshot: Tables,
  live: Tables,
  { storageId, clone }: Place,
  brought: Brought,
  signal: AbortSignal | undefined,
): Promise<number> => {
  let deleted = 0
  for await (const page of placesIn(snapshot, storageId)) {
    signal?.throwIfAborted()
    const missing: string[] = []
    const waiting = page.values()
    const one = async () => {
      for (const { media_key } of waiting) {
        const object = await clone(media_key)
        if (object) {
          brought.objects++
          brought.bytes += object.size
        } else missing.push(media_key)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, one))
    if (missing.length === 0) continue
    // Its record goes before an object's bytes do: one that still has its record had no bytes a moment ago.
    const where = and(eq('storage_id', storageId), isIn('media_key', missing))
    const without = await live.read((tx) => tx.count('object_instances', where))
    brought.without += without
    deleted += missing.length - without
  }
  return deleted
}

/** Takes away what an earlier snapshot knew and this one does not. */
export const dropOthers = async (snapshot: Tables, { to }: Place, signal: AbortSignal | undefined): Promise<void> => {
  const seen = { listed: 0, records: 0, foreign: 0 }
  for await (const { key, listed, record } of differences(snapshot, to, '', seen, signal)) if (listed && !record) await to.delete([key])
}
