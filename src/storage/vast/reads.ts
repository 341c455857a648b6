import type { ReadTx } from '../tables.ts'
import type { VastEngine } from './engine.ts'
import { LateSnapshot, type ReadingTools } from './late-snapshot.ts'
import { type LogBehind, LogSource } from './log-source.ts'
import { MergedQueries } from './merged-queries.ts'
import { ReadSnapshots } from './read-snapshots.ts'
import { VastReadTx } from './read-tx.ts'
import { SnapshotSource } from './snapshot-source.ts'

/** Undefined when the log was read and is incomplete. */
export type Reading<T> = { readonly value: T } | undefined

/** Runs read works: upon what is remembered where that is still true, otherwise in a transaction. */
export class Reads {
  readonly #snapshots: ReadSnapshots
  readonly #tools: ReadingTools
  readonly #ending = new Set<Promise<void>>()

  constructor(private readonly engine: VastEngine) {
    this.#snapshots = new ReadSnapshots(engine)
    const now = new SnapshotSource(engine, engine.client.database)
    const { rowCache: cache, lockSlots } = engine
    this.#tools = { cache, lockSlots, now, merged: new MergedQueries(now), acquire: () => this.#snapshots.acquire() }
  }

  async read<T>(work: (tx: ReadTx) => Promise<T>): Promise<Reading<T>> {
    const attempt = await this.#attempt(work, true)
    if (attempt !== 'stale') return attempt
    const plain = await this.#attempt(work, false)
    if (plain === 'stale') throw new Error('what was read in one transaction is said to have changed in it')
    return plain
  }

  /** Resolves when the transactions that nobody reads in any more have ended. */
  async ended(): Promise<void> {
    await Promise.all(this.#ending)
    await this.#snapshots.ended()
  }

  async #attempt<T>(work: (tx: ReadTx) => Promise<T>, remembers: boolean): Promise<Reading<T> | 'stale'> {
    const snapshot = new LateSnapshot(this.#tools, remembers)
    let behind: LogBehind | undefined
    const source = new LogSource(snapshot, (reason) => {
      behind = reason
    })
    const tx = new VastReadTx(source, this.engine.hints)
    try {
      const [outcome] = await Promise.allSettled([work(tx)])
      tx.close()
      if (!(await snapshot.isOneState())) return 'stale'
      if (behind) return undefined
      if (outcome.status === 'rejected') throw outcome.reason
      return { value: outcome.value }
    } finally {
      this.#end(snapshot)
    }
  }

  // Not waited for: neither what is remembered nor the end of a transaction concerns who asked.
  #end(snapshot: LateSnapshot): void {
    const ended = snapshot
      .end()
      .catch(() => undefined)
      .finally(() => this.#ending.delete(ended))
    this.#ending.add(ended)
  }
}
