import { Type } from '@sinclair/typebox'
import { request } from '../datasets.ts'
import { flowsMatching, objectRows, segmentRows } from '../filters.ts'
import { report } from '../report.ts'
import { BucketParameter, bucketSql, FLOW_FILTERS, LimitParameter, Real, Time, Whole, widthUs } from './shared.ts'

export const ingestRate = report({
  name: 'ingest-rate',
  summary: 'Segments, media time, objects and bytes per step of creation time, the latest steps that have any.',
  filters: ['start_time', 'end_time', 'storage_backend_id', ...FLOW_FILTERS],
  parameters: Type.Object({ bucket: BucketParameter, n: LimitParameter(1000, 'steps') }),
  shape: 'table',
  result: Type.Object({
    bucket: Time,
    segments: Whole,
    media_seconds: Real,
    objects: Whole,
    bytes: Whole,
    segments_per_second: Real,
    bytes_per_second: Real,
  }),
  plan: ({ bucket, n }, filters) => ({
    datasets: [
      request('segments', ['start_ns', 'end_ns', 'created'], segmentRows(filters), flowsMatching(filters)),
      request('objects', ['size', 'created'], objectRows(filters)),
    ],
    bind: { width: widthUs(bucket), n: BigInt(n) },
    sql: `
      with placed as (
        select ${bucketSql('created')} as bucket, count(*) as segments, sum(end_ns) - sum(start_ns) as ns from segments group by 1
      ),
      stored as (
        select ${bucketSql('created')} as bucket, count(*) as objects, coalesce(sum(size), 0) as bytes from objects group by 1
      ),
      latest as (
        select
          bucket,
          coalesce(segments, 0) as segments,
          coalesce(ns, 0) as ns,
          coalesce(objects, 0) as objects,
          coalesce(bytes, 0) as bytes
        from placed full join stored using (bucket)
        order by bucket desc
        limit $n
      )
      select
        bucket,
        segments,
        ns::double / 1e9 as media_seconds,
        objects,
        bytes,
        segments / ($width / 1e6) as segments_per_second,
        bytes::double / ($width / 1e6) as bytes_per_second
      from latest
      order by bucket`,
  }),
})
