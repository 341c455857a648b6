import { Type } from '@sinclair/typebox'
import { invalid } from '../../src/core/errors.ts'
import { quote } from '../../src/core/uuid.ts'
import { MetricParameter, measure } from '../metrics.ts'
import { report } from '../report.ts'
import { ALL_FILTERS, DEFAULT_METRIC, Nullable, Real, Whole } from './shared.ts'

const MAX_EDGES = 1000

export const distribution = report({
  name: 'distribution',
  summary: 'A histogram of a metric: equal bins between the least and the greatest value, or bins of your own.',
  filters: ALL_FILTERS,
  parameters: Type.Object({
    metric: MetricParameter(DEFAULT_METRIC),
    bins: Type.String({
      default: '10',
      description: 'How many equal bins, or the edges of the bins: `0,1,10,100`. A bin holds its lower edge, the last one also its upper',
    }),
  }),
  shape: 'table',
  result: Type.Object({ lower: Nullable(Real), upper: Nullable(Real), count: Whole, fraction: Nullable(Real) }),
  plan: ({ metric, bins }, filters) => {
    const { select, datasets } = measure(metric, filters)
    const edges = parseEdges(bins)
    return {
      datasets,
      bind: edges === undefined ? { bins: parseCount(bins) } : { edges: JSON.stringify(edges) },
      sql: `
        with measured as (${select}),
        present as (select value from measured where value is not null),
        ${edges === undefined ? EQUAL : OWN},
        bins as (
          select unnest(range(1, len(edges))) as i, edges, len(edges) - 1 as last from edges where len(edges) > 1
        ),
        -- Bins of DuckDB hold their upper edge: seen from below zero they hold their lower one.
        tallied as (
          select histogram(-value, (select list_transform(list_reverse(edges), lambda edge: -edge) from edges)) as counts
          from present
          where value >= (select edges[1] from edges) and value <= (select edges[-1] from edges)
        ),
        ends as (select i, i = last as is_last, edges[i] as lower, edges[i + 1] as upper from bins),
        placed as (
          select
            i,
            lower,
            upper,
            case when is_last or lower < upper then coalesce(counts[-lower], 0) else 0 end
              + case when is_last and lower < upper then coalesce(counts[-upper], 0) else 0 end as count
          from ends, tallied
        )
        select lower, upper, count, count::double / nullif((select count(*) from present), 0) as fraction
        from placed
        order by i`,
    }
  },
})

// All values alike: one bin from the value to itself.
const EQUAL = `bounds as (select min(value) as least, max(value) as most from present),
        edges as (
          select case
            when least is null then []
            when least = most then [least, most]
            else list_transform(range(0, $bins + 1), lambda i: case when i = $bins then most else least + (most - least) * i / $bins end)
          end as edges
          from bounds
        )`
const OWN = 'edges as (select from_json($edges::varchar, \'["DOUBLE"]\') as edges)'

const parseCount = (text: string): bigint => {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (count < 1 || count > MAX_EDGES) throw invalid('bins', `${quote(text)} is neither a number from 1 to ${MAX_EDGES} nor a list of edges`)
  return BigInt(count)
}

const parseEdges = (text: string): number[] | undefined => {
  if (!text.includes(',')) return undefined
  const edges = text.split(',').map((part) => (/^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(part) ? Number(part) : Number.NaN))
  if (edges.length > MAX_EDGES || edges.some((edge, i) => !Number.isFinite(edge) || (i > 0 && edge <= (edges[i - 1] ?? 0))))
    throw invalid('bins', `${quote(text)} is not a list of at most ${MAX_EDGES} numbers, each greater than the one before`)
  return edges
}
