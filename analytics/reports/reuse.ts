import { Type } from '@sinclair/typebox'
import { request } from '../datasets.ts'
import { flowsMatching, objectRows, segmentRows } from '../filters.ts'
import { objectIdSql } from '../object-keys.ts'
import { report } from '../report.ts'
import { ALL_FILTERS, LimitParameter, Nullable, Text, Whole } from './shared.ts'

export const reuse = report({
  name: 'reuse',
  summary: 'Objects that more than one segment uses, and the bytes saved against a copy for each flow that uses them.',
  filters: ALL_FILTERS,
  parameters: Type.Object({ n: LimitParameter(100, 'objects') }),
  shape: 'object',
  result: Type.Object({
    used_objects: Whole,
    reused_objects: Whole,
    objects_in_several_flows: Whole,
    bytes_saved: Whole,
    objects: Type.Array(
      Type.Object({ object_id: Text, segments: Whole, flows: Whole, size: Nullable(Whole), bytes_saved: Nullable(Whole) }),
    ),
  }),
  plan: ({ n }, filters) => {
    // Which segments count is what the filters say; of their objects only the size is needed.
    const { startUs: _start, endUs: _end, ...others } = filters
    return {
      datasets: [request('segments', ['object_id'], segmentRows(filters), flowsMatching(filters))],
      steps: [
        { kind: 'repeated', name: 'repeated', sql: 'select object from segments' },
        { kind: 'derived', name: 'reused', sql: REUSED },
        {
          kind: 'late',
          name: 'objects',
          request: request('objects', ['id', 'size'], objectRows(others)),
          column: 'id',
          sql: 'select object_id from reused',
        },
      ],
      bind: { n: BigInt(n) },
      sql: `
        with counted as (
          select
            ((select count(*) from segments) - coalesce(sum(segments - 1), 0))::bigint as used_objects,
            count(*) as reused_objects
          from reused
        ),
        sized as (
          select s.object_id, s.segments, s.flows, o.size, (o.size::hugeint * (s.flows - 1)) as bytes_saved
          from reused s left join objects o on o.object = s.object
        ),
        most as (select * from sized order by bytes_saved desc nulls last, segments desc, object_id limit $n)
        select
          any_value(used_objects) as used_objects,
          any_value(reused_objects) as reused_objects,
          count(object_id) filter (flows > 1) as objects_in_several_flows,
          coalesce(sum(bytes_saved), 0) as bytes_saved,
          coalesce((select list(most order by bytes_saved desc nulls last, segments desc, object_id) from most), []) as objects
        from counted left join sized on true`,
    }
  },
})

const REUSED = `
  with several as (
    select
      s.object,
      any_value(s.object_text) as object_text,
      any_value(s.object_form) as object_form,
      count(*) as segments,
      count(distinct s.flow) as flows
    from segments s semi join (select distinct object from repeated) r on r.object = s.object
    group by s.object
    having count(*) > 1
  )
  select object, ${objectIdSql('several')} as object_id, segments, flows from several`
