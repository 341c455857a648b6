import { Elysia } from 'elysia'
import { HttpQuery } from '../http-query.ts'
import { bodyOf, readJson, requireJson } from '../json-body.ts'
import { operation } from '../openapi/operation.ts'
import { created, json, listing, located, noContent } from '../reply.ts'
import type { RouteDeps } from './deps.ts'

/** Collections of flows and of sources as resources: extensions. */
export const collectionRoutes = ({ domain: { flowCollections, sourceCollections }, http, contextOf }: RouteDeps) =>
  new Elysia()
    .get(
      '/collections',
      async ({ request }) => {
        const page = new HttpQuery(request.url).paging()
        return listing(http, request, await flowCollections.list(contextOf(request), page), page.reverse)
      },
      { detail: operation('GET_collections') },
    )
    .post(
      '/collections',
      async ({ request }) => {
        const context = contextOf(request)
        const { collection, made } = await flowCollections.makeOrExtend(context, await requireJson(request, http.bodyLimit))
        return made ? located(request, `${context.baseUrl}/collections/${collection.id}`, collection) : json(request, collection)
      },
      { parse: 'none', detail: operation('POST_collections') },
    )
    .get(
      '/collections/:collectionId',
      async ({ request, params }) => json(request, await flowCollections.get(contextOf(request), params.collectionId)),
      { detail: operation('GET_collections-collectionId') },
    )
    .delete(
      '/collections/:collectionId',
      async ({ request, params }) => {
        await flowCollections.dissolve(contextOf(request), params.collectionId)
        return noContent()
      },
      { detail: operation('DELETE_collections-collectionId') },
    )
    .get(
      '/collections/:collectionId/flows',
      async ({ request, params }) => {
        const page = new HttpQuery(request.url).paging()
        return listing(http, request, await flowCollections.flows(contextOf(request), params.collectionId, page), false)
      },
      { detail: operation('GET_collections-collectionId-flows') },
    )
    .put(
      '/collections/:collectionId/flows/:flowId',
      async ({ request, params }) => {
        const body = await bodyOf(request, http.bodyLimit, readJson)
        const added = await flowCollections.putMember(contextOf(request), params.collectionId, params.flowId, membership(body))
        return added ? created() : noContent()
      },
      { parse: 'none', detail: operation('PUT_collections-collectionId-flows-flowId') },
    )
    .delete(
      '/collections/:collectionId/flows/:flowId',
      async ({ request, params }) => {
        await flowCollections.removeMember(contextOf(request), params.collectionId, params.flowId)
        return noContent()
      },
      { detail: operation('DELETE_collections-collectionId-flows-flowId') },
    )
    .get(
      '/source-collections',
      async ({ request }) => {
        const page = new HttpQuery(request.url).paging()
        return listing(http, request, await sourceCollections.list(contextOf(request), page), page.reverse)
      },
      { detail: operation('GET_source-collections') },
    )
    .post(
      '/source-collections',
      async ({ request }) => {
        const context = contextOf(request)
        const { collection, made } = await sourceCollections.makeOrExtend(context, await requireJson(request, http.bodyLimit))
        return made ? located(request, `${context.baseUrl}/source-collections/${collection.id}`, collection) : json(request, collection)
      },
      { parse: 'none', detail: operation('POST_source-collections') },
    )
    .get(
      '/source-collections/:collectionId',
      async ({ request, params }) => json(request, await sourceCollections.get(contextOf(request), params.collectionId)),
      { detail: operation('GET_source-collections-collectionId') },
    )
    .delete(
      '/source-collections/:collectionId',
      async ({ request, params }) => {
        await sourceCollections.dissolve(contextOf(request), params.collectionId)
        return noContent()
      },
      { detail: operation('DELETE_source-collections-collectionId') },
    )
    .get(
      '/source-collections/:collectionId/sources',
      async ({ request, params }) => {
        const page = new HttpQuery(request.url).paging()
        return listing(http, request, await sourceCollections.sources(contextOf(request), params.collectionId, page), false)
      },
      { detail: operation('GET_source-collections-collectionId-sources') },
    )
    .put(
      '/source-collections/:collectionId/sources/:sourceId',
      async ({ request, params }) => {
        const body = await bodyOf(request, http.bodyLimit, readJson)
        const added = await sourceCollections.putMember(contextOf(request), params.collectionId, params.sourceId, membership(body))
        return added ? created() : noContent()
      },
      { parse: 'none', detail: operation('PUT_source-collections-collectionId-sources-sourceId') },
    )
    .delete(
      '/source-collections/:collectionId/sources/:sourceId',
      async ({ request, params }) => {
        await sourceCollections.removeMember(contextOf(request), params.collectionId, params.sourceId)
        return noContent()
      },
      { detail: operation('DELETE_source-collections-collectionId-sources-sourceId') },
    )

// An absent body says nothing of a role; null is no body that says so.
const membership = (body: () => unknown) => (): unknown => {
  const given = body()
  return given === undefined ? {} : given
}
