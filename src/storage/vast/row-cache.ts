import type { SourceRow } from './row-source.ts'

export interface RowCacheLimits {
  readonly rows: number
  /** About the memory that the rows take. */
  readonly bytes: number
}

const LIMITS: RowCacheLimits = { rows: 50_000, bytes: 32 * 1024 * 1024 }
/** Chances to remember a slot's rows that are let go by at most, after they have changed again and again before they were of use. */
const LONGEST_REST = 63
/** To remember rows and to find out that they have changed costs three requests, and each read that they serve spares two. */
const WORTH_HITS = 2

/** What is known under one slot of `locks`. */
interface Remembered {
  readonly stamp: bigint
  readonly rows: Map<string, SourceRow>
  bytes: number
  hits: number
}

interface Rest {
  readonly length: number
  left: number
}

/**
 * Rows as they were when the lock row of their slot had a certain stamp: as long as it has that, they are as remembered. Nobody may use them without
 * asking for the stamp afterwards. Those used longest ago are forgotten; a slot whose rows are not worth it is left alone for a while.
 */
export class RowCache {
  readonly #slots = new Map<number, Remembered>()
  readonly #rests = new Map<number, Rest>()
  #rows = 0
  #bytes = 0

  constructor(private readonly limits: RowCacheLimits = LIMITS) {}

  /** Rows that are remembered, and about their bytes. */
  get size(): RowCacheLimits {
    return { rows: this.#rows, bytes: this.#bytes }
  }

  /** The stamp at which the slot's rows are known. */
  stamp(slot: number): bigint | undefined {
    return this.#slots.get(slot)?.stamp
  }

  /** The row of this name, with the columns that it was read with. */
  row(slot: number, name: string): SourceRow | undefined {
    const known = this.#slots.get(slot)
    if (!known) return undefined
    this.#slots.delete(slot)
    this.#slots.set(slot, known)
    return known.rows.get(name)
  }

  /** Whether rows of this slot shall be remembered; to be asked once for each read that could. */
  wants(slot: number): boolean {
    const rest = this.#rests.get(slot)
    if (!rest || rest.left === 0) return true
    rest.left -= 1
    return false
  }

  /** Remembers a row that was read in one snapshot with the stamp. Cells known before at the same stamp stay. */
  put(slot: number, stamp: bigint, name: string, row: SourceRow): void {
    const before = this.#slots.get(slot)
    if (before && before.stamp > stamp) return
    if (before && before.stamp < stamp) this.drop(slot)
    const known = this.#slots.getOrInsertComputed(slot, () => ({ stamp, rows: new Map(), bytes: 0, hits: 0 }))
    const old = known.rows.get(name)
    const next = { ...old, ...row }
    const bytes = bytesOf(name, next) - (old ? bytesOf(name, old) : 0)
    known.rows.set(name, next)
    known.bytes += bytes
    this.#bytes += bytes
    if (!old) this.#rows += 1
    for (const oldest of this.#slots.keys()) {
      if (this.#rows <= this.limits.rows && this.#bytes <= this.limits.bytes) break
      this.#forget(oldest)
    }
  }

  /** The slot's rows have served a read. */
  hit(slot: number): void {
    const known = this.#slots.get(slot)
    if (known) known.hits += 1
  }

  /** Somebody has taken the slot: its rows may have changed. */
  drop(slot: number): void {
    const known = this.#forget(slot)
    if (!known) return
    const length = Math.min(2 * (this.#rests.get(slot)?.length ?? 0) + 1, LONGEST_REST)
    if (known.hits >= WORTH_HITS) this.#rests.delete(slot)
    else this.#rests.set(slot, { length, left: length })
  }

  #forget(slot: number): Remembered | undefined {
    const known = this.#slots.get(slot)
    if (!known) return undefined
    this.#slots.delete(slot)
    this.#rows -= known.rows.size
    this.#bytes -= known.bytes
    return known
  }
}

const ROW_BYTES = 256
const CELL_BYTES = 32

const bytesOf = (name: string, row: SourceRow): number => {
  let bytes = ROW_BYTES + 2 * name.length
  for (const column in row) {
    const cell = row[column]
    bytes += CELL_BYTES + (typeof cell === 'string' ? 2 * cell.length : 0)
  }
  return bytes
}
