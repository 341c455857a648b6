import { Elysia } from 'elysia'
import { requireJson } from '../json-body.ts'
import { operation } from '../openapi/operation.ts'
import { batchAnswer, json, located, pathText } from '../reply.ts'
import type { RouteDeps } from './deps.ts'

/** Objects registered without a segment, and what is known of any: extensions. */
export const directObjectRoutes = ({ domain: { directObjects }, http, contextOf }: RouteDeps) =>
  new Elysia({ prefix: '/objects' })
    .post(
      '',
      async ({ request }) => {
        const context = contextOf(request)
        const { id } = await directObjects.create(context, await requireJson(request, http.bodyLimit))
        return located(request, `${context.baseUrl}/objects/${encodeURIComponent(id)}`, { id })
      },
      { parse: 'none', detail: operation('POST_objects') },
    )
    .post(
      '/batch',
      async ({ request }) =>
        batchAnswer(request, await directObjects.createAll(contextOf(request), await requireJson(request, http.bodyLimit))),
      { parse: 'none', detail: operation('POST_objects-batch') },
    )
    .get(
      '/:objectId/details',
      async ({ request, params }) => json(request, await directObjects.details(contextOf(request), pathText(params.objectId, request))),
      { detail: operation('GET_objects-details') },
    )
