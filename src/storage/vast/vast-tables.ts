import { randomUUID } from 'node:crypto'
import { type Clock, systemClock } from '../../core/clock.ts'
import { TamsError } from '../../core/errors.ts'
import { Conflict, type EndpointHealth, type RetryTools, systemTools } from '../../vastdb/index.ts'
import type { TableName } from '../schema.ts'
import type { TableWatch } from '../table-watch.ts'
import type { ReadTx, Tables, WriteTx } from '../tables.ts'
import { ChangesFold } from './changes-fold.ts'
import { Claims } from './claims.ts'
import type { VastEngine } from './engine.ts'
import { numberEntries } from './number-entries.ts'
import { type Reading, Reads } from './reads.ts'
import { SEQUENCE_LIMIT, Sequencer, sequence } from './sequencer.ts'
import { SnapshotSource } from './snapshot-source.ts'
import { Stamps } from './stamps.ts'
import { translate } from './vast-errors.ts'
import { storedVersion } from './versions.ts'
import { Writer } from './writer.ts'

export interface VastTablesOptions {
  /** For tests: an insert without the lock that its table demands throws. */
  readonly checkLocks?: boolean | undefined
  readonly clock?: Clock | undefined
  readonly log?: ((message: string, detail: Readonly<Record<string, unknown>>) => void) | undefined
  /** Longest time for one write work, in milliseconds. Default 60,000. */
  readonly workTimeoutMs?: number | undefined
  /** Chance and waiting of retries. */
  readonly tools?: RetryTools | undefined
}

const WORK_TIMEOUT_MS = 60_000
const FOLD_EVERY_MS = 60_000
const LONGEST_PAUSE_MS = 500
/** Attempts of a read that finds the log incomplete. The first ones leave the numbering to a transaction before it. */
const PLAIN_TRIES = 2
const MOST_TRIES = 20

/** The metadata store on a VAST Database. */
export class VastTables implements Tables {
  readonly #writer: Writer
  readonly #sequencer: Sequencer
  readonly #reads: Reads
  readonly #folding: ReturnType<typeof setInterval>
  readonly #holder = randomUUID()
  readonly #nowUs: () => bigint
  readonly #pause: (n: number) => Promise<void>
  #lastNumbering: Promise<void> = Promise.resolve()
  #closing: Promise<void> | undefined

  constructor(
    readonly engine: VastEngine,
    options: VastTablesOptions = {},
  ) {
    const { clock = systemClock(), log = () => {}, checkLocks = false, workTimeoutMs = WORK_TIMEOUT_MS, tools = systemTools } = options
    // Full jitter: those that collided must not meet again.
    const pause = (n: number) => tools.sleep(tools.random() * Math.min(LONGEST_PAUSE_MS, 5 * 2 ** n))
    this.#pause = pause
    this.#nowUs = () => clock.nowUs()
    const stamps = new Stamps(clock)
    this.#writer = new Writer({
      engine,
      stamps,
      nowUs: this.#nowUs,
      checkLocks,
      claims: new Claims(),
      pause,
      workTimeoutMs,
      log,
      onLogged: () => this.#sequencer.start(),
      catchUp: () => this.#sequencer.catchUp(),
    })
    const alone = <T>(work: (tx: WriteTx) => Promise<T>) => this.#numbering(work)
    const sequencing = { holder: this.#holder, nowUs: this.#nowUs, pause }
    const quickly = () => this.#oneByOne(() => numberEntries({ engine, stamps, ...sequencing }))
    this.#sequencer = new Sequencer({ ...sequencing, quickly, alone, log })
    this.#reads = new Reads(engine)
    const fold = new ChangesFold({
      holder: this.#holder,
      stamps,
      nowUs: this.#nowUs,
      nowMs: () => performance.now(),
      read: (work) => this.read(work),
      write: (work) => this.write(work),
    })
    this.#folding = setInterval(
      () => fold.step().catch((error: unknown) => log('marks of changes were not put together', { error })),
      FOLD_EVERY_MS,
    )
    this.#folding.unref()
  }

  /** `work` runs again when it reads the log while entries wait for their numbers. */
  async read<T>(work: (tx: ReadTx) => Promise<T>): Promise<T> {
    this.#assertOpen()
    return this.#read(work)
  }

  write<T>(work: (tx: WriteTx) => Promise<T>): Promise<T> {
    try {
      this.#assertOpen()
    } catch (error) {
      return Promise.reject(error)
    }
    return this.#writer.write(work)
  }

  get watch(): TableWatch {
    return this.engine.watch
  }

  async version(table: TableName): Promise<string> {
    this.#assertOpen()
    return this.#asking(() => storedVersion(this.#now, table))
  }

  async check(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    this.#assertOpen()
    await this.#asking(() => this.#now.find('meta', ['schema_version']))
  }

  /** State, latency and errors of each endpoint. */
  health(): readonly EndpointHealth[] {
    return this.engine.client.health()
  }

  close(): Promise<void> {
    this.#closing ??= this.#release()
    return this.#closing
  }

  async #release(): Promise<void> {
    clearInterval(this.#folding)
    this.watch.close()
    await this.#writer.close()
    await this.#sequencer.close()
    await this.#reads.ended()
    this.engine.client.close()
  }

  async #read<T>(work: (tx: ReadTx) => Promise<T>): Promise<T> {
    for (let n = 1; ; n++) {
      try {
        const attempt = n <= PLAIN_TRIES ? await this.#reads.read(work) : await this.#readNumbering(work)
        if (attempt) return attempt.value
        // The attempt after that gives the numbers itself.
        if (n !== PLAIN_TRIES) await this.#sequencer.catchUp()
      } catch (error) {
        if (!(error instanceof Conflict) || n >= MOST_TRIES) throw translate(error, 'reading')
        await this.#pause(n)
      }
    }
  }

  /**
   * In a transaction that gives the numbers itself: however much others write meanwhile, its snapshot has no entry without one. What was read counts
   * only when the numbers are committed.
   */
  #readNumbering<T>(work: (tx: ReadTx) => Promise<T>): Promise<Reading<T>> {
    return this.#numbering(async (tx) => {
      const numbered = await sequence(tx, { holder: this.#holder, nowUs: this.#nowUs })
      return numbered < SEQUENCE_LIMIT ? { value: await work(tx) } : undefined
    })
  }

  /** Runs a work that gives numbers. */
  #numbering<T>(work: (tx: WriteTx) => Promise<T>): Promise<T> {
    return this.#oneByOne(() => this.#writer.alone(work))
  }

  /** For what gives numbers: of two that run side by side one would be for nothing. */
  async #oneByOne<T>(give: () => Promise<T>): Promise<T> {
    const before = this.#lastNumbering
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#lastNumbering = promise
    await before
    try {
      return await give()
    } finally {
      resolve()
    }
  }

  /** For what one request answers. */
  get #now(): SnapshotSource {
    return new SnapshotSource(this.engine, this.engine.client.database)
  }

  async #asking<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask()
    } catch (error) {
      throw translate(error, 'reading')
    }
  }

  #assertOpen(): void {
    if (this.#closing) throw new TamsError('unavailable', 'The store is closed')
  }
}
