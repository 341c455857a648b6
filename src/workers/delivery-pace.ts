/** Deliveries in a second: of all webhooks, and to one host. */
const MOST = 5000
const MOST_PER_HOST = 1000
/** So many go out however busy the service is: a webhook never stands still. */
const LEAST = 250
/** Deliveries bring the use of this thread to this share at most; what is above it belongs to requests. */
const SHARE = 0.5
const LOOK_MS = 50

/** A rate, with a little of it saved up while nothing was taken. */
class Bucket {
  private nextMs = Number.NEGATIVE_INFINITY

  /** When the next may begin, in milliseconds of the same clock. */
  take(nowMs: number, perSecond: number): number {
    const atMs = Math.max(this.nextMs, nowMs - SAVED_MS)
    this.nextMs = atMs + 1000 / perSecond
    return atMs
  }
}

const SAVED_MS = 10

export interface PaceOptions {
  /** Milliseconds from any moment on. */
  readonly nowMs?: () => number
  /** Milliseconds that this thread has used of a core. */
  readonly usedMs?: () => number
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>
}

/**
 * When deliveries may begin. They share one thread with the requests: while the thread is more than half in use the rate halves every
 * 50 ms down to 250/s, and grows again while it is less.
 */
export class DeliveryPace {
  private readonly nowMs: () => number
  private readonly usedMs: () => number
  private readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
  private readonly all = new Bucket()
  private readonly hosts = new Map<string, Bucket>()
  private lookedMs: number
  private usedThenMs: number
  private rate = MOST

  constructor({ nowMs = () => performance.now(), usedMs = threadMs, sleep = sleepUntilAborted }: PaceOptions = {}) {
    this.nowMs = nowMs
    this.usedMs = usedMs
    this.sleep = sleep
    this.lookedMs = nowMs()
    this.usedThenMs = usedMs()
  }

  /** Resolves when the next delivery to `host` may begin, or the signal fires. */
  async turn(host: string, signal: AbortSignal): Promise<void> {
    const nowMs = this.nowMs()
    this.look(nowMs)
    const atMs = Math.max(this.all.take(nowMs, this.rate), this.bucketOf(host).take(nowMs, MOST_PER_HOST))
    if (atMs > nowMs && !signal.aborted) await this.sleep(atMs - nowMs, signal)
  }

  private look(nowMs: number): void {
    const elapsedMs = nowMs - this.lookedMs
    if (elapsedMs < LOOK_MS) return
    const usedMs = this.usedMs()
    const share = (usedMs - this.usedThenMs) / elapsedMs
    this.rate = share > SHARE ? Math.max(LEAST, this.rate / 2) : Math.min(MOST, this.rate * 1.25)
    this.lookedMs = nowMs
    this.usedThenMs = usedMs
  }

  private bucketOf(host: string): Bucket {
    const known = this.hosts.get(host)
    if (known) return known
    // Hosts come and go with webhooks: forgetting all their rates at times costs a few deliveries too early.
    if (this.hosts.size >= MANY_HOSTS) this.hosts.clear()
    const bucket = new Bucket()
    this.hosts.set(host, bucket)
    return bucket
  }
}

const MANY_HOSTS = 10_000

const threadMs = (): number => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

const sleepUntilAborted = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end)
  })
