// Which failures are tried again, and when: connection failures of GET and HEAD, and 503 `SlowDown` of any method. Nothing else: a lost answer
// to a write may hide a success, and a time-out is the caller's limit. Waits are exponential with full jitter.
import { ConnectionFailed, SlowDown } from './errors.ts'

export interface RetryPolicy {
  /** Tries in all, the first included. */
  readonly maxTries: number
  /** No try starts later than this after the first, in milliseconds. */
  readonly maxTimeMs: number
  /** Longest single wait in milliseconds. */
  readonly maxWaitMs?: number | undefined
}

export const DEFAULT_RETRY: RetryPolicy = { maxTries: 10, maxTimeMs: 60_000 }

/** Time and chance, so that tests have neither. */
export interface RetryTools {
  /** Milliseconds of any steady clock. */
  readonly now: () => number
  /** 0 ≤ x < 1. */
  readonly random: () => number
  /** Settles after `ms`; rejects when the signal is aborted. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>
}

const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const stop = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    signal?.addEventListener('abort', stop, { once: true })
  })

export const systemTools: RetryTools = { now: () => performance.now(), random: Math.random, sleep }

/** Whether a failed request may be sent again. */
export const isRetriable = (error: unknown, method: string): boolean =>
  error instanceof SlowDown || (error instanceof ConnectionFailed && (method === 'GET' || method === 'HEAD'))

/** The wait after try `n` (0, 1, 2 …) in milliseconds: random(0, 2^n) seconds. */
export const waitAfter = (n: number, policy: RetryPolicy, random: () => number): number =>
  Math.min(random() * 2 ** n * 1000, policy.maxWaitMs ?? Number.POSITIVE_INFINITY)

/** Counts tries and waits between them: one per request, or per split of a query. */
export class Backoff {
  readonly #policy: RetryPolicy
  readonly #tools: RetryTools
  readonly #start: number
  #tries = 0

  constructor(policy: RetryPolicy, tools: RetryTools) {
    this.#policy = policy
    this.#tools = tools
    this.#start = tools.now()
  }

  /** Waits for the next try, or throws `error` when tries or time are used up. */
  async next(error: unknown, signal?: AbortSignal): Promise<void> {
    this.#tries += 1
    if (this.#tries >= this.#policy.maxTries) throw error
    const wait = waitAfter(this.#tries - 1, this.#policy, this.#tools.random)
    if (this.#tools.now() + wait - this.#start > this.#policy.maxTimeMs) throw error
    await this.#tools.sleep(wait, signal)
  }
}

/** Runs `attempt` until it succeeds, fails with an error that is not retriable, or the policy ends. */
export const retrying = async <T>(
  attempt: () => Promise<T>,
  options: { readonly method: string; readonly policy: RetryPolicy; readonly tools: RetryTools; readonly signal?: AbortSignal | undefined },
): Promise<T> => {
  const backoff = new Backoff(options.policy, options.tools)
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (!isRetriable(error, options.method)) throw error
      await backoff.next(error, options.signal)
    }
  }
}
