import type { Transaction } from '../../vastdb/index.ts'
import type { VastEngine } from './engine.ts'
import { nextTurn } from './next-turn.ts'
import type { RowSource } from './row-source.ts'
import { SharedReads } from './shared-reads.ts'
import { SnapshotSource } from './snapshot-source.ts'

export interface ReadSnapshot {
  readonly source: RowSource
  /** Nobody may read from it afterwards. */
  release(): void
}

const KEEP_ALIVE_MS = 30_000

/**
 * Transactions to read in. Reads that are asked for in the same turn of the event loop share one: it begins after all of them were asked for, so each
 * sees whatever was committed before. Later ones never join: they would see too little.
 */
export class ReadSnapshots {
  #gathering: { readonly snapshot: Promise<SharedSnapshot>; readers: number } | undefined
  readonly #ending = new Set<Promise<void>>()

  constructor(private readonly engine: VastEngine) {}

  acquire(): Promise<ReadSnapshot> {
    if (this.#gathering) this.#gathering.readers += 1
    else this.#gathering = { snapshot: nextTurn().then(() => this.#begin()), readers: 1 }
    return this.#gathering.snapshot
  }

  /** Resolves when the transactions that nobody reads in any more have ended. */
  async ended(): Promise<void> {
    await Promise.all(this.#ending)
  }

  async #begin(): Promise<SharedSnapshot> {
    const readers = this.#gathering?.readers ?? 0
    this.#gathering = undefined
    const transaction = await this.engine.client.begin()
    const source = new SharedReads(new SnapshotSource(this.engine, transaction))
    return new SharedSnapshot(transaction, source, readers, () => this.#end(transaction))
  }

  // Not waited for, and best effort: a transaction that nobody uses ends by itself.
  #end(transaction: Transaction): void {
    const ended = transaction
      .rollback()
      .catch(() => undefined)
      .finally(() => this.#ending.delete(ended))
    this.#ending.add(ended)
  }
}

class SharedSnapshot implements ReadSnapshot {
  readonly #keepAlive: ReturnType<typeof setInterval>

  constructor(
    transaction: Transaction,
    readonly source: RowSource,
    private readers: number,
    private readonly end: () => void,
  ) {
    // A failure shows in the next read.
    this.#keepAlive = setInterval(() => transaction.keepAlive().catch(() => undefined), KEEP_ALIVE_MS)
  }

  release(): void {
    this.readers -= 1
    if (this.readers > 0) return
    clearInterval(this.#keepAlive)
    this.end()
  }
}
