import type { Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { Elysia } from 'elysia'
import { invalid } from '../src/core/errors.ts'
import { readBytes } from '../src/core/read-bytes.ts'
import { acceptedFormat, respond } from './answer.ts'
import { catalog } from './catalog.ts'
import { parseReportQuery } from './query-string.ts'
import { parseParameters } from './report.ts'
import { reports } from './reports/index.ts'
import { AnswerFormatOnly, PerformanceQuery, QueryBody } from './requests.ts'
import { timeText } from './result.ts'
import type { Analytics } from './service.ts'

export { type Analytics, type AnalyticsDeps, createAnalytics } from './service.ts'

const BODY_LIMIT = 1024 * 1024

/** Reports, SQL and their statistics under `/analytics`. */
export const analyticsRoutes = (analytics: Analytics) => {
  const routes = new Elysia({ prefix: '/analytics' })
    .get('', () => json(catalog()), { detail: detail('GET_analytics', 'List the reports, their parameters, filters and metrics') })
    .post(
      '/query',
      async ({ request, server }) => {
        server?.timeout(request, 0)
        const { format } = parseParameters(AnswerFormatOnly, Object.fromEntries(new URL(request.url).searchParams))
        const body = await readBody(request)
        const answer = await analytics.query(
          {
            sql: body.sql,
            ...(body.parameters && { parameters: body.parameters }),
            ...(body.limit !== undefined && { limit: body.limit }),
            ...(body.timeout_ms !== undefined && { timeoutMs: body.timeout_ms }),
          },
          { refresh: body.refresh ?? false, signal: request.signal },
        )
        return respond(answer, format ?? acceptedFormat(request.headers.get('accept')), analytics.parquet)
      },
      { parse: 'none', detail: detail('POST_analytics-query', 'Run one read-only SELECT over the views') },
    )
    .get(
      '/performance',
      ({ request }) => {
        const query = parseParameters(PerformanceQuery, Object.fromEntries(new URL(request.url).searchParams))
        const { performance, options } = analytics
        return json({
          queries: performance.summaries(),
          slow_queries: performance.slow(query.slow_ms ?? options.slowQueryMs, query.limit).map(({ startedUs, ...metric }) => ({
            name: metric.name,
            started: timeText(startedUs),
            elapsed_ms: metric.elapsedMs,
            load_ms: metric.loadMs,
            rows_scanned: metric.rowsScanned,
            rows_returned: metric.rowsReturned,
            bytes_loaded: metric.bytesLoaded,
            cache: metric.cache,
            status: metric.status,
          })),
          hourly: performance.hourly().map(({ startUs, ...hour }) => ({ hour: timeText(startUs), ...hour })),
        })
      },
      { detail: detail('GET_analytics-performance', 'Show what queries cost, which were slow, and hours that deviate') },
    )
    .get('/cache', async () => json(await analytics.cacheStatistics()), {
      detail: detail('GET_analytics-cache', 'Show what is kept of results and loaded tables'),
    })
    .delete(
      '/cache',
      async () => {
        await analytics.clearCache()
        return new Response(null, { status: 204 })
      },
      { detail: detail('DELETE_analytics-cache', 'Forget all kept results and loaded tables') },
    )
  for (const report of reports)
    routes.get(
      `/${report.name}`,
      async ({ request, server }) => {
        server?.timeout(request, 0)
        const query = parseReportQuery(request.url, Object.keys(report.parameters.properties), report.filters)
        const answer = await analytics.report(report, query.parameters, query.filters, { refresh: query.refresh, signal: request.signal })
        return respond(answer, query.format ?? acceptedFormat(request.headers.get('accept')), analytics.parquet)
      },
      { detail: detail(`GET_analytics-${report.name}`, report.summary) },
    )
  return routes
}

const detail = (operationId: string, summary: string) => ({ operationId, summary, tags: ['Analytics'] })

const json = (body: unknown): Response => new Response(JSON.stringify(body), { headers: { 'content-type': 'application/json' } })

const readBody = async (request: Request): Promise<Static<typeof QueryBody>> => {
  const text = new TextDecoder().decode(await readBytes(request, BODY_LIMIT))
  const body = parseJson(text)
  const [error] = Value.Errors(QueryBody, body)
  if (error) throw invalid(error.path.slice(1).replaceAll('/', '.') || 'body', error.message)
  if (!JSON.stringify(body).isWellFormed() || /\\ud[89a-f]/i.test(JSON.stringify(body))) throw invalid('body', 'is ill-formed Unicode')
  return body as Static<typeof QueryBody>
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw invalid('body', 'is not JSON', cause)
  }
}
