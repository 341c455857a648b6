import { TamsError } from '../../core/errors.ts'
import type { Transaction } from '../../vastdb/index.ts'
import type { WriteTx } from '../tables.ts'
import { MergedChanges, type Unseen } from './change-buffer.ts'
import type { Claimant, Claims } from './claims.ts'
import { commitSurely } from './commit.ts'
import type { VastEngine } from './engine.ts'
import { flush } from './flush.ts'
import { guardsOf } from './guards.ts'
import { LockRows } from './lock-rows.ts'
import { SharedReads } from './shared-reads.ts'
import { SnapshotSource } from './snapshot-source.ts'
import type { Stamps } from './stamps.ts'
import { isApplied } from './versions.ts'
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
  /** What the batches of this process have taken. Absent: the batch may meet the others in the store. */
  readonly claims?: Claims | undefined
  /** Waits before try `n` (1, 2 …) of something that failed. */
  readonly pause: (n: number) => Promise<void>
}

/** A row was inserted where there is one already: the works have to look first, so that the one at fault hears of it. */
export class KeyTaken extends Error {
  constructor(table: string, key: readonly unknown[]) {
    super(`a row of ${table} with the key (${key.join(', ')}) is there already`)
    this.name = 'KeyTaken'
  }
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
  readonly #lockRows: LockRows
  /** Slots of the works whose changes are kept. */
  readonly #slots = new Set<number>()

  /** Reads that no work waits for. */
  readonly #prefetching: Promise<unknown>[] = []

  private constructor(
    private readonly transaction: Transaction,
    private readonly options: BatchOptions,
    private readonly claimant: Claimant | undefined,
    private readonly looksFirst: boolean,
  ) {
    this.#snapshot = new SharedReads(new SnapshotSource(options.engine, transaction), { remembersRanges: true })
    this.#lockRows = new LockRows(this.#snapshot, options.engine.lockSlots)
  }

  /** @param looksFirst Works see at once whether a key is taken; otherwise the commit throws `KeyTaken`. */
  static async open(options: BatchOptions, { looksFirst = false } = {}): Promise<Batch> {
    const claimant = options.claims?.open()
    try {
      return new Batch(await options.engine.client.begin(), options, claimant, looksFirst)
    } catch (error) {
      claimant?.end()
      throw error
    }
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
    let { looksFirst } = this
    for (;;) {
      const onExpect = (keys: readonly string[]) => this.#lockRows.expect(keys)
      const onLock = (keys: readonly string[]) => {
        this.claimant?.take(keys.map((key) => `slot ${this.#lockRows.slot(key)}`))
        onExpect(keys)
      }
      const onPrefetch = (reading: Promise<unknown>) => void this.#prefetching.push(reading.catch(() => undefined))
      const { hints } = engine
      const shared = { snapshot: this.#snapshot, merged: this.#merged, locks, hints, checkLocks }
      const tx = new VastWriteTx({ ...shared, looksFirst, anyLog, onLock, onExpect, onPrefetch })
      try {
        await locks.acquire(tx, rows)
        const value = await limited(work(tx), timeoutMs)
        if (tx.again) return { kind: 'again', reason: tx.again }
        const guards = [...guardsOf(tx.changes)]
        this.claimant?.take([...tx.changes.rowNames(), ...guards.map((key) => `slot ${this.#lockRows.slot(key)}`)])
        const row = this.#merged.merge(tx.changes)
        if (row !== undefined) {
          // Those that change this row go one by one from now on, instead of all again each time that one of them is through.
          rows.push(`row ${row}`)
          continue
        }
        if (tx.changes.touched.size > 0) for (const key of [...tx.locks, ...guards]) this.#slots.add(this.#lockRows.slot(key))
        return { kind: 'done', value }
      } catch (error) {
        const reason = tx.again ?? (error instanceof RunAgain ? error : undefined)
        if (!reason && (await this.#hasTaken(tx.changes.unseen))) {
          // It should have heard of the key before it came to this error.
          looksFirst = true
          continue
        }
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
    const lockRows = Promise.all([...this.#slots].map((slot) => this.#lockRows.row(slot)))
    const [locks] = await Promise.all([lockRows, this.#look(), ...this.#prefetching])
    const stamp = stamps.next(locks.map(({ version }) => version))
    const { transaction } = this
    const handleOf = engine.handle.bind(engine)
    const marks = await flush({ transaction, handleOf, changes: this.#merged.buffer, locks, stamp, nowUs: nowUs() })
    const outside = new SnapshotSource(engine, engine.client.database)
    await commitSurely(transaction, { isDone: () => isApplied(outside, marks), pause })
    engine.committed(marks)
    for (const slot of this.#slots) engine.rowCache.drop(slot)
  }

  /** What was not committed is dropped; best effort: a transaction that nobody uses ends by itself. */
  async close(): Promise<void> {
    this.claimant?.end()
    if (this.transaction.active) await this.transaction.rollback().catch(() => undefined)
  }

  /** Whether a row was inserted where the snapshot has one. */
  async #hasTaken(unseen: readonly Unseen[]): Promise<boolean> {
    const ids = await Promise.all(unseen.map(({ isNew, table, key }) => (isNew ? this.#snapshot.locate(table, key) : undefined)))
    return ids.some((id) => id !== undefined)
  }

  /** Looks up the keys that works have written without looking. */
  async #look(): Promise<void> {
    const { buffer } = this.#merged
    const look = async ({ table, key, text, isNew }: Unseen): Promise<void> => {
      const rowId = await this.#snapshot.locate(table, key)
      if (rowId === undefined) return
      if (isNew) throw new KeyTaken(table, key)
      const change = buffer.get(table, text)
      if (change) buffer.set(table, text, { ...change, rowId })
    }
    await Promise.all(buffer.unseen.map(look))
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
