import type { RecordBatch } from 'apache-arrow'
import { TamsError } from '../src/core/errors.ts'
import { packBatch } from './batch-transfer.ts'
import type { EngineOptions, Query } from './engine.ts'
import type { Calls, DeriveOrder, EngineAnswer, EngineRequest, Failure, Loaded, LoadOrder, Method, QueryOrder } from './engine-protocol.ts'
import type { FlowDifference } from './flow-index.ts'
import type { ResultTable } from './result.ts'

interface Waiting {
  resolve(value: unknown): void
  reject(error: unknown): void
  /** Of a load: the last batch has been taken. */
  taken?: () => void
}

/**
 * DuckDB in a thread of its own; see `Engine`. When the thread fails, all that wait for it fail with `unavailable`, and `failed` tells:
 * who asks again needs another engine.
 */
export class RemoteEngine {
  private readonly worker = new Worker(new URL('./engine-worker.ts', import.meta.url))
  private readonly waiting = new Map<number, Waiting>()
  private ids = 0
  private failure: unknown
  private readonly ended = Promise.withResolvers<void>()

  private constructor() {
    this.worker.onmessage = ({ data }: MessageEvent<EngineAnswer>) => this.receive(data)
    this.worker.onerror = (event) => this.crashed(event.error ?? event.message)
    this.worker.addEventListener('close', () => {
      this.crashed(new Error('the analytics thread has ended'))
      this.ended.resolve()
    })
  }

  static async open(options: EngineOptions): Promise<RemoteEngine> {
    const engine = new RemoteEngine()
    try {
      await engine.call('open', options)
      return engine
    } catch (error) {
      engine.worker.terminate()
      throw error
    }
  }

  get failed(): boolean {
    return this.failure !== undefined
  }

  query({ signal, ...query }: QueryOrder & Pick<Query, 'signal'>): Promise<ResultTable> {
    return this.call('query', query, signal)
  }

  /** The parsed text as JSON. Throws `unprocessable` for what is no SELECT. */
  parse(sql: string): Promise<unknown> {
    return this.call('parse', sql)
  }

  memoryBytes(): Promise<number> {
    return this.call('memoryBytes', null)
  }

  /** Takes the batches one by one, each when the one before has been loaded. */
  async load(order: LoadOrder, batches: AsyncIterable<RecordBatch>): Promise<Loaded> {
    const { id, answer } = this.start('load', order)
    try {
      for await (const batch of batches) {
        const { packed, transfer } = packBatch(batch)
        const taken = Promise.withResolvers<void>()
        const waiting = this.waiting.get(id)
        // Already failed: `answer` tells why.
        if (!waiting) break
        waiting.taken = taken.resolve
        this.send({ type: 'batch', id, batch: packed }, transfer)
        await Promise.race([taken.promise, answer])
      }
      this.send({ type: 'end', id })
      return await answer
    } catch (error) {
      this.send({ type: 'abort', id })
      await answer.catch(() => {})
      throw error
    }
  }

  /** Keeps the rows of a SELECT. */
  derive(order: DeriveOrder, signal?: AbortSignal): Promise<Loaded> {
    return this.call('derive', order, signal)
  }

  async drop(table: string): Promise<void> {
    await this.call('drop', table)
  }

  compare(from: string, to: string, most: number): Promise<FlowDifference | null> {
    return this.call('compare', { from, to, most })
  }

  async dropIndex(index: string): Promise<void> {
    await this.call('dropIndex', index)
  }

  parquet(table: ResultTable): Promise<Uint8Array<ArrayBuffer>> {
    return this.call('parquet', table)
  }

  /** Ends the thread, and first what runs in it. */
  async close(): Promise<void> {
    if (this.failed) return this.ended.promise
    await this.call('close', null)
    this.failure ??= new Error('the analytics engine is closed')
    this.ended.resolve()
    this.worker.terminate()
  }

  private call<M extends Method>(method: M, asks: Calls[M]['asks'], signal?: AbortSignal): Promise<Calls[M]['answers']> {
    signal?.throwIfAborted()
    const { id, answer } = this.start(method, asks)
    if (!signal) return answer
    const onAbort = (): void => this.send({ type: 'abort', id })
    signal.addEventListener('abort', onAbort)
    return answer
      .catch((error: unknown) => {
        throw signal.aborted ? signal.reason : error
      })
      .finally(() => signal.removeEventListener('abort', onAbort))
  }

  private start<M extends Method>(
    method: M,
    asks: Calls[M]['asks'],
  ): { readonly id: number; readonly answer: Promise<Calls[M]['answers']> } {
    const id = ++this.ids
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    if (this.failure !== undefined) reject(this.failure)
    else {
      this.waiting.set(id, { resolve, reject })
      this.send({ type: 'call', id, method, asks } as EngineRequest)
    }
    // Who fails while its batches are still made is told when they are.
    promise.catch(() => {})
    return { id, answer: promise as Promise<Calls[M]['answers']> }
  }

  private send(request: EngineRequest, transfer: ArrayBuffer[] = []): void {
    if (this.failure === undefined) this.worker.postMessage(request, transfer)
  }

  private receive(answer: EngineAnswer): void {
    if (answer.type === 'crashed') {
      this.crashed(errorOf(answer.failure))
      return
    }
    if (answer.type === 'ended') {
      this.ended.resolve()
      this.worker.terminate()
      return
    }
    const waiting = this.waiting.get(answer.id)
    if (answer.type === 'taken') {
      waiting?.taken?.()
      return
    }
    this.waiting.delete(answer.id)
    if (answer.type === 'done') waiting?.resolve(answer.value)
    else waiting?.reject(errorOf(answer.failure))
  }

  private crashed(cause: unknown): void {
    this.fail(new TamsError('unavailable', 'Analytics failed and starts anew: try again', { cause }))
  }

  private fail(failure: unknown): void {
    this.failure ??= failure
    for (const { reject } of this.waiting.values()) reject(this.failure)
    this.waiting.clear()
  }
}

const errorOf = ({ message, code, field, stack }: Failure): Error => {
  if (code === undefined) return Object.assign(new Error(message), { stack: stack ?? message })
  return new TamsError(code, message, field === undefined ? {} : { field })
}
