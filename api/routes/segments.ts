import { Elysia } from 'elysia'
import type { SegmentFilter } from '../../src/domain/segment-list.ts'
import { HttpQuery } from '../http-query.ts'
import { bodyOf, readJson } from '../json-body.ts'
import { operation } from '../openapi/operation.ts'
import { accepted, created, json, listing, noContent } from '../reply.ts'
import { isForm, segmentForm } from '../segment-form.ts'
import { deletionWish, viewOf } from '../trash-query.ts'
import type { RouteDeps } from './deps.ts'

export const segmentRoutes = ({ domain: { segments, flows, flowStorage }, http, contextOf, strict }: RouteDeps) =>
  new Elysia({ prefix: '/flows/:flowId' })
    .get(
      '/segments',
      async ({ request, params }) => {
        const query = new HttpQuery(request.url)
        const found = await segments.list(contextOf(request), params.flowId, () => segmentFilter(query, strict))
        return listing(http, request, found, query.boolean('reverse_order'), found.timerange.canonical())
      },
      { detail: operation('GET_flows-flowId-segments') },
    )
    .post(
      '/segments',
      async ({ request, params }) => {
        if (!strict && isForm(request)) {
          const form = await segmentForm(request)
          try {
            await segments.upload(contextOf(request), params.flowId, form.read)
          } finally {
            await form.close()
          }
          return created()
        }
        const body = await bodyOf(request, http.bodyLimit)
        const failed = await segments.post(contextOf(request), params.flowId, body)
        return failed.length === 0 ? created() : json(request, { failed_segments: failed })
      },
      { parse: 'none', detail: operation('POST_flows-flowId-segments') },
    )
    .delete(
      '/segments',
      async ({ request, params }) => {
        const query = new HttpQuery(request.url)
        const context = contextOf(request)
        const later = await flows.deleteSegments(context, params.flowId, () => {
          const objectId = query.text('object_id')
          const wish = strict ? {} : deletionWish(query)
          return { ...wish, timerange: query.timerange(), ...(objectId !== undefined && { objectId }) }
        })
        return later ? accepted(request, context.baseUrl, later) : noContent()
      },
      { detail: operation('DELETE_flows-flowId-segments') },
    )
    .post(
      '/storage',
      async ({ request, params }) => {
        const body = await bodyOf(request, http.bodyLimit, readJson)
        return json(request, await flowStorage.allocate(contextOf(request), params.flowId, body), { status: 201 })
      },
      { parse: 'none', detail: operation('POST_flows-flowId-storage') },
    )

const segmentFilter = (query: HttpQuery, strict: boolean): SegmentFilter => {
  const objectId = query.text('object_id')
  const deletionId = strict ? undefined : query.uuid('deletion_id')
  return {
    timerange: query.timerange(),
    includeObjectTimerange: query.boolean('include_object_timerange') ?? false,
    urls: query.urlOptions(strict),
    page: query.paging(),
    ...viewOf(query, strict),
    ...(!strict && { tags: query.tagFilters('tag') }),
    ...(deletionId !== undefined && { deletionId }),
    ...(objectId !== undefined && { objectId }),
  }
}
