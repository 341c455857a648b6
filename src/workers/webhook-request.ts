import type { Clock } from '../core/clock.ts'
import { parseSecrets, type WebhookRow } from '../domain/webhook.ts'
import { signatures } from '../domain/webhook-secret.ts'
import type { Attempt } from './delivery-schedule.ts'
import type { GuardedFetch } from './guarded-fetch.ts'

const TIMEOUT_MS = 15_000
/** So much of an answer is read, to have the connection used again. */
const MAX_ANSWER_BYTES = 64 * 1024

export interface Message {
  /** The same in every try (`webhook-id` of Standard Webhooks). */
  readonly id: string
  readonly body: string
}

/** One try to deliver; never throws, except when `signal` fires. */
export const tryDelivery = async (
  { clock, request }: { readonly clock: Clock; readonly request: GuardedFetch },
  webhook: WebhookRow,
  { id, body }: Message,
  signal: AbortSignal,
): Promise<Attempt> => {
  const nowUs = clock.nowUs()
  const timestamp = String(nowUs / 1_000_000n)
  const started = performance.now()
  // One controller for all of a try: signals combined by the runtime stay until their time-out, thousands at a time.
  const ending = new AbortController()
  const end = () => ending.abort(signal.reason)
  const timer = setTimeout(() => ending.abort(new DOMException(`no answer within ${TIMEOUT_MS} ms`, 'TimeoutError')), TIMEOUT_MS)
  signal.addEventListener('abort', end)
  try {
    const response = await request({
      url: webhook.url,
      method: 'POST',
      headers: {
        ...(webhook.api_key_name !== null && webhook.api_key_value !== null && { [webhook.api_key_name]: webhook.api_key_value }),
        'content-type': 'application/json',
        'user-agent': 'vast-tams',
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': signatures(parseSecrets(webhook), id, timestamp, body, nowUs),
      },
      body,
      timeoutMs: TIMEOUT_MS,
      signal: ending.signal,
    })
    await discard(response)
    const wait = retryAfter(response.headers.get('retry-after'), nowUs)
    return { status: response.status, ...(wait !== undefined && { retryAfter: wait }), durationMs: performance.now() - started }
  } catch (error) {
    if (signal.aborted) throw error
    return { error: error instanceof Error ? error.message.slice(0, 500) : String(error), durationMs: performance.now() - started }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', end)
  }
}

// The status alone decides: what goes wrong behind it is no failure.
const discard = async (response: Response): Promise<void> => {
  if (!response.body) return
  let read = 0
  try {
    for await (const chunk of response.body) {
      read += chunk.byteLength
      if (read > MAX_ANSWER_BYTES) return
    }
  } catch {
    return
  }
}

/** Seconds. RFC 9110 10.2.3: a number of them, or a date. */
const retryAfter = (header: string | null, nowUs: bigint): number | undefined => {
  if (header === null) return undefined
  if (/^\d{1,9}$/.test(header.trim())) return Number(header)
  const date = Date.parse(header)
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - Number(nowUs / 1000n)) / 1000))
}
