import type { Scalar } from '../../core/predicate.ts'
import { MAX_NS, MIN_NS } from '../../core/timestamp.ts'
import type { TableName } from '../schema.ts'
import type { Node } from './compile-predicate.ts'
import { keepAll } from './evaluate.ts'
import { type Hint, type Hints, SECOND } from './hints.ts'
import type { ColumnTerm, Condition, RowSource, SourceRow } from './row-source.ts'

/** A page along the last column of a key, an integer, whose other columns are fixed: segments along a timeline, the log along its numbers. */
export interface Walk {
  readonly table: TableName
  readonly column: string
  /** What the key's other columns are fixed to. */
  readonly pins: readonly Scalar[]
  /** Everything that the source shall apply, except bounds of `column`. */
  readonly where: readonly ColumnTerm[]
  readonly rest: readonly Node[]
  /** Bounds of `column`, both included. */
  readonly low: bigint
  readonly high: bigint
  readonly descending: boolean
  readonly columns: readonly string[]
  readonly limit: number
}

export interface WalkedPage {
  readonly rows: readonly SourceRow[]
  /** Up to where everything has been looked at; absent when there is nothing behind. */
  readonly reached?: bigint
}

/** A filter that matches rarely: when so many rows have been looked at, a short page is given. */
const MOST_EXAMINED = 20_000
const LARGEST_WINDOW = 5000
/** Windows that held too much, before the first row is looked for in another way. */
const MOST_MISSES = 4
/** Rows from which a spacing can be told. */
const ENOUGH = 8

/**
 * The protocol knows neither an order nor "the first n". So a window of the column is asked for that should hold the page, then further ones until
 * the page is full. A window is limited too; one that turns out to hold more than the limit is made smaller and asked for again.
 *
 * "Position" means the value seen in the direction of the walk: negated when it descends.
 */
export const walk = async (source: RowSource, hints: Hints, request: Walk): Promise<WalkedPage> => {
  const { table, pins, rest, limit, descending } = request
  const sign = descending ? -1n : 1n
  const start = descending ? -request.high : request.low
  const end = descending ? -request.low : request.high
  const openStart = descending ? request.high === MAX_NS : request.low === MIN_NS
  const hint = hints.get(table, pins) ?? (await ask(source, hints, table, pins))
  const windows = new Windows(source, request, sign)
  const seen = new Seen(hints, request, hint)

  const kept: SourceRow[] = []
  let at = start
  // Where the first row is likely to be, and the last.
  let near = positionOf(descending ? hint?.last : hint?.first, sign)
  // Out of date, or of rows beyond those asked for.
  if (near !== undefined && near > end) near = undefined
  let far = positionOf(descending ? hint?.first : hint?.last, sign)
  let target = limit + 1
  // Undefined: all the rest.
  let width: bigint | undefined = hint?.isEmpty || (openStart && near === undefined) ? undefined : seen.width(target)
  let misses = 0
  let examined = 0
  while (at <= end && kept.length < limit && examined < MOST_EXAMINED) {
    const base: bigint = near === undefined || near < at ? at : near
    const wanted: bigint = width === undefined || base + width > end ? end : base + width - 1n
    const to: bigint = far !== undefined && wanted >= far ? end : wanted
    const most = 2 * target + 16
    const rows = await windows.rows(at, to, most)
    const first = windows.position(rows[0])
    if (rows.length < most) {
      kept.push(...(await keepAll(source, rest, rows)))
      examined += rows.length
      seen.add(rows.length, first, windows.position(rows.at(-1)), at === start && openStart, to === end)
      target = rest.length > 0 ? Math.min(target * 4, LARGEST_WINDOW) : Math.max(1, limit + 1 - kept.length)
      width = rows.length >= ENOUGH ? seen.width(target) : (width ?? 1n) * 16n
      if (rows.length > 0) misses = 0
      at = to + 1n
    } else if (to !== wanted) {
      far = undefined
    } else {
      const lost = ++misses > MOST_MISSES || (at === start && openStart && (near === undefined || first < base))
      // A sorted table is read in its order, which is not promised: then these are the first rows of the window.
      const trusting = !descending && misses === 1
      if (lost) near = trusting ? first : await windows.nearest(at, to)
      else if (first < base) near = undefined
      const upTo = windows.position(rows[target - 1])
      const dense = seen.between(rows.length, first, windows.position(rows.at(-1)), target)
      const eighth = (to - base) / 8n + 1n
      width = trusting && upTo > base ? upTo - (near ?? base) + 1n : dense < eighth ? dense : eighth
    }
  }
  const complete = at > end && kept.length <= limit
  return { rows: kept.slice(0, limit), ...(complete ? {} : { reached: sign * (at - 1n) }) }
}

