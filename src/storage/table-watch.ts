import type { TableName } from './schema.ts'

/** While others are writing it is looked so often, otherwise seldom: each look is a request. */
const SHORTEST_MS = 50
const LONGEST_MS = 500
/** Looks after which everybody is told to look for themselves: a change may have been missed. At rest half a minute. */
const LOOKS_OF_A_ROUND = 60

export interface WatchOptions {
  /** Tables that somebody has changed since the last call. May name too many, and may miss some as long as that is rare. */
  readonly look: () => Promise<readonly TableName[]>
  readonly sleep: (ms: number) => Promise<unknown>
}

/**
 * Tells those who would otherwise ask a store again and again whether there is something new: one look for all of them and all tables, and none while nobody
 * asks. Changes of this process are known at once (`touch`), those of others within half a second.
 */
export class TableWatch {
  #position = 0
  readonly #touched = new Map<TableName, number>()
  /** Where all tables were touched last. */
  #all = 0
  #running = false
  #used = false
  #closed = false

  constructor(private readonly options: WatchOptions) {}

  /** Differs from an earlier one when the table may have changed in between. To be taken before the table is read. */
  seen(table: TableName): string {
    this.#used = true
    if (!this.#running && !this.#closed) void this.#run()
    return String(Math.max(this.#touched.get(table) ?? 0, this.#all))
  }

  touch(tables: Iterable<TableName>): void {
    this.#position += 1
    for (const table of tables) this.#touched.set(table, this.#position)
  }

  close(): void {
    this.#closed = true
  }

  async #run(): Promise<void> {
    this.#running = true
    let waitMs = SHORTEST_MS
    do {
      this.#used = false
      // At the beginning too: nobody knows what was missed before.
      this.#all = ++this.#position
      for (let looks = 0; looks < LOOKS_OF_A_ROUND && !this.#closed; looks++) {
        const changed = await this.options.look().catch(() => [])
        if (changed.length > 0) this.touch(changed)
        waitMs = changed.length > 0 ? SHORTEST_MS : Math.min(2 * waitMs, LONGEST_MS)
        await this.options.sleep(waitMs)
      }
    } while (this.#used && !this.#closed)
    this.#running = false
  }
}
