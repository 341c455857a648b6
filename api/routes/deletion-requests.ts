import { Elysia } from 'elysia'
import { HttpQuery } from '../http-query.ts'
import { requireJson } from '../json-body.ts'
import { operation } from '../openapi/operation.ts'
import { json, listing, located } from '../reply.ts'
import { deletionWish } from '../trash-query.ts'
import type { RouteDeps } from './deps.ts'

export const deletionRequestRoutes = ({ domain: { deletionRequests, flows }, http, contextOf, strict }: RouteDeps) => {
  const routes = new Elysia({ prefix: '/flow-delete-requests' })
    .get(
      '',
      async ({ request }) => {
        const query = new HttpQuery(request.url)
        const page = query.paging()
        const sort = query.oneOf('sort_by', ['created', 'expiry']) ?? 'created'
        return listing(http, request, await deletionRequests.list(contextOf(request), sort, page), page.reverse)
      },
      { detail: operation('GET_flow-delete-requests') },
    )
    .get('/:requestId', async ({ request, params }) => json(request, await deletionRequests.get(contextOf(request), params.requestId)), {
      detail: operation('GET_flow-delete-requests-request-id'),
    })
  if (!strict)
    routes.post(
      '',
      async ({ request }) => {
        const context = contextOf(request)
        const body = await requireJson(request, http.bodyLimit)
        const made = await flows.requestDeletion(context, body, () => deletionWish(new HttpQuery(request.url)))
        return located(request, `${context.baseUrl}/flow-delete-requests/${made.id}`, made)
      },
      { parse: 'none', detail: operation('POST_flow-delete-requests') },
    )
  return routes
}
