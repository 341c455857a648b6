import { Type } from '@sinclair/typebox'
import { MetricParameter, measure } from '../metrics.ts'
import { report } from '../report.ts'
import {
  ALL_FILTERS,
  BucketParameter,
  bucketSql,
  DEFAULT_METRIC,
  emptyStepSql,
  finiteSql,
  Nullable,
  Real,
  STATISTICS,
  StatisticParameter,
  stepsSql,
  Time,
  Whole,
  widthUs,
} from './shared.ts'

const Point = Type.Object({ bucket: Time, value: Nullable(Real) })

export const trends = report({
  name: 'trends',
  summary: 'A straight line through a metric over steps of creation time (least squares), and where it leads.',
  filters: ALL_FILTERS,
  parameters: Type.Object({
    metric: MetricParameter(DEFAULT_METRIC),
    bucket: BucketParameter,
    statistic: StatisticParameter('mean'),
    horizon: Type.Integer({ minimum: 0, maximum: 1000, default: 7, description: 'Steps of the forecast' }),
  }),
  shape: 'object',
  result: Type.Object({
    buckets: Whole,
    slope_per_bucket: Nullable(Real),
    intercept: Nullable(Real),
    r2: Nullable(Real),
    series: Type.Array(Point),
    forecast: Type.Array(Point),
  }),
  plan: ({ metric, bucket, statistic, horizon }, filters) => {
    const { select, datasets } = measure(metric, filters, { created: true })
    return {
      datasets,
      bind: { width: widthUs(bucket), horizon: BigInt(horizon) },
      sql: `
        with measured as (${select}),
        filled as (
          select ${bucketSql('created')} as bucket, ${STATISTICS[statistic]} as value
          from measured where value is not null group by 1
        ),
        extent as (select min(bucket) as first, (epoch_us(max(bucket)) - epoch_us(min(bucket))) // $width as last from filled),
        steps as (
          select unnest(range(0, ${stepsSql('last')} + 1)) as step, first from extent where first is not null
        ),
        series as (
          select s.step, s.first + to_microseconds(s.step * $width) as bucket, coalesce(f.value, ${emptyStepSql(statistic)}) as value
          from steps s left join filled f on f.bucket = s.first + to_microseconds(s.step * $width)
        ),
        line as (
          select
            ${finiteSql('regr_slope(value, step::double)')} as slope,
            ${finiteSql('regr_intercept(value, step::double)')} as intercept,
            ${finiteSql('regr_r2(value, step::double)')} as r2
          from series where value is not null
        ),
        ahead as (
          select first + to_microseconds((last + i) * $width) as bucket, intercept + slope * (last + i) as value
          from extent, line, (select unnest(range(1, $horizon + 1)) as i)
          where first is not null and slope is not null
        )
        select
          (select count(*) from series) as buckets,
          slope as slope_per_bucket,
          intercept,
          r2,
          coalesce((select list({'bucket': strftime(bucket, '%Y-%m-%dT%H:%M:%SZ'), 'value': value} order by bucket) from series), []) as series,
          coalesce((select list({'bucket': strftime(bucket, '%Y-%m-%dT%H:%M:%SZ'), 'value': value} order by bucket) from ahead), []) as forecast
        from line`,
    }
  },
})
