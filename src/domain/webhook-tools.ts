import { Type } from '@sinclair/typebox'
import { toMicroseconds } from '../core/clock.ts'
import { eq } from '../core/predicate.ts'
import type { Row } from '../storage/schema.ts'
import type { Context } from './context.ts'
import type { Deps } from './deps.ts'
import { timeOrderedId } from './record.ts'
import { getWebhook, type WebhookRow } from './webhook.ts'

/** One of the last tries to deliver. */
export const Delivery = Type.Object({
  event: Type.String({ description: 'Number of the event; the id of `GET /events`' }),
  status: Type.Union([Type.Literal('delivered'), Type.Literal('failed')]),
  time: Type.String({ format: 'date-time' }),
  failures: Type.Integer({ description: 'Tries that failed in a row, this one included' }),
  response_status: Type.Optional(Type.Integer()),
  duration_ms: Type.Optional(Type.Number()),
  error: Type.Optional(Type.String()),
})

/** A message that nothing in the store stands behind. */
export interface TestedWebhook {
  readonly webhook: WebhookRow
  readonly message: { readonly id: string; readonly body: string }
}

const MAX_DELIVERIES = 100

export const webhookToolUseCases = ({ tables, clock }: Deps) => ({
  /** The last tries, newest first: at most 100. Throws `not_found`. */
  deliveries: (context: Context, id: string): Promise<object[]> =>
    tables.read(async (tx) => {
      await getWebhook(tx, context, id)
      const { rows } = await tx.list('deliveries', { where: eq('webhook_id', id), limit: MAX_DELIVERIES })
      return rows.toSorted((a, b) => (a.created === b.created ? 0 : a.created < b.created ? 1 : -1)).map(document)
    }),

  /** What a test sends: a message of the type `webhooks/test`, which no filter holds back. Throws `not_found`. */
  test: (context: Context, id: string): Promise<TestedWebhook> =>
    tables.read(async (tx) => {
      const webhook = await getWebhook(tx, context, id)
      const nowUs = clock.nowUs()
      const message = { event_timestamp: toMicroseconds(nowUs), event_type: 'webhooks/test', event: { webhook_id: id } }
      return { webhook, message: { id: `test_${timeOrderedId(nowUs)}`, body: JSON.stringify(message) } }
    }),
})

const document = (row: Row<'deliveries'>): object => ({
  event: String(row.seq),
  status: row.status,
  time: toMicroseconds(row.created),
  failures: row.attempts,
  ...(row.response_status !== null && { response_status: row.response_status }),
  ...(row.duration_ms !== null && { duration_ms: Math.round(row.duration_ms * 10) / 10 }),
  ...(row.error !== null && { error: row.error }),
})
