import { Elysia } from 'elysia'
import type { Metrics } from '../../src/telemetry/metrics.ts'
import { operation } from '../openapi/operation.ts'

/** Figures of this process for Prometheus. */
export const metricsRoutes = (metrics: Metrics) =>
  new Elysia().get('/metrics', async () => new Response(await metrics.text(), { headers: { 'content-type': metrics.contentType } }), {
    detail: operation('GET_metrics'),
  })
