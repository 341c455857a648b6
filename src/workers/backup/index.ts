/**
 * A copy of the embedded store while it serves: one snapshot of the index, and every object that it refers to. Objects do not change
 * once they are referred to, and their bytes go only after their records; so an object that was deleted before its turn is told apart
 * from one without bytes, and only makes another, short round. Safe to repeat: what was brought stays.
 */
import { eq } from '../../core/predicate.ts'
import type { Tables } from '../../storage/tables.ts'
import { type Brought, bringAll, dropOthers, type Place } from './bring.ts'
import { verifyPlace } from './verify.ts'

export type { Brought, Place } from './bring.ts'
export { verifyPlace } from './verify.ts'

export interface BackupDeps {
  readonly live: Tables
  readonly places: readonly Place[]
  /** Takes a new snapshot in place of the former one, which is closed then. */
  snapshot(): Promise<Tables>
}

export interface BackupOptions {
  /** Reads all bytes again at the end. */
  readonly verify: boolean
  readonly signal?: AbortSignal
  readonly onRound?: (round: number) => void
}

export interface BackupResult {
  /** By storage backend. */
  readonly media: ReadonlyMap<string, Readonly<Brought>>
  /** Records of bytes in backends that do not go along, by storage backend. */
  readonly elsewhere: ReadonlyMap<string, number>
}

/** Each is as long as what was written during the one before. */
const MOST_ROUNDS = 20

/** Brings index and bytes, and looks at all of them at the end. Throws where the copy would not be whole. */
export const runBackup = async ({ live, places, snapshot }: BackupDeps, options: BackupOptions): Promise<BackupResult> => {
  const { signal, verify } = options
  for (let round = 1; round <= MOST_ROUNDS; round++) {
    options.onRound?.(round)
    const index = await snapshot()
    const media = new Map<string, Brought>()
    let deleted = 0
    for (const place of places) {
      const brought: Brought = { objects: 0, bytes: 0, without: 0 }
      media.set(place.storageId, brought)
      deleted += await bringAll(index, live, place, brought, signal)
    }
    if (deleted > 0) continue
    for (const place of places) {
      await dropOthers(index, place, signal)
      await verifyPlace(index, place, media.get(place.storageId) ?? { objects: 0, bytes: 0, without: 0 }, { bytes: verify, signal })
    }
    return { media, elsewhere: await countElsewhere(index, places) }
  }
  throw new Error(`Objects are deleted faster than they can be copied: ${MOST_ROUNDS} rounds were not enough`)
}

const countElsewhere = async (index: Tables, places: readonly Place[]): Promise<ReadonlyMap<string, number>> => {
  const here = new Set(places.map((place) => place.storageId))
  return index.read(async (tx) => {
    const { rows } = await tx.list('storage_backends', { columns: ['id'], where: eq('store_type', 'http_object_store'), limit: 1000 })
    const counts = new Map<string, number>()
    for (const { id } of rows.filter((row) => !here.has(row.id))) {
      const count = await tx.count('object_instances', eq('storage_id', id))
      if (count > 0) counts.set(id, count)
    }
    return counts
  })
}
