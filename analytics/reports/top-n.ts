import { Type } from '@sinclair/typebox'
import { GroupParameter, MetricParameter, measure, metricOf } from '../metrics.ts'
import { report } from '../report.ts'
import { ALL_FILTERS, DEFAULT_METRIC, LimitParameter, Nullable, Real, STATISTICS, StatisticParameter, Text, Whole } from './shared.ts'

export const topN = report({
  name: 'top-n',
  summary: 'The groups with the greatest sum (or mean, …) of a metric; without a group, the single things with the greatest value.',
  filters: ALL_FILTERS,
  parameters: Type.Object({
    metric: MetricParameter(DEFAULT_METRIC),
    group_by: GroupParameter,
    statistic: StatisticParameter('sum'),
    n: LimitParameter(10),
  }),
  shape: 'table',
  result: Type.Object({ group: Nullable(Text), start_ns: Nullable(Whole), count: Whole, value: Nullable(Real) }),
  plan: ({ metric, group_by, statistic, n }, filters) => {
    const { select, datasets } = measure(metric, filters, { groupBy: group_by, identity: group_by === undefined })
    const { of } = metricOf(metric)
    const single = `
          select ${of === 'objects' ? 'object_id' : 'flow_id'} as "group", ${of === 'segments' ? 'start_ns' : 'null::bigint as start_ns'},
            1::bigint as count, value
          from measured where value is not null`
    const grouped = `
          select grp as "group", null::bigint as start_ns, count(value) as count, ${STATISTICS[statistic]} as value
          from measured group by grp`
    return {
      datasets,
      bind: { n: BigInt(n) },
      sql: `
        with measured as (${select}),
        ranked as (${group_by === undefined ? single : grouped})
        select "group", start_ns, count, value
        from ranked
        order by value desc nulls last, "group" nulls last, start_ns
        limit $n`,
    }
  },
})
