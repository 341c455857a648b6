import { TamsError } from '../../core/errors.ts'
import { BadRequest, Conflict, ConnectionFailed, NotFound, TooWideRow } from '../../vastdb/index.ts'
import { Batch, type BatchOptions, KeyTaken, type Outcome, type Work } from './batch.ts'
import { TakenElsewhere } from './claims.ts'
import { CommitUnresolved } from './commit.ts'
import { LogBehind } from './log-source.ts'
import { nextTurn } from './next-turn.ts'
import { translate } from './vast-errors.ts'

export interface WriterOptions extends BatchOptions {
  /** Longest time that a work may take, in milliseconds: all works of its batch wait for it. */
  readonly workTimeoutMs: number
  readonly log: (message: string, detail: Readonly<Record<string, unknown>>) => void
  /** Entries of the log were committed. */
  readonly onLogged: () => void
  /** Gives numbers to the entries that have none. */
  readonly catchUp: () => Promise<void>
}

interface Job {
  readonly work: Work
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  /** The log was complete at some time since the work was asked for. */
  caughtUp: boolean
}

const BATCH_WORKS = 500
/** Batches under way at a time. */
const LANES = 2
/** When most works of a batch wanted what another had, so many batches are run one after the other: callers seem to have a flow in common. */
const SHY_BATCHES = 16
/** After a batch of so many works, the next one waits for as many: a few in a batch of their own cost as many requests as all together. */
const CROWD = 8
const GATHERING_MS = 3
/** Works that wait for a lock for longer than that have their turn in the next batch. */
const LOCKS_MS = 200
const MOST_TRIES = 10
/** A batch that collides is tried again as it is before it is split: against one other writer that is mostly enough. */
const WHOLE_TRIES = 2

/**
 * Runs write works in batches: what is asked for while a batch is under way forms the next one, so that under load many works share a transaction. The next
 * one begins when as many works wait for it, or the one under way has ended. Promises settle when the transaction is durable. After a conflict the
 * batch is split, until the works that collide stand alone.
 */
export class Writer {
  readonly #queue: Job[] = []
  readonly #alone = new Set<Promise<unknown>>()
  /** Batches under way and how many works each has. */
  readonly #lanes = new Map<Promise<void>, number>()
  #starting = false
  #shy = 0
  /** Works of the last batch that began. */
  #crowd = 0

  constructor(private readonly options: WriterOptions) {}

  write<T>(work: (tx: Parameters<Work>[0]) => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.#queue.push({ work, resolve, reject, caughtUp: false })
    this.#start()
    return promise as Promise<T>
  }

  /** In a transaction of its own, at once, and once: after a conflict it rejects with `Conflict`. The log is read as it is. */
  async alone<T>(work: (tx: Parameters<Work>[0]) => Promise<T>): Promise<T> {
    const running = this.#runAlone(work)
    this.#alone.add(running)
    try {
      return (await running) as T
    } finally {
      this.#alone.delete(running)
    }
  }

