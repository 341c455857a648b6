import { availableParallelism } from 'node:os'
import type { RecordBatch } from 'apache-arrow'
import { type Clock, systemClock } from '../../core/clock.ts'
import { TamsError } from '../../core/errors.ts'
import type { TableName } from '../schema.ts'
import type { ReadTx, ScanQuery, Tables, WriteTx } from '../tables.ts'
import { Connection } from './connection.ts'
import { migrate } from './migrate.ts'
import { type Scan, SqliteReadTx } from './read-tx.ts'
import { ReaderPool } from './reader-pool.ts'
import { ScanSession } from './scan.ts'
import { ScanPool } from './scan-pool.ts'
import { VERSIONS_SQL } from './scan-protocol.ts'
import type { TimeLimit } from './search.ts'
import { takeServerLock } from './server-lock.ts'
import { retryWhileBusy } from './wait.ts'
import { Writer } from './writer.ts'

export interface OpenSqliteOptions {
  /**
   * Created when missing. Nothing else in this process may open the file with `fs`: closing any descriptor of a file drops the
   * process's POSIX locks on it, SQLite's among them.
   */
  readonly file: string
  /** For servers: refuse (`conflict`) while another one has the store, and keep others off until `close`. */
  readonly exclusive?: boolean
  /** To look after the store: writes although it is frozen (`FROZEN_META`). */
  readonly maintenance?: boolean
  /** For tests: an insert without the lock that its table demands throws. */
  readonly checkLocks?: boolean
  /** How long to look for the rows of one page. Default 1,000 ms. */
  readonly pageTimeoutMs?: number
  /** For all scans of one transaction together. Default 10 minutes. */
  readonly scanTimeoutMs?: number
  /** From this size of the file on, several threads share each scan. Default 64 MiB: it takes them a moment to start. */
  readonly sharedScanBytes?: number
  /** How many of them while requests keep their own thread busy. Default: one less than there are cores. */
  readonly scanThreadsWhileBusy?: number
  /** How long to wait for another process to end its write before `unavailable`. Default 5,000 ms. */
  readonly busyTimeoutMs?: number
  readonly clock?: Clock
  readonly log?: (message: string, detail: Readonly<Record<string, unknown>>) => void
}

/** Opens (and creates or migrates) the store in one SQLite file. */
export const openSqliteTables = async (options: OpenSqliteOptions): Promise<SqliteTables> => {
  const busyTimeoutMs = options.busyTimeoutMs ?? 5000
  const lock = options.exclusive ? takeServerLock(options.file) : undefined
  let connection: Connection | undefined
  try {
    const writer = await retryWhileBusy(() => openWriter(options.file), busyTimeoutMs, 'opening the store')
    connection = writer
    await retryWhileBusy(() => inTransaction(writer, () => migrate(writer)), busyTimeoutMs, 'preparing the tables')
    return new SqliteTables(options, writer, busyTimeoutMs, lock)
  } catch (error) {
    connection?.close()
    lock?.close()
    throw error
  }
}

const openWriter = (file: string): Connection => {
  const connection = new Connection({ file, writes: true, create: true })
  try {
    connection.makeDurable()
    return connection
  } catch (error) {
    connection.close()
    throw error
  }
}

const inTransaction = (connection: Connection, action: () => void): void => {
  connection.run('begin immediate')
  try {
    action()
    connection.run('commit')
  } catch (error) {
    if (connection.inTransaction) connection.run('rollback')
    throw error
  }
}

const SCAN_TIMEOUT_MS = 10 * 60 * 1000
const SHARED_SCAN_BYTES = 64 * 1024 * 1024
// What takes the rows keeps up with about so many.
const MOST_SCAN_WORKERS = 4

export class SqliteTables implements Tables {
  private readonly writer: Writer
  private readonly readers: ReaderPool
  private readonly scanners: ScanPool
  private readonly limits: TimeLimit
  private readonly ending = new Set<Promise<void>>()
  private closing: Promise<void> | undefined

  constructor(
    private readonly options: OpenSqliteOptions,
    /** The writer's connection, with the settings that make a commit durable. */
    readonly connection: Connection,
    busyTimeoutMs: number,
    private readonly lock: { close(): void } | undefined,
  ) {
    const { clock = systemClock(), checkLocks = false, maintenance = false, log = () => {} } = options
    this.limits = { now: () => Number(clock.nowUs()) / 1000, timeoutMs: options.pageTimeoutMs ?? 1000 }
    this.writer = new Writer({ connection, limits: this.limits, checkLocks, maintenance, busyTimeoutMs, log })
    this.readers = new ReaderPool(options.file, busyTimeoutMs)
    this.scanners = new ScanPool(options.file)
  }

