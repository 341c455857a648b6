import { Elysia } from 'elysia'
import type { Metrics } from '../../src/telemetry/metrics.ts'
import { requestState } from '../request-context.ts'

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** Counts answers by the template of their route, whatever path and method a client makes up. */
export const countRequests = (metrics: Metrics, basePath: string) =>
  new Elysia({ name: 'plugin.metrics' }).onAfterResponse({ as: 'global' }, function countAnswer({ request, route, set, responseValue }) {
    const status = responseValue instanceof Response ? responseValue.status : set.status
    metrics.answered({
      method: METHODS.has(request.method) ? request.method : 'other',
      route: template(route, basePath),
      status: typeof status === 'number' ? status : 200,
      seconds: (performance.now() - requestState(request).startedMs) / 1000,
    })
  })

// Elysia names what it did not find by the empty text, and by `/*` in handlers of errors.
const template = (route: string | undefined, basePath: string): string => {
  if (!route || route === '/*' || route === '*') return 'unmatched'
  return basePath !== '' && route.startsWith(`${basePath}/`) ? route.slice(basePath.length) : route
}
