import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { exactInteger, timeText } from '../../analytics/result.ts'
import { formatTimestamp } from '../../src/core/timestamp.ts'
import type { Row } from '../../src/storage/schema.ts'
import { id, type Model } from './model.ts'
import { type Json, type OpenAnalytics, openAnalytics, sameNumbers, withoutQuery } from './open.ts'
import { forStores } from './stores.ts'

// Many small stores, on machines that may be busy.
setDefaultTimeout(120_000)

let open: OpenAnalytics
beforeAll(async () => {
  open = await openAnalytics()
})
afterAll(() => open.close())

const seconds = (ns: bigint): number => Number(ns) / 1e9
const ofFlow = ({ segments }: Model, flowId: string): Row<'segments'>[] =>
  segments.filter((row) => row.flow_id === flowId).sort((a, b) => (a.start_ns < b.start_ns ? -1 : 1))
const timerange = (start: bigint, end: bigint): string => `[${formatTimestamp(start)}_${formatTimestamp(end)})`
const within = (row: Row<'segments'>, start: bigint, end: bigint): boolean => row.start_ns < end && row.end_ns > start

describe('time-range-analysis', () => {
  test('sums up the segments that a reader sees', () =>
    forStores(open, async (model) => {
      const lengths = model.segments.map((row) => row.end_ns - row.start_ns)
      const total = lengths.reduce((sum, ns) => sum + ns, 0n)
      const answer = await open.get('/time-range-analysis')
      const none = lengths.length === 0
      expect(answer.total_segments).toBe(lengths.length)
      sameNumbers(answer.total_duration_seconds, seconds(total))
      sameNumbers(answer.average_duration_seconds, none ? null : seconds(total) / lengths.length)
      sameNumbers(answer.min_duration_seconds, none ? null : seconds(lengths.reduce((a, b) => (b < a ? b : a))))
      sameNumbers(answer.max_duration_seconds, none ? null : seconds(lengths.reduce((a, b) => (b > a ? b : a))))
      const starts = model.segments.map((row) => row.start_ns)
      const ends = model.segments.map((row) => row.end_ns)
      expect(answer.time_range).toBe(
        none
          ? null
          : timerange(
              starts.reduce((a, b) => (b < a ? b : a)),
              ends.reduce((a, b) => (b > a ? b : a)),
            ),
      )
      expect(answer.coverage).toEqual({
        flows_covered: new Set(model.segments.map((row) => row.flow_id)).size,
        segments_covered: lengths.length,
      })
      const values = lengths.map(seconds)
      const centre = seconds(total) / lengths.length
      const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / values.length)
      const { standard_deviation } = answer.duration_statistics as Json
      sameNumbers(standard_deviation, none ? null : deviation, 1e-6)
    }))

  test('takes the segments that overlap a timerange, of one flow, created in time', () =>
    forStores(open, async (model) => {
      const count = async (filter: string): Promise<unknown> => (await open.get(`/time-range-analysis?${filter}`)).total_segments
      expect(await count('timerange=[0:0_3:0)')).toBe(model.segments.filter((row) => within(row, 0n, 3_000_000_000n)).length)
      expect(await count('timerange=()')).toBe(0)
      expect(await count(`flow_id=${id(1, 0)}`)).toBe(model.segments.filter((row) => row.flow_id === id(1, 0)).length)
      const [first] = model.segments
      if (first)
        expect(await count(`start_time=${timeText(first.created)}`)).toBe(
          model.segments.filter((row) => row.created >= first.created).length,
        )
    }))
})

test('gaps lie between the segments that a reader sees', () =>
  forStores(open, async (model) => {
    const expected = model.flows.flatMap(({ row: { id: flow_id } }) => {
      const segments = ofFlow(model, flow_id)
      return segments.flatMap((row, i) => {
        const before = segments[i - 1]
        if (!before || row.start_ns <= before.end_ns) return []
        return [
          {
            flow_id,
            timerange: timerange(before.end_ns, row.start_ns),
            start_ns: exactInteger(before.end_ns),
            end_ns: exactInteger(row.start_ns),
            gap_seconds: seconds(row.start_ns - before.end_ns),
          },
        ]
      })
    })
    const order = (a: Json, b: Json) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)
    const actual = await open.rows('/gaps')
    expect(actual.map(({ gap_seconds }) => Number(gap_seconds))).toEqual(
      actual.map(({ gap_seconds }) => Number(gap_seconds)).toSorted((a, b) => b - a),
    )
    sameNumbers(actual.toSorted(order), expected.toSorted(order))
    const long = expected.filter(({ gap_seconds }) => gap_seconds > 2)
    sameNumbers((await open.rows('/gaps?threshold=2')).toSorted(order), long.toSorted(order))
  }))

