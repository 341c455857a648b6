import { Elysia } from 'elysia'
import { checkTagSet } from '../../src/domain/tags.ts'
import { bodyOf, requireJson } from '../json-body.ts'
import { operation } from '../openapi/operation.ts'
import { batchAnswer, located, noContent } from '../reply.ts'
import type { RouteDeps } from './deps.ts'

/** Flows made by POST, alone or many at once, and all tags of one at once: extensions. */
export const directFlowRoutes = ({ domain: { flows, flowProperties }, http, contextOf }: RouteDeps) =>
  new Elysia({ prefix: '/flows' })
    .post(
      '',
      async ({ request }) => {
        const context = contextOf(request)
        const flow = await flows.create(context, await requireJson(request, http.bodyLimit))
        return located(request, `${context.baseUrl}/flows/${flow.id}`, flow)
      },
      { parse: 'none', detail: operation('POST_flows') },
    )
    .post(
      '/batch',
      async ({ request }) => batchAnswer(request, await flows.createAll(contextOf(request), await requireJson(request, http.bodyLimit))),
      { parse: 'none', detail: operation('POST_flows-batch') },
    )
    .put(
      '/:flowId/tags',
      async ({ request, params }) => {
        const body = await bodyOf(request, http.bodyLimit)
        await flowProperties.putTags(contextOf(request), params.flowId, () => checkTagSet(body()))
        return noContent()
      },
      { parse: 'none', detail: operation('PUT_flows-flowId-tags') },
    )
