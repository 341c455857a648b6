import { Type } from '@sinclair/typebox'
import { request } from '../datasets.ts'
import { objectRows } from '../filters.ts'
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
        select object, sum(signed_count + read_count)::bigint as accesses from object_access group by object
      ),
      used as (
        select o.id as object_id, coalesce(a.accesses, 0) as access_count, o.size
        from objects o left join access a on a.object = o.object
      ),
      most as (select * from used order by access_count desc, object_id limit $n),
      least as (select * from used order by access_count, object_id limit $n)
      select
        count(*) as total_objects,
        coalesce(sum(size), 0) as total_size_bytes,
        avg(size) as average_size_bytes,
        count(*) - count(size) as unknown_size_objects,
        coalesce((select list(most order by access_count desc, object_id) from most), []) as most_accessed,
        coalesce((select list(least order by access_count, object_id) from least), []) as least_accessed,
        avg(access_count) as average_access_count,
        {
          'small': count(*) filter (size < 1000000),
          'medium': count(*) filter (size >= 1000000 and size < 100000000),
          'large': count(*) filter (size >= 100000000 and size < 1000000000),
          'xlarge': count(*) filter (size >= 1000000000)
        } as size_distribution
      from used`,
  }),
})
