import { Elysia } from 'elysia'
import { HttpQuery } from '../http-query.ts'
import { bodyOf } from '../json-body.ts'
import { operation } from '../openapi/operation.ts'
import { json, listing, noContent } from '../reply.ts'
import type { RouteDeps } from './deps.ts'

export const webhookRoutes = ({ domain: { webhooks }, http, contextOf }: RouteDeps) =>
  new Elysia({ prefix: '/service/webhooks' })
    .get(
      '',
      async ({ request }) => {
        const query = new HttpQuery(request.url)
        const page = query.paging()
        return listing(http, request, await webhooks.list(contextOf(request), query.tagFilters('tag'), page), page.reverse)
      },
      { detail: operation('GET_webhooks') },
    )
    .post(
      '',
      async ({ request }) => {
        const body = await bodyOf(request, http.bodyLimit)
        return json(request, await webhooks.create(contextOf(request), body), { status: 201 })
      },
      { parse: 'none', detail: operation('POST_webhooks') },
    )
    .get('/:webhookId', async ({ request, params }) => json(request, await webhooks.get(contextOf(request), params.webhookId)), {
      detail: operation('GET_webhooks-webhookId'),
    })
    .put(
      '/:webhookId',
      async ({ request, params }) => {
        const body = await bodyOf(request, http.bodyLimit)
        return json(request, await webhooks.put(contextOf(request), params.webhookId, body), { status: 201 })
      },
      { parse: 'none', detail: operation('PUT_webhooks') },
    )
    .delete(
      '/:webhookId',
      async ({ request, params }) => {
        await webhooks.delete(contextOf(request), params.webhookId)
        return noContent()
      },
      { detail: operation('DELETE_webhooks-webhookId') },
    )
