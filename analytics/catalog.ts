import type { FILTERS } from './filters.ts'
import { metricNames, metricOf } from './metrics.ts'
import { ANSWER_FORMATS } from './query-string.ts'
import { reports } from './reports/index.ts'
import { VIEWS } from './user-sql.ts'

const FILTER_TEXTS = {
  start_time: 'created at or after (RFC 3339)',
  end_time: 'created before (RFC 3339)',
  timerange: 'media time, as a time range of the specification',
  source_id: 'of flows of this source',
  flow_id: 'of this flow',
  flow_format: 'of flows of this format (a URN; `format=` takes it as well)',
  storage_backend_id: 'with an object in this storage backend',
  tag: 'of flows with a tag: `tag.{name}={value},…`, `tag_exists.{name}=true|false`',
} as const satisfies Record<(typeof FILTERS)[number], string>

/** What there is to ask for; parameters and results as JSON Schema. */
export const catalog = () => ({
  reports: reports.map(({ name, summary, filters, parameters, shape, result }) => ({
    name,
    path: `/analytics/${name}`,
    summary,
    filters,
    parameters: parameters.properties,
    shape,
    result: result.properties,
  })),
  metrics: metricNames.map((name) => {
    const { of, unit, meaning } = metricOf(name)
    return { name, of, unit, meaning }
  }),
  filters: FILTER_TEXTS,
  formats: ANSWER_FORMATS,
  views: VIEWS,
})
