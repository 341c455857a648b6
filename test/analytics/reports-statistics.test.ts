import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { exactInteger, timeText } from '../../analytics/result.ts'
import { emptyModel, type Model, objectOf } from './model.ts'
import { type Json, type OpenAnalytics, openAnalytics, sameNumbers, withoutQuery } from './open.ts'
import { forStores } from './stores.ts'

// Many small stores, on machines that may be busy.
setDefaultTimeout(120_000)

let open: OpenAnalytics
beforeAll(async () => {
  open = await openAnalytics()
})
afterAll(() => open.close())

const durations = ({ segments }: Model): number[] => segments.map((row) => Number(row.end_ns - row.start_ns) / 1e9)
const rates = ({ flows }: Model): number[] => flows.flatMap(({ row }) => (row.avg_bit_rate === null ? [] : [Number(row.avg_bit_rate)]))
const sizes = ({ objects }: Model): number[] => objects.flatMap(({ size }) => (size === null ? [] : [Number(size)]))

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)
const mean = (values: readonly number[]): number | null => (values.length === 0 ? null : sum(values) / values.length)
const quantile = (values: readonly number[], q: number): number | null => {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (sorted.length - 1) * q
  const low = sorted[Math.floor(at)]
  const high = sorted[Math.ceil(at)]
  return low === undefined || high === undefined ? null : low + (high - low) * (at - Math.floor(at))
}
const spread = (values: readonly number[]): number => {
  const centre = mean(values) ?? 0
  return Math.sqrt(sum(values.map((value) => (value - centre) ** 2)) / values.length)
}
const line = (xs: readonly number[], ys: readonly number[]) => {
  const [mx, my] = [mean(xs) ?? 0, mean(ys) ?? 0]
  const sxx = sum(xs.map((x) => (x - mx) ** 2))
  const syy = sum(ys.map((y) => (y - my) ** 2))
  const sxy = sum(xs.map((x, i) => (x - mx) * ((ys[i] ?? 0) - my)))
  const slope = sxy / sxx
  return { slope, intercept: my - slope * mx, r2: syy === 0 ? 1 : sxy ** 2 / (sxx * syy), pearson: sxy / Math.sqrt(sxx * syy) }
}
const ranks = (values: readonly number[]) =>
  values.map((value) => values.filter((other) => other < value).length + (values.filter((other) => other === value).length + 1) / 2)
const percentileRow = (group: string | null, values: readonly number[]): Json => ({
  group,
  count: values.length,
  mean: mean(values),
  min: quantile(values, 0),
  p25: quantile(values, 0.25),
  p50: quantile(values, 0.5),
  p75: quantile(values, 0.75),
  p90: quantile(values, 0.9),
  p95: quantile(values, 0.95),
  p99: quantile(values, 0.99),
  max: quantile(values, 1),
})
const byGroup = (a: Json, b: Json) => (String(a.group) < String(b.group) ? -1 : 1)

describe('percentiles', () => {
  test('lie between values by linear interpolation, nulls left out', () =>
    forStores(open, async (model) => {
      sameNumbers(await open.rows('/percentiles'), [percentileRow(null, durations(model))])
      sameNumbers(await open.rows('/percentiles?metric=avg_bit_rate'), [percentileRow(null, rates(model))])
      sameNumbers(await open.rows('/percentiles?metric=object_size'), [percentileRow(null, sizes(model))])
      const latencies = model.objects.map((row) => Number((row.registered ?? 0n) - row.created) / 1e6)
      sameNumbers(await open.rows('/percentiles?metric=ingest_latency'), [percentileRow(null, latencies)])
      const bits = model.objects.flatMap(({ size, start_ns, end_ns }) =>
        size === null || start_ns === null || end_ns === null ? [] : [(Number(size) * 8) / (Number(end_ns - start_ns) / 1e9)],
      )
      sameNumbers(await open.rows('/percentiles?metric=bit_rate'), [percentileRow(null, bits)])
    }))

  test('are made per group', () =>
    forStores(open, async (model) => {
      const groups = new Map<string, number[]>()
      for (const segment of model.segments) {
        const format = model.flows.find(({ row }) => row.id === segment.flow_id)?.row.format ?? ''
        groups.set(format, [...(groups.get(format) ?? []), Number(segment.end_ns - segment.start_ns) / 1e9])
      }
      const rows = await open.rows('/percentiles?group_by=format')
      sameNumbers(rows.toSorted(byGroup), [...groups].map(([format, values]) => percentileRow(format, values)).toSorted(byGroup))
    }))
})

