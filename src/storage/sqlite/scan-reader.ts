import { TamsError } from '../../core/errors.ts'
import type { ScanAnswer, ScanPlan, ScanRequest, ScanSpec } from './scan-protocol.ts'

/** Of one scan that a worker takes part in. */
export interface ScanEvents {
  planned(plan: ScanPlan): void
  batch(batch: ScanAnswer & { readonly type: 'batch' }): void
  done(): void
}

/** A worker that scans, with one connection and one snapshot: for one transaction after the other, with `rest` in between. */
export class ScanReader {
  // The types of the browser know no `ref`.
  private readonly worker = new Worker(new URL('./scan-worker.ts', import.meta.url)) as Worker & Pick<Bun.Worker, 'ref' | 'unref'>
  private readonly cancelled = new Int32Array(new SharedArrayBuffer(4))
  private readonly scans = new Map<number, ScanEvents>()
  private readonly stopped = Promise.withResolvers<void>()
  private readonly answers: PromiseWithResolvers<ScanAnswer>[] = []
  private rested: PromiseWithResolvers<void> | undefined
  private opened: Promise<unknown> | undefined
  private failed: (failure: unknown) => void = () => {}
  private failure: unknown
  /** The worker itself has failed: what state it is in is not known. */
  private broken = false
  private nextId = 0
  private ended = false

  constructor(private readonly file: string) {
    this.worker.onmessage = ({ data }: MessageEvent<ScanAnswer>) => this.receive(data)
    this.worker.onerror = (event) => {
      this.breakDown(new TamsError('unavailable', 'The scan worker failed', { cause: event.error ?? event.message }))
      this.gone()
    }
  }

  /** `failed`: called once at most, with what ends all scans of this worker. */
  async open(failed: (failure: unknown) => void): Promise<void> {
    this.failed = failed
    this.failure = undefined
    this.worker.ref()
    this.opened ??= this.ask({ type: 'open', file: this.file, cancelled: this.cancelled })
    await this.opened
  }

  /** Takes a new snapshot and gives its versions, for comparison with another snapshot's (`VERSIONS_SQL`). */
  async takeSnapshot(): Promise<string> {
    const answer = await this.ask({ type: 'snapshot' })
    return answer.type === 'snapshot' ? answer.versions : ''
  }

  /** Takes part in a scan; without a plan the worker makes one and tells it. */
  start(spec: ScanSpec, plan: ScanPlan | undefined, events: ScanEvents): { next(): void; end(): void } {
    const id = this.nextId++
    this.scans.set(id, events)
    this.send({ type: 'scan', id, spec, plan })
    return {
      next: () => this.send({ type: 'next', id }),
      end: () => {
        this.scans.delete(id)
        this.send({ type: 'end', id })
      },
    }
  }

  /** What is asked and not answered yet fails. */
  fail(failure: unknown): void {
    if (this.failure !== undefined) return
    this.failure = failure
    for (const { reject } of this.answers.splice(0)) reject(failure)
    this.failed(failure)
  }

  /** Ends all scans and the snapshot. Resolves when they are gone, and tells whether the worker can be opened again. */
  async rest(): Promise<boolean> {
    Atomics.store(this.cancelled, 0, 1)
    this.rested = Promise.withResolvers()
    this.send({ type: 'rest' })
    await Promise.race([this.rested.promise, this.stopped.promise])
    // Who waited for it was perhaps told otherwise, when a session ended before it was there.
    this.opened = Promise.resolve()
    this.scans.clear()
    this.failed = () => {}
    if (this.broken) {
      await this.stop()
      return false
    }
    Atomics.store(this.cancelled, 0, 0)
    // An idle worker does not keep the process from ending.
    this.worker.unref()
    return true
  }

  /** Ends the worker and its snapshot. Resolves when both are gone. */
  async stop(): Promise<void> {
    Atomics.store(this.cancelled, 0, 1)
    this.worker.ref()
    this.send({ type: 'stop' })
    await this.stopped.promise
  }

  private breakDown(failure: unknown): void {
    this.broken = true
    this.rested?.resolve()
    this.fail(failure)
  }

  private ask(request: ScanRequest): Promise<ScanAnswer> {
    const answer = Promise.withResolvers<ScanAnswer>()
    if (this.failure !== undefined) answer.reject(this.failure)
    else {
      this.answers.push(answer)
      this.send(request)
    }
    return answer.promise
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
      case 'planned':
        this.scans.get(answer.id)?.planned(answer.plan)
        break
      case 'batch':
        this.scans.get(answer.id)?.batch(answer)
        break
      case 'done':
        this.scans.get(answer.id)?.done()
        break
      case 'failed':
        this.breakDown(
          answer.busy ? new TamsError('unavailable', `The store was busy: ${answer.message}`) : new Error(`scan: ${answer.message}`),
        )
        break
      case 'resting':
        this.rested?.resolve()
        break
      case 'stopped':
        this.gone()
        break
      case 'opened':
      case 'snapshot':
        this.answers.shift()?.resolve(answer)
        break
      default:
        throw new Error(`unhandled ${answer satisfies never}`)
    }
  }
}
