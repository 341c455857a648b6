import type { RecordBatch } from 'apache-arrow'
import { TamsError } from '../../core/errors.ts'
import { threadLoad } from '../../core/thread-load.ts'
import type { TableName } from '../schema.ts'
import { kindOfColumn } from '../table-facts.ts'
import type { ScanQuery } from '../tables.ts'
import { compilePredicate } from './compile-predicate.ts'
import { testedColumns } from './pages/filter.ts'
import { recordBatch, scanSchema } from './scan-batch.ts'
import type { ScanPool } from './scan-pool.ts'
import type { ScanAnswer, ScanColumn, ScanPlan, ScanSpec } from './scan-protocol.ts'
import type { ScanReader } from './scan-reader.ts'
import { type SqlValue, tableInfo } from './table-info.ts'

// Of each worker: one is loaded by the consumer while the worker fills the next.
const BATCHES_IN_FLIGHT = 2

export interface ScanOptions {
  readonly pool: ScanPool
  /** Milliseconds for all scans of one transaction together. */
  readonly timeoutMs: number
  /** Workers that share each scan. */
  readonly workers: number
  /** How many of them begin with a scan while this thread, which serves requests, is busy. */
  readonly workersWhileBusy: number
  /** How busy that is, from 0 to 1, since it was asked last. */
  readonly load?: (() => number) | undefined
}

// More than what a scan alone costs this thread.
const BUSY = 0.5
// A thread that has to wait for a core for a few of them is busy all the same.
const LOAD_MS = 25

/**
 * The scans of one read transaction: workers with snapshots of their own, which are the same. The first takes part in every scan, the
 * others as soon as they are there, it has said what there is to share, and requests leave them a core: small scans wait for none of
 * them.
 */
export class ScanSession {
  private readonly timer: NodeJS.Timeout
  private readonly readers: readonly [ScanReader, ...ScanReader[]]
  /** Those whose snapshot is the first one's. */
  private others: ScanReader[] = []
  /** Of each scan that others can take part in: lets as many begin as may. */
  private readonly shared = new Set<() => void>()
  /** Known to have time to spare; until it is known it counts as busy. */
  private spare = false
  private watch: NodeJS.Timeout | undefined
  private opening: readonly Promise<void>[] = []
  private failure: unknown
  private wake = Promise.withResolvers<void>()

  private constructor(private readonly options: ScanOptions) {
    const { pool, timeoutMs, workers } = options
    this.readers = [pool.take(), ...Array.from({ length: workers - 1 }, () => pool.take())]
    this.timer = setTimeout(() => this.fail(new TamsError('timeout', `A scan took longer than ${timeoutMs} ms`)), timeoutMs)
  }

  static async open(options: ScanOptions): Promise<ScanSession> {
    const session = new ScanSession(options)
    try {
      session.opening = session.readers.map((reader) => reader.open((failure) => session.fail(failure)))
      // That one failed is told to the scans.
      for (const opening of session.opening) opening.catch(() => {})
      await session.opening[0]
      return session
    } catch (error) {
      void session.stop()
      throw error
    }
  }

  /**
   * Takes a new snapshot and gives its versions, for comparison with another snapshot's (`VERSIONS_SQL`). Unless it waits for all
   * workers, those for which a write comes in between take no part.
   */
  async takeSnapshot({ ofAll = false } = {}): Promise<string> {
    const others: ScanReader[] = []
    this.others = others
    const versions = await this.readers[0].takeSnapshot()
    const taken = this.readers.slice(1).map(async (reader, i) => {
      await this.opening[i + 1]
      if ((await reader.takeSnapshot()) !== versions || this.others !== others) return
      others.push(reader)
      this.letJoin()
    })
    if (ofAll) await Promise.all(taken)
    else for (const each of taken) each.catch(() => {})
    return versions
  }

  async *scan<N extends TableName>(table: N, { columns, where, signal }: ScanQuery<N>): AsyncGenerator<RecordBatch, void, undefined> {
    const info = tableInfo(table)
    const schema = scanSchema(info, columns)
    const params: SqlValue[] = []
    const column = (name: string): ScanColumn => ({ name, kind: kindOfColumn(info, name) })
    const spec: ScanSpec = {
      table,
      key: info.key.map(column),
      columns: columns.map(column),
      where: compilePredicate(info, where, params),
      params,
      condition: where,
      tested: testedColumns(where),
      taken: new Int32Array(new SharedArrayBuffer(4)),
    }
    const arrived: { readonly batch: ScanAnswer & { readonly type: 'batch' }; next(): void }[] = []
    const parts: { end(): void }[] = []
    let reading = 0
    let plan: ScanPlan | undefined
    const taking = new Set<ScanReader>()
    const share = (): void => {
      for (const other of this.others)
        if (!taking.has(other) && (this.spare || taking.size < this.options.workersWhileBusy)) join(other, plan)
    }
    const join = (reader: ScanReader, given: ScanPlan | undefined): void => {
      reading++
      taking.add(reader)
      const part = reader.start(spec, given, {
        planned: (made) => {
          if (made.kind === 'keys' && made.bounds.length === 0) return
          plan = made
          this.shared.add(share)
          this.watchLoad()
          share()
        },
        batch: (batch) => {
          arrived.push({ batch, next: part.next })
          this.awaken()
        },
        done: () => {
          reading--
          this.awaken()
        },
      })
      parts.push(part)
      for (let i = 0; i < BATCHES_IN_FLIGHT; i++) part.next()
    }
    const onAbort = (): void => this.awaken()
    signal?.throwIfAborted()
    signal?.addEventListener('abort', onAbort)
    try {
      join(this.readers[0], undefined)
      for (;;) {
        signal?.throwIfAborted()
        if (this.failure !== undefined) throw this.failure
        const first = arrived.shift()
        if (first) {
          yield recordBatch(schema, first.batch.rows, first.batch.columns)
          first.next()
        } else if (reading === 0) return
        else await this.wake.promise
      }
    } finally {
      signal?.removeEventListener('abort', onAbort)
      this.shared.delete(share)
      for (const part of parts) part.end()
    }
  }

  /** Gives the workers back. Resolves when their snapshots are gone; a scan in progress throws. */
  async stop(): Promise<void> {
    this.fail(new Error('this scan has ended with its transaction'))
    await Promise.all(this.readers.map((reader) => this.options.pool.giveBack(reader)))
  }

  private letJoin(): void {
    for (const join of this.shared) join()
  }

  /** While there is something to share. */
  private watchLoad(): void {
    if (this.watch !== undefined || this.failure !== undefined || this.options.workersWhileBusy >= this.readers.length) return
    const load = this.options.load ?? threadLoad()
    this.watch = setInterval(() => {
      this.spare = load() < BUSY
      if (this.shared.size === 0) this.endWatch()
      else this.letJoin()
    }, LOAD_MS)
  }

  private endWatch(): void {
    clearInterval(this.watch)
    this.watch = undefined
    this.spare = false
  }

  private fail(failure: unknown): void {
    clearTimeout(this.timer)
    this.endWatch()
    if (this.failure !== undefined) return
    this.failure = failure
    for (const reader of this.readers) reader.fail(failure)
    this.awaken()
  }

  private awaken(): void {
    const { resolve } = this.wake
    this.wake = Promise.withResolvers()
    resolve()
  }
}
