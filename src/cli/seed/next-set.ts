import { isIn } from '../../core/predicate.ts'
import type { ReadTx, Tables } from '../../storage/tables.ts'
import { type PlannedFlow, planSeed, type SeedOptions } from './plan.ts'

/** What is to be written, and the `--seed` that makes the same of it on an empty store. */
export interface SeedSet {
  readonly seed: string
  readonly flows: readonly PlannedFlow[]
}

/**
 * The first set of these options of which the store has nothing yet: a second run adds to what the first one wrote, and one that broke
 * off is left as it is.
 */
export const planNextSet = async (tables: Pick<Tables, 'read'>, options: SeedOptions): Promise<SeedSet> => {
  for (let number = 1; ; number++) {
    const seed = number === 1 ? options.seed : `${options.seed}/${number}`
    const flows = planSeed({ ...options, seed })
    if (!(await tables.read((tx) => hasSome(tx, flows)))) return { seed, flows }
  }
}

/** Engines bound the length of an `in`. */
const CHUNK = 1000

// Segments come before their flow, and may still be there after it.
const hasSome = async (tx: ReadTx, flows: readonly PlannedFlow[]): Promise<boolean> => {
  for (let start = 0; start < flows.length; start += CHUNK) {
    const chunk = flows.slice(start, start + CHUNK)
    const ids = chunk.map(({ id }) => id)
    const sources = chunk.map(({ source }) => source.id)
    const found = [
      await tx.count('flows', isIn('id', ids), { atMost: 1 }),
      await tx.count('sources', isIn('id', sources), { atMost: 1 }),
      await tx.count('segments', isIn('flow_id', ids), { atMost: 1 }),
    ]
    if (found.some((count) => count > 0)) return true
  }
  return false
}
