import { type Engine, memoryFailure, type Query } from './engine.ts'
import { type Keyed, keyed, type Pause, rank, ranksOfSorted, sortByKeys } from './ranks.ts'

/**
 * Of pairs of numbers `x` and `y`: the sums of the products of their differences from the mean, and the same of their ranks (of equal
 * numbers the mean rank; doubled). The means are null where there are no pairs.
 */
export interface PairSums {
  readonly count: number
  readonly mean_x: number | null
  readonly mean_y: number | null
  readonly xx: number
  readonly yy: number
  readonly xy: number
  readonly rank_xx: number
  readonly rank_yy: number
  readonly rank_xy: number
}

// Two numbers and two ranks or places for each, and as much again to sort one of them.
const ROW_BYTES = 32

/**
 * Sums of the rows of a SELECT of two columns `x` and `y` of type DOUBLE, without nulls. Ranks are made here: to sort so many numbers by
 * their digits takes less time than DuckDB's comparing. Throws what `Engine.query` does.
 */
export const sumPairs = async (engine: Engine, query: Omit<Query, 'maxRows'>): Promise<PairSums> => {
  const counted = await engine.query({ ...query, sql: `select count(*)::double from (${query.sql})`, maxRows: 1 })
  const rows = Number(counted.rows[0]?.[0])
  const release = await engine.reserve(rows * ROW_BYTES)
  try {
    const x = keyed(rows)
    const y = keyed(rows)
    let filled = 0
    return await engine.eachChunk(
      { ...query, sql: `select x, y from (${query.sql})` },
      (chunk) => {
        put(x.keys, chunk.doubles(0), filled)
        put(y.keys, chunk.doubles(1), filled)
        filled += chunk.rows
      },
      (pause) => sumsOf(x, y, pause),
    )
  } catch (error) {
    throw memoryFailure(error) ?? error
  } finally {
    release()
  }
}

// Adding zero makes a negative zero a positive one.
const put = (to: Float64Array, values: Float64Array, at: number): void => {
  for (let i = 0; i < values.length; i++) to[at + i] = (values[i] ?? 0) + 0
}

const sumsOf = async (x: Keyed, y: Keyed, pause: Pause): Promise<PairSums> => {
  const moments = momentsOf(x.keys, y.keys)
  await rank(x, { keys: new Float64Array(x.keys.length), along: y.along }, pause)
  // From here on only the ranks of `x` are needed, and they go along with `y`.
  const [sorted] = await sortByKeys({ keys: y.keys, along: x.along }, { keys: x.keys, along: y.along }, pause)
  ranksOfSorted(sorted.keys)
  return { ...moments, ...rankMomentsOf(sorted) }
}

const momentsOf = (xs: Float64Array, ys: Float64Array) => {
  const count = xs.length
  const means = { mean_x: count === 0 ? null : sum(xs) / count, mean_y: count === 0 ? null : sum(ys) / count }
  let xx = 0
  let yy = 0
  let xy = 0
  for (let i = 0; i < count; i++) {
    const x = (xs[i] ?? 0) - (means.mean_x ?? 0)
    const y = (ys[i] ?? 0) - (means.mean_y ?? 0)
    xx += x * x
    yy += y * y
    xy += x * y
  }
  return { count, ...means, xx, yy, xy }
}

const sum = (values: Float64Array): number => {
  let total = 0
  for (let i = 0; i < values.length; i++) total += values[i] ?? 0
  return total
}

/** Of the ranks of `y`, and the ranks of `x` along with them. */
const rankMomentsOf = ({ keys, along }: Keyed) => {
  const mean = keys.length
  let rank_xx = 0
  let rank_yy = 0
  let rank_xy = 0
  for (let i = 0; i < along.length; i++) {
    const x = (along[i] ?? 0) - mean
    const y = (keys[i] ?? 0) - mean
    rank_xx += x * x
    rank_yy += y * y
    rank_xy += x * y
  }
  return { rank_xx, rank_yy, rank_xy }
}
