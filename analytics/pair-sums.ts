import type { Engine, Query } from './engine.ts'
import { CHUNK_ROWS } from './load.ts'
import { NumberColumn } from './number-column.ts'
import { type Keyed, type Pause, ranksOfSorted, sortByKeys } from './sort-keys.ts'

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
// Chunks that are read stay until they are collected.
const STREAM_BYTES = 32 * 2 ** 20

/**
 * Sums of the rows of a SELECT of two columns `x` and `y`, finite numbers without nulls. Ranks are made here: to sort so many numbers by
 * their digits takes less time and memory than DuckDB's comparing. Throws what `Engine.query` does.
 */
export const sumPairs = (engine: Engine, query: Omit<Query, 'maxRows'>): Promise<PairSums> =>
  engine.withRows({ ...query, sql: `select x::double as x, y::double as y from (${query.sql})` }, async (rows) => {
    const count = await rows.count()
    const release = await engine.reserve(count * ROW_BYTES + STREAM_BYTES)
    const pairs = new Pairs(count)
    try {
      await rows.each((chunk) => pairs.add(chunk.doubles(0), chunk.doubles(1)))
      return await pairs.sums(rows.pause)
    } finally {
      pairs.free()
      release()
    }
  })

class Pairs {
  private readonly x: NumberColumn
  private readonly ys: Float64Array<ArrayBuffer>
  private readonly moments = new Moments()
  private readonly chunk = new Float64Array(CHUNK_ROWS)
  private filled = 0

  constructor(private readonly count: number) {
    this.x = new NumberColumn(count)
    this.ys = new Float64Array(count)
  }

  add(xs: Float64Array, ys: Float64Array): void {
    if (this.filled + xs.length > this.count) throw new Error(`there are more pairs than the ${this.count} that were counted`)
    const x = copyOf(xs, this.chunk)
    const y = copyOf(ys, this.ys.subarray(this.filled))
    this.x.add(x)
    this.moments.add(x, y)
    this.filled += xs.length
  }

  async sums(pause: Pause): Promise<PairSums> {
    if (this.filled < this.count) throw new Error(`${this.count} pairs were counted, and there are ${this.filled}`)
    const rows = { keys: this.ys, along: await this.x.ranks(pause) }
    await sortByKeys(rows, pause)
    await pause()
    ranksOfSorted(rows.keys)
    await pause()
    return { ...this.moments.sums(), ...rankSums(rows) }
  }

  /** Gives the memory back at once: the collector does not know what waits for it. */
  free(): void {
    this.x.free()
    this.ys.buffer.transfer(0)
  }
}

// Adding zero makes a negative zero a positive one.
const copyOf = (values: Float64Array, to: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> => {
  for (let i = 0; i < values.length; i++) to[i] = (values[i] ?? 0) + 0
  return to.subarray(0, values.length)
}

/**
 * Of rows that come chunk by chunk: sums of a chunk around its own means, moved to those of all (Chan, Golub and LeVeque, 1979). Numbers are
 * taken as differences from the first ones, so that few digits are lost where all are large, and none where all are equal.
 */
class Moments {
  private count = 0
  private firstX = 0
  private firstY = 0
  private meanX = 0
  private meanY = 0
  private xx = 0
  private yy = 0
  private xy = 0

  add(xs: Float64Array, ys: Float64Array): void {
    if (this.count === 0) {
      this.firstX = xs[0] ?? 0
      this.firstY = ys[0] ?? 0
    }
    const { firstX, firstY } = this
    const added = xs.length
    const meanX = meanDifference(xs, firstX)
    const meanY = meanDifference(ys, firstY)
    let xx = 0
    let yy = 0
    let xy = 0
    for (let i = 0; i < added; i++) {
      const x = (xs[i] ?? 0) - firstX - meanX
      const y = (ys[i] ?? 0) - firstY - meanY
      xx += x * x
      yy += y * y
      xy += x * y
    }
    const count = this.count + added
    const weight = (this.count * added) / count
    const dx = meanX - this.meanX
    const dy = meanY - this.meanY
    this.xx += xx + dx * dx * weight
    this.yy += yy + dy * dy * weight
    this.xy += xy + dx * dy * weight
    this.meanX += (dx * added) / count
    this.meanY += (dy * added) / count
    this.count = count
  }

  sums() {
    const { count, xx, yy, xy } = this
    const means = count === 0 ? { mean_x: null, mean_y: null } : { mean_x: this.firstX + this.meanX, mean_y: this.firstY + this.meanY }
    return { count, ...means, xx, yy, xy }
  }
}

const meanDifference = (values: Float64Array, from: number): number => {
  let total = 0
  for (let i = 0; i < values.length; i++) total += (values[i] ?? 0) - from
  return total / values.length
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
