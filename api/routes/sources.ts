import { Elysia } from 'elysia'
import { checkText } from '../../src/domain/flow-properties.ts'
import { formatList } from '../../src/domain/flow-schema.ts'
import { checkTagValue } from '../../src/domain/tags.ts'
import { HttpQuery } from '../http-query.ts'
import { bodyOf } from '../json-body.ts'
import { operation } from '../openapi/operation.ts'
import { json, listing, noContent, pathText } from '../reply.ts'
import { viewOf } from '../trash-query.ts'
import type { RouteDeps } from './deps.ts'

const TEXTS = ['description', 'label'] as const

export const sourceRoutes = ({ domain: { sources }, http, contextOf, strict }: RouteDeps) => {
  const routes = new Elysia({ prefix: '/sources' })
    .get(
      '',
      async ({ request }) => {
        const query = new HttpQuery(request.url)
        const label = query.text('label')
        const format = query.oneOf('format', formatList)
        const collectedByIds = query.uuidList('collected_by_ids')
        const filter = {
          tags: query.tagFilters('tag'),
          ...(label !== undefined && { label }),
          ...(format && { format }),
          ...(collectedByIds && { collectedByIds }),
          ...viewOf(query, strict),
        }
        const sort = query.oneOf('sort_by', ['created', 'updated', 'label']) ?? 'created'
        const page = query.paging()
        return listing(http, request, await sources.list(contextOf(request), filter, sort, page), page.reverse)
      },
      { detail: operation('GET_sources') },
    )
    .get(
      '/:sourceId',
      async ({ request, params }) =>
        json(request, await sources.get(contextOf(request), params.sourceId, () => viewOf(new HttpQuery(request.url), strict))),
      { detail: operation('GET_sources-sourceId') },
    )
    .get('/:sourceId/tags', async ({ request, params }) => json(request, await sources.tags(contextOf(request), params.sourceId)), {
      detail: operation('GET_sources-sourceId-tags'),
    })
    .get(
      '/:sourceId/tags/:name',
      async ({ request, params }) => json(request, await sources.tag(contextOf(request), params.sourceId, pathText(params.name, request))),
      { detail: operation('GET_sources-sourceId-tags-name') },
    )
    .put(
      '/:sourceId/tags/:name',
      async ({ request, params }) => {
        const body = await bodyOf(request, http.bodyLimit)
        await sources.putTag(contextOf(request), params.sourceId, pathText(params.name, request), () => checkTagValue(body(), 'tag'))
        return noContent()
      },
      { parse: 'none', detail: operation('PUT_sources-sourceId-tags-name') },
    )
    .delete(
      '/:sourceId/tags/:name',
      async ({ request, params }) => {
        await sources.deleteTag(contextOf(request), params.sourceId, pathText(params.name, request))
        return noContent()
      },
      { detail: operation('DELETE_sources-sourceId-tags-name') },
    )
  for (const member of TEXTS)
    routes
      .get(
        `/:sourceId/${member}`,
        async ({ request, params }) => json(request, await sources.text(contextOf(request), params.sourceId, member)),
        {
          detail: operation(`GET_sources-sourceId-${member}`),
        },
      )
      .put(
        `/:sourceId/${member}`,
        async ({ request, params }) => {
          const body = await bodyOf(request, http.bodyLimit)
          await sources.setText(contextOf(request), params.sourceId, member, () => checkText(body(), member))
          return noContent()
        },
        { parse: 'none', detail: operation(`PUT_sources-sourceId-${member}`) },
      )
      .delete(
        `/:sourceId/${member}`,
        async ({ request, params }) => {
          await sources.setText(contextOf(request), params.sourceId, member, () => null)
          return noContent()
        },
        { detail: operation(`DELETE_sources-sourceId-${member}`) },
      )
  return routes
}
