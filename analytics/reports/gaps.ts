import { Type } from '@sinclair/typebox'
import { request } from '../datasets.ts'
import { flowsMatching, segmentRows } from '../filters.ts'
import { report } from '../report.ts'
import { ALL_FILTERS, LimitParameter, Real, secondsSql, Text, timerangeSql, Whole } from './shared.ts'

export const gaps = report({
  name: 'gaps',
  summary: 'Holes between the segments of a flow, the longest first. With a timerange: between the segments that it touches.',
  filters: ALL_FILTERS,
  parameters: Type.Object({
    threshold: Type.Number({ minimum: 0, maximum: 1e10, default: 0, description: 'Seconds; only holes that are longer' }),
    n: LimitParameter(1000),
  }),
  shape: 'table',
  result: Type.Object({ flow_id: Text, timerange: Text, start_ns: Whole, end_ns: Whole, gap_seconds: Real }),
  // Segments of a flow never overlap: the one before ends last.
  plan: ({ threshold, n }, filters) => ({
    datasets: [
      request('flows', ['id'], flowsMatching(filters)),
      request('segments', ['start_ns', 'end_ns'], segmentRows(filters), flowsMatching(filters)),
    ],
    bind: { threshold, n: BigInt(n) },
    sql: `
      with steps as (
        select flow, lag(end_ns) over (partition by flow order by start_ns) as hole_start, start_ns as hole_end from segments
      ),
      holes as (
        select flow, hole_start, hole_end, hole_end::hugeint - hole_start as ns from steps where hole_end > hole_start
      )
      select
        f.id as flow_id,
        ${timerangeSql('hole_start', 'hole_end')} as timerange,
        hole_start as start_ns,
        hole_end as end_ns,
        ${secondsSql('ns')} as gap_seconds
      from holes h join flows f on f.flow = h.flow
      where ns::double > $threshold * 1e9
      order by ns desc, f.id, hole_start
      limit $n`,
  }),
})
