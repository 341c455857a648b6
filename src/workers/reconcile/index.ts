/**
 * Compares what lies in a backend with what is recorded to lie there, both ways, in bounded memory, while the service runs. What is
 * missing is only marked: it may come back, and segments refer to it. See `docs/STORAGE.md`.
 */
import type { Clock } from '../../core/clock.ts'
import type { MediaBackend } from '../../domain/storage-backend.ts'
import type { Tables } from '../../storage/tables.ts'
import { type Confirmed, confirm } from './confirm.ts'
import { type Difference, differences, type Seen } from './differences.ts'
import { type Repair, repair } from './repair.ts'

export interface Finding extends Confirmed {
  readonly storage_id: string
  readonly repaired?: Repair
}

export interface ReconcileOptions {
  readonly repair: boolean
  /** Seconds. What is younger is left alone. */
  readonly minAge: number
  /** How the keys of this program begin. */
  readonly storagePath: string
  readonly signal?: AbortSignal
}

export interface Counts extends Seen {
  /** Differences that are too young to tell. */
  young: number
}

const CHUNK = 200

/** Gives the findings in key order, and `counts` what was looked at so far. */
export async function* reconcile(
  { tables, clock }: { readonly tables: Tables; readonly clock: Clock },
  { info, store }: MediaBackend,
  options: ReconcileOptions,
  counts: Counts,
): AsyncGenerator<Finding> {
  const ours = `${options.storagePath}/`
  const minAgeUs = BigInt(Math.ceil(options.minAge * 1e6))
  const examine = async function* (chunk: readonly Difference[]): AsyncGenerator<Finding> {
    const { findings, young } = await confirm(tables, store, chunk, { nowUs: clock.nowUs(), minAgeUs, ours }, options.signal)
    counts.young += young
    for (const finding of findings) {
      const repaired = options.repair ? await repair(tables, info.id, finding, clock.nowUs()) : undefined
      yield { storage_id: info.id, ...finding, ...(repaired && { repaired }) }
    }
  }
  let chunk: Difference[] = []
  for await (const difference of differences(tables, store, ours, counts, options.signal)) {
    chunk.push(difference)
    if (chunk.length < CHUNK) continue
    yield* examine(chunk)
    chunk = []
  }
  if (chunk.length > 0) yield* examine(chunk)
}

export const noCounts = (): Counts => ({ listed: 0, records: 0, foreign: 0, young: 0 })
export type { FindingKind } from './confirm.ts'
