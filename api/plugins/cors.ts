import { Elysia } from 'elysia'

const EXPOSED = [
  'Link',
  'Location',
  'X-Paging-Limit',
  'X-Paging-NextKey',
  'X-Paging-Count',
  'X-Paging-Reverse-Order',
  'X-Paging-Timerange',
  'X-Request-Id',
].join(', ')

/**
 * Cross-origin access for web clients (tams-behaviour.md 1.5). No cookies are used, so
 * credentials are never allowed. Media URLs answer preflights of their own.
 */
export const cors = (origins: '*' | readonly string[]) => {
  const originFor = (request: Request): string | undefined => {
    if (origins === '*') return '*'
    const origin = request.headers.get('origin')
    return origin !== null && origins.includes(origin) ? origin : undefined
  }
  return new Elysia({ name: 'plugin.cors' }).onRequest(function crossOrigin({ request, set }) {
    if (origins !== '*') set.headers.vary = 'Origin'
    const origin = originFor(request)
    if (origin === undefined) return
    set.headers['access-control-allow-origin'] = origin
    set.headers['access-control-expose-headers'] = EXPOSED
    if (request.method !== 'OPTIONS' || new URL(request.url).pathname.includes('/media/')) return
    const headers = {
      'access-control-allow-origin': origin,
      'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS',
      'access-control-allow-headers': 'Authorization, Content-Type, X-Request-Id',
      'access-control-max-age': '86400',
    }
    return new Response(null, { status: 204, headers })
  })
}
