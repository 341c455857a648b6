import { Type } from '@sinclair/typebox'
import { MetricParameter, measure, metricOf, NAMED, objectsOfSegments } from '../metrics.ts'
import { report } from '../report.ts'
import { ALL_FILTERS, DEFAULT_METRIC, LimitParameter, Nullable, Real, Text, Whole } from './shared.ts'

// The median deviation of a normal distribution, as a part of its standard deviation.
const MAD_OF_NORMAL = 0.6744897501960817

export const anomalies = report({
  name: 'anomalies',
  summary: 'Segments, objects or flows whose metric is far from the others’, by z-score or by the median absolute deviation (mad).',
  filters: ALL_FILTERS,
  parameters: Type.Object({
    metric: MetricParameter(DEFAULT_METRIC),
    method: Type.Union([Type.Literal('zscore'), Type.Literal('mad')], {
      default: 'zscore',
      description: 'Distance in standard deviations from the mean, or in median absolute deviations from the median',
    }),
    threshold: Type.Number({
      exclusiveMinimum: 0,
      maximum: 1e9,
      default: 3,
      description: 'Scores from this on, either way, are anomalies',
    }),
    n: LimitParameter(100),
  }),
  shape: 'table',
  result: Type.Object({
    flow_id: Nullable(Text),
    start_ns: Nullable(Whole),
    object_id: Nullable(Text),
    value: Real,
    expected: Real,
    score: Real,
  }),
  plan: ({ metric, method, threshold, n }, filters) => {
    const { select } = measure(metric, filters, { keys: true })
    const { datasets } = measure(metric, filters, { identity: true })
    const { of } = metricOf(metric)
    const ofSegments = of === 'segments'
    const { join, columns } = NAMED[of]
    const shown: Readonly<Record<string, string>> = columns
    const column = (name: string, type: string) => `${shown[name] ?? `null::${type}`} as ${name}`
    const found = `
        with measured as (${select}),
        ${method === 'zscore' ? Z_SCORE : MAD},
        far as (
          select measured.*, centre, (value - centre) / spread as score
          from measured, typical
          where value is not null and spread > 0 and abs(value - centre) / spread >= $threshold
        ),
        named as (
          select
            ${ofSegments ? 'v.flow,' : ''}
            ${column('flow_id', 'varchar')},
            ${column('start_ns', 'bigint')},
            ${column('object_id', 'varchar')},
            v.value,
            v.centre as expected,
            v.score
          from far v ${join}
        )
        select * from named order by abs(score) desc, flow_id, start_ns, object_id limit $n`
    return {
      datasets,
      steps: [
        { kind: 'derived', name: 'found', sql: found, bind: { threshold, n: BigInt(n) } },
        ...(ofSegments ? [objectsOfSegments(filters, 'select distinct flow_id from found')] : []),
      ],
      sql: `
        select found.flow_id, found.start_ns, ${ofSegments ? 'named' : 'found'}.object_id, value, expected, score
        from found ${ofSegments ? 'join named on named.flow = found.flow and named.start_ns = found.start_ns' : ''}
        order by abs(score) desc, found.flow_id, found.start_ns, found.object_id`,
    }
  },
})

const Z_SCORE = 'typical as (select avg(value) as centre, stddev_pop(value) as spread from measured)'
const MAD = `middle as (select median(value) as centre from measured),
        typical as (
          select any_value(centre) as centre, median(abs(value - centre)) / ${MAD_OF_NORMAL} as spread from measured, middle
        )`
