import { type EventOptions, webhookOptions } from '../domain/event-render.ts'
import { parseSettings, type WebhookRow } from '../domain/webhook.ts'
import type { WebhookSettings } from '../domain/webhook-schema.ts'
import type { Row } from '../storage/schema.ts'
import { type Attempt, isDelivered, reason, type Verdict } from './delivery-schedule.ts'

export interface LoggedAttempt {
  readonly seq: bigint
  readonly attempt: Attempt
  readonly atUs: bigint
  readonly failures: number
}

/** Between two writes of the log of attempts only the newest are remembered. */
const MAX_PENDING = 20

/** One active webhook: how far it has come, which the store follows with a little delay. */
export class WebhookState {
  readonly settings: WebhookSettings
  readonly options: EventOptions
  readonly optionsKey: string
  /** With the port. */
  readonly host: string
  /** The last number of the log that is settled. */
  position: bigint
  /** `position` as it is in the store. */
  stored: bigint
  failures: number
  nextAttemptUs: bigint
  /** There is something to write besides a position that only passed over events of no concern. */
  dirty = false
  attempted = false
  verdict: Extract<Verdict, { kind: 'give_up' }> | undefined
  pending: LoggedAttempt[] = []
  /** Of the ring of attempts in the store; unknown before the first. */
  nextSlot: number | undefined
  /** The webhook was changed or removed meanwhile: this state is not to be used any more. */
  stale = false
  /** When the try in flight began, in milliseconds of `performance.now()`. */
  tryingSinceMs: number | undefined

  constructor(
    readonly row: WebhookRow,
    cursor: Row<'webhook_cursors'>,
  ) {
    this.settings = parseSettings(row)
    this.options = webhookOptions(this.settings)
    this.optionsKey = JSON.stringify(this.options)
    this.host = URL.parse(row.url)?.host ?? ''
    this.position = cursor.position
    this.stored = cursor.position
    this.failures = cursor.attempts
    this.nextAttemptUs = cursor.next_attempt
  }

  note(seq: bigint, attempt: Attempt, atUs: bigint): void {
    this.attempted = true
    this.dirty = true
    if (isDelivered(attempt)) {
      this.position = seq
      this.failures = 0
      this.nextAttemptUs = 0n
    } else this.failures++
    this.pending.push({ seq, attempt, atUs, failures: this.failures })
    if (this.pending.length > MAX_PENDING) this.pending.shift()
  }
}

const RING = 100

/** Attempts as rows; each takes the place of the one that lies `RING` attempts back. */
export const attemptRows = (webhookId: string, attempts: readonly LoggedAttempt[], firstSlot: number): Row<'deliveries'>[] =>
  attempts.map(({ seq, attempt, atUs, failures }, index) => ({
    id: `${webhookId} ${String((firstSlot + index) % RING).padStart(2, '0')}`,
    webhook_id: webhookId,
    seq,
    flow_id: null,
    status: isDelivered(attempt) ? 'delivered' : 'failed',
    attempts: failures,
    next_attempt: 0n,
    response_status: attempt.status ?? null,
    duration_ms: attempt.durationMs,
    error: isDelivered(attempt) ? null : reason(attempt),
    created: atUs,
    updated: atUs,
  }))

export const slotAfter = (rows: readonly Pick<Row<'deliveries'>, 'id' | 'created'>[]): number => {
  const newest = rows.reduce<(typeof rows)[number] | undefined>((best, row) => (best && best.created > row.created ? best : row), undefined)
  return newest ? (Number(newest.id.slice(-2)) + 1) % RING : 0
}
