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

  /** The transaction; it has begun after all of the batch's works were asked for. */
  readonly begun: Promise<Transaction>
  readonly #claimant: Claimant | undefined
  readonly #looksFirst: boolean

  /**
   * The works may run while the transaction is still being begun: what they read waits for it. Where it cannot be begun nothing of them counts.
   * @param looksFirst Works see at once whether a key is taken; otherwise the commit throws `KeyTaken`.
   */
  constructor(
    private readonly options: BatchOptions,
    { looksFirst = false } = {},
  ) {
    const { engine, claims } = options
    this.#claimant = claims?.open()
    this.#looksFirst = looksFirst
    this.begun = engine.client.begin()
    // Whoever has run works asks for it.
    this.begun.catch(() => undefined)
    this.#snapshot = new SharedReads(new SnapshotSource(engine, this.begun), { remembersRanges: true })
    this.#lockRows = new LockRows(this.#snapshot, engine.lockSlots)
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
    let looksFirst = this.#looksFirst
    for (;;) {
      const onExpect = (keys: readonly string[]) => this.#lockRows.expect(keys)
      const onLock = (keys: readonly string[]) => {
        this.#claimant?.take(keys.map((key) => `slot ${this.#lockRows.slot(key)}`))
        onExpect(keys)
      }
      const onPrefetch = (reading: Promise<unknown>) => void this.#prefetching.push(reading.catch(() => undefined))
      const { hints } = engine
      const shared = { snapshot: this.#snapshot, merged: this.#merged, locks, hints, checkLocks }
      const tx = new VastWriteTx({ ...shared, looksFirst, anyLog, onLock, onExpect, onPrefetch })
      try {
        await locks.acquire(tx, rows)
        const value = await limited(work(tx), timeoutMs, this.begun)
        if (tx.again) return { kind: 'again', reason: tx.again }
        const guards = [...guardsOf(tx.changes)]
        this.#claimant?.take([...tx.changes.rowNames(), ...guards.map((key) => `slot ${this.#lockRows.slot(key)}`)])
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
    const transaction = await this.begun
    const handleOf = engine.handle.bind(engine)
    const marks = await flush({ transaction, handleOf, changes: this.#merged.buffer, locks, stamp, nowUs: nowUs() })
    const outside = new SnapshotSource(engine, engine.client.database)
    await commitSurely(transaction, { isDone: () => isApplied(outside, marks), pause })
    engine.committed(marks)
    for (const { row } of this.#merged.buffer.of('flows').values()) if (row) engine.hints.learnFlow(row)
    for (const slot of this.#slots) engine.rowCache.drop(slot)
  }

  /** What was not committed is dropped; best effort: a transaction that nobody uses ends by itself. */
  async close(): Promise<void> {
    this.#claimant?.end()
    const transaction = await this.begun.catch(() => undefined)
    if (transaction?.active) await transaction.rollback().catch(() => undefined)
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

/** The time counts from when the transaction has begun, or could not. */
const limited = async (running: Promise<unknown>, timeoutMs: number | undefined, begun: Promise<unknown>): Promise<unknown> => {
  if (timeoutMs === undefined) return running
  const { promise, reject } = Promise.withResolvers<never>()
  const expire = () => reject(new TamsError('timeout', `A write did not end within ${timeoutMs} ms`))
  let timer: ReturnType<typeof setTimeout> | undefined
  let ended = false
  const start = () => {
    if (!ended) timer = setTimeout(expire, timeoutMs)
  }
  begun.then(start, start)
  try {
    return await Promise.race([running, promise])
  } finally {
    ended = true
    clearTimeout(timer)
  }
}
