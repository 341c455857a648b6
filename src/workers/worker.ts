import { randomUUID } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import type { TableName } from '../storage/schema.ts'
import type { Tables } from '../storage/tables.ts'
import type { Log } from '../telemetry/log.ts'
import { acquireLease, type Lease, LeaseLost, releaseLease, serviceHolder } from './lease.ts'

/** Background work over the store, in steps that are each safe to repeat: what a killed process left is picked up by the next. */
export interface Worker {
  readonly name: string
  /** How long to wait when there was nothing to do, in milliseconds. */
  readonly intervalMs: number
  /**
   * Where there is something to do only after one of these has changed: steps in between are left out where the store says what changes (`Tables.watch`), for
   * `restMs` at most (default: no limit).
   */
  readonly watches?: readonly TableName[]
  readonly restMs?: number
  /** One bounded piece of work. True: there may be more at once. */
  step(lease: Lease, signal: AbortSignal): Promise<boolean>
}

export interface RunningWorkers {
  /** Ends after the steps in progress. */
  stop(): Promise<void>
}

export interface WorkerDeps {
  readonly tables: Tables
  readonly clock: Clock
  readonly log: Log
}

const RETRY_MS = 5000

export const runWorkers = (deps: WorkerDeps, workers: readonly Worker[]): RunningWorkers => {
  const stopping = new AbortController()
  const holder = serviceHolder(randomUUID())
  const loops = workers.map((worker) => run(deps, worker, holder, stopping.signal))
  return {
    async stop() {
      stopping.abort()
      await Promise.all(loops)
    },
  }
}

const run = async ({ tables, clock, log }: WorkerDeps, worker: Worker, holder: string, signal: AbortSignal): Promise<void> => {
  let lease: Lease | undefined
  const rest = new Rest(tables, worker)
  while (!signal.aborted) {
    let waitMs = worker.intervalMs
    try {
      if (!rest.goesOn(lease !== undefined)) {
        lease ??= await acquireLease(tables, clock, worker.name, holder)
        while (lease && !signal.aborted && (await worker.step(lease, signal))) await Promise.resolve()
      }
    } catch (error) {
      rest.end()
      if (error instanceof LeaseLost) lease = undefined
      else {
        if (!signal.aborted) log.error({ worker: worker.name, err: error }, 'background work failed; it will be tried again')
        waitMs = RETRY_MS
      }
    }
    await pause(waitMs, signal)
  }
  if (lease)
    await releaseLease(tables, lease).catch((error: unknown) => log.warn({ worker: worker.name, err: error }, 'the lease was not released'))
}

/** A lease that ran out changes nothing: it has to be asked for. */
const LEASE_MS = 10_000

/** The time in which a worker has nothing to do, as far as the store tells. */
class Rest {
  private seen: string | undefined
  private beganMs = 0

  constructor(
    private readonly tables: Tables,
    private readonly worker: Worker,
  ) {}

  /** To be asked before each step. */
  goesOn(hasLease: boolean): boolean {
    const { watch } = this.tables
    const { watches, restMs = Number.POSITIVE_INFINITY } = this.worker
    if (!watch || (hasLease && !watches)) return false
    const now = performance.now()
    const looksAt = hasLease ? watches : (['leases'] as const)
    const seen = `${hasLease} ${looksAt?.map((table) => watch.seen(table))}`
    if (seen === this.seen && now - this.beganMs < (hasLease ? restMs : LEASE_MS)) return true
    this.seen = seen
    this.beganMs = now
    return false
  }

  end(): void {
    this.seen = undefined
  }
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
