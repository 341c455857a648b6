import { toMicroseconds } from '../core/clock.ts'

/** How long to wait after each failure in a row, in seconds; after one more the webhook is in error. */
const WAITS_S = [5, 300, 1800, 7200, 18_000, 36_000, 36_000]
/** A receiver may ask for more time, up to a day. */
const MAX_RETRY_AFTER_S = 86_400
const JITTER = 0.1

/** How one try ended; `status` is absent where no answer came. */
export interface Attempt {
  readonly status?: number
  readonly error?: string
  /** Seconds. */
  readonly retryAfter?: number
  readonly durationMs: number
}

export type Verdict =
  | { readonly kind: 'retry'; readonly atUs: bigint }
  | { readonly kind: 'give_up'; readonly status: 'error' | 'disabled'; readonly error: string }

/** Only 2xx is success (tams-behaviour.md 10.4). */
export const isDelivered = ({ status }: Attempt): boolean => status !== undefined && status >= 200 && status < 300

/** What follows the `failures`th failure in a row. 410 Gone disables the webhook: its receiver wants no more. */
export const afterFailure = (attempt: Attempt, failures: number, nowUs: bigint, random: () => number): Verdict => {
  if (attempt.status === 410)
    return { kind: 'give_up', status: 'disabled', error: error('receiver_gone', 'The receiver answered 410 Gone', nowUs) }
  const wait = WAITS_S[failures - 1]
  if (wait === undefined)
    return {
      kind: 'give_up',
      status: 'error',
      error: error('delivery_failed', `${failures} tries failed; the last: ${reason(attempt)}`, nowUs),
    }
  const jittered = wait * (1 + JITTER * (2 * random() - 1))
  const seconds = Math.max(jittered, Math.min(attempt.retryAfter ?? 0, MAX_RETRY_AFTER_S))
  return { kind: 'retry', atUs: nowUs + BigInt(Math.round(seconds * 1e6)) }
}

export const reason = ({ status, error: message }: Attempt): string => message ?? (status === undefined ? 'no answer' : `status ${status}`)

const error = (type: string, summary: string, nowUs: bigint): string => JSON.stringify({ type, summary, time: toMicroseconds(nowUs) })
