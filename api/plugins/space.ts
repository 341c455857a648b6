import { Elysia } from 'elysia'
import type { RouteNeeds } from './authentication.ts'

const ADDING: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH'])

export interface SpaceOptions {
  /** Rejects while there is too little room. */
  readonly check: () => Promise<void>
  /** Of all routes of the app, once it is put together. */
  readonly needs: RouteNeeds
}

/**
 * Refuses requests that add to the store while its disk is nearly full: what is left is for deletions and for the work behind them. Uploads
 * of media are refused by their own store.
 */
export const space = ({ check, needs }: SpaceOptions) =>
  new Elysia({ name: 'plugin.space' }).onBeforeHandle({ as: 'global' }, async function refuseWhenFull({ request, route }) {
    if (!ADDING.has(request.method)) return
    const need = needs.get(`${request.method} ${route}`)
    if (need === 'write' || need === 'admin') await check()
  })