  /**
   * `work` runs a second time when another write was committed between its first read and its first scan: the worker that scans
   * takes a snapshot of its own, and both must be the same. The second time both are taken while nobody can commit.
   */
  async read<T>(work: (tx: ReadTx) => Promise<T>): Promise<T> {
    this.assertOpen()
    const first: Attempt = { over: false, moved: false }
    try {
      const value = await this.attempt(first, work)
      if (!first.moved) return value
    } catch (error) {
      if (!first.moved) throw error
    } finally {
      if (!first.moved) this.endSession(first.session)
    }
    const second: Attempt = { over: false, moved: false, session: first.session }
    try {
      return await this.attempt(second, work)
    } finally {
      this.endSession(second.session)
    }
  }

  write<T>(work: (tx: WriteTx) => Promise<T>): Promise<T> {
    try {
      this.assertOpen()
    } catch (error) {
      return Promise.reject(error)
    }
    return this.writer.write(work)
  }

  version(table: TableName): Promise<string> {
    return this.read((tx) => tx.version(table))
  }

  async check(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    await this.read((tx) => tx.find('meta', ['schema_version']))
  }

  close(): Promise<void> {
    this.closing ??= this.release()
    return this.closing
  }

  /** Resolves when the scans of all ended transactions, and their snapshots, are gone. */
  async scansEnded(): Promise<void> {
    await Promise.all(this.ending)
  }

  private async release(): Promise<void> {
    await this.writer.close()
    await this.scansEnded()
    await this.scanners.close()
    this.readers.close()
    this.connection.close()
    this.lock?.close()
  }

  private async attempt<T>(attempt: Attempt, work: (tx: ReadTx) => Promise<T>): Promise<T> {
    const connection = await this.readers.acquire()
    let tx: SqliteReadTx | undefined
    try {
      const session = await attempt.session
      if (session)
        await this.writer.whileNobodyWrites(() =>
          Promise.all([session.takeSnapshot({ ofAll: true }), this.readers.beginSnapshot(connection)]),
        )
      else await this.readers.beginSnapshot(connection)
      const scan: Scan = (table, query) => scanIn(attempt, table, query, () => this.startSession(attempt, connection))
      tx = new SqliteReadTx(connection, this.limits, scan, true)
      return await work(tx)
    } finally {
      attempt.over = true
      tx?.close()
      this.readers.release(connection)
    }
  }

  private async startSession(attempt: Attempt, connection: Connection): Promise<ScanSession> {
    const here = versionsOf(connection)
    const bytes = connection.integer('select page_count * page_size from pragma_page_count, pragma_page_size', [])
    const cores = availableParallelism()
    const session = await ScanSession.open({
      pool: this.scanners,
      timeoutMs: this.options.scanTimeoutMs ?? SCAN_TIMEOUT_MS,
      workers: bytes < (this.options.sharedScanBytes ?? SHARED_SCAN_BYTES) ? 1 : Math.min(MOST_SCAN_WORKERS, cores),
      workersWhileBusy: this.options.scanThreadsWhileBusy ?? Math.max(1, cores - 1),
    })
    attempt.moved = (await session.takeSnapshot()) !== here
    return session
  }

  private endSession(session: Promise<ScanSession> | undefined): void {
    if (!session) return
    const ended: Promise<void> = session.then(
      (open) => open.stop(),
      () => {},
    )
    this.ending.add(ended)
    void ended.finally(() => this.ending.delete(ended))
  }

  private assertOpen(): void {
    if (this.closing) throw new TamsError('unavailable', 'The store is closed')
  }
}

/** One run of a read work. */
interface Attempt {
  /** The work has ended; its scans have too. */
  over: boolean
  /** The worker's snapshot is younger than the transaction's: the work has to run again. */
  moved: boolean
  /** Made by the first scan. */
  session?: Promise<ScanSession> | undefined
}

async function* scanIn<N extends TableName>(
  attempt: Attempt,
  table: N,
  query: ScanQuery<N>,
  start: () => Promise<ScanSession>,
): AsyncGenerator<RecordBatch, void, undefined> {
  if (attempt.over) throw new Error('this transaction has ended: a scan was kept and used after its work')
  attempt.session ??= start()
  const session = await attempt.session
  if (attempt.moved) throw new Error('this read work runs again with a snapshot that its scans share')
  yield* session.scan(table, query)
}

const versionsOf = (connection: Connection): string => String(connection.rows(VERSIONS_SQL)[0]?.versions)
