import { Type } from '@sinclair/typebox'
import { eq, everything, isNull, not } from '../../src/core/predicate.ts'
import { request } from '../datasets.ts'
import { report } from '../report.ts'
import { LimitParameter, Nullable, Text, Whole } from './shared.ts'

export const tagUsage = report({
  name: 'tag-usage',
  summary: 'Which tags are used, with which values, by how many sources, flows and segments. An empty list counts as the value null.',
  filters: [],
  parameters: Type.Object({
    q: Type.Optional(Type.String({ examples: ['input'], description: 'Only names that begin so' })),
    entity_type: Type.Optional(
      Type.Union([Type.Literal('source'), Type.Literal('flow'), Type.Literal('segment')], {
        examples: ['flow'],
        description: 'Only tags of such things',
      }),
    ),
    n: LimitParameter(1000),
  }),
  shape: 'table',
  result: Type.Object({ name: Text, value: Nullable(Text), sources: Whole, flows: Whole, segments: Whole, total: Whole }),
  plan: ({ q, entity_type, n }) => ({
    datasets: [
      request(
        'tags',
        ['entity_type', 'entity_id', 'name', 'value', 'empty_list'],
        entity_type === undefined ? everything : eq('entity_type', entity_type),
      ),
      // Tags of deleted segments stay until their rows are worked off, or restored.
      ...(entity_type === undefined || entity_type === 'segment' ? [request('segments', ['tag_id'], not(isNull('tag_id')))] : []),
    ],
    bind: { q: q ?? '', n: BigInt(n) },
    sql: `
      select
        name,
        case when empty_list then null else value end as value,
        count(distinct entity_id) filter (entity_type = 'source') as sources,
        count(distinct entity_id) filter (entity_type = 'flow') as flows,
        count(distinct entity_id) filter (entity_type = 'segment') as segments,
        count(distinct (entity_type, entity_id)) as total
      from tags
      where starts_with(name, $q)
        ${entity_type === 'source' || entity_type === 'flow' ? '' : "and (entity_type <> 'segment' or entity_id in (select tag_id from segments))"}
      group by all
      order by total desc, name, value nulls first
      limit $n`,
  }),
})
