import { Type } from '@sinclair/typebox'
import { MetricParameter, measure } from '../metrics.ts'
import { report } from '../report.ts'
import {
  ALL_FILTERS,
  BucketParameter,
  bucketSql,
  DEFAULT_METRIC,
  emptyStepSql,
  Nullable,
  Real,
  STATISTICS,
  StatisticParameter,
  stepsSql,
  Time,
  Whole,
  widthUs,
} from './shared.ts'

const Value = Nullable(Real)

export const movingAverage = report({
  name: 'moving-average',
  summary: 'A metric over steps of creation time, smoothed over the last steps, with change and running total.',
  filters: ALL_FILTERS,
  parameters: Type.Object({
    metric: MetricParameter(DEFAULT_METRIC),
    bucket: BucketParameter,
    statistic: StatisticParameter('mean'),
    window: Type.Integer({ minimum: 1, maximum: 10_000, default: 7, description: 'Steps that are averaged, the current one included' }),
  }),
  shape: 'table',
  result: Type.Object({
    bucket: Time,
    count: Whole,
    value: Value,
    moving_average: Value,
    moving_min: Value,
    moving_max: Value,
    change: Value,
    running_total: Value,
  }),
  plan: ({ metric, bucket, statistic, window }, filters) => {
    const { select, datasets } = measure(metric, filters, { created: true })
    return {
      datasets,
      bind: { width: widthUs(bucket), preceding: BigInt(window - 1) },
      sql: `
        with measured as (${select}),
        filled as (
          select ${bucketSql('created')} as bucket, count(value) as n, ${STATISTICS[statistic]} as value
          from measured where value is not null group by 1
        ),
        extent as (select min(bucket) as first, (epoch_us(max(bucket)) - epoch_us(min(bucket))) // $width as last from filled),
        steps as (
          select unnest(range(0, ${stepsSql('last')} + 1)) as step, first from extent where first is not null
        ),
        series as (
          select
            s.first + to_microseconds(s.step * $width) as bucket,
            coalesce(f.n, 0) as count,
            coalesce(f.value, ${emptyStepSql(statistic)}) as value
          from steps s left join filled f on f.bucket = s.first + to_microseconds(s.step * $width)
        )
        select
          bucket,
          count,
          value,
          avg(value) over recent as moving_average,
          min(value) over recent as moving_min,
          max(value) over recent as moving_max,
          value - lag(value) over (order by bucket) as change,
          sum(value) over (order by bucket rows unbounded preceding) as running_total
        from series
        window recent as (order by bucket rows between $preceding preceding and current row)
        order by bucket`,
    }
  },
})
