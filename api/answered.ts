import type { AnsweredRequest } from '../src/telemetry/metrics.ts'

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** What a handler of Elysia's `onAfterResponse` is told. */
interface AfterResponse {
  readonly request: Request
  readonly route: string | undefined
  readonly set: { readonly status?: number | string }
  readonly responseValue: unknown
}

/** An answer by the template of its route, whatever path and method a client makes up. */
export const answered = (
  { request, route, set, responseValue }: AfterResponse,
  basePath: string,
): Pick<AnsweredRequest, 'method' | 'route' | 'status'> => {
  const status = responseValue instanceof Response ? responseValue.status : set.status
  return {
    method: METHODS.has(request.method) ? request.method : 'other',
    route: template(route, basePath),
    status: typeof status === 'number' ? status : 200,
  }
}

// Elysia names what it did not find by the empty text, and by `/*` in handlers of errors.
const template = (route: string | undefined, basePath: string): string => {
  if (!route || route === '/*' || route === '*') return 'unmatched'
  return basePath !== '' && route.startsWith(`${basePath}/`) ? route.slice(basePath.length) : route
}
