import { FILTER_TEXTS } from './filters.ts'
import { metricNames, metricOf } from './metrics.ts'
import { ANSWER_FORMATS } from './query-string.ts'
import { reports } from './reports/index.ts'
import { VIEWS } from './user-sql.ts'

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
