import { Elysia } from 'elysia'
import { HttpQuery } from '../http-query.ts'
import { bodyOf } from '../json-body.ts'
import { operation } from '../openapi/operation.ts'
import { created, json, noContent, pagingHeaders, pathText } from '../reply.ts'
import { viewOf } from '../trash-query.ts'
import type { RouteDeps } from './deps.ts'

export const objectRoutes = ({ domain: { objects }, http, contextOf, strict }: RouteDeps) =>
  new Elysia({ prefix: '/objects' })
    .get(
      '/:objectId',
      async ({ request, params }) => {
        const query = new HttpQuery(request.url)
        const found = await objects.get(contextOf(request), pathText(params.objectId, request), () => ({
          urls: query.urlOptions(strict),
          flowTags: query.tagFilters('flow_tag'),
          page: query.paging(),
          ...viewOf(query, strict),
        }))
        return json(request, found.object, { headers: pagingHeaders(http, request, found.flows, {}) })
      },
      { detail: operation('GET_objects') },
    )
    .post(
      '/:objectId/instances',
      async ({ request, params }) => {
        await objects.add(contextOf(request), pathText(params.objectId, request), await bodyOf(request, http.bodyLimit))
        return created()
      },
      { parse: 'none', detail: operation('POST_objects-instances') },
    )
    .delete(
      '/:objectId/instances',
      async ({ request, params }) => {
        const query = new HttpQuery(request.url)
        const storageId = query.text('storage_id')
        const label = query.text('label')
        const selector = { ...(storageId !== undefined && { storageId }), ...(label !== undefined && { label }) }
        await objects.remove(contextOf(request), pathText(params.objectId, request), selector)
        return noContent()
      },
      { detail: operation('DELETE_objects-instances') },
    )
