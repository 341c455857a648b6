import { Type } from '@sinclair/typebox'
import { and, eq, isIn } from '../../src/core/predicate.ts'
import { RETENTION_TAGS, TAI_AHEAD_SECONDS } from '../../src/core/retention.ts'
import { TIMESTAMP_PATTERN } from '../../src/core/timestamp.ts'
import { request } from '../datasets.ts'
import { flowsMatching } from '../filters.ts'
import { report } from '../report.ts'
import { FLOW_FILTERS, LimitParameter, Nullable, Real, Text, Time, Whole } from './shared.ts'

/** The rules of `core/retention.ts`, in SQL: when flows and segments are due, whatever the moment. */
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
      request('segments', ['end_ns'], undefined, flowsMatching(filters)),
      request(
        'tags',
        ['entity_id', 'name', 'value'],
        and(eq('entity_type', 'flow'), isIn('name', Object.values(RETENTION_TAGS)), eq('empty_list', false)),
      ),
    ],
    bind: { until: nowUs + BigInt(Math.round(days * 86_400e6)), n: BigInt(n) },
    sql: `
      with offsets as (
        select
          entity_id,
          ${only(RETENTION_TAGS.flow)} as flow_seconds,
          ${only(RETENTION_TAGS.segment)} as segment_seconds
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
          count(*) filter (s.end_ns::hugeint + (k.segment_seconds * 1e9)::hugeint <= ($until::hugeint + ${TAI_AHEAD_SECONDS * 1e6}) * 1000) as due
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

// Beyond 64-bit nanoseconds a value is as good as never; a sum with it must still be a number.
const SECONDS = `case when regexp_full_match(value, '${TIMESTAMP_PATTERN}')
            then (case when starts_with(value, '-') then -1 else 1 end)
              * least(abs(split_part(value, ':', 1)::double) + split_part(value, ':', 2)::double / 1e9, 1e15) end`

const only = (name: string): string => `case when count(*) filter (name = '${name}') = 1 then min(${SECONDS}) filter (name = '${name}') end`
