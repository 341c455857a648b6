import { Type } from '@sinclair/typebox'
import { request } from '../datasets.ts'
import { flowsMatching, segmentRows } from '../filters.ts'
import { report } from '../report.ts'
import { describedSql } from './quantiles.ts'
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
      with durations as not materialized (select null as grp, ${secondsSql('end_ns::hugeint - start_ns')} as value from segments),
      ${describedSql('durations', [0.25, 0.5, 0.75, 0.95])},
      extent as (select min(start_ns) as first, max(end_ns) as last, count(distinct flow) as flows from segments)
      select
        coalesce(count, 0) as total_segments,
        mean as average_duration_seconds,
        least as min_duration_seconds,
        most as max_duration_seconds,
        coalesce(total, 0) as total_duration_seconds,
        ${timerangeSql('first', 'last')} as time_range,
        { 'p25': q[1], 'median': q[2], 'p75': q[3], 'p95': q[4], 'standard_deviation': deviation } as duration_statistics,
        { 'flows_covered': flows, 'segments_covered': coalesce(count, 0) } as coverage
      from extent left join described on true`,
  }),
})