describe('coverage', () => {
  const expected = (model: Model, start: bigint | undefined, end: bigint | undefined): Json[] =>
    model.flows.map(({ row: { id: flow_id } }) => {
      const segments = ofFlow(model, flow_id).filter((row) => within(row, start ?? -(2n ** 63n), end ?? 2n ** 63n))
      const from = start ?? segments[0]?.start_ns
      const to = end ?? segments.at(-1)?.end_ns
      const covered = segments.reduce((sum, row) => {
        const left = start !== undefined && row.start_ns < start ? start : row.start_ns
        const right = end !== undefined && row.end_ns > end ? end : row.end_ns
        return sum + right - left
      }, 0n)
      const known = from !== undefined && to !== undefined
      return {
        flow_id,
        timerange: known ? timerange(from, to) : null,
        segments: segments.length,
        covered_seconds: seconds(covered),
        range_seconds: known ? seconds(to > from ? to - from : 0n) : null,
        fraction: known && to > from ? Number(covered) / Number(to - from) : null,
      }
    })
  const byFlow = (a: Json, b: Json) => (String(a.flow_id) < String(b.flow_id) ? -1 : 1)

  test('is the fraction of the flow’s own extent without a timerange', () =>
    forStores(open, async (model) =>
      sameNumbers((await open.rows('/coverage')).toSorted(byFlow), expected(model, undefined, undefined).toSorted(byFlow)),
    ))

  test('is the fraction of the timerange, segments cut at its ends', () =>
    forStores(open, async (model) =>
      sameNumbers(
        (await open.rows('/coverage?timerange=[0:500000000_6:0)')).toSorted(byFlow),
        expected(model, 500_000_000n, 6_000_000_000n).toSorted(byFlow),
      ),
    ))
})

const DAY_US = 86_400_000_000n
const dayOf = (us: bigint): bigint => us - (us % DAY_US)

test('ingest-rate puts segments and objects into their days', () =>
  forStores(open, async (model) => {
    const days = [...new Set([...model.segments, ...model.objects].map(({ created }) => dayOf(created)))].sort((a, b) => (a < b ? -1 : 1))
    sameNumbers(
      await open.rows('/ingest-rate'),
      days.map((day) => {
        const segments = model.segments.filter((row) => dayOf(row.created) === day)
        const objects = model.objects.filter((row) => dayOf(row.created) === day)
        const bytes = objects.reduce((sum, { size }) => sum + (size ?? 0n), 0n)
        return {
          bucket: timeText(day),
          segments: segments.length,
          media_seconds: seconds(segments.reduce((sum, row) => sum + row.end_ns - row.start_ns, 0n)),
          objects: objects.length,
          bytes: exactInteger(bytes),
          segments_per_second: segments.length / 86_400,
          bytes_per_second: Number(bytes) / 86_400,
        }
      }),
    )
  }))

test('growth sums up bytes and objects day by day', () =>
  forStores(open, async (model) => {
    const days = model.objects.map(({ created }) => dayOf(created)).sort((a, b) => (a < b ? -1 : 1))
    const [first, last] = [days[0], days.at(-1)]
    const series =
      first === undefined || last === undefined
        ? []
        : Array.from({ length: Number((last - first) / DAY_US) + 1 }, (_, i) => {
            const until = first + BigInt(i + 1) * DAY_US
            const before = model.objects.filter(({ created }) => created < until)
            return {
              bucket: timeText(until - DAY_US),
              bytes: exactInteger(before.reduce((sum, { size }) => sum + (size ?? 0n), 0n)),
              objects: before.length,
            }
          })
    const answer = withoutQuery(await open.get('/growth?horizon=1'))
    sameNumbers(answer.series, series)
    expect(answer.total_objects).toBe(model.objects.length)
    expect(answer.total_bytes).toBe(exactInteger(model.objects.reduce((sum, { size }) => sum + (size ?? 0n), 0n)))
    expect(answer.forecast).toHaveLength(series.length > 1 ? 1 : 0)
    const [next] = answer.forecast as { bucket: string; bytes: number }[]
    if (!next || last === undefined) return
    expect(next.bucket).toBe(timeText(last + DAY_US) ?? '')
    const ys = series.map(({ bytes }) => Number(bytes))
    const n = ys.length
    const centre = (n - 1) / 2
    const mean = ys.reduce((a, b) => a + b, 0) / n
    const slope = ys.reduce((sum, y, x) => sum + (x - centre) * (y - mean), 0) / ys.reduce((sum, _, x) => sum + (x - centre) ** 2, 0)
    expect(Math.abs(next.bytes - (mean + slope * (n - centre)))).toBeLessThanOrEqual(1e-9 * Math.max(1, ...ys) * n)
  }))
