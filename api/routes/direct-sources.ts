import { Elysia } from 'elysia'
import { checkTagSet } from '../../src/domain/tags.ts'
import { bodyOf, requireJson } from '../json-body.ts'
import { operation } from '../openapi/operation.ts'
import { batchAnswer, json, located, noContent } from '../reply.ts'
import type { RouteDeps } from './deps.ts'

/** Sources written by clients themselves: an extension. */
export const directSourceRoutes = ({ domain: { directSources, sources }, http, contextOf }: RouteDeps) =>
  new Elysia({ prefix: '/sources' })
    .post(
      '',
      async ({ request }) => {
        const context = contextOf(request)
        const source = await directSources.create(context, await requireJson(request, http.bodyLimit))
        return located(request, `${context.baseUrl}/sources/${source.id}`, source)
      },
      { parse: 'none', detail: operation('POST_sources') },
    )
    .post(
      '/batch',
      async ({ request }) =>
        batchAnswer(request, await directSources.createAll(contextOf(request), await requireJson(request, http.bodyLimit))),
      { parse: 'none', detail: operation('POST_sources-batch') },
    )
    .put(
      '/:sourceId',
      async ({ request, params }) => {
        const body = await bodyOf(request, http.bodyLimit)
        const made = await directSources.put(contextOf(request), params.sourceId, body)
        return made ? json(request, made, { status: 201 }) : noContent()
      },
      { parse: 'none', detail: operation('PUT_sources-sourceId') },
    )
    .put(
      '/:sourceId/tags',
      async ({ request, params }) => {
        const body = await bodyOf(request, http.bodyLimit)
        await sources.putTags(contextOf(request), params.sourceId, () => checkTagSet(body()))
        return noContent()
      },
      { parse: 'none', detail: operation('PUT_sources-sourceId-tags') },
    )
