import { Elysia } from 'elysia'
import { HttpQuery } from '../http-query.ts'
import { operation } from '../openapi/operation.ts'
import { json, listing } from '../reply.ts'
import type { RouteDeps } from './deps.ts'

export const deletionRequestRoutes = ({ domain: { deletionRequests }, http, contextOf }: RouteDeps) =>
  new Elysia({ prefix: '/flow-delete-requests' })
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
