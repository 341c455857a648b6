// Several addresses of one cluster. Any of them takes any request; those that fail are left out for a while, and the quicker ones are preferred.

/** Reads and writes differ in what they cost a server, so that their latencies do not mix. */
export type RequestKind = 'read' | 'write'

/** How an endpoint has been doing. */
export interface EndpointHealth {
  readonly url: string
  readonly state: 'up' | 'down'
  /** Moving averages of the time to the first byte of an answer in milliseconds; undefined before the first. */
  readonly latencyMs: Readonly<Record<RequestKind, number | undefined>>
  readonly requests: number
  readonly failures: number
  readonly lastError: string | undefined
}

const OUT_AFTER = 3
const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 60_000
const SMOOTHING = 0.2
/** One that was slow is asked again after so long, to see whether it still is. */
const STALE_MS = 10_000

interface State<T> {
  readonly url: string
  readonly value: T
  readonly latencyMs: Record<RequestKind, number | undefined>
  inFlight: number
  requests: number
  failures: number
  failuresInRow: number
  pauseMs: number
  /** While down: when it may be tried again. */
  probeAt: number
  askedAt: number
  lastError: string | undefined
}

/** One use of an endpoint; the first of `succeeded`, `failed` and `released` ends it. */
export interface Lease<T> {
  readonly url: string
  readonly value: T
  /** The head of an answer is there, whatever it says. */
  answered(): void
  /** The answer came to its end. */
  succeeded(): void
  /** No answer, or not all of it: a refused or lost connection, or a time-out. */
  failed(error: unknown): void
  /** Given up by the caller; says nothing about the endpoint. */
  released(): void
}

export interface Choice {
  /** Default `read`. */
  readonly kind?: RequestKind
  /** Passed over while there is another. */
  readonly avoid?: string | undefined
  /** The number of a split: spreads a scan evenly. */
  readonly prefer?: number | undefined
}

export class EndpointPool<T> {
  readonly #states: State<T>[]
  readonly #now: () => number
  #turn = 0

  /** @param now milliseconds of a steady clock */
  constructor(endpoints: readonly { readonly url: string; readonly value: T }[], now: () => number) {
    this.#now = now
    this.#states = endpoints.map(({ url, value }) => ({
      url,
      value,
      latencyMs: { read: undefined, write: undefined },
      inFlight: 0,
      requests: 0,
      failures: 0,
      failuresInRow: 0,
      pauseMs: FIRST_PAUSE_MS,
      probeAt: 0,
      askedAt: now(),
      lastError: undefined,
    }))
    if (this.#states.length === 0) throw new RangeError('at least one endpoint is needed')
  }

  get size(): number {
    return this.#states.length
  }

  /**
   * An endpoint for one request: for a read one whose probe is due, else the one that should answer first (latency of this kind times requests
   * under way), else, when all are down, the one whose probe is due soonest. A write is never the probe while another endpoint is up: it could not
   * be repeated.
   */
  acquire({ kind = 'read', avoid, prefer }: Choice = {}): Lease<T> {
    const now = this.#now()
    const others = this.#states.filter((state) => state.url !== avoid)
    const candidates = others.length > 0 ? others : this.#states
    const up = candidates.filter((state) => !isDown(state))
    const due = kind === 'read' ? candidates.find((state) => isDown(state) && state.probeAt <= now && state.inFlight === 0) : undefined
    const chosen = due ?? (up.length > 0 ? this.#quickest(up, kind, prefer, now) : candidates.toSorted((a, b) => a.probeAt - b.probeAt)[0])
    if (chosen === undefined) throw new RangeError('no endpoint')
    return this.#lease(chosen, kind, now)
  }

  health(): EndpointHealth[] {
    return this.#states.map((state) => ({
      url: state.url,
      state: isDown(state) ? 'down' : 'up',
      latencyMs: { ...state.latencyMs },
      requests: state.requests,
      failures: state.failures,
      lastError: state.lastError,
    }))
  }

  #quickest(up: readonly State<T>[], kind: RequestKind, prefer: number | undefined, now: number): State<T> | undefined {
    if (prefer !== undefined) return up[prefer % up.length]
    const stale = up.find((state) => now - state.askedAt >= STALE_MS && state.inFlight === 0)
    if (stale !== undefined) return stale
    this.#turn += 1
    // One that has not answered yet counts as the quickest, so that it is tried soon and not by everybody at once.
    const known = up.flatMap((state) => state.latencyMs[kind] ?? [])
    const least = known.length > 0 ? Math.min(...known) : 1
    const cost = (state: State<T>) => (state.latencyMs[kind] ?? least) * (state.inFlight + 1)
    // Equal costs take turns: rotate before the stable sort.
    const from = this.#turn % up.length
    return [...up.slice(from), ...up.slice(0, from)].toSorted((a, b) => cost(a) - cost(b))[0]
  }

  #lease(state: State<T>, kind: RequestKind, startedAt: number): Lease<T> {
    let open = true
    state.inFlight += 1
    state.requests += 1
    state.askedAt = startedAt
    const end = (then: () => void): void => {
      if (!open) return
      open = false
      state.inFlight -= 1
      then()
    }
    return {
      url: state.url,
      value: state.value,
      answered: () => {
        const ms = this.#now() - startedAt
        const before = state.latencyMs[kind]
        state.latencyMs[kind] = before === undefined ? ms : before + SMOOTHING * (ms - before)
      },
      succeeded: () =>
        end(() => {
          state.failuresInRow = 0
          state.pauseMs = FIRST_PAUSE_MS
        }),
      failed: (error) => end(() => this.#fail(state, error)),
      released: () => end(() => undefined),
    }
  }

  #fail(state: State<T>, error: unknown): void {
    state.failures += 1
    state.failuresInRow += 1
    state.lastError = error instanceof Error ? error.message : String(error)
    if (!isDown(state)) return
    state.probeAt = this.#now() + state.pauseMs
    state.pauseMs = Math.min(2 * state.pauseMs, LONGEST_PAUSE_MS)
  }
}

const isDown = (state: State<unknown>): boolean => state.failuresInRow >= OUT_AFTER
