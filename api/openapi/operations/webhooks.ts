import { Type } from '@sinclair/typebox'
import { Webhook, WebhookPost, WebhookPut } from '../../../src/domain/webhook-schema.ts'
import { Delivery } from '../../../src/domain/webhook-tools.ts'
import * as example from '../examples.ts'
import type { Operations } from '../model.ts'
import { inQuery, limit, page, reverseOrder, tagFilters, webhookId } from '../parameters.ts'
import { answer, body, failing, failingWithBody, listing, noContent } from '../responses.ts'

const FILTERS =
  'Only events of the types in `events` are sent, and of these only what all filters let through; a filter that is absent lets everything through. `flow_collected_by_ids` and `source_collected_by_ids` as empty lists stand for what nobody collects. `accept_get_urls`, `accept_storage_ids`, `presigned`, `verbose_storage` and `include_object_timerange` shape `flows/segments_added` like the parameters of the segment listing.'

export const webhookOperations: Operations = {
  GET_webhooks: {
    method: 'get',
    path: '/service/webhooks',
    tag: 'Webhooks',
    summary: 'List webhooks',
    description: 'All webhooks, by `url` (its first 64 bytes), then by id.',
    parameters: [reverseOrder, ...tagFilters('tag', 'webhooks', 'Leeds'), page, limit],
    responses: { 200: listing('full', 'The webhooks.', Type.Array(Webhook), [example.webhook]), ...failing(400, 404) },
  },
  POST_webhooks: {
    method: 'post',
    path: '/service/webhooks',
    tag: 'Webhooks',
    summary: 'Register a webhook',
    description: `Events from now on are sent to \`url\`, in order and at least once. ${FILTERS} A second webhook with the same URL is one of its own.`,
    requestBody: body('The webhook.', WebhookPost, example.webhookPost),
    responses: { 201: answer('The webhook as registered.', Webhook, example.webhook), ...failingWithBody(400, 403, 404) },
  },
  'GET_webhooks-webhookId': {
    method: 'get',
    path: '/service/webhooks/{webhookId}',
    tag: 'Webhooks',
    summary: 'Get a webhook',
    description: 'One webhook. `api_key_value` is never shown; `error` says why sending ended.',
    parameters: [webhookId],
    responses: { 200: answer('The webhook.', Webhook, example.webhook), ...failing(404) },
  },
  PUT_webhooks: {
    method: 'put',
    path: '/service/webhooks/{webhookId}',
    tag: 'Webhooks',
    summary: 'Replace a webhook',
    description: `Replaces all members; without \`api_key_value\` the stored one stays if \`api_key_name\` is the same. \`status\` is \`created\` (send) or \`disabled\` (do not). A webhook in \`error\` goes on where it had come to when it is set to \`created\`; one that was \`disabled\` gets the events from then on. ${FILTERS}`,
    parameters: [webhookId],
    requestBody: body('The webhook; its `id` is the one in the path.', WebhookPut, example.webhookPut),
    responses: { 201: answer('The webhook as it is now.', Webhook, example.webhook), ...failingWithBody(400, 403, 404) },
  },
  'DELETE_webhooks-webhookId': {
    method: 'delete',
    path: '/service/webhooks/{webhookId}',
    tag: 'Webhooks',
    summary: 'Delete a webhook',
    description: 'Nothing more is sent, except what is on its way.',
    parameters: [webhookId],
    responses: { 204: noContent, ...failing(403, 404) },
  },
}

const Secret = Type.Object({ secret: Type.String({ pattern: '^whsec_' }) })
const secret = { secret: 'whsec_c2lnbmluZyBzZWNyZXQgb2YgYW4gZXhhbXBsZS4uLi4=' }

export const webhookToolOperations: Operations = {
  'GET_webhooks-webhookId-deliveries': {
    method: 'get',
    path: '/service/webhooks/{webhookId}/deliveries',
    tag: 'Webhooks',
    extension: true,
    summary: 'List the last tries to deliver',
    description:
      'The last tries to send something to this webhook, newest first; at most 100 are kept. Not part of the TAMS specification.',
    parameters: [webhookId],
    responses: { 200: answer('The tries.', Type.Array(Delivery), [example.delivery]), ...failing(404) },
  },
  'GET_webhooks-webhookId-signing-secret': {
    method: 'get',
    path: '/service/webhooks/{webhookId}/signing-secret',
    tag: 'Webhooks',
    extension: true,
    summary: 'Get the signing secret',
    description: 'What `webhook-signature` of every delivery is made with (Standard Webhooks 1.0). Not part of the TAMS specification.',
    parameters: [webhookId],
    responses: { 200: answer('The secret.', Secret, secret), ...failing(404) },
  },
  'POST_webhooks-webhookId-signing-secret-rotate': {
    method: 'post',
    path: '/service/webhooks/{webhookId}/signing-secret/rotate',
    tag: 'Webhooks',
    extension: true,
    summary: 'Change the signing secret',
    description: 'Makes a new secret; for 24 hours the former one signs as well. Not part of the TAMS specification.',
    parameters: [webhookId],
    responses: { 200: answer('The new secret.', Secret, secret), ...failing(404) },
  },
  'POST_webhooks-webhookId-test': {
    method: 'post',
    path: '/service/webhooks/{webhookId}/test',
    tag: 'Webhooks',
    extension: true,
    summary: 'Send a test message',
    description:
      'Sends one message of the type `webhooks/test` at once, whatever the status and filters of the webhook, and tells how that ended. At most ten tests and replays of a webhook are done in a minute. Not part of the TAMS specification.',
    parameters: [webhookId],
    responses: {
      200: answer(
        'How the receiver answered.',
        Type.Object({
          delivered: Type.Boolean(),
          status: Type.Optional(Type.Integer()),
          duration_ms: Type.Integer(),
          error: Type.Optional(Type.String()),
        }),
        { delivered: true, status: 200, duration_ms: 12 },
      ),
      ...failing(404, 429),
    },
  },
  'POST_webhooks-webhookId-replay': {
    method: 'post',
    path: '/service/webhooks/{webhookId}/replay',
    tag: 'Webhooks',
    extension: true,
    summary: 'Send stored events again',
    description:
      'Sends the stored events from `since` on again, as far as they are still stored and concern the webhook, and goes on from there in order. At most ten tests and replays of a webhook are done in a minute. Not part of the TAMS specification.',
    parameters: [
      webhookId,
      {
        ...inQuery(
          'since',
          'The moment from which on events are sent again.',
          Type.String({ format: 'date-time' }),
          '2026-03-02T09:15:00Z',
        ),
        required: true,
      },
    ],
    responses: {
      200: answer('How many stored events are looked through.', Type.Object({ events: Type.Integer({ minimum: 0 }) }), { events: 17 }),
      ...failing(400, 404, 409, 429),
    },
  },
}
