import { Type } from '@sinclair/typebox'
import { request } from '../datasets.ts'
import { objectRows } from '../filters.ts'
import { report } from '../report.ts'
import { BucketParameter, bucketSql, FLOW_FILTERS, finiteSql, Nullable, Real, stepsSql, Time, Whole, widthUs } from './shared.ts'

const Point = Type.Object({ bucket: Time, bytes: Whole, objects: Whole })

export const growth = report({
  name: 'growth',
  summary: 'Bytes and objects that are stored now, summed up over their creation time, and where a straight line through that leads.',
  filters: ['start_time', 'end_time', 'storage_backend_id', ...FLOW_FILTERS],
  parameters: Type.Object({
    bucket: BucketParameter,
    horizon: Type.Integer({ minimum: 0, maximum: 1000, default: 30, description: 'Steps of the forecast' }),
  }),
  shape: 'object',
  result: Type.Object({
    total_bytes: Whole,
    total_objects: Whole,
    bytes_per_bucket: Nullable(Real),
    r2: Nullable(Real),
    series: Type.Array(Point),
    forecast: Type.Array(Type.Object({ bucket: Time, bytes: Real })),
  }),
  plan: ({ bucket, horizon }, filters) => ({
    datasets: [request('objects', ['size', 'created'], objectRows(filters))],
    bind: { width: widthUs(bucket), horizon: BigInt(horizon) },
    sql: `
      with added as (
        select ${bucketSql('created')} as bucket, count(*) as objects, coalesce(sum(size), 0) as bytes from objects group by 1
      ),
      extent as (select min(bucket) as first, (epoch_us(max(bucket)) - epoch_us(min(bucket))) // $width as last from added),
      steps as (
        select unnest(range(0, ${stepsSql('last')} + 1)) as step, first from extent where first is not null
      ),
      series as (
        select
          s.step,
          s.first + to_microseconds(s.step * $width) as bucket,
          sum(coalesce(a.bytes, 0)) over (order by s.step rows unbounded preceding) as bytes,
          sum(coalesce(a.objects, 0)) over (order by s.step rows unbounded preceding) as objects
        from steps s left join added a on a.bucket = s.first + to_microseconds(s.step * $width)
      ),
      line as (
        select
          ${finiteSql('regr_slope(bytes::double, step::double)')} as slope,
          ${finiteSql('regr_intercept(bytes::double, step::double)')} as intercept,
          ${finiteSql('regr_r2(bytes::double, step::double)')} as r2
        from series
      ),
      ahead as (
        select first + to_microseconds((last + i) * $width) as bucket, intercept + slope * (last + i) as bytes
        from extent, line, (select unnest(range(1, $horizon + 1)) as i)
        where first is not null and slope is not null
      )
      select
        (select coalesce(sum(size), 0) from objects) as total_bytes,
        (select count(*) from objects) as total_objects,
        slope as bytes_per_bucket,
        r2,
        coalesce((
          select list({'bucket': strftime(bucket, '%Y-%m-%dT%H:%M:%SZ'), 'bytes': bytes, 'objects': objects} order by bucket) from series
        ), []) as series,
        coalesce((select list({'bucket': strftime(bucket, '%Y-%m-%dT%H:%M:%SZ'), 'bytes': bytes} order by bucket) from ahead), []) as forecast
      from line`,
  }),
})
