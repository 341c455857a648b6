import { Elysia } from 'elysia'
import type { Access } from '../auth/access.ts'
import { clientAddress } from '../auth/address.ts'
import { type Need, needOf } from '../auth/scopes.ts'
import { requestState } from '../request-context.ts'
import type { KnownRoute } from '../route-methods.ts'

/** Method and route, as the router names it → what it asks for. */
export type RouteNeeds = Map<string, Need>

/** Throws for a route that the table of scopes does not have. */
export const routeNeeds = (routes: readonly KnownRoute[], basePath: string): RouteNeeds =>
  new Map(
    routes.map(({ method, path }) => {
      const isBelow = basePath !== '' && (path === basePath || path.startsWith(`${basePath}/`))
      return [`${method === 'WS' ? 'GET' : method} ${path}`, needOf(method, isBelow ? path.slice(basePath.length) || '/' : path)]
    }),
  )

export interface AuthenticationOptions {
  readonly access: Access
  readonly trustProxy: boolean
  /** Of all routes of the app, once it is put together. */
  readonly needs: ReadonlyMap<string, Need>
}

/**
 * Before any handler: who makes the request, and whether its scopes are those of the route. It goes by the route that the router has
 * found, so that no way of writing a path leads past it.
 */
export const authentication = ({ access, trustProxy, needs }: AuthenticationOptions) =>
  new Elysia({ name: 'plugin.authentication' }).onBeforeHandle(
    { as: 'global' },
    async function authenticate({ request, route, set, server }) {
      const need = needs.get(`${request.method === 'HEAD' ? 'GET' : request.method} ${route}`) ?? needs.get(`ALL ${route}`)
      if (need === 'open') return
      if (need === undefined) throw new Error(`${request.method} ${route} is in no table of scopes`)
      const identity = await access.admit(request, need, clientAddress(request, server, trustProxy))
      requestState(request).identity = identity
      if (identity.inUrl) set.headers['cache-control'] = 'private'
    },
  )
