import type { Scalar, Value } from '../../core/predicate.ts'
import type { TableName } from '../schema.ts'
import { keyText } from './row-keys.ts'

/** Where the rows of one timeline lie, to begin looking in a good place. May be out of date: nothing but the number of requests depends on it. */
export interface Hint {
  /** From one row to the next. */
  readonly spacing: bigint
  readonly first?: bigint | undefined
  readonly last?: bigint | undefined
  /** There seems to be none. */
  readonly isEmpty?: boolean | undefined
}

const KEPT = 10_000

const nameOf = (table: TableName, pins: readonly Scalar[]): string => `${table} ${keyText(pins)}`

/** Hints by table and the values that the leading key columns are fixed to; those used longest ago are forgotten. */
export class Hints {
  /** Tables that were seen to hold more rows than are read at once. */
  readonly large = new Set<TableName>()
  private readonly known = new Map<string, Hint>()
  /** Rows of `flows` that came by: the works of a batch see the same ones. */
  private readonly learned = new WeakSet<Readonly<Record<string, Value>>>()

  get(table: TableName, pins: readonly Scalar[]): Hint | undefined {
    return this.known.get(nameOf(table, pins))
  }

  learn(table: TableName, pins: readonly Scalar[], hint: Hint): void {
    const name = nameOf(table, pins)
    this.#keep(name, this.known.get(name), hint)
  }

  #keep(key: string, before: Hint | undefined, hint: Hint): void {
    this.known.delete(key)
    const { spacing, first = before?.first, last = before?.last, isEmpty } = hint
    this.known.set(key, isEmpty ? { spacing, isEmpty } : { spacing, first, last })
    if (this.known.size > KEPT) for (const oldest of this.known.keys()) return void this.known.delete(oldest)
  }

  /** A row of `flows` that passes by tells where its segments lie. */
  learnFlow(row: Readonly<Record<string, Value>>): void {
    if (this.learned.has(row)) return
    this.learned.add(row)
    const { id, timeline_id: timeline, start_ns: start, end_ns: end, segment_count: count } = row
    if (typeof id !== 'string' || typeof timeline !== 'string' || typeof count !== 'bigint') return
    const name = nameOf('segments', [id, timeline])
    const before = this.known.get(name)
    // What was seen is better than the mean over all gaps.
    const spacing = before?.spacing ?? (typeof start === 'bigint' && typeof end === 'bigint' ? meanOf(end - start, count) : SECOND)
    this.#keep(name, before, {
      spacing,
      first: typeof start === 'bigint' ? start : undefined,
      last: typeof end === 'bigint' ? end - 1n : undefined,
      isEmpty: count === 0n,
    })
  }
}

export const SECOND = 1_000_000_000n

const meanOf = (length: bigint, count: bigint): bigint => (count > 0n && length >= count ? length / count : SECOND)
