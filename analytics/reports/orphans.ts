import { Type } from '@sinclair/typebox'
import { request } from '../datasets.ts'
import { objectRows } from '../filters.ts'
import { report } from '../report.ts'
import { LimitParameter, Nullable, Text, Time, Whole } from './shared.ts'

export const orphans = report({
  name: 'orphans',
  summary: 'Registered objects that no segment of a live flow uses, the largest first, with their number and bytes in all.',
  filters: ['start_time', 'end_time', 'storage_backend_id'],
  parameters: Type.Object({ n: LimitParameter(100, 'objects') }),
  shape: 'object',
  result: Type.Object({
    orphaned_objects: Whole,
    orphaned_bytes: Whole,
    objects: Type.Array(
      Type.Object({
        object_id: Text,
        size: Nullable(Whole),
        created: Time,
        explicit: Type.Boolean(),
        first_referenced_by_flow: Nullable(Text),
      }),
    ),
  }),
  plan: ({ n }, filters) => ({
    datasets: [request('unused_objects', ['id', 'size', 'created', 'explicit', 'first_referenced_by_flow'], objectRows(filters))],
    bind: { n: BigInt(n) },
    sql: `
      with largest as (
        select id as object_id, size, strftime(created, '%Y-%m-%dT%H:%M:%S.%fZ') as created, explicit, first_referenced_by_flow
        from unused_objects order by size desc nulls last, id limit $n
      )
      select
        (select count(*) from unused_objects) as orphaned_objects,
        (select coalesce(sum(size), 0) from unused_objects) as orphaned_bytes,
        coalesce((select list(largest order by size desc nulls last, object_id) from largest), []) as objects`,
  }),
})
