import { type Engine, memoryFailure, type Query } from './engine.ts'
import { CHUNK_ROWS } from './load.ts'
import { NumberColumn } from './number-column.ts'
import { type Keyed, ranksOfSorted, sortByKeys } from './sort-keys.ts'

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

// Two numbers, and two places or ranks of the first.
const ROW_BYTES = 24

/**
 * Sums of the rows of a SELECT of two columns `x` and `y` of type DOUBLE, without nulls. Ranks are made here: to sort so many numbers by
 * their digits takes less time and memory than DuckDB's comparing. Throws what `Engine.query` does.
 */
export const sumPairs = async (engine: Engine, query: Omit<Query, 'maxRows'>): Promise<PairSums> => {
  const counted = await engine.query({ ...query, sql: `select count(*)::double from (${query.sql})`, maxRows: 1 })
  const rows = Number(counted.rows[0]?.[0])
  const release = await engine.reserve(rows * ROW_BYTES)
  try {
    const moments = new Moments()
    const column = new NumberColumn(rows)
    const numbers = new Float64Array(rows)
    const xs = new Float64Array(CHUNK_ROWS)
    return await engine.eachChunk(
      { ...query, sql: `select x, y from (${query.sql})` },
      (chunk) => {
        const x = withoutNegativeZero(chunk.doubles(0), xs)
        const y = withoutNegativeZero(chunk.doubles(1), numbers.subarray(moments.count))
        column.add(x)
        moments.add(x, y)
      },
      async (pause) => {
        const rows = { keys: numbers, along: await column.ranks(pause) }
        await sortByKeys(rows, pause)
        ranksOfSorted(numbers)
        return { ...moments.sums(), ...rankSums(rows) }
      },
    )
  } catch (error) {
    throw memoryFailure(error) ?? error
  } finally {
    release()
  }
}

const withoutNegativeZero = (values: Float64Array, to: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> => {
  for (let i = 0; i < values.length; i++) to[i] = (values[i] ?? 0) + 0
  return to.subarray(0, values.length)
}

/** Of rows that come chunk by chunk: sums of a chunk around its own means, moved to those of all (Chan, Golub and LeVeque, 1979). */
class Moments {
  count = 0
  private meanX = 0
  private meanY = 0
  private xx = 0
  private yy = 0
  private xy = 0

  add(xs: Float64Array, ys: Float64Array): void {
    const added = xs.length
    const meanX = sum(xs) / added
    const meanY = sum(ys) / added
    let xx = 0
    let yy = 0
    let xy = 0
    for (let i = 0; i < added; i++) {
      const x = (xs[i] ?? 0) - meanX
      const y = (ys[i] ?? 0) - meanY
      xx += x * x
      yy += y * y
      xy += x * y
    }
    const count = this.count + added
    const [dx, dy, weight] = [meanX - this.meanX, meanY - this.meanY, (this.count * added) / count]
    this.xx += xx + dx * dx * weight
    this.yy += yy + dy * dy * weight
    this.xy += xy + dx * dy * weight
    this.meanX += (dx * added) / count
    this.meanY += (dy * added) / count
    this.count = count
  }

  sums() {
    const { count, xx, yy, xy } = this
    return { count, mean_x: count === 0 ? null : this.meanX, mean_y: count === 0 ? null : this.meanY, xx, yy, xy }
  }
}

const sum = (values: Float64Array): number => {
  let total = 0
  for (let i = 0; i < values.length; i++) total += values[i] ?? 0
  return total
}

/** Of the ranks of `y`, and those of `x` along with them. */
const rankSums = ({ keys, along }: Keyed) => {
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
