import { TamsError } from '../core/errors.ts'
import { lastSeen, type Tables } from '../storage/tables.ts'
import { lastSeq } from './event-log.ts'
import { EventWindow, type WindowRow } from './event-window.ts'

const POLL_MS = 50
const BATCH = 100
/** More open streams than this would starve the requests. */
const MAX_READERS = 5000

/** Where a reader is to begin, and what it can no longer have. */
export interface FeedStart {
  readonly position: bigint
  /** Events behind the position that were asked for but are not stored any more end before this number. */
  readonly lostUntil?: bigint
}

/**
 * Follows the log for any number of readers in this process: one look at the store in `POLL_MS`, and only while somebody waits. A reader
 * is only a position: nothing is kept for slow ones.
 */
export class EventFeed {
  private readonly window: EventWindow
  private readonly closing = new AbortController()
  private waiting: (() => void)[] = []
  private timer: Timer | undefined
  private version: string | undefined
  /** Grows when the log has changed. */
  private generation = 0
  private readers = 0

  constructor(private readonly tables: Tables) {
    this.window = new EventWindow(tables)
  }

  /** Fires when the service ends. */
  get closed(): AbortSignal {
    return this.closing.signal
  }

  close(): void {
    this.closing.abort()
    clearInterval(this.timer)
    this.wake()
  }

  /** Throws `unavailable` when too many streams are open; the result ends this one. */
  enter(): () => void {
    if (this.readers >= MAX_READERS) throw new TamsError('unavailable', `${MAX_READERS} streams are open already`)
    this.readers++
    let left = false
    return () => {
      if (!left) this.readers--
      left = true
    }
  }

  /** Behind the event `lastId`; without one at the present end of the log. */
  start(lastId: bigint | undefined): Promise<FeedStart> {
    return this.tables.read(async (tx) => {
      if (lastId === undefined) return { position: await lastSeq(tx) }
      const first = (await tx.readLog(-1n, 1))[0]?.seq
      return { position: lastId, ...(first !== undefined && first > lastId + 1n && { lostUntil: first }) }
    })
  }

  /** The next rows behind `after`; empty when there were none for `waitMs`, or the signal has fired. */
  async next(after: bigint, waitMs: number, signal: AbortSignal): Promise<readonly WindowRow[]> {
    const until = performance.now() + waitMs
    for (;;) {
      const { generation } = this
      if (signal.aborted || this.closing.signal.aborted) return []
      const rows = await this.window.read(after, BATCH)
      if (rows.length > 0 || performance.now() >= until) return rows
      await this.change(generation, until - performance.now(), signal)
    }
  }

  // Whoever read before the log changed must not sleep through it: the generation tells.
  private change(generation: number, waitMs: number, signal: AbortSignal): Promise<void> {
    if (generation !== this.generation || signal.aborted) return Promise.resolve()
    this.timer ??= setInterval(() => void this.poll(), POLL_MS)
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, Math.max(0, waitMs))
      signal.addEventListener('abort', done, { once: true })
      this.waiting.push(done)
    })
  }

  private async poll(): Promise<void> {
    if (this.waiting.length === 0) {
      clearInterval(this.timer)
      this.timer = undefined
      return
    }
    // A store that is away is asked again with the next tick.
    const version = await lastSeen(this.tables, 'event_log').catch(() => this.version)
    if (version === this.version) return
    this.version = version
    this.wake()
  }

  private wake(): void {
    this.generation++
    const waiting = this.waiting
    this.waiting = []
    for (const done of waiting) done()
  }
}
