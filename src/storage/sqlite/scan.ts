import type { RecordBatch } from 'apache-arrow'
import { TamsError } from '../../core/errors.ts'
import type { TableName } from '../schema.ts'
import { kindOfColumn } from '../table-facts.ts'
import type { ScanQuery } from '../tables.ts'
import { compilePredicate } from './compile-predicate.ts'
import { recordBatch, scanSchema } from './scan-batch.ts'
import type { ScanAnswer, ScanRequest } from './scan-protocol.ts'
import { quoted, type SqlValue, tableInfo } from './table-info.ts'

// One is loaded by the consumer while the worker fills the next.
const BATCHES_IN_FLIGHT = 2

export interface ScanOptions {
  readonly file: string
  /** Milliseconds for all scans of one transaction together. */
  readonly timeoutMs: number
}

interface Stream {
  readonly arrived: (ScanAnswer & { readonly type: 'batch' })[]
  done: boolean
}

/**
 * The scans of one read transaction: a worker with one snapshot of its own. A scan that starts while another runs goes to a second
 * worker, provided that its snapshot, taken later, is still the same.
 */
export class ScanSession {
  private readonly worker = new Worker(new URL('./scan-worker.ts', import.meta.url))
  private readonly cancelled = new Int32Array(new SharedArrayBuffer(4))
  private readonly streams = new Map<number, Stream>()
  private readonly timer: NodeJS.Timeout
  private readonly stopped = Promise.withResolvers<void>()
  private failure: unknown
  private latest: ScanAnswer | undefined
  private wake = Promise.withResolvers<void>()
  private nextId = 0
  private ended = false
  private versions: string | undefined
  private second: Promise<ScanSession | undefined> | undefined

  private constructor(private readonly options: ScanOptions) {
    this.worker.onmessage = ({ data }: MessageEvent<ScanAnswer>) => this.receive(data)
    this.worker.onerror = (event) => {
      this.fail(new TamsError('unavailable', 'The scan worker failed', { cause: event.error ?? event.message }))
      this.gone()
    }
    this.timer = setTimeout(() => this.fail(new TamsError('timeout', `A scan took longer than ${options.timeoutMs} ms`)), options.timeoutMs)
  }

  static async open(options: ScanOptions): Promise<ScanSession> {
    const session = new ScanSession(options)
    try {
      await session.ask({ type: 'open', file: options.file, cancelled: session.cancelled }, 'opened')
      return session
    } catch (error) {
      void session.stop()
      throw error
    }
  }

  /** Takes a new snapshot and gives its versions, for comparison with another snapshot's (`VERSIONS_SQL`). */
  async takeSnapshot(): Promise<string> {
    const former = this.second
    this.second = undefined
    await (await former)?.stop()
    this.versions = (await this.ask({ type: 'snapshot' }, 'snapshot')).versions
    return this.versions
  }

  async *scan<N extends TableName>(table: N, query: ScanQuery<N>): AsyncGenerator<RecordBatch, void, undefined> {
    if (this.streams.size > 0) this.second ??= this.openSecond()
    const second = this.streams.size > 0 ? await this.second : undefined
    yield* (second && second.streams.size < this.streams.size ? second : this).own(table, query)
  }

  private async *own<N extends TableName>(
    table: N,
    { columns, where, signal }: ScanQuery<N>,
  ): AsyncGenerator<RecordBatch, void, undefined> {
    const info = tableInfo(table)
    const schema = scanSchema(info, columns)
    const params: SqlValue[] = []
    const selected = columns.length === 0 ? '1' : columns.map((column) => `t.${quoted(column)}`).join(', ')
    const sql = `select ${selected} from ${quoted(table)} t where ${compilePredicate(info, where, params)}`
    const id = this.nextId++
    const stream: Stream = { arrived: [], done: false }
    const onAbort = (): void => this.wake.resolve()
    signal?.throwIfAborted()
    signal?.addEventListener('abort', onAbort)
    try {
      this.streams.set(id, stream)
      this.send({ type: 'scan', id, sql, params, columns: columns.map((name) => ({ name, kind: kindOfColumn(info, name) })) })
      for (let i = 0; i < BATCHES_IN_FLIGHT; i++) this.send({ type: 'next', id })
      for (;;) {
        const batch = stream.arrived.shift()
        signal?.throwIfAborted()
        if (this.failure !== undefined) throw this.failure
        if (batch) {
          yield recordBatch(schema, batch.rows, batch.columns)
          this.send({ type: 'next', id })
        } else if (stream.done) return
        else await this.wake.promise
      }
    } finally {
      signal?.removeEventListener('abort', onAbort)
      this.streams.delete(id)
      this.send({ type: 'end', id })
    }
  }

  /** Ends the worker and its snapshot. Resolves when both are gone; a scan in progress throws. */
  async stop(): Promise<void> {
    this.fail(new Error('this scan has ended with its transaction'))
    Atomics.store(this.cancelled, 0, 1)
    this.send({ type: 'stop' })
    // That it could not be opened was told to the scan that wanted it.
    const second = await this.second?.catch(() => undefined)
    await Promise.all([second?.stop(), this.stopped.promise])
  }

  private async openSecond(): Promise<ScanSession | undefined> {
    const second = await ScanSession.open(this.options)
    if ((await second.takeSnapshot()) === this.versions) return second
    await second.stop()
    return undefined
  }

  private async ask<T extends 'opened' | 'snapshot'>(request: ScanRequest, type: T): Promise<ScanAnswer & { readonly type: T }> {
    this.latest = undefined
    this.send(request)
    for (;;) {
      if (this.failure !== undefined) throw this.failure
      const answer = this.latest as ScanAnswer | undefined
      if (answer?.type === type) return answer as ScanAnswer & { readonly type: T }
      await this.wake.promise
    }
  }

  private send(request: ScanRequest): void {
    if (!this.ended) this.worker.postMessage(request)
  }

  private gone(): void {
    this.ended = true
    this.worker.terminate()
    this.stopped.resolve()
  }

  private receive(answer: ScanAnswer): void {
    switch (answer.type) {
      case 'batch':
        this.streams.get(answer.id)?.arrived.push(answer)
        break
      case 'done': {
        const stream = this.streams.get(answer.id)
        if (stream) stream.done = true
        break
      }
      case 'failed':
        this.fail(
          answer.busy ? new TamsError('unavailable', `The store was busy: ${answer.message}`) : new Error(`scan: ${answer.message}`),
        )
        return
      case 'stopped':
        this.gone()
        return
      case 'opened':
      case 'snapshot':
        this.latest = answer
        break
      default:
        throw new Error(`unhandled ${answer satisfies never}`)
    }
    this.awaken()
  }

  private fail(failure: unknown): void {
    clearTimeout(this.timer)
    this.failure ??= failure
    this.awaken()
  }

  private awaken(): void {
    const { resolve } = this.wake
    this.wake = Promise.withResolvers()
    resolve()
  }
}
