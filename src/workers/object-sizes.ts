import type { Clock } from '../core/clock.ts'
import { compare } from '../core/predicate.ts'
import { type ObjectRow, parseInstances } from '../domain/media-object.ts'
import { type InstanceSize, lacksSize, recordSizes } from '../domain/object-sizes.ts'
import type { MediaBackend } from '../domain/storage-backend.ts'
import type { MediaStore } from '../storage/media.ts'
import type { Tables } from '../storage/tables.ts'
import { keepingLease } from './lease.ts'
import type { Worker } from './worker.ts'

export interface SizeDeps {
  readonly tables: Tables
  readonly clock: Clock
  readonly backends: readonly MediaBackend[]
}

const BATCH = 200
const LOOKS_AT_ONCE = 16
const LOOK_MS = 10_000
const SHORTEST_WAIT_US = 2_000_000n
const LONGEST_WAIT_US = 6n * 3_600_000_000n
/** Bytes that are not there so long after their registration are a matter of `tams reconcile`. */
const GIVE_UP_US = 7n * 86_400_000_000n

/**
 * Finds out how large registered objects are, by asking their backends. Clients may register before they have uploaded: what is
 * missing is looked for again after as long as it has been registered, up to six hours, for seven days. A backend that is away
 * keeps nobody else waiting.
 */
export const objectSizeWorker = ({ tables, clock, backends }: SizeDeps): Worker => {
  const stores = new Map(backends.map(({ info, store }) => [info.id, store]))
  return {
    name: 'object-sizes',
    intervalMs: 1000,
    watches: ['objects'],
    // Tries that failed are due again by time.
    restMs: 5000,
    async step(lease, signal) {
      const where = compare('size_due', '<=', clock.nowUs())
      const { rows } = await tables.read((tx) =>
        tx.list('objects', { where, orderBy: [{ column: 'size_due', direction: 'asc' }], limit: BATCH }),
      )
      if (rows.length === 0) return false
      const looked = await keepingLease(tables, lease, signal, (kept) => lookAll(stores, rows, kept))
      const away = new Set(looked.flatMap(({ object_id, result }) => (result.kind === 'away' ? [object_id] : [])))
      const sizes = looked.flatMap(({ result, ...place }): InstanceSize[] =>
        result.kind === 'found' ? [{ ...place, size: result.size }] : [],
      )
      const nowUs = clock.nowUs()
      await tables.write(async (tx) => {
        await lease.keep(tx)
        const all = rows.map(({ id }) => id)
        await recordSizes(tx, sizes, (row) => nextLook(row, nowUs, away.has(row.id)), all)
      })
      const failure = looked.find(({ result }) => result.kind === 'away')?.result
      if (failure?.kind === 'away') throw failure.error
      return rows.length === BATCH
    },
  }
}

type Look =
  | { readonly kind: 'found'; readonly size: number }
  | { readonly kind: 'absent' }
  | { readonly kind: 'away'; readonly error: unknown }

interface Looked {
  readonly object_id: string
  readonly storage_id: string
  readonly key: string
  readonly result: Look
}

const lookAll = async (
  stores: ReadonlyMap<string, MediaStore>,
  rows: readonly ObjectRow[],
  signal: AbortSignal,
): Promise<readonly Looked[]> => {
  const places = rows.flatMap((row) =>
    parseInstances(row)
      .filter(lacksSize)
      .map(({ storage_id, key }) => ({ object_id: row.id, storage_id, key })),
  )
  const looked: Looked[] = []
  const waiting = places.values()
  const one = async () => {
    for (const place of waiting) looked.push({ ...place, result: await look(stores.get(place.storage_id), place.key, signal) })
  }
  await Promise.all(Array.from({ length: Math.min(LOOKS_AT_ONCE, places.length) }, one))
  return looked
}

const look = async (store: MediaStore | undefined, key: string, signal: AbortSignal): Promise<Look> => {
  // A backend that the configuration does not name any more: perhaps it comes back.
  if (!store) return { kind: 'absent' }
  try {
    const found = await store.head(key, AbortSignal.any([signal, AbortSignal.timeout(LOOK_MS)]))
    return found ? { kind: 'found', size: found.size } : { kind: 'absent' }
  } catch (error) {
    signal.throwIfAborted()
    return { kind: 'away', error }
  }
}

const nextLook = ({ registered, created }: ObjectRow, nowUs: bigint, away: boolean): bigint | null => {
  const age = nowUs - (registered ?? created)
  if (age > GIVE_UP_US && !away) return null
  return nowUs + (age < SHORTEST_WAIT_US ? SHORTEST_WAIT_US : age > LONGEST_WAIT_US ? LONGEST_WAIT_US : age)
}
