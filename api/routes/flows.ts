import { Elysia } from 'elysia'
import type { FlowFilter } from '../../src/domain/flow.ts'
import { FLOW_STATUSES, formatList } from '../../src/domain/flow-schema.ts'
import { HttpQuery } from '../http-query.ts'
import { bodyOf } from '../json-body.ts'
import { operation } from '../openapi/operation.ts'
import { accepted, json, listing, noContent } from '../reply.ts'
import { deletionWish, viewOf } from '../trash-query.ts'
import type { RouteDeps } from './deps.ts'

export const flowRoutes = ({ domain: { flows }, http, contextOf, strict }: RouteDeps) =>
  new Elysia({ prefix: '/flows' })
    .get(
      '',
      async ({ request }) => {
        const query = new HttpQuery(request.url)
        const sort = query.oneOf('sort_by', ['created', 'metadata_updated', 'label']) ?? 'created'
        const page = query.paging()
        return listing(http, request, await flows.list(contextOf(request), flowFilter(query, strict), sort, page), page.reverse)
      },
      { detail: operation('GET_flows') },
    )
    .get(
      '/:flowId',
      async ({ request, params }) => {
        const query = new HttpQuery(request.url)
        const options = () => ({
          includeTimerange: query.boolean('include_timerange') ?? false,
          timerange: query.timerange(),
          ...viewOf(query, strict),
        })
        return json(request, await flows.get(contextOf(request), params.flowId, options))
      },
      { detail: operation('GET_flows-flowId') },
    )
    .put(
      '/:flowId',
      async ({ request, params }) => {
        const body = await bodyOf(request, http.bodyLimit)
        const flow = await flows.put(contextOf(request), params.flowId, body)
        return flow ? json(request, flow, { status: 201 }) : noContent()
      },
      { parse: 'none', detail: operation('PUT_flows-flowId') },
    )
    .delete(
      '/:flowId',
      async ({ request, params }) => {
        const context = contextOf(request)
        const later = await flows.deleteFlow(context, params.flowId, () => (strict ? {} : deletionWish(new HttpQuery(request.url))))
        return later ? accepted(request, context.baseUrl, later) : noContent()
      },
      { detail: operation('DELETE_flows-flowId') },
    )

const flowFilter = (query: HttpQuery, strict: boolean): FlowFilter => {
  const filter = {
    sourceId: query.uuid('source_id'),
    timerange: query.timerange(),
    format: query.oneOf('format', formatList),
    codec: query.mimeType('codec'),
    label: query.text('label'),
    status: query.oneOf('status', FLOW_STATUSES),
    profileId: query.uuid('profile_id'),
    frameWidth: query.integer('frame_width'),
    frameHeight: query.integer('frame_height'),
    initSegments: query.boolean('init_segments'),
    collectedByIds: query.uuidList('collected_by_ids'),
  }
  return { tags: query.tagFilters('tag'), ...withoutUndefined(filter), ...viewOf(query, strict) }
}

const withoutUndefined = <T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> }
