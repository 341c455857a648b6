import { Type } from '@sinclair/typebox'
import { and, eq, isIn } from '../../src/core/predicate.ts'
import { request } from '../datasets.ts'
import { flowsMatching } from '../filters.ts'
import { report } from '../report.ts'
import { FLOW_FILTERS, LimitParameter, Nullable, Real, Text, Time, Whole } from './shared.ts'

/**
 * The retention tags of AN0019, as timestamps of the specification: a flow goes when neither its metadata nor its segments have
 * changed for `flow_retention_offset`; a segment when it is older than `segment_retention_offset`. Values that are no timestamps
 * mean nothing.
 */
export const retentionOutlook = report({
  name: 'retention-outlook',
  summary: 'Flows with retention tags: when each is due to go, and how many of its segments are due within some days.',
  filters: FLOW_FILTERS,
  parameters: Type.Object({
    days: Type.Number({ minimum: 0, maximum: 36_500, default: 7, description: 'What is due until then' }),
    n: LimitParameter(1000, 'flows'),
  }),
  shape: 'table',
  result: Type.Object({
    flow_id: Text,
    flow_retention_seconds: Nullable(Real),
    flow_due: Nullable(Time),
    segment_retention_seconds: Nullable(Real),
    segments: Whole,
    segments_due: Whole,
    flow_is_due: Type.Boolean(),
  }),
  plan: ({ days, n }, filters, nowUs) => ({
    datasets: [
      request('flows', ['id', 'metadata_updated', 'segments_updated'], flowsMatching(filters)),
      request('segments', ['created'], undefined, flowsMatching(filters)),
      request(
        'tags',
        ['entity_id', 'name', 'value'],
        and(eq('entity_type', 'flow'), isIn('name', ['flow_retention_offset', 'segment_retention_offset']), eq('empty_list', false)),
      ),
    ],
    bind: { until: nowUs + BigInt(Math.round(days * 86_400e6)), n: BigInt(n) },
    sql: `
      with offsets as (
        select
          entity_id,
          min(${SECONDS}) filter (name = 'flow_retention_offset') as flow_seconds,
          min(${SECONDS}) filter (name = 'segment_retention_offset') as segment_seconds
        from tags group by entity_id
      ),
      kept as (
        select
          f.flow,
          f.id,
          o.flow_seconds,
          o.segment_seconds,
          epoch_us(greatest(f.metadata_updated, coalesce(f.segments_updated, f.metadata_updated)))::hugeint
            + (o.flow_seconds * 1e6)::hugeint as due_us
        from flows f join offsets o on o.entity_id = f.id
        where o.flow_seconds is not null or o.segment_seconds is not null
      ),
      old as (
        select
          k.flow,
          count(*) as segments,
          count(*) filter (epoch_us(s.created)::hugeint + (k.segment_seconds * 1e6)::hugeint <= $until) as due
        from kept k join segments s on s.flow = k.flow
        group by k.flow
      )
      select
        k.id as flow_id,
        k.flow_seconds as flow_retention_seconds,
        case when abs(k.due_us) < 100000000000000000 then make_timestamp(k.due_us::bigint) end as flow_due,
        k.segment_seconds as segment_retention_seconds,
        coalesce(o.segments, 0) as segments,
        coalesce(o.due, 0) as segments_due,
        coalesce(k.due_us <= $until, false) as flow_is_due
      from kept k left join old o on o.flow = k.flow
      order by flow_due nulls last, k.id
      limit $n`,
  }),
})

const SECONDS = `case when regexp_full_match(value, '-?(0|[1-9][0-9]{0,14}):(0|[1-9][0-9]{0,8})')
            then (case when starts_with(value, '-') then -1 else 1 end)
              * (abs(split_part(value, ':', 1)::double) + split_part(value, ':', 2)::double / 1e9) end`
