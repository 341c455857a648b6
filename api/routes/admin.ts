import { Elysia } from 'elysia'
import { HttpQuery } from '../http-query.ts'
import { bodyOf, requireJson } from '../json-body.ts'
import { operation } from '../openapi/operation.ts'
import { json, listing, noContent } from '../reply.ts'
import type { RouteDeps } from './deps.ts'

/** Users and tokens. Not part of the specification. */
export const adminRoutes = ({ domain: { users, tokens }, http, contextOf }: RouteDeps) =>
  new Elysia({ prefix: '/admin' })
    .get(
      '/users',
      async ({ request }) => {
        const page = new HttpQuery(request.url).paging()
        return listing(http, request, await users.list(contextOf(request), page), page.reverse)
      },
      { detail: operation('GET_admin-users') },
    )
    .post(
      '/users',
      async ({ request }) => {
        const body = await requireJson(request, http.bodyLimit)
        return json(request, await users.create(contextOf(request), body), { status: 201 })
      },
      { parse: 'none', detail: operation('POST_admin-users') },
    )
    .patch(
      '/users/:name',
      async ({ request, params }) => {
        const body = await bodyOf(request, http.bodyLimit)
        return json(request, await users.update(contextOf(request), params.name, body))
      },
      { parse: 'none', detail: operation('PATCH_admin-users-name') },
    )
    .delete(
      '/users/:name',
      async ({ request, params }) => {
        await users.remove(contextOf(request), params.name)
        return noContent()
      },
      { detail: operation('DELETE_admin-users-name') },
    )
    .get(
      '/tokens',
      async ({ request }) => {
        const page = new HttpQuery(request.url).paging()
        return listing(http, request, await tokens.list(contextOf(request), page), page.reverse)
      },
      { detail: operation('GET_admin-tokens') },
    )
    .post(
      '/tokens',
      async ({ request }) => {
        const body = await requireJson(request, http.bodyLimit)
        const made = await tokens.create(contextOf(request), body)
        return json(request, made, { status: 201, headers: { 'cache-control': 'no-store' } })
      },
      { parse: 'none', detail: operation('POST_admin-tokens') },
    )
    .delete(
      '/tokens/:id',
      async ({ request, params }) => {
        await tokens.revoke(contextOf(request), params.id)
        return noContent()
      },
      { detail: operation('DELETE_admin-tokens-id') },
    )
