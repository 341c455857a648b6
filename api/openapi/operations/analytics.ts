import { type TSchema, Type } from '@sinclair/typebox'
import { FILTER_TEXTS, type FilterName } from '../../../analytics/filters.ts'
import type { Report } from '../../../analytics/report.ts'
import { reports } from '../../../analytics/reports/index.ts'
import { AnswerFormat, PerformanceQuery, QueryBody } from '../../../analytics/requests.ts'
import { FormatText } from '../../../src/domain/flow-schema.ts'
import { TimeRangeText, Uuid } from '../../../src/domain/validate.ts'
import * as analytics from '../analytics-examples.ts'
import * as example from '../examples.ts'
import type { Operation, Operations, Parameter, Response } from '../model.ts'
import { inQuery, tagFilters } from '../parameters.ts'
import { answer, body, failing, noContent } from '../responses.ts'
import { AnalyticsCache, AnalyticsCatalog, AnalyticsPerformance, QueryInfo } from '../schemas.ts'

const NOT_TAMS = 'Not part of the TAMS specification.'
const Time = Type.String({ format: 'date-time' })

const filterValues: Readonly<Record<Exclude<FilterName, 'tag' | 'flow_format'>, readonly [schema: TSchema, example: unknown]>> = {
  start_time: [Time, '2026-03-01T00:00:00Z'],
  end_time: [Time, '2026-04-01T00:00:00Z'],
  timerange: [TimeRangeText, example.TIMERANGE],
  source_id: [Uuid, example.SOURCE_ID],
  flow_id: [Uuid, example.VIDEO_ID],
  storage_backend_id: [Uuid, example.STORAGE_ID],
}

const filterParameters = (names: readonly FilterName[]): Parameter[] =>
  names.flatMap((name) => {
    if (name === 'tag') return tagFilters('tag', 'what belongs to flows', 'Leeds')
    const [schema, value] = name === 'flow_format' ? [FormatText, 'urn:x-nmos:format:video'] : filterValues[name]
    return [inQuery(name, `Only what is ${FILTER_TEXTS[name]}.`, schema, value)]
  })

/** Of a TypeBox object: what has no default has an example. */
const propertyParameters = (properties: Readonly<Record<string, TSchema>>): Parameter[] =>
  Object.entries(properties).map(([name, schema]) =>
    inQuery(name, `${schema.description}.`, schema, schema.default ?? (schema.examples as readonly unknown[] | undefined)?.[0]),
  )

const answerFormat = inQuery(
  'format',
  'Format of the answer; it goes before `Accept`. Reports that filter by the format of flows also take its URN here.',
  AnswerFormat,
  'csv',
)
const refresh = inQuery('refresh', 'Scan the store again instead of using what is kept.', Type.Boolean({ default: false }), true)

const headers = {
  'X-Analytics-Cache': {
    description: 'What did not have to be done again: the whole `result`, the loading of `tables`, or nothing.',
    schema: Type.String({ enum: ['result', 'tables', 'none'] }),
    example: 'none',
  },
  'X-Analytics-Rows-Scanned': { description: 'Rows read from the store.', schema: Type.Integer({ minimum: 0 }), example: 20050 },
  'X-Analytics-Truncated': { description: 'Whether rows were left out.', schema: Type.Boolean(), example: false },
}

/** The same rows in every format. */
const tabular = (description: string, schema: TSchema, value: unknown, csv: string): Response => ({
  description,
  headers,
  content: {
    'application/json': { schema, example: value },
    'text/csv': { schema: Type.String(), example: csv },
    'application/vnd.apache.arrow.stream': { schema: Type.String({ contentMediaType: 'application/vnd.apache.arrow.stream' }) },
    'application/vnd.apache.parquet': { schema: Type.String({ contentMediaType: 'application/vnd.apache.parquet' }) },
  },
})

