export interface RetryOptions {
  readonly attempts: number
  /** Of the first pause, in milliseconds; each further one may be twice as long. */
  readonly baseMs: number
  readonly maxMs: number
  readonly sleep: (ms: number) => Promise<void>
  /** In [0, 1). */
  readonly random: () => number
}

export const defaultRetry: RetryOptions = {
  attempts: 6,
  baseMs: 200,
  maxMs: 10_000,
  sleep: (ms) => Bun.sleep(ms),
  random: Math.random,
}

/** Thrown by an attempt that may be made again. */
export class Retryable extends Error {
  override readonly name = 'Retryable'

  constructor(
    readonly failure: Error,
    /** What the server asked for in `Retry-After`, in milliseconds. */
    readonly waitMs?: number,
  ) {
    super(failure.message)
  }
}

/** Runs `attempt` until it does something else than throw `Retryable`, with pauses of random length that grow; then throws its failure. */
export const withRetry = async <T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> => {
  for (let tried = 1; ; tried++) {
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof Retryable)) throw error
      if (tried >= options.attempts) throw error.failure
      const ceiling = Math.min(options.maxMs, options.baseMs * 2 ** (tried - 1))
      await options.sleep(error.waitMs ?? ceiling * (0.5 + options.random() / 2))
    }
  }
}
