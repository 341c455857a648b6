import { Type } from '@sinclair/typebox'
import { request } from '../datasets.ts'
import { flowsMatching, segmentRows } from '../filters.ts'
import { report } from '../report.ts'
import { ALL_FILTERS, LimitParameter, Nullable, Real, secondsSql, Text, timerangeSql, Whole } from './shared.ts'

export const coverage = report({
  name: 'coverage',
  summary:
    'Which fraction of a timerange each flow has media for, the least covered first. An open end of it is that of the flow’s segments.',
  filters: ALL_FILTERS,
  parameters: Type.Object({ n: LimitParameter(1000, 'flows') }),
  shape: 'table',
  result: Type.Object({
    flow_id: Text,
    timerange: Nullable(Text),
    segments: Whole,
    covered_seconds: Real,
    range_seconds: Nullable(Real),
    fraction: Nullable(Real),
  }),
  plan: ({ n }, filters) => ({
    datasets: [
      request('flows', ['id'], flowsMatching(filters)),
      request('segments', ['start_ns', 'end_ns'], segmentRows(filters), flowsMatching(filters)),
    ],
    bind: { n: BigInt(n), range_start: filters.range.startNs ?? null, range_end: filters.range.endNs ?? null },
    sql: `
      with bounds as (select $range_start::bigint as range_start, $range_end::bigint as range_end),
      covered as (
        select
          flow,
          count(*) as segments,
          sum(least(end_ns, coalesce(range_end, end_ns))::hugeint - greatest(start_ns, coalesce(range_start, start_ns))) as ns,
          min(start_ns) as first,
          max(end_ns) as last
        from segments, bounds
        group by flow
      ),
      asked as (
        select
          f.id,
          coalesce(c.segments, 0) as segments,
          coalesce(c.ns, 0) as ns,
          coalesce(range_start, c.first) as start_ns,
          coalesce(range_end, c.last) as end_ns
        from bounds, flows f left join covered c on c.flow = f.flow
      )
      select
        id as flow_id,
        ${timerangeSql('start_ns', 'end_ns')} as timerange,
        segments,
        ${secondsSql('ns')} as covered_seconds,
        case when end_ns is not null and start_ns is not null then ${secondsSql('greatest(end_ns::hugeint - start_ns, 0)')} end as range_seconds,
        case when end_ns > start_ns then ns::double / (end_ns::hugeint - start_ns)::double end as fraction
      from asked
      order by fraction nulls last, id
      limit $n`,
  }),
})
