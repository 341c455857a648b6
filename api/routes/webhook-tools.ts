import { Elysia } from 'elysia'
import { TamsError } from '../../src/core/errors.ts'
import type { TestedWebhook } from '../../src/domain/webhook-tools.ts'
import type { Attempt } from '../../src/workers/delivery-schedule.ts'
import { HttpQuery } from '../http-query.ts'
import { operation } from '../openapi/operation.ts'
import { json } from '../reply.ts'
import type { RouteDeps } from './deps.ts'

export interface WebhookToolDeps extends RouteDeps {
  /** One try to deliver this message. */
  readonly send: (test: TestedWebhook, signal: AbortSignal) => Promise<Attempt>
}

/** Tests and replays of one webhook in one minute. */
const PER_MINUTE = 10

/** What the specification does not have for webhooks. */
export const webhookToolRoutes = ({ domain: { webhookTools, webhooks }, contextOf, send }: WebhookToolDeps) => {
  const spend = perMinute(PER_MINUTE)
  return new Elysia({ prefix: '/service/webhooks/:webhookId' })
    .get('/deliveries', async ({ request, params }) => json(request, await webhookTools.deliveries(contextOf(request), params.webhookId)), {
      detail: operation('GET_webhooks-webhookId-deliveries'),
    })
    .get(
      '/signing-secret',
      async ({ request, params }) => json(request, await webhooks.signingSecret(contextOf(request), params.webhookId), UNCACHED),
      { detail: operation('GET_webhooks-webhookId-signing-secret') },
    )
    .post(
      '/signing-secret/rotate',
      async ({ request, params }) => json(request, await webhooks.rotateSecret(contextOf(request), params.webhookId), UNCACHED),
      { parse: 'none', detail: operation('POST_webhooks-webhookId-signing-secret-rotate') },
    )
    .post(
      '/test',
      async ({ request, params }) => {
        const test = await webhookTools.test(contextOf(request), params.webhookId)
        spend(params.webhookId)
        const { status, error, durationMs } = await send(test, request.signal)
        const delivered = status !== undefined && status >= 200 && status < 300
        const answer = { delivered, ...(status !== undefined && { status }), duration_ms: Math.round(durationMs), ...(error && { error }) }
        return json(request, answer)
      },
      { parse: 'none', detail: operation('POST_webhooks-webhookId-test') },
    )
    .post(
      '/replay',
      async ({ request, params }) => {
        const since = () => {
          spend(params.webhookId)
          return new HttpQuery(request.url).time('since', true)
        }
        return json(request, await webhooks.replay(contextOf(request), params.webhookId, since))
      },
      { parse: 'none', detail: operation('POST_webhooks-webhookId-replay') },
    )
}

const UNCACHED = { headers: { 'cache-control': 'no-store' } }

/** Throws `too_many_requests` for more than `limit` calls for one key in a minute. */
const perMinute = (limit: number) => {
  const counts = new Map<string, number>()
  let endMs = 0
  return (key: string): void => {
    const now = performance.now()
    if (now >= endMs) {
      counts.clear()
      endMs = now + 60_000
    }
    const count = (counts.get(key) ?? 0) + 1
    counts.set(key, count)
    if (count > limit) throw new TamsError('too_many_requests', `At most ${limit} tests and replays of a webhook are done in a minute`)
  }
}
