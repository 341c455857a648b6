import { Elysia } from 'elysia'
import type { Traces } from '../../src/telemetry/traces.ts'
import { answered } from '../answered.ts'
import { requestState } from '../request-context.ts'

/**
 * A span for each request, from before its first hook until there is an answer. To be used behind what begins the request's state. Not of
 * preflights, which are answered before any route is looked for: no hook would end theirs.
 */
export const traceRequests = (traces: Traces, basePath: string) =>
  new Elysia({ name: 'plugin.traces' })
    .wrap((handle, request) => (request.method === 'OPTIONS' ? handle : (given: unknown) => traces.serve(request, () => handle(given))))
    .onRequest(function nameTrace({ request }) {
      const traceId = traces.traceId(request)
      if (traceId !== undefined) requestState(request).traceId = traceId
    })
    .onAfterResponse({ as: 'global' }, function endSpan({ request, route, set, responseValue }) {
      traces.answered(request, answered({ request, route, set, responseValue }, basePath))
    })