const DAY_US = 86_400_000_000n
const daily = (
  points: readonly { readonly created: bigint; readonly value: number }[],
  make: (values: readonly number[]) => number | null,
) => {
  const days = points.map(({ created }) => created - (created % DAY_US))
  const first = days.reduce<bigint | undefined>((least, day) => (least === undefined || day < least ? day : least), undefined)
  const last = days.reduce<bigint | undefined>((most, day) => (most === undefined || day > most ? day : most), undefined)
  if (first === undefined || last === undefined) return []
  return Array.from({ length: Number((last - first) / DAY_US) + 1 }, (_, i) => {
    const day = first + BigInt(i) * DAY_US
    const values = points.filter((_, at) => days[at] === day).map(({ value }) => value)
    return { day, values, value: make(values) }
  })
}
const sized = ({ objects }: Model) => objects.flatMap(({ created, size }) => (size === null ? [] : [{ created, value: Number(size) }]))

describe('trends', () => {
  test.each(['sum', 'mean'] as const)('fit a line to the daily %s and prolong it', (statistic) =>
    forStores(open, async (model) => {
      const steps = daily(sized(model), statistic === 'sum' ? sum : mean)
      const points = steps.flatMap(({ value }, x) => (value === null ? [] : [{ x, value }]))
      const fit = line(
        points.map(({ x }) => x),
        points.map(({ value }) => value),
      )
      const fitted = points.length > 1
      const answer = await open.get(`/trends?metric=object_size&statistic=${statistic}&horizon=2`)
      sameNumbers(answer.buckets, steps.length)
      sameNumbers(
        answer.series,
        steps.map(({ day, value }) => ({ bucket: timeText(day), value })),
      )
      const scale = Math.max(1, ...points.map(({ value }) => value))
      const near = (actual: unknown, expected: number | null) => {
        if (expected === null) expect(actual).toBeNull()
        else expect(Math.abs(Number(actual) - expected) / scale).toBeLessThan(1e-9)
      }
      near(answer.slope_per_bucket, fitted ? fit.slope : null)
      near(answer.intercept, fitted ? fit.intercept : null)
      if (fitted) expect(Math.abs(Number(answer.r2) - fit.r2)).toBeLessThan(1e-6)
      const forecast = answer.forecast as readonly { readonly bucket: string; readonly value: number }[]
      expect(forecast).toHaveLength(fitted ? 2 : 0)
      for (const [i, { bucket, value }] of forecast.entries()) {
        expect(bucket).toBe(timeText((steps.at(-1)?.day ?? 0n) + BigInt(i + 1) * DAY_US) ?? '')
        near(value, fit.intercept + fit.slope * (steps.length + i))
      }
    }),
  )
})

test('moving-average smooths over the last steps, empty ones included', () =>
  forStores(open, async (model) => {
    const steps = daily(sized(model), sum)
    const values = steps.map(({ value }) => value ?? 0)
    const recent = (i: number) => values.slice(Math.max(0, i - 2), i + 1)
    sameNumbers(
      await open.rows('/moving-average?metric=object_size&statistic=sum&window=3'),
      steps.map(({ day, values: { length }, value }, i) => ({
        bucket: timeText(day),
        count: length,
        value,
        moving_average: mean(recent(i)),
        moving_min: Math.min(...recent(i)),
        moving_max: Math.max(...recent(i)),
        change: i === 0 ? null : (values[i] ?? 0) - (values[i - 1] ?? 0),
        running_total: sum(values.slice(0, i + 1)),
      })),
    )
  }))

describe('anomalies', () => {
  test.each(['zscore', 'mad'] as const)('are what lies far from the others by %s', (method) =>
    forStores(open, async (model) => {
      const values = durations(model)
      const centre = (method === 'zscore' ? mean(values) : quantile(values, 0.5)) ?? 0
      const width =
        method === 'zscore'
          ? spread(values)
          : (quantile(
              values.map((value) => Math.abs(value - centre)),
              0.5,
            ) ?? 0) / 0.6744897501960817
      const key = (row: Json) => `${row.flow_id} ${row.start_ns}`
      const expected = model.segments.flatMap((row, i) => {
        const score = ((values[i] ?? 0) - centre) / width
        if (!(width > 0) || Math.abs(score) < 1.2345) return []
        return [
          {
            flow_id: row.flow_id,
            start_ns: exactInteger(row.start_ns),
            object_id: row.object_id,
            value: values[i],
            expected: centre,
            score,
          },
        ]
      })
      const actual = await open.rows(`/anomalies?method=${method}&threshold=1.2345`)
      sameNumbers(
        actual.toSorted((a, b) => (key(a) < key(b) ? -1 : 1)),
        expected.toSorted((a, b) => (key(a) < key(b) ? -1 : 1)),
        1e-6,
      )
    }),
  )
})

