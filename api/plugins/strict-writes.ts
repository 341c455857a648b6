import { Elysia } from 'elysia'
import { TamsError } from '../../src/core/errors.ts'

const READS = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * The runtime resolves dot segments before we see a path: a DELETE of `/flows/{id}/tags/..` arrives as one of `/flows/{id}/`. Such
 * a path always ends with a slash, so nothing is ever written through one that does.
 */
export const strictWrites = (basePath: string) => {
  const roots = new Set(['/', `${basePath}/`])
  return new Elysia({ name: 'plugin.strict-writes' }).onRequest(function refuseTrailingSlash({ request }) {
    if (READS.has(request.method)) return
    const { pathname } = new URL(request.url)
    if (pathname.endsWith('/') && !roots.has(pathname)) throw new TamsError('not_found', 'There is nothing at this path')
  })
}
