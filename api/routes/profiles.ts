import { Elysia } from 'elysia'
import { formatList } from '../../src/domain/flow-schema.ts'
import { HttpQuery } from '../http-query.ts'
import { requireJson } from '../json-body.ts'
import { operation } from '../openapi/operation.ts'
import { json, pagingHeaders } from '../reply.ts'
import type { RouteDeps } from './deps.ts'

export const profileRoutes = ({ domain, http, contextOf }: RouteDeps) =>
  new Elysia({ prefix: '/service/profiles' })
    .get(
      '',
      async ({ request }) => {
        const query = new HttpQuery(request.url)
        const format = query.oneOf('format', formatList)
        const codec = query.mimeType('codec')
        const label = query.text('label')
        const filter = { ...(format && { format }), ...(codec && { codec }), ...(label && { label }) }
        const page = await domain.profiles.list(contextOf(request), filter, query.paging())
        return json(request, page.items, { headers: pagingHeaders(http, request, page, {}) })
      },
      { detail: operation('GET_profiles') },
    )
    .get('/:profileId', async ({ request, params }) => json(request, await domain.profiles.get(contextOf(request), params.profileId)), {
      detail: operation('GET_profiles-profileId'),
    })
    .post(
      '/:profileId',
      async ({ request, params }) => {
        const body = await requireJson(request, http.bodyLimit)
        return json(request, await domain.profiles.create(contextOf(request), params.profileId, body), { status: 201 })
      },
      { parse: 'none', detail: operation('POST_profiles-profileId') },
    )
