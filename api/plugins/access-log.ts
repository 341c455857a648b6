import { Elysia } from 'elysia'
import type { Log } from '../../src/telemetry/log.ts'
import { beginRequest, logged, requestState } from '../request-context.ts'

/** An id for every request, on its answer and on every line about it; one line when the answer is out. */
export const accessLog = (log: Log) =>
  new Elysia({ name: 'plugin.access-log' })
    .onRequest(function begin({ request, set }) {
      set.headers['x-request-id'] = beginRequest(request).id
    })
    .onAfterResponse({ as: 'global' }, function logAnswer({ request, set, responseValue }) {
      const { startedMs, identity } = requestState(request)
      const status = responseValue instanceof Response ? responseValue.status : set.status
      const ms = Math.round((performance.now() - startedMs) * 1000) / 1000
      const principal = identity && { principal: identity.principal }
      log.info({ ...logged(request), method: request.method, url: pathOf(request.url), status, ms, ...principal }, 'request')
    })

const pathOf = (url: string): string => url.slice(url.indexOf('/', url.indexOf('//') + 2))