const widthOf = (spacing: bigint, rows: number): bigint => (spacing * BigInt(rows) * 5n) / 4n + 1n

const positionOf = (value: bigint | undefined, sign: bigint): bigint | undefined => (value === undefined ? undefined : sign * value)

const ask = async (source: RowSource, hints: Hints, table: TableName, pins: readonly Scalar[]): Promise<Hint | undefined> => {
  const [flow] = pins
  if (table !== 'segments' || flow === undefined) return undefined
  const row = await source.find('flows', [flow, ''])
  if (row) hints.learnFlow(row)
  return hints.get(table, pins)
}

/** Rows of the walk by position. */
class Windows {
  constructor(
    private readonly source: RowSource,
    private readonly walk: Walk,
    private readonly sign: bigint,
  ) {}

  position(row: SourceRow | undefined): bigint {
    return this.sign * BigInt((row?.[this.walk.column] as bigint | undefined) ?? 0n)
  }

  /** In order. As many as `limit`: any of those that are there. */
  async rows(from: bigint, to: bigint, limit: number): Promise<readonly SourceRow[]> {
    const { table, columns } = this.walk
    const found: SourceRow[] = []
    for await (const rows of this.source.rows(table, { columns, where: this.terms(from, to), limit })) found.push(...rows)
    return found.sort((a, b) => (this.position(a) < this.position(b) ? -1 : 1))
  }

  /** The first position that has a row, by reading this column of all: for the rare case that nothing tells. */
  async nearest(from: bigint, to: bigint): Promise<bigint> {
    const { table, column } = this.walk
    let nearest = to
    for await (const rows of this.source.rows(table, { columns: [column], where: this.terms(from, to), large: true }))
      for (const row of rows) if (this.position(row) < nearest) nearest = this.position(row)
    return nearest
  }

  private terms(from: bigint, to: bigint): readonly ColumnTerm[] {
    const { column, where } = this.walk
    const [low, high] = this.sign > 0n ? [from, to] : [-to, -from]
    // Both or none: queries of one form can be joined (`merged-queries.ts`), such as a page and the row before it.
    const bounds: readonly Condition[] =
      low === MIN_NS && high === MAX_NS
        ? []
        : [
            { kind: 'compare', op: '>=', value: low },
            { kind: 'compare', op: '<=', value: high },
          ]
    return [...where, ...bounds.map((condition) => ({ column, anyOf: [condition] }))]
  }
}

/** What a walk learns of its timeline, for itself and for those that come after it. */
class Seen {
  private spacing: bigint

  constructor(
    private readonly hints: Hints,
    private readonly walk: Walk,
    hint: Hint | undefined,
  ) {
    this.spacing = hint?.spacing ?? (walk.table === 'segments' ? SECOND : 1n)
  }

  /** A window for so many rows, with a quarter to spare. */
  width(rows: number): bigint {
    return widthOf(this.spacing, rows)
  }

  /** The same by a sample of rows that lie at least as densely. */
  between(count: number, first: bigint, last: bigint, rows: number): bigint {
    return widthOf((last - first) / BigInt(count - 1) || 1n, rows)
  }

  /** A complete window; `isStart` and `isEnd` tell whether nothing lies before or behind it. */
  add(count: number, first: bigint, last: bigint, isStart: boolean, isEnd: boolean): void {
    const { table, pins, where, descending, low, high } = this.walk
    if (count >= ENOUGH) this.spacing = (last - first) / BigInt(count - 1) || 1n
    if (count === 0 || where.length > pins.length) return
    const openEnd = descending ? low === MIN_NS : high === MAX_NS
    const [start, end] = [isStart ? first : undefined, isEnd && openEnd ? last : undefined]
    if (count < ENOUGH && start === undefined && end === undefined) return
    this.hints.learn(table, pins, {
      spacing: this.spacing,
      first: descending ? positionOf(end, -1n) : start,
      last: descending ? positionOf(start, -1n) : end,
    })
  }
}
