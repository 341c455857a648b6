import { Elysia } from 'elysia'
import { HttpQuery } from '../http-query.ts'
import { requireJson } from '../json-body.ts'
import { operation } from '../openapi/operation.ts'
import { json, listing } from '../reply.ts'
import type { RouteDeps } from './deps.ts'

const ROOT = ['service', 'flows', 'sources', 'objects', 'flow-delete-requests']

export const serviceRoutes = ({ domain, http, contextOf }: RouteDeps) =>
  new Elysia()
    .get('/', ({ request }) => json(request, ROOT), { detail: operation('GET_root') })
    .get('/service', async ({ request }) => json(request, await domain.service.get(contextOf(request))), {
      detail: operation('GET_service'),
    })
    .post(
      '/service',
      async ({ request }) => {
        await domain.service.update(contextOf(request), await requireJson(request, http.bodyLimit))
        return new Response(null, { status: 200 })
      },
      { parse: 'none', detail: operation('POST_service') },
    )
    .get(
      '/service/storage-backends',
      ({ request }) => {
        const query = new HttpQuery(request.url)
        const page = query.paging()
        return listing(http, request, domain.service.storageBackends(contextOf(request), query.tagFilters('tag'), page), page.reverse)
      },
      { detail: operation('GET_storage-backends') },
    )
