import { Type } from '@sinclair/typebox'
import { request } from '../datasets.ts'
import { flowsMatching, segmentRows } from '../filters.ts'
import { report } from '../report.ts'
import { quantilesSql } from './quantiles.ts'
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
      with lengths as (select flow, start_ns, end_ns, end_ns::hugeint - start_ns as ns from segments),
      durations as (select null as grp, ${secondsSql('ns')} as value from lengths),
      ${quantilesSql('durations', [0.25, 0.5, 0.75, 0.95])},
      whole as (
        select
          count(*) as segments,
          sum(ns) as total,
          min(ns) as least,
          max(ns) as most,
          min(start_ns) as first,
          max(end_ns) as last,
          stddev_pop(${secondsSql('ns')}) as deviation,
          count(distinct flow) as flows
        from lengths
      )
      select
        segments as total_segments,
        ${secondsSql('total')} / nullif(segments, 0) as average_duration_seconds,
        ${secondsSql('least')} as min_duration_seconds,
        ${secondsSql('most')} as max_duration_seconds,
        ${secondsSql('coalesce(total, 0)')} as total_duration_seconds,
        ${timerangeSql('first', 'last')} as time_range,
        { 'p25': q[1], 'median': q[2], 'p75': q[3], 'p95': q[4], 'standard_deviation': deviation } as duration_statistics,
        { 'flows_covered': flows, 'segments_covered': segments } as coverage
      from whole left join quantiles on true`,
  }),
})
