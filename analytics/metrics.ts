import { Type } from '@sinclair/typebox'
import { invalid } from '../src/core/errors.ts'
import { everything } from '../src/core/predicate.ts'
import type { DatasetName, DatasetRequest } from './datasets.ts'
import { type Filters, flowRows, flowsMatching, objectRows, segmentRows } from './filters.ts'
import { objectIdSql } from './object-keys.ts'
import type { Step } from './steps.ts'

type Subject = 'segments' | 'objects' | 'flows'

/** A number that each segment, object or flow has, or has not (null). */
export interface Metric {
  readonly of: Subject
  readonly unit: string
  readonly meaning: string
  /** Columns of the subject that `sql` reads. */
  readonly columns: readonly string[]
  /** Gives a DOUBLE, from the subject under the name `s`. */
  readonly sql: string
}

// A segment can be longer than 2^63 ns where it runs from one end of time to the other: hence hugeint, but it is slow.
const SECONDS = `case
          when s.start_ns >= 0 and s.end_ns >= 0 then (s.end_ns - s.start_ns)::double
          else (s.end_ns::hugeint - s.start_ns)::double
        end / 1e9`

export const metrics = {
  segment_duration: {
    of: 'segments',
    unit: 'seconds',
    meaning: 'length of a segment on the timeline',
    columns: ['start_ns', 'end_ns'],
    sql: SECONDS,
  },
  object_size: { of: 'objects', unit: 'bytes', meaning: 'size of a media object', columns: ['size'], sql: 's.size::double' },
  object_duration: {
    of: 'objects',
    unit: 'seconds',
    meaning: 'media time of an object',
    columns: ['start_ns', 'end_ns'],
    sql: SECONDS,
  },
  bit_rate: {
    of: 'objects',
    unit: 'bits per second',
    meaning: 'size of an object over its media time, where it has both',
    columns: ['size', 'start_ns', 'end_ns'],
    sql: `case when s.end_ns > s.start_ns then s.size::double * 8 / (${SECONDS}) end`,
  },
  ingest_latency: {
    of: 'objects',
    unit: 'seconds',
    meaning: 'from the allocation (or first mention) of an object to its registration',
    columns: ['created', 'registered'],
    sql: '(epoch_us(s.registered) - epoch_us(s.created))::double / 1e6',
  },
  flow_segments: {
    of: 'flows',
    unit: 'segments',
    meaning: 'number of segments of a flow',
    columns: ['segment_count'],
    sql: 's.segment_count::double',
  },
  flow_extent: {
    of: 'flows',
    unit: 'seconds',
    meaning: 'from the first to the last of a flow’s media, holes included',
    columns: ['start_ns', 'end_ns'],
    sql: SECONDS,
  },
  avg_bit_rate: {
    of: 'flows',
    unit: '1000 bits per second',
    meaning: 'the member avg_bit_rate of flows',
    columns: ['avg_bit_rate'],
    sql: 's.avg_bit_rate::double',
  },
  max_bit_rate: {
    of: 'flows',
    unit: '1000 bits per second',
    meaning: 'the member max_bit_rate of flows',
    columns: ['max_bit_rate'],
    sql: 's.max_bit_rate::double',
  },
} as const satisfies Record<string, Metric>

export type MetricName = keyof typeof metrics
export const metricNames = Object.keys(metrics) as MetricName[]
export const metricOf = (name: MetricName): Metric => metrics[name]

export const MetricParameter = (byDefault: MetricName) =>
  Type.Union(
    metricNames.map((name) => Type.Literal(name)),
    { default: byDefault, description: 'What is measured; see `metrics` of `GET /analytics`' },
  )

/** What values can be grouped by, per subject: where it comes from, `f` being the flow of a segment. */
const GROUPS = {
  segments: { flow_id: 'f.id', source_id: 'f.source_id', format: 'f.format', codec: 'f.codec', container: 'f.container' },
  flows: { flow_id: 's.id', source_id: 's.source_id', format: 's.format', codec: 's.codec', container: 's.container' },
  objects: { content_type: 's.content_type', kind: 's.kind', flow_id: 's.first_referenced_by_flow' },
} as const satisfies Record<Subject, Readonly<Record<string, string>>>

export const groupNames = [...new Set(Object.values(GROUPS).flatMap((groups) => Object.keys(groups)))]
export const GroupParameter = Type.Optional(
  Type.Union(
    groupNames.map((name) => Type.Literal(name)),
    {
      examples: ['format'],
      description:
        'One result per value; segments and flows: flow_id, source_id, format, codec, container; objects: content_type, kind, flow_id',
    },
  ),
)

