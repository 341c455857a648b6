import { Elysia } from 'elysia'
import type { Metrics } from '../../src/telemetry/metrics.ts'
import { answered } from '../answered.ts'
import { requestState } from '../request-context.ts'

/** Counts answers. */
export const countRequests = (metrics: Metrics, basePath: string) =>
  new Elysia({ name: 'plugin.metrics' }).onAfterResponse({ as: 'global' }, function countAnswer({ request, route, set, responseValue }) {
    const seconds = (performance.now() - requestState(request).startedMs) / 1000
    metrics.answered({ ...answered({ request, route, set, responseValue }, basePath), seconds })
  })
