import { TamsError } from '../../core/errors.ts'
import type { Transaction } from '../../vastdb/index.ts'
import type { WriteTx } from '../tables.ts'
import { MergedChanges } from './change-buffer.ts'
import { among } from './column-terms.ts'
import { commitSurely } from './commit.ts'
import type { VastEngine } from './engine.ts'
import { flush } from './flush.ts'
import { findLockRow, type LockRow, lockSlot } from './lock-rows.ts'
import { SharedReads } from './shared-reads.ts'
import { SnapshotSource } from './snapshot-source.ts'
import type { Stamps } from './stamps.ts'
import { RunAgain, WorkLocks } from './work-locks.ts'
import { VastWriteTx } from './write-tx.ts'

export type Work = (tx: WriteTx) => Promise<unknown>

/** How a work ended. `again`: nothing of it is kept, it has to run in another batch. */
export type Outcome =
  | { readonly kind: 'done'; readonly value: unknown }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'again'; readonly reason: RunAgain }

export interface BatchOptions {
  readonly engine: VastEngine
  readonly stamps: Stamps
  readonly nowUs: () => bigint
  readonly checkLocks: boolean
  /** Waits before try `n` (1, 2 …) of something that failed. */
  readonly pause: (n: number) => Promise<void>
}

export interface RunOptions {
  /** The log is read as it is, also while entries wait for their numbers. */
  readonly anyLog: boolean
  /** Longest time for the work, in milliseconds: the others wait for it. */
  readonly timeoutMs?: number
}

/**
 * Works that share one transaction: they run at the same time, each upon a private buffer, and what those that succeed have changed is sent together. A
 * work that fails leaves nothing.
 */
export class Batch {
  readonly locks = new WorkLocks()
  readonly #snapshot: SharedReads
  readonly #merged = new MergedChanges()
  /** Lock rows of all works, being looked up while they run. */
  readonly #lockRows = new Map<number, Promise<LockRow>>()
  /** Slots of the works whose changes are kept. */
  readonly #slots = new Set<number>()

  private constructor(
    private readonly transaction: Transaction,
    private readonly options: BatchOptions,
  ) {
    this.#snapshot = new SharedReads(new SnapshotSource(options.engine, transaction))
  }

  static async open(options: BatchOptions): Promise<Batch> {
    return new Batch(await options.engine.client.begin(), options)
  }

  /** Whether there is something to commit. */
  get changed(): boolean {
    return !this.#merged.buffer.isEmpty
  }

  get hasLog(): boolean {
    return this.#merged.buffer.log.length > 0
  }

  async run(work: Work, { anyLog, timeoutMs }: RunOptions): Promise<Outcome> {
    const { engine, checkLocks } = this.options
    const { locks } = this
    const rows: string[] = []
    for (;;) {
      const onLock = (keys: readonly string[]) => this.#lookUpLocks(keys)
      const tx = new VastWriteTx({ snapshot: this.#snapshot, merged: this.#merged, locks, hints: engine.hints, checkLocks, anyLog, onLock })
      try {
        await locks.acquire(tx, rows)
        const value = await limited(work(tx), timeoutMs)
        if (tx.again) return { kind: 'again', reason: tx.again }
        const row = this.#merged.merge(tx.changes)
        if (row !== undefined) {
          // Those that change this row go one by one from now on, instead of all again each time that one of them is through.
          rows.push(`row ${row}`)
          continue
        }
        if (tx.changes.touched.size > 0) for (const key of tx.locks) this.#slots.add(lockSlot(key))
        return { kind: 'done', value }
      } catch (error) {
        const reason = tx.again ?? (error instanceof RunAgain ? error : undefined)
        return reason ? { kind: 'again', reason } : { kind: 'failed', error }
      } finally {
        tx.close()
        locks.release(tx)
      }
    }
  }

  /** Makes the changes durable, or throws: then nothing of them is in the store, except after `CommitUnresolved`. */
  async commit(): Promise<void> {
    const { engine, stamps, nowUs, pause } = this.options
    const locks = await Promise.all([...this.#slots].map((slot) => this.#lockRow(slot)))
    const stamp = stamps.next(locks.map(({ version }) => version))
    const { transaction } = this
    const handleOf = engine.handle.bind(engine)
    const mark = await flush({ transaction, handleOf, changes: this.#merged.buffer, locks, stamp, nowUs: nowUs() })
    const outside = new SnapshotSource(engine, engine.client.database)
    await commitSurely(transaction, { isDone: async () => (await outside.count('changes', [among('id', [mark])])) > 0, pause })
  }

  /** Best effort: a transaction that nobody uses ends by itself. */
  async rollback(): Promise<void> {
    if (this.transaction.active) await this.transaction.rollback().catch(() => undefined)
  }

  // Not waited for: the rows are needed when the changes are sent.
  #lookUpLocks(keys: readonly string[]): void {
    for (const key of keys) this.#lockRow(lockSlot(key)).catch(() => undefined)
  }

  #lockRow(slot: number): Promise<LockRow> {
    return this.#lockRows.getOrInsertComputed(slot, () => findLockRow(this.#snapshot, slot))
  }
}

const limited = async (running: Promise<unknown>, timeoutMs: number | undefined): Promise<unknown> => {
  if (timeoutMs === undefined) return running
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new TamsError('timeout', `A write did not end within ${timeoutMs} ms`)), timeoutMs)
  try {
    return await Promise.race([running, promise])
  } finally {
    clearTimeout(timer)
  }
}
