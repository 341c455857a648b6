import { nextTurn } from './next-turn.ts'
import { ROW_ID, type RowSource } from './row-source.ts'

/**
 * Rows of `locks`, made with the schema: writers of one key update the row of its slot, and only one of them can commit. Their number belongs to the store
 * (row `lock_slots` of `meta`). Two replicas whose batches take `n` slots each collide on about `n * n / LOCK_SLOTS` of them by chance.
 */
export const LOCK_SLOTS = 65_536
export const LOCK_SLOTS_META = 'lock_slots'

/** FNV-1a over UTF-8. Every replica and every version must agree on it. */
export const lockSlot = (key: string, slots: number): number => {
  let hash = 0x811c9dc5
  for (const byte of utf8.encode(key)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return hash % slots
}

const utf8 = new TextEncoder()

export interface LockRow {
  readonly rowId: bigint
  /** The stamp of the last commit that took it. */
  readonly version: bigint
}

/**
 * The rows of slots as a transaction's snapshot has them. One query at a time: works that wait for one another name their locks one after the other, and
 * what was named during a query goes into the next.
 */
export class LockRows {
  readonly #rows = new Map<number, Promise<LockRow>>()
  /** By key: each is asked for several times. */
  readonly #slots = new Map<string, number>()
  #waiting: { readonly slot: number; readonly resolve: (row: Promise<LockRow>) => void }[] = []
  #asking = false

  constructor(
    private readonly snapshot: RowSource,
    private readonly slots: number,
  ) {}

  slot(key: string): number {
    return this.#slots.getOrInsertComputed(key, () => lockSlot(key, this.slots))
  }

  /** Looks the rows up behind the back of the caller: they are needed when the changes are sent. */
  expect(keys: readonly string[]): void {
    for (const key of keys) this.row(this.slot(key)).catch(() => undefined)
  }

  row(slot: number): Promise<LockRow> {
    return this.#rows.getOrInsertComputed(slot, () => {
      const { promise, resolve } = Promise.withResolvers<LockRow>()
      this.#waiting.push({ slot, resolve })
      if (!this.#asking) void this.#ask()
      return promise
    })
  }

  async #ask(): Promise<void> {
    this.#asking = true
    await nextTurn()
    while (this.#waiting.length > 0) {
      const rows = this.#waiting.splice(0).map(({ slot, resolve }) => {
        const row = this.#find(slot)
        resolve(row)
        return row
      })
      await Promise.allSettled(rows)
    }
    this.#asking = false
  }

  async #find(slot: number): Promise<LockRow> {
    const row = await this.snapshot.find('locks', [slot])
    const rowId = row?.[ROW_ID]
    if (rowId === undefined) throw new Error(`the table locks has no row ${slot}: the schema was not made by this program`)
    return { rowId, version: BigInt(row?.version ?? 0) }
  }
}
