import { Elysia } from 'elysia'
import { DELETED_TYPES, DELETION_STATUSES, type Deletion } from '../../src/domain/deletion.ts'
import { HttpQuery } from '../http-query.ts'
import { requireJson } from '../json-body.ts'
import { operation } from '../openapi/operation.ts'
import { json, listing, noContent, pathText } from '../reply.ts'
import { deletionWish, restoreWish } from '../trash-query.ts'
import type { RouteDeps } from './deps.ts'

/** Deletions of sources and objects, and the way back out of the trash. Extensions. */
export const trashRoutes = ({ domain: { sourceDeletion, objectDeletion, restore, deletions }, http, contextOf }: RouteDeps) => {
  /** 202 while a worker goes on. */
  const restored = (request: Request, base: string, deletion: Deletion): Response =>
    deletion.status === 'restoring'
      ? json(request, deletion, { status: 202, headers: { location: `${base}/deletions/${deletion.id}` } })
      : json(request, deletion)

  return new Elysia()
    .delete(
      '/sources/:sourceId',
      async ({ request, params }) => {
        const context = contextOf(request)
        const { requests } = await sourceDeletion.deleteSource(context, params.sourceId, () => deletionWish(new HttpQuery(request.url)))
        if (requests.length === 0) return noContent()
        return json(request, requests, { status: 202, headers: { location: `${context.baseUrl}/flow-delete-requests` } })
      },
      { detail: operation('DELETE_sources-sourceId') },
    )
    .post(
      '/sources/:sourceId/restore',
      async ({ request, params }) => {
        const context = contextOf(request)
        const deletion = await restore.source(context, params.sourceId, () => restoreWish(new HttpQuery(request.url)))
        return restored(request, context.baseUrl, deletion)
      },
      { parse: 'none', detail: operation('POST_sources-sourceId-restore') },
    )
    .post(
      '/flows/:flowId/restore',
      async ({ request, params }) => {
        const context = contextOf(request)
        const deletion = await restore.flow(context, params.flowId, () => restoreWish(new HttpQuery(request.url)))
        return restored(request, context.baseUrl, deletion)
      },
      { parse: 'none', detail: operation('POST_flows-flowId-restore') },
    )
    .post(
      '/flows/:flowId/segments/restore',
      async ({ request, params }) => {
        const context = contextOf(request)
        const found = await restore.segments(context, params.flowId, () => {
          const query = new HttpQuery(request.url)
          const { deletionId } = restoreWish(query)
          return { timerange: query.timerange(), ...(deletionId !== undefined && { deletionId }) }
        })
        const later = found.find(({ status }) => status === 'restoring')
        if (!later) return json(request, found)
        return json(request, found, { status: 202, headers: { location: `${context.baseUrl}/deletions/${later.id}` } })
      },
      { parse: 'none', detail: operation('POST_flows-flowId-segments-restore') },
    )
    .delete(
      '/objects/:objectId',
      async ({ request, params }) => {
        const id = pathText(params.objectId, request)
        await objectDeletion.deleteObject(contextOf(request), id, () => deletionWish(new HttpQuery(request.url)))
        return noContent()
      },
      { detail: operation('DELETE_objects') },
    )
    .post(
      '/objects/:objectId/restore',
      async ({ request, params }) => json(request, await restore.object(contextOf(request), pathText(params.objectId, request))),
      { parse: 'none', detail: operation('POST_objects-restore') },
    )
    .get(
      '/deletions',
      async ({ request }) => {
        const query = new HttpQuery(request.url)
        const filter = {
          entityType: query.oneOf('entity_type', DELETED_TYPES),
          entityId: query.text('entity_id'),
          flowId: query.uuid('flow_id'),
          groupId: query.uuid('group_id'),
          status: query.oneOf('status', DELETION_STATUSES),
          deletedBy: query.text('deleted_by'),
          sinceUs: query.time('since'),
          untilUs: query.time('until'),
        }
        const page = query.paging()
        return listing(http, request, await deletions.list(contextOf(request), withoutUndefined(filter), page), page.reverse)
      },
      { detail: operation('GET_deletions') },
    )
    .post(
      '/deletions',
      async ({ request }) => {
        const body = await requireJson(request, http.bodyLimit)
        const wish = () => deletionWish(new HttpQuery(request.url))
        return json(request, await deletions.deleteAll(contextOf(request), () => body, wish))
      },
      { parse: 'none', detail: operation('POST_deletions') },
    )
    .get(
      '/deletions/:deletionId',
      async ({ request, params }) => json(request, await deletions.get(contextOf(request), params.deletionId)),
      {
        detail: operation('GET_deletions-deletionId'),
      },
    )
    .post(
      '/deletions/:deletionId/restore',
      async ({ request, params }) => {
        const context = contextOf(request)
        const wish = () => restoreWish(new HttpQuery(request.url))
        return restored(request, context.baseUrl, await restore.deletion(context, params.deletionId, wish))
      },
      { parse: 'none', detail: operation('POST_deletions-deletionId-restore') },
    )
}

const withoutUndefined = <T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> }
