import { Type } from '@sinclair/typebox'
import { request } from '../datasets.ts'
import { flowsMatching, segmentRows } from '../filters.ts'
import { report } from '../report.ts'
import { ALL_FILTERS, Nullable, Real, secondsSql, Text, timerangeSql, Whole } from './shared.ts'

const Seconds = Nullable(Real)

export const timeRangeAnalysis = report({
  name: 'time-range-analysis',
  summary: 'Length of the segments, the stretch of time that they lie in, and how many flows have any.',
  filters: ALL_FILTERS,
  parameters: Type.Object({}),
  shape: 'object',
  result: Type.Object({
    total_segments: Whole,
    average_duration_seconds: Seconds,
    min_duration_seconds: Seconds,
    max_duration_seconds: Seconds,
    total_duration_seconds: Real,
    time_range: Nullable(Text),
    duration_statistics: Type.Object({ p25: Seconds, median: Seconds, p75: Seconds, p95: Seconds, standard_deviation: Seconds }),
    coverage: Type.Object({ flows_covered: Whole, segments_covered: Whole }),
  }),
  plan: (_, filters) => ({
    datasets: [request('segments', ['start_ns', 'end_ns'], segmentRows(filters), flowsMatching(filters))],
    sql: `
      with lengths as (select flow, start_ns, end_ns, end_ns::hugeint - start_ns as ns from segments)
      select
        count(*) as total_segments,
        ${secondsSql('sum(ns)')} / nullif(count(*), 0) as average_duration_seconds,
        ${secondsSql('min(ns)')} as min_duration_seconds,
        ${secondsSql('max(ns)')} as max_duration_seconds,
        ${secondsSql('coalesce(sum(ns), 0)')} as total_duration_seconds,
        ${timerangeSql('min(start_ns)', 'max(end_ns)')} as time_range,
        {
          'p25': quantile_cont(ns::double, 0.25) / 1e9,
          'median': quantile_cont(ns::double, 0.5) / 1e9,
          'p75': quantile_cont(ns::double, 0.75) / 1e9,
          'p95': quantile_cont(ns::double, 0.95) / 1e9,
          'standard_deviation': stddev_pop(ns::double / 1e9)
        } as duration_statistics,
        { 'flows_covered': count(distinct flow), 'segments_covered': count(*) } as coverage
      from lengths`,
  }),
})