export interface MeasureOptions {
  readonly groupBy?: string | undefined
  /** Also gives `grp` where there is none to group by: null. */
  readonly group?: boolean
  /** Also gives `created`. */
  readonly created?: boolean
  /** Also gives the id of the flow or object; of a segment its flow's, with `start_ns` beside it. */
  readonly identity?: boolean
  /** Also gives the numbers by which `NAMED` finds it again: text is made only of what is shown. */
  readonly keys?: boolean
  /** Another metric of the same subject, as `second`. */
  readonly second?: MetricName
}

/** A select of `value` (and `grp`, `created`, identity) with one row per subject, and the data it needs. */
export const measure = (
  name: MetricName,
  filters: Filters,
  options: MeasureOptions = {},
): { readonly select: string; readonly datasets: readonly DatasetRequest[] } => {
  const { of, columns, sql }: Metric = metrics[name]
  const group = options.groupBy === undefined ? undefined : groupSql(of, options.groupBy)
  const identity = options.identity ? IDENTITY[of] : undefined
  const mentioned = [group?.sql, ...(identity?.selected ?? [])]
  const second: Metric | undefined = options.second && metrics[options.second]
  const own = [...columns, ...(second?.columns ?? []), ...(options.created ? ['created'] : []), ...columnsBehind('s', mentioned)]
  const ofFlow = columnsBehind('f', mentioned)
  const selected = [
    `${sql} as value`,
    ...(second ? [`${second.sql} as second`] : []),
    ...(group ? [`${group.sql} as grp`] : options.group ? ['null::varchar as grp'] : []),
    ...(options.created ? ['s.created as created'] : []),
    ...(identity?.selected ?? []),
    ...(options.keys ? KEYS[of] : []),
  ]
  const join = of === 'segments' && ofFlow.length > 0 ? ' join flows f on f.flow = s.flow' : ''
  return {
    select: `select ${selected.join(', ')} from ${of} s${join}`,
    datasets: [
      ...(join ? [{ dataset: 'flows' as const, columns: ofFlow, where: flowsMatching(filters), flows: everything }] : []),
      subjectRows(of, own, filters),
    ],
  }
}

const IDENTITY = {
  segments: { selected: ['f.id as flow_id', 's.start_ns as start_ns'] },
  flows: { selected: ['s.id as flow_id'] },
  objects: { selected: ['s.id as object_id'] },
} as const satisfies Record<Subject, { readonly selected: readonly string[] }>

const KEYS = {
  segments: ['s.flow as flow', 's.start_ns as start_ns'],
  flows: ['s.flow as flow'],
  objects: ['s.object as object'],
} as const satisfies Record<Subject, readonly string[]>

/** Joins that lead from rows `v` with keys to their subject, and the columns of `IDENTITY` behind them. */
export const NAMED = {
  segments: { join: 'join flows f on f.flow = v.flow', columns: { flow_id: 'f.id', start_ns: 'v.start_ns' } },
  flows: { join: 'join flows s on s.flow = v.flow', columns: { flow_id: 's.id' } },
  objects: { join: 'join objects s on s.object = v.object', columns: { object_id: objectIdSql('s') } },
} as const satisfies Record<Subject, { readonly join: string; readonly columns: Readonly<Record<string, string>> }>

/** `named`: the ids of segments' objects, which are long to read, only in the flows whose ids `sql` gives. */
export const objectsOfSegments = (filters: Filters, sql: string): Step => ({
  kind: 'late',
  name: 'named',
  request: subjectRows('segments', ['start_ns', 'object_id'], filters),
  column: 'flow_id',
  sql,
})

const groupSql = (of: Subject, groupBy: string): { readonly sql: string } => {
  const groups: Readonly<Record<string, string>> = GROUPS[of]
  const sql = Object.hasOwn(groups, groupBy) ? groups[groupBy] : undefined
  if (sql === undefined) throw invalid('group_by', `${of} have no ${groupBy}; they have ${Object.keys(groups).join(', ')}`)
  return { sql }
}

const columnsBehind = (alias: 's' | 'f', texts: readonly (string | undefined)[]): string[] =>
  texts.flatMap((text) => (text?.startsWith(`${alias}.`) ? [text.slice(2).split(' ', 1).join()] : []))

const subjectRows = (of: Subject, columns: readonly string[], filters: Filters): DatasetRequest => {
  const wanted = { dataset: of satisfies DatasetName, columns: [...new Set(columns)] }
  if (of === 'flows') return { ...wanted, where: flowRows(filters), flows: everything }
  if (of === 'segments') return { ...wanted, where: segmentRows(filters), flows: flowsMatching(filters) }
  if (!filters.range.isEternity) throw invalid('timerange', 'objects have no place on a timeline; choose a metric of segments or flows')
  return { ...wanted, where: objectRows(filters), flows: everything }
}
