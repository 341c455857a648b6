import { Type } from '@sinclair/typebox'
import { GroupParameter, MetricParameter, measure } from '../metrics.ts'
import { report } from '../report.ts'
import { describedSql } from './quantiles.ts'
import { ALL_FILTERS, DEFAULT_METRIC, LimitParameter, Nullable, Real, Text, Whole } from './shared.ts'

const Value = Nullable(Real)

export const percentiles = report({
  name: 'percentiles',
  summary: 'Percentiles of a metric, between values by linear interpolation; values that are not there do not count.',
  filters: ALL_FILTERS,
  parameters: Type.Object({ metric: MetricParameter(DEFAULT_METRIC), group_by: GroupParameter, n: LimitParameter(1000, 'groups') }),
  shape: 'table',
  result: Type.Object({
    group: Nullable(Text),
    count: Whole,
    mean: Value,
    min: Value,
    p25: Value,
    p50: Value,
    p75: Value,
    p90: Value,
    p95: Value,
    p99: Value,
    max: Value,
  }),
  plan: ({ metric, group_by, n }, filters) => {
    const { select, datasets } = measure(metric, filters, { groupBy: group_by, group: true })
    return {
      datasets,
      bind: { n: BigInt(n) },
      sql: `
        with measured as not materialized (${select}),
        ${describedSql('measured', [0.25, 0.5, 0.75, 0.9, 0.95, 0.99])}
        select
          grp as "group",
          coalesce(count, 0) as count,
          mean,
          least as min,
          q[1] as p25,
          q[2] as p50,
          q[3] as p75,
          q[4] as p90,
          q[5] as p95,
          q[6] as p99,
          most as max
        from ${group_by === undefined ? '(select 1) left join described on true' : 'described'}
        order by count desc, "group" nulls first
        limit $n`,
    }
  },
})
