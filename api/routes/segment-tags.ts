import { Elysia } from 'elysia'
import type { SegmentChoice } from '../../src/domain/segment-tags.ts'
import { checkTagSet, checkTagValue } from '../../src/domain/tags.ts'
import { HttpQuery } from '../http-query.ts'
import { bodyOf } from '../json-body.ts'
import { operation } from '../openapi/operation.ts'
import { json, noContent, pathText } from '../reply.ts'
import type { RouteDeps } from './deps.ts'

/** Tags of one segment, named by its object: an extension. */
export const segmentTagRoutes = ({ domain: { segmentTags }, http, contextOf }: RouteDeps) => {
  const chosen = (request: Request, objectId: string): SegmentChoice => ({
    objectId: pathText(objectId, request),
    timerange: () => new HttpQuery(request.url).timerange(),
  })

  return new Elysia({ prefix: '/flows/:flowId/segments/:objectId/tags' })
    .get(
      '',
      async ({ request, params }) =>
        json(request, await segmentTags.tags(contextOf(request), params.flowId, chosen(request, params.objectId))),
      { detail: operation('GET_flows-flowId-segments-objectId-tags') },
    )
    .put(
      '',
      async ({ request, params }) => {
        const body = await bodyOf(request, http.bodyLimit)
        const choice = chosen(request, params.objectId)
        await segmentTags.putTags(contextOf(request), params.flowId, choice, () => checkTagSet(body(), 'tags'))
        return noContent()
      },
      { parse: 'none', detail: operation('PUT_flows-flowId-segments-objectId-tags') },
    )
    .delete(
      '',
      async ({ request, params }) => {
        await segmentTags.putTags(contextOf(request), params.flowId, chosen(request, params.objectId), () => ({}))
        return noContent()
      },
      { detail: operation('DELETE_flows-flowId-segments-objectId-tags') },
    )
    .get(
      '/:name',
      async ({ request, params }) => {
        const choice = chosen(request, params.objectId)
        return json(request, await segmentTags.tag(contextOf(request), params.flowId, choice, pathText(params.name, request)))
      },
      { detail: operation('GET_flows-flowId-segments-objectId-tags-name') },
    )
    .put(
      '/:name',
      async ({ request, params }) => {
        const body = await bodyOf(request, http.bodyLimit)
        const choice = chosen(request, params.objectId)
        const name = pathText(params.name, request)
        await segmentTags.putTag(contextOf(request), params.flowId, choice, name, () => checkTagValue(body(), 'tag'))
        return noContent()
      },
      { parse: 'none', detail: operation('PUT_flows-flowId-segments-objectId-tags-name') },
    )
    .delete(
      '/:name',
      async ({ request, params }) => {
        const choice = chosen(request, params.objectId)
        await segmentTags.deleteTag(contextOf(request), params.flowId, choice, pathText(params.name, request))
        return noContent()
      },
      { detail: operation('DELETE_flows-flowId-segments-objectId-tags-name') },
    )
}
