import { Type } from '@sinclair/typebox'
import { request } from '../datasets.ts'
import { objectRows } from '../filters.ts'
import { objectIdSql } from '../object-keys.ts'
import { report } from '../report.ts'
import { FLOW_FILTERS, LimitParameter, Nullable, Real, Text, Whole } from './shared.ts'

const Accessed = Type.Array(Type.Object({ object_id: Text, access_count: Whole, size: Nullable(Whole) }))

export const storageUsage = report({
  name: 'storage-usage',
  summary: 'Bytes of the media objects, how they are distributed, and which are asked for most and least (URLs signed and reads served).',
  filters: ['start_time', 'end_time', 'storage_backend_id', ...FLOW_FILTERS],
  parameters: Type.Object({ n: LimitParameter(10, 'objects in each list') }),
  shape: 'object',
  result: Type.Object({
    total_objects: Whole,
    total_size_bytes: Whole,
    average_size_bytes: Nullable(Real),
    unknown_size_objects: Whole,
    most_accessed: Accessed,
    least_accessed: Accessed,
    average_access_count: Nullable(Real),
    size_distribution: Type.Object({ small: Whole, medium: Whole, large: Whole, xlarge: Whole }),
  }),
  plan: ({ n }, filters) => ({
    datasets: [
      request('objects', ['id', 'size'], objectRows(filters)),
      request('object_access', ['object_id', 'signed_count', 'read_count']),
    ],
    bind: { n: BigInt(n) },
    sql: `
      with access as (
        select object, sum(signed_count + read_count)::bigint as access_count from object_access group by object
      ),
      -- Most objects are never asked for: they are only counted, and the first of them listed.
      asked as materialized (
        select o.object, a.access_count, o.size from access a join objects o on o.object = a.object
      ),
      unasked as (
        select o.object, 0 as access_count, o.size from objects o anti join access a on a.object = o.object order by o.object limit $n
      ),
      -- Of equal ones the first by key, which is a number: for most ids that is the order of their text.
      most as (select * from (from asked union all from unasked) order by access_count desc, object limit $n),
      least as (select * from (from asked union all from unasked) order by access_count, object limit $n),
      named as (
        select o.object, ${objectIdSql('o')} as object_id
        from (select object from most union select object from least) shown join objects o on o.object = shown.object
      ),
      listed as (
        select
          (select list({ 'object_id': object_id, 'access_count': access_count, 'size': size } order by access_count desc, m.object)
            from most m join named on named.object = m.object) as most,
          (select list({ 'object_id': object_id, 'access_count': access_count, 'size': size } order by access_count, l.object)
            from least l join named on named.object = l.object) as least
      )
      select
        count(*) as total_objects,
        coalesce(sum(size), 0) as total_size_bytes,
        avg(size) as average_size_bytes,
        count(*) - count(size) as unknown_size_objects,
        coalesce((select most from listed), []) as most_accessed,
        coalesce((select least from listed), []) as least_accessed,
        (select coalesce(sum(access_count), 0) from asked)::double / nullif(count(*), 0) as average_access_count,
        {
          'small': count(*) filter (size < 1000000),
          'medium': count(*) filter (size >= 1000000 and size < 100000000),
          'large': count(*) filter (size >= 100000000 and size < 1000000000),
          'xlarge': count(*) filter (size >= 1000000000)
        } as size_distribution
      from objects`,
  }),
})
