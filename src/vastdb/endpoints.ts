// Several addresses of one cluster. Any of them takes any request; those that fail are left out for a while, and the quicker ones are preferred.

/** How an endpoint has been doing. */
export interface EndpointHealth {
  readonly url: string
  readonly state: 'up' | 'down'
  /** Moving average of the time to the first byte of an answer in milliseconds; undefined before the first. */
  readonly latencyMs: number | undefined
  readonly requests: number
  readonly failures: number
  readonly lastError: string | undefined
}

const OUT_AFTER = 3
const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 60_000
const SMOOTHING = 0.2

interface State<T> {
  readonly url: string
  readonly value: T
  latencyMs: number | undefined
  inFlight: number
  requests: number
  failures: number
  failuresInRow: number
  pauseMs: number
  /** While down: when it may be tried again. */
  probeAt: number
  lastError: string | undefined
}

/** One use of an endpoint; exactly one of `succeeded` and `failed` ends it. */
export interface Lease<T> {
  readonly url: string
  readonly value: T
  /** The server answered, whatever it said. */
  succeeded(): void
  /** No answer: a refused or lost connection, or a time-out. */
  failed(error: unknown): void
  /** Given up by the caller; says nothing about the endpoint. */
  released(): void
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
      latencyMs: undefined,
      inFlight: 0,
      requests: 0,
      failures: 0,
      failuresInRow: 0,
      pauseMs: FIRST_PAUSE_MS,
      probeAt: 0,
      lastError: undefined,
    }))
    if (this.#states.length === 0) throw new RangeError('at least one endpoint is needed')
  }

  get size(): number {
    return this.#states.length
  }

  /**
   * An endpoint for one request: one whose probe is due, else the one that should answer first (latency times requests under way), else, when all
   * are down, the one whose probe is due soonest. `avoid` is passed over while there is another; `prefer` (a split number) spreads scans evenly.
   */
  acquire({ avoid, prefer }: { readonly avoid?: string | undefined; readonly prefer?: number | undefined } = {}): Lease<T> {
    const now = this.#now()
    const others = this.#states.filter((state) => state.url !== avoid)
    const candidates = others.length > 0 ? others : this.#states
    const due = candidates.find((state) => isDown(state) && state.probeAt <= now && state.inFlight === 0)
    const up = candidates.filter((state) => !isDown(state))
    const chosen = due ?? (up.length > 0 ? this.#quickest(up, prefer) : candidates.toSorted((a, b) => a.probeAt - b.probeAt)[0])
    if (chosen === undefined) throw new RangeError('no endpoint')
    return this.#lease(chosen, now)
  }

  /** An answer that broke off after its head had come. */
  lost(url: string, error: unknown): void {
    const state = this.#states.find((candidate) => candidate.url === url)
    if (state !== undefined) this.#fail(state, error)
  }

  health(): EndpointHealth[] {
    return this.#states.map((state) => ({
      url: state.url,
      state: isDown(state) ? 'down' : 'up',
      latencyMs: state.latencyMs,
      requests: state.requests,
      failures: state.failures,
      lastError: state.lastError,
    }))
  }

  #quickest(up: readonly State<T>[], prefer: number | undefined): State<T> | undefined {
    if (prefer !== undefined) return up[prefer % up.length]
    this.#turn += 1
    const cost = (state: State<T>) => (state.latencyMs ?? 0) * (state.inFlight + 1)
    // Equal costs take turns: rotate before the stable sort.
    const from = this.#turn % up.length
    return [...up.slice(from), ...up.slice(0, from)].toSorted((a, b) => cost(a) - cost(b))[0]
  }

  #lease(state: State<T>, startedAt: number): Lease<T> {
    let open = true
    state.inFlight += 1
    state.requests += 1
    const once = (then: () => void) => () => {
      if (!open) return
      open = false
      state.inFlight -= 1
      then()
    }
    return {
      url: state.url,
      value: state.value,
      succeeded: once(() => {
        const ms = this.#now() - startedAt
        state.latencyMs = state.latencyMs === undefined ? ms : state.latencyMs + SMOOTHING * (ms - state.latencyMs)
        state.failuresInRow = 0
        state.pauseMs = FIRST_PAUSE_MS
      }),
      failed: (error) => once(() => this.#fail(state, error))(),
      released: once(() => undefined),
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
