import { Elysia } from 'elysia'
import { checkBitRate, checkBoolean, checkText } from '../../src/domain/flow-properties.ts'
import { checkTagValue } from '../../src/domain/tags.ts'
import { bodyOf } from '../json-body.ts'
import { operation } from '../openapi/operation.ts'
import { json, noContent, pathText } from '../reply.ts'
import type { RouteDeps } from './deps.ts'

const TEXTS = ['description', 'label'] as const
const BIT_RATES = ['max_bit_rate', 'avg_bit_rate'] as const

/** Single members of a flow (tams-behaviour.md 5.6 to 5.9): each carries a bare JSON value. */
export const flowPropertyRoutes = ({ domain: { flowProperties: flow }, http, contextOf }: RouteDeps) => {
  const routes = new Elysia({ prefix: '/flows/:flowId' })
    .get('/tags', async ({ request, params }) => json(request, await flow.tags(contextOf(request), params.flowId)), {
      detail: operation('GET_flows-flowId-tags'),
    })
    .get(
      '/tags/:name',
      async ({ request, params }) => json(request, await flow.tag(contextOf(request), params.flowId, pathText(params.name, request))),
      { detail: operation('GET_flows-flowId-tags-name') },
    )
    .put(
      '/tags/:name',
      async ({ request, params }) => {
        const body = await bodyOf(request, http.bodyLimit)
        await flow.putTag(contextOf(request), params.flowId, pathText(params.name, request), () => checkTagValue(body(), 'tag'))
        return noContent()
      },
      { parse: 'none', detail: operation('PUT_flows-flowId-tags-name') },
    )
    .delete(
      '/tags/:name',
      async ({ request, params }) => {
        await flow.deleteTag(contextOf(request), params.flowId, pathText(params.name, request))
        return noContent()
      },
      { detail: operation('DELETE_flows-flowId-tags-name') },
    )
    .get('/read_only', async ({ request, params }) => json(request, await flow.readOnly(contextOf(request), params.flowId)), {
      detail: operation('GET_flows-flowId-read-only'),
    })
    .put(
      '/read_only',
      async ({ request, params }) => {
        const body = await bodyOf(request, http.bodyLimit)
        await flow.setReadOnly(contextOf(request), params.flowId, () => checkBoolean(body()))
        return noContent()
      },
      { parse: 'none', detail: operation('PUT_flows-flowId-read-only') },
    )
    .get('/flow_collection', async ({ request, params }) => json(request, await flow.collection(contextOf(request), params.flowId)), {
      detail: operation('GET_flows-flowId-flow-collection'),
    })
    .put(
      '/flow_collection',
      async ({ request, params }) => {
        await flow.setCollection(contextOf(request), params.flowId, await bodyOf(request, http.bodyLimit))
        return noContent()
      },
      { parse: 'none', detail: operation('PUT_flows-flowId-flow-collection') },
    )
    .delete(
      '/flow_collection',
      async ({ request, params }) => {
        await flow.setCollection(contextOf(request), params.flowId, () => [])
        return noContent()
      },
      { detail: operation('DELETE_flows-flowId-flow-collection') },
    )
  for (const member of TEXTS)
    routes
      .get(`/${member}`, async ({ request, params }) => json(request, await flow.text(contextOf(request), params.flowId, member)), {
        detail: operation(`GET_flows-flowId-${member}`),
      })
      .put(
        `/${member}`,
        async ({ request, params }) => {
          const body = await bodyOf(request, http.bodyLimit)
          await flow.setText(contextOf(request), params.flowId, member, () => checkText(body(), member))
          return noContent()
        },
        { parse: 'none', detail: operation(`PUT_flows-flowId-${member}`) },
      )
      .delete(
        `/${member}`,
        async ({ request, params }) => {
          await flow.setText(contextOf(request), params.flowId, member, () => null)
          return noContent()
        },
        { detail: operation(`DELETE_flows-flowId-${member}`) },
      )
  for (const member of BIT_RATES) {
    const id = member.replaceAll('_', '-')
    routes
      .get(`/${member}`, async ({ request, params }) => json(request, await flow.bitRate(contextOf(request), params.flowId, member)), {
        detail: operation(`GET_flows-flowId-${id}`),
      })
      .put(
        `/${member}`,
        async ({ request, params }) => {
          const body = await bodyOf(request, http.bodyLimit)
          await flow.setBitRate(contextOf(request), params.flowId, member, () => checkBitRate(body(), member))
          return noContent()
        },
        { parse: 'none', detail: operation(`PUT_flows-flowId-${id}`) },
      )
      .delete(
        `/${member}`,
        async ({ request, params }) => {
          await flow.setBitRate(contextOf(request), params.flowId, member, () => null)
          return noContent()
        },
        { detail: operation(`DELETE_flows-flowId-${id}`) },
      )
  }
  return routes
}
