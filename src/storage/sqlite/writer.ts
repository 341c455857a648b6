import { TamsError } from '../../core/errors.ts'
import { FROZEN_META, type TableName } from '../schema.ts'
import type { WriteTx } from '../tables.ts'
import type { Connection } from './connection.ts'
import { Macrotasks } from './macrotasks.ts'
import { VERSIONS_TABLE } from './migrate.ts'
import type { TimeLimit } from './search.ts'
import { translate } from './sqlite-errors.ts'
import { nextTurn, retryWhileBusy } from './wait.ts'
import { SqliteWriteTx } from './write-tx.ts'

export interface WriterOptions {
  readonly connection: Connection
  readonly limits: TimeLimit
  readonly checkLocks: boolean
  /** Writes although the store is frozen. */
  readonly maintenance: boolean
  readonly busyTimeoutMs: number
  readonly log: (message: string, detail: Readonly<Record<string, unknown>>) => void
}

interface Job {
  readonly work: (tx: WriteTx) => Promise<unknown>
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

/** How a work ended. `lost`: SQLite rolled back the transaction, with everything the batch had done. */
type Outcome =
  | { readonly kind: 'done'; readonly value: unknown }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'foreign' }
  | { readonly kind: 'lost'; readonly error: unknown }

/** A batch in progress: works that have run in the open transaction, and those to run again after it was lost. */
interface Batch {
  ran: { readonly job: Job; readonly outcome: Outcome }[]
  again: Job[]
  touched: Set<TableName>
}

// Other processes wait for a transaction to end, and so do the requests of this one.
const BATCH_MS = 50
const BATCH_WORKS = 500

/**
 * The one writer. Works run strictly one after another, each in a savepoint, and share one COMMIT; their promises settle after it.
 * Nothing delays a commit: works that arrive while the disk syncs form the next batch.
 */
export class Writer {
  private readonly queue: Job[] = []
  private readonly barriers: (() => Promise<void>)[] = []
  private running: Promise<void> | undefined
  /** Ends the current work as foreign. A macrotask calls it, which runs only when a work awaits something else than its tx. */
  private onMacrotask: (() => void) | undefined
  private readonly macrotasks = new Macrotasks(() => this.onMacrotask?.())

  constructor(private readonly options: WriterOptions) {}

  write<T>(work: (tx: WriteTx) => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.queue.push({ work, resolve, reject })
    this.start()
    return promise as Promise<T>
  }

  /** Runs `action` while no process can commit. It must be short. */
  whileNobodyWrites<T>(action: () => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    this.barriers.push(async () => {
      try {
        await this.begin()
      } catch (error) {
        return reject(error)
      }
      await action().then(resolve, reject)
      this.rollback()
    })
    this.start()
    return promise
  }

  /** Resolves when everything queued has settled. */
  async close(): Promise<void> {
    while (this.running) await this.running
    this.macrotasks.close()
  }

  // Not at once: the requests of this turn of the event loop pile up first.
  private start(): void {
    this.running ??= nextTurn()
      .then(() => this.drain())
      .finally(() => {
        this.running = undefined
        if (this.queue.length + this.barriers.length > 0) this.start()
      })
  }

  private async drain(): Promise<void> {
    while (this.queue.length + this.barriers.length > 0) {
      await this.barriers.shift()?.()
      if (this.queue.length > 0) await this.batch()
      await nextTurn()
    }
  }

  private async batch(): Promise<void> {
    try {
      await this.begin()
      this.refuseFrozen()
    } catch (error) {
      this.rollback()
      this.options.log('no write could begin', { works: this.queue.length, error })
      for (const job of this.queue.splice(0)) job.reject(error)
      return
    }
    const batch: Batch = { ran: [], again: [], touched: new Set() }
    try {
      await this.runAll(batch)
      this.queue.unshift(...batch.again.splice(0))
      this.commit(batch.touched)
    } catch (error) {
      this.rollback()
      const failure = translate(error, 'committing')
      this.options.log('a batch of writes failed', { works: batch.ran.length + batch.again.length, error: failure })
      for (const job of [...batch.ran.map(({ job }) => job), ...batch.again]) job.reject(failure)
      return
    }
    for (const { job, outcome } of batch.ran) {
      if (outcome.kind === 'done') job.resolve(outcome.value)
      if (outcome.kind === 'failed') job.reject(outcome.error)
    }
  }