const reportOperation = (report: Report): Operation => {
  const { example: value, csv } = analytics.reportExample(report.name)
  const query = { ...analytics.query, name: report.name, parameters: {} }
  const isObject = report.shape === 'object'
  return {
    method: 'get',
    path: `/analytics/${report.name}`,
    tag: 'Analytics',
    extension: true,
    summary: `Run the report ${report.name}`,
    description: `${report.summary} A parameter or filter that has no meaning for the report is refused. ${NOT_TAMS}`,
    parameters: [...propertyParameters(report.parameters.properties), ...filterParameters(report.filters), answerFormat, refresh],
    responses: {
      200: tabular(
        isObject ? 'The figures; other formats have one row.' : 'The rows.',
        isObject
          ? Type.Object({ ...report.result.properties, query: QueryInfo })
          : Type.Object({ rows: Type.Array(report.result), query: QueryInfo }),
        isObject ? { ...value, query } : { rows: [value], query },
        csv,
      ),
      ...failing(400, 422, 504),
    },
  }
}

export const analyticsOperations: Operations = {
  GET_analytics: {
    method: 'get',
    path: '/analytics',
    tag: 'Analytics',
    extension: true,
    summary: 'List reports, parameters, filters and metrics',
    description: `Everything that can be asked for below this path, parameters and results as JSON Schema. ${NOT_TAMS}`,
    responses: { 200: answer('What there is.', AnalyticsCatalog, analytics.catalog), ...failing() },
  },
  ...Object.fromEntries(reports.map((report) => [`GET_analytics-${report.name}`, reportOperation(report)])),
  'POST_analytics-query': {
    method: 'post',
    path: '/analytics/query',
    tag: 'Analytics',
    extension: true,
    summary: 'Run one read-only SELECT over the views',
    description: `One SELECT in DuckDB's dialect over the views \`sources\`, \`flows\`, \`segments\`, \`objects\` and \`tags\`, whose columns \`GET /analytics\` lists. Parameters are bound to \`$1\` or \`$name\`. Files, the network, settings and other statements are out of reach. ${NOT_TAMS}`,
    parameters: [answerFormat],
    requestBody: body('The text, its parameters and limits.', QueryBody, analytics.queryBody),
    responses: {
      200: tabular(
        'The rows.',
        Type.Object({ rows: Type.Array(Type.Record(Type.String(), Type.Unknown())), query: QueryInfo }),
        { rows: analytics.queryRows, query: { ...analytics.query, name: 'query', parameters: { limit: 1000 } } },
        'format,flows\r\nurn:x-nmos:format:video,18\r\n',
      ),
      ...failing(400, 413, 422, 504),
    },
  },
  'GET_analytics-performance': {
    method: 'get',
    path: '/analytics/performance',
    tag: 'Analytics',
    extension: true,
    summary: 'Show what queries cost and which were slow',
    description: `Times, rows and bytes of the last thousand queries of this process, the slowest of them, and for each report and hour the mean time beside that of the hours before; an hour three standard deviations above them deviates. ${NOT_TAMS}`,
    parameters: propertyParameters(PerformanceQuery.properties),
    responses: { 200: answer('The figures.', AnalyticsPerformance, analytics.performance), ...failing(400) },
  },
  'GET_analytics-cache': {
    method: 'get',
    path: '/analytics/cache',
    tag: 'Analytics',
    extension: true,
    summary: 'Show what is kept of results and tables',
    description: `Results and loaded tables that this process keeps, how often they were of use, and the memory of the analytics engine. ${NOT_TAMS}`,
    responses: { 200: answer('The figures.', AnalyticsCache, analytics.cache), ...failing() },
  },
  'DELETE_analytics-cache': {
    method: 'delete',
    path: '/analytics/cache',
    tag: 'Analytics',
    extension: true,
    summary: 'Forget all kept results and tables',
    description: `The next query scans the store again. ${NOT_TAMS}`,
    responses: { 204: noContent, ...failing() },
  },
}