test('correlation is that of the objects that have both values', () =>
  forStores(open, async (model) => {
    const pairs = model.objects.flatMap(({ size, start_ns, end_ns }) =>
      size === null || start_ns === null || end_ns === null ? [] : [[Number(end_ns - start_ns) / 1e9, Number(size)] as const],
    )
    const [xs, ys] = [pairs.map(([x]) => x), pairs.map(([, y]) => y)]
    const answer = withoutQuery(await open.get('/correlation'))
    const { slope, intercept, pearson } = line(xs, ys)
    const spearman = line(ranks(xs), ranks(ys)).pearson
    expect(answer.count).toBe(pairs.length)
    // Sums of numbers around 2^61 lose digits: what counts is the error against the greatest value.
    const scale = Math.max(1, ...ys)
    if (pairs.length < 2 || !Number.isFinite(slope)) expect(answer.slope).toBeNull()
    else expect((Math.abs(Number(answer.slope) - slope) * (Math.max(...xs) - Math.min(...xs))) / scale).toBeLessThan(1e-9)
    if (answer.intercept !== null) expect(Math.abs(Number(answer.intercept) - intercept) / scale).toBeLessThan(1e-9)
    for (const [actual, expected] of [
      [answer.pearson, pearson],
      [answer.spearman, spearman],
    ] as const) {
      if (pairs.length < 2 || !Number.isFinite(expected)) expect(actual).toBeNull()
      else expect(Math.abs(Number(actual) - expected)).toBeLessThan(1e-6)
    }
  }))

test('thousands of different values are counted as right as a few', async () => {
  const count = 6000
  const numbers = Array.from({ length: count }, (_, i) => [BigInt(1 + (i % 7)), BigInt(((i * 7919) % 6007) + (i % 7) * 500)] as const)
  await open.fill({
    ...emptyModel().rows,
    objects: numbers.map(([seconds, size], n) => objectOf(n, size, seconds * 1_000_000_000n)),
  })
  const bytes = numbers.map(([, size]) => Number(size))
  const seconds = numbers.map(([each]) => Number(each))
  expect(new Set(bytes).size).toBeGreaterThan(5000)
  sameNumbers((await open.rows('/percentiles?metric=object_size'))[0], percentileRow(null, bytes))
  const { pearson } = line(ranks(seconds), ranks(bytes))
  for (const query of ['x=object_duration&y=object_size', 'x=object_size&y=object_duration'])
    sameNumbers((await open.get(`/correlation?${query}`)).spearman, pearson, 1e-6)
})

describe('distribution', () => {
  test('puts each value into one of the bins that were asked for', () =>
    forStores(open, async (model) => {
      const values = durations(model)
      const edges = [0, 1, 2, 2.5, 1e12]
      const bins = edges.slice(1).map((upper, i) => {
        const lower = edges[i] ?? 0
        const count = values.filter((value) => value >= lower && (value < upper || (i === 3 && value === upper))).length
        return { lower, upper, count, fraction: values.length === 0 ? null : count / values.length }
      })
      sameNumbers(await open.rows(`/distribution?bins=${edges.join(',')}`), bins)
    }))

  test('makes equal bins that hold every value', () =>
    forStores(open, async (model) => {
      const values = sizes(model)
      const rows = await open.rows('/distribution?metric=object_size&bins=4')
      expect(rows).toHaveLength(values.length === 0 ? 0 : new Set(values).size === 1 ? 1 : 4)
      expect(sum(rows.map(({ count }) => Number(count)))).toBe(values.length)
      for (const [i, row] of rows.entries()) {
        const [lower, upper] = [Number(row.lower), Number(row.upper)]
        const last = i === rows.length - 1
        expect(Number(row.count)).toBe(values.filter((value) => value >= lower && (value < upper || (last && value === upper))).length)
        if (i > 0) expect(lower).toBe(Number(rows[i - 1]?.upper))
      }
      if (rows.length > 0) {
        expect(Number(rows[0]?.lower)).toBe(Math.min(...values))
        expect(Number(rows.at(-1)?.upper)).toBe(Math.max(...values))
      }
    }))
})

describe('top-n', () => {
  test('ranks groups by a statistic of their values', () =>
    forStores(open, async (model) => {
      const groups = model.flows.flatMap(({ row }) => {
        const mine = model.segments.filter((segment) => segment.flow_id === row.id)
        const values = mine.map((segment) => Number(segment.end_ns - segment.start_ns) / 1e9)
        return mine.length === 0 ? [] : [{ group: row.id, start_ns: null, count: values.length, value: sum(values) }]
      })
      sameNumbers(
        await open.rows('/top-n?group_by=flow_id&n=3'),
        groups.toSorted((a, b) => b.value - a.value || (a.group < b.group ? -1 : 1)).slice(0, 3),
      )
    }))

  test('ranks single things without a group', () =>
    forStores(open, async (model) => {
      const expected = model.flows
        .flatMap(({ row }) =>
          row.avg_bit_rate === null ? [] : [{ group: row.id, start_ns: null, count: 1, value: Number(row.avg_bit_rate) }],
        )
        .toSorted((a, b) => b.value - a.value || (a.group < b.group ? -1 : 1))
      sameNumbers(await open.rows('/top-n?metric=avg_bit_rate'), expected)
    }))
})