  private async runAll(batch: Batch): Promise<void> {
    const { limits, log } = this.options
    const endAt = limits.now() + BATCH_MS
    while (batch.ran.length < BATCH_WORKS && (batch.ran.length === 0 || limits.now() < endAt)) {
      const job = batch.again.shift() ?? this.queue.shift()
      if (!job) break
      const outcome = await this.run(job, batch.touched).catch((error: unknown) => {
        batch.again.unshift(job)
        throw error
      })
      if (outcome.kind === 'foreign') {
        log('a write awaited something else than its tx and was rolled back', {})
        job.reject(new Error('a write work awaited something else than its own tx: it was rolled back'))
      } else if (outcome.kind === 'lost') {
        // All savepoints went with the transaction. Verdicts of the others ("exists") rested on it too: they run again.
        job.reject(outcome.error)
        batch.again.unshift(...batch.ran.map((entry) => entry.job))
        batch.ran = []
        batch.touched.clear()
        await this.begin()
      } else batch.ran.push({ job, outcome })
    }
  }

  private async run(job: Job, touched: Set<TableName>): Promise<Outcome> {
    const { connection, limits, checkLocks } = this.options
    const tx = new SqliteWriteTx(connection, limits, { checkLocks, touchedBefore: touched })
    let outcome: Outcome
    try {
      connection.run('savepoint work')
      outcome = await this.settledOrForeign(job, tx)
      tx.close()
      if (tx.lost === undefined) {
        if (outcome.kind !== 'done') connection.run('rollback to work')
        connection.run('release work')
      }
    } catch (error) {
      tx.close()
      if (connection.inTransaction) throw error
      outcome = { kind: 'failed', error: translate(error, 'writing') }
    }
    // A work may have caught the error that lost the transaction: it is the culprit all the same.
    if (!connection.inTransaction) return { kind: 'lost', error: tx.lost ?? (outcome.kind === 'failed' ? outcome.error : undefined) }
    if (outcome.kind === 'done') for (const table of tx.touched) touched.add(table)
    return outcome
  }

  private settledOrForeign(job: Job, tx: WriteTx): Promise<Outcome> {
    return new Promise((resolve) => {
      const foreign = (): void => ended({ kind: 'foreign' })
      this.onMacrotask = foreign
      this.macrotasks.request()
      const ended = (outcome: Outcome): void => {
        // A work that was given up may end later, while another one runs.
        if (this.onMacrotask === foreign) this.onMacrotask = undefined
        resolve(outcome)
      }
      const started = async () => job.work(tx)
      started().then(
        (value) => ended({ kind: 'done', value }),
        (error: unknown) => ended({ kind: 'failed', error }),
      )
    })
  }

  private begin(): Promise<unknown> {
    const { connection, busyTimeoutMs } = this.options
    return retryWhileBusy(() => connection.run('begin immediate'), busyTimeoutMs, 'waiting for another process to end its write')
  }

  private refuseFrozen(): void {
    const { connection, maintenance } = this.options
    const frozen = maintenance ? undefined : connection.row('select value from meta where name = ?', [FROZEN_META])
    if (frozen) throw new TamsError('unavailable', `The store takes no changes, reads go on. ${frozen.value}`)
  }

  private commit(touched: ReadonlySet<TableName>): void {
    const { connection } = this.options
    for (const table of touched) connection.run(`update ${VERSIONS_TABLE} set version = version + 1 where name = ?`, [table])
    connection.run('commit')
  }

  private rollback(): void {
    if (this.options.connection.inTransaction) this.options.connection.run('rollback')
  }
}
