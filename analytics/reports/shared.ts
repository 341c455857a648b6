import { type TSchema, Type } from '@sinclair/typebox'
import type { FilterName } from '../filters.ts'
import type { MetricName } from '../metrics.ts'

export const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])
/** Exact; text beyond what a double holds. */
export const Whole = Type.Union([Type.Integer(), Type.String({ pattern: '^-?[0-9]+$' })])
export const Real = Type.Number()
export const Time = Type.String({ format: 'date-time' })
export const Text = Type.String()
/** A number per name. */
export const Tally = Type.Record(Type.String(), Whole)

export const FLOW_FILTERS: readonly FilterName[] = ['source_id', 'flow_id', 'flow_format', 'tag']
export const ALL_FILTERS: readonly FilterName[] = ['start_time', 'end_time', 'timerange', 'storage_backend_id', ...FLOW_FILTERS]

const WIDTHS_US = { minute: 60_000_000, hour: 3_600_000_000, day: 86_400_000_000, week: 604_800_000_000 } as const
type Bucket = keyof typeof WIDTHS_US

export const BucketParameter = Type.Union([Type.Literal('minute'), Type.Literal('hour'), Type.Literal('day'), Type.Literal('week')], {
  default: 'day',
  description: 'Width of a step of time, in UTC; weeks begin on Monday',
})
/** Microseconds. */
export const widthUs = (bucket: Bucket): bigint => BigInt(WIDTHS_US[bucket])
/** The beginning of the bucket of `time`. */
export const bucketSql = (time: string): string => `time_bucket(to_microseconds($width), ${time})`

/** A series with empty steps filled in must not fill memory: above this the bucket is too small for the span. */
const MAX_STEPS = 100_000
export const stepsSql = (last: string): string =>
  `case when ${last} > ${MAX_STEPS} then error('parameter bucket: is too small for this span of time') else ${last} end`

export const LimitParameter = (byDefault: number, name = 'rows') =>
  Type.Integer({ minimum: 1, maximum: 10_000, default: byDefault, description: `At most so many ${name}` })

/** Text of the specification for nanoseconds that may lie beyond 64 bits. */
const timestampSql = (ns: string): string =>
  `(case when ${ns} < 0 then '-' else '' end || (abs(${ns}::hugeint) // 1000000000)::varchar || ':' || (abs(${ns}::hugeint) % 1000000000)::varchar)`

/** `[start_end)`, null where a bound is. */
export const timerangeSql = (startNs: string, endNs: string): string =>
  `'[' || ${timestampSql(startNs)} || '_' || ${timestampSql(endNs)} || ')'`

export const secondsSql = (ns: string): string => `(${ns})::double / 1e9`

export const STATISTICS = {
  mean: 'avg(value)',
  sum: 'coalesce(sum(value), 0)',
  count: 'count(value)::double',
  min: 'min(value)',
  max: 'max(value)',
} as const
export type Statistic = keyof typeof STATISTICS
/** A step without values has none of the others. */
export const emptyStepSql = (statistic: Statistic): string => (statistic === 'sum' || statistic === 'count' ? '0.0' : 'null')

export const StatisticParameter = (byDefault: Statistic) =>
  Type.Union([Type.Literal('mean'), Type.Literal('sum'), Type.Literal('count'), Type.Literal('min'), Type.Literal('max')], {
    default: byDefault,
    description: 'What is made of the values of one step or group',
  })

export const DEFAULT_METRIC: MetricName = 'segment_duration'

/** DuckDB's regression of a single point, or of points above each other, is not a number: there is no line then. */
export const finiteSql = (value: string): string => `case when isfinite(${value}) then ${value} end`