  /** Resolves when everything that was asked for has settled. */
  async close(): Promise<void> {
    while (this.#queue.length > 0 || this.#lanes.size > 0) await (this.#lanes.size > 0 ? Promise.race(this.#lanes.keys()) : nextTurn())
    await Promise.allSettled(this.#alone)
  }

  async #runAlone(work: Work): Promise<unknown> {
    const batch = new Batch({ ...this.options, claims: undefined }, { looksFirst: true })
    try {
      await batch.begun
      const outcome = await batch.run(work, { anyLog: true })
      if (outcome.kind === 'failed') throw outcome.error
      if (outcome.kind === 'again') throw outcome.reason
      if (batch.changed) await batch.commit()
      return outcome.value
    } finally {
      await batch.close()
    }
  }

  // Not at once: the requests of this turn of the event loop pile up first.
  async #start(): Promise<void> {
    if (this.#starting || !this.#mayBegin()) return
    this.#starting = true
    await this.#gathered()
    this.#starting = false
    if (this.#mayBegin()) this.#begin()
  }

  // Callers who were answered together ask again within a millisecond or two: who comes after the begin waits for the whole batch. Those who come
  // one by one wait for nobody.
  async #gathered(): Promise<void> {
    await nextTurn()
    for (let n = 0; n < GATHERING_MS && this.#crowd >= CROWD && this.#queue.length < this.#crowd; n++) {
      const before = this.#queue.length
      await Bun.sleep(1)
      if (this.#queue.length === before && 4 * before >= 3 * this.#crowd) return
    }
  }

  #mayBegin(): boolean {
    const waiting = this.#queue.length
    const lanes = this.#shy > 0 ? 1 : LANES
    return waiting > 0 && this.#lanes.size < lanes && this.#lanes.values().every((works) => waiting >= works)
  }

  #begin(): void {
    const jobs = this.#queue.splice(0, BATCH_WORKS)
    this.#crowd = jobs.length
    if (this.#shy > 0) this.#shy -= 1
    const lane = this.#settle(jobs).then((again) => {
      this.#queue.unshift(...again)
      this.#lanes.delete(lane)
      this.#start()
    })
    this.#lanes.set(lane, jobs.length)
    this.#start()
  }

  /** Runs the jobs until each is settled, in as many transactions as it takes; gives those that have to wait for a later batch. */
  async #settle(jobs: readonly Job[]): Promise<readonly Job[]> {
    let looksFirst = false
    for (let n = 1; ; n++) {
      try {
        return await this.#together(jobs, looksFirst)
      } catch (error) {
        if (error instanceof KeyTaken && !looksFirst) {
          looksFirst = true
          continue
        }
        const splits = error instanceof Conflict || error instanceof BadRequest || error instanceof TooWideRow
        if (splits && jobs.length > 1 && (n > WHOLE_TRIES || !(error instanceof Conflict))) {
          const half = jobs.length >> 1
          return [...(await this.#settle(jobs.slice(0, half))), ...(await this.#settle(jobs.slice(half)))]
        }
        const retriable = error instanceof Conflict || error instanceof ConnectionFailed || error instanceof NotFound
        if (!retriable || n === MOST_TRIES) {
          this.options.log('a batch of writes failed', { works: jobs.length, error })
          const failure = failureOf(error)
          for (const job of jobs) job.reject(failure)
          return []
        }
        await this.options.pause(n)
      }
    }
  }

  /** One transaction. Throws when nothing of it is kept and no job is settled. */
  async #together(jobs: readonly Job[], looksFirst: boolean): Promise<readonly Job[]> {
    const { workTimeoutMs: timeoutMs } = this.options
    const batch = new Batch(this.options, { looksFirst })
    let closing: ReturnType<typeof setTimeout> | undefined
    const close = () => batch.locks.close()
    batch.begun.then(() => {
      closing = setTimeout(close, LOCKS_MS)
    }, close)
    let outcomes: readonly (readonly [Job, Outcome])[]
    try {
      // The begin goes out before the works take the thread.
      await nextTurn()
      outcomes = await Promise.all(jobs.map(async (job) => [job, await batch.run(job.work, { anyLog: job.caughtUp, timeoutMs })] as const))
      await batch.begun
      if (batch.changed) await batch.commit()
    } finally {
      clearTimeout(closing)
      await batch.close()
    }
    if (batch.hasLog) this.options.onLogged()
    const refused = outcomes.filter(([, outcome]) => outcome.kind === 'again' && outcome.reason instanceof TakenElsewhere)
    if (2 * refused.length > jobs.length) this.#shy = SHY_BATCHES
    const again: Promise<Job>[] = []
    for (const [job, outcome] of outcomes) {
      if (outcome.kind === 'done') job.resolve(outcome.value)
      else if (outcome.kind === 'failed') job.reject(outcome.error)
      else again.push(this.#prepared(job, outcome.reason))
    }
    return Promise.all(again)
  }

  /** What has to be done before a work runs again. */
  async #prepared(job: Job, reason: Error): Promise<Job> {
    if (reason instanceof TakenElsewhere) await reason.after
    if (!(reason instanceof LogBehind)) return job
    await this.options.catchUp().catch((error: unknown) => this.options.log('the log could not be numbered', { error }))
    job.caughtUp = true
    return job
  }
}

const failureOf = (error: unknown): unknown =>
  error instanceof CommitUnresolved
    ? new TamsError('unavailable', 'The VAST Database could not say whether a write was applied', { cause: error })
    : translate(error, 'writing')
