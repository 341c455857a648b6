// Sorted tables: the rows of a chunk in the order of the sorting key, found by binary search. Chunks do not change and key columns cannot be
// updated, so an index holds for as long as its chunk. Without it every look-up in a large table would read the whole of it.
import { type Data, DataType } from 'apache-arrow'
import { columnValues, type Value } from '../../../../src/vastdb/wire/values.ts'
import type { Chunk } from './chunk.ts'
import { compareValues, type Predicate } from './predicate.ts'

/** Smaller chunks are read as quickly as searched. */
const MIN_ROWS = 512

/** Both ends included; absent: without end. */
interface KeyRange {
  readonly from?: Value | undefined
  readonly to?: Value | undefined
}

/** What a filter says about the leading columns of the key: for each the ranges that it may lie in, ascending and apart. All but the last are single values. */
export type KeyBounds = readonly (readonly KeyRange[])[]

type Term = Extract<Predicate, { readonly kind: 'compare' | 'in' | 'within' }>

/** The terms every row must pass: those of the top-level `and`, and of an `or` with one term only. */
const required = (predicate: Predicate): Term[] => {
  if (predicate.kind === 'and') return predicate.terms.flatMap(required)
  if (predicate.kind === 'or') {
    const [only] = predicate.terms
    return predicate.terms.length === 1 && only !== undefined ? required(only) : equalities(predicate.terms)
  }
  return predicate.kind === 'compare' || predicate.kind === 'in' || predicate.kind === 'within' ? [predicate] : []
}

/** `a = 1 or a = 2` as one `in`. */
const equalities = (terms: readonly Predicate[]): Term[] => {
  const [first] = terms
  if (first === undefined || !('ref' in first)) return []
  const values = terms.map((term) =>
    term.kind === 'in' ? term.values : term.kind === 'compare' && term.op === 'equal' ? [term.value] : undefined,
  )
  return values.every((some) => some !== undefined) ? [{ kind: 'in', ref: first.ref, values: values.flat(1) }] : []
}

/** @param key the numbers of the request's fields that are the key's columns, in order; `undefined` where the request has not the column */
export const keyBounds = (predicate: Predicate, key: readonly (number | undefined)[]): KeyBounds | undefined => {
  const terms = required(predicate).filter(({ ref }) => ref.path.length === 0)
  const bounds: (readonly KeyRange[])[] = []
  for (const column of key) {
    const own = terms.filter(({ ref }) => ref.column === column)
    const values = own.map(valuesOf).find((some) => some !== undefined)
    if (values === undefined) {
      const ranges = rangesOf(own)
      if (ranges !== undefined) bounds.push(ranges)
      break
    }
    bounds.push(
      values
        .map(sortable)
        .sort(orderOf)
        .map((value) => ({ from: value, to: value })),
    )
  }
  return bounds.length > 0 ? bounds : undefined
}

const valuesOf = (term: Term): readonly Value[] | undefined =>
  term.kind === 'in' ? term.values : term.kind === 'compare' && term.op === 'equal' ? [term.value] : undefined

const rangesOf = (terms: readonly Term[]): readonly KeyRange[] | undefined => {
  const within = terms.find((term) => term.kind === 'within')
  if (within) return Array.from(within.from, (from, i) => ({ from, to: within.to[i] }))
  const limit = (...ops: readonly string[]) => {
    const term = terms.find((each) => each.kind === 'compare' && ops.includes(each.op))
    return term?.kind === 'compare' ? sortable(term.value) : undefined
  }
  const range = { from: limit('greater', 'greater_equal'), to: limit('less', 'less_equal') }
  return range.from === undefined && range.to === undefined ? undefined : [range]
}

interface KeyIndex {
  /** The cells of each column of the key, by row number. */
  readonly columns: readonly (readonly Value[])[]
  /** Row numbers in the order of the key. */
  readonly order: Uint32Array
  /** Of each column of whole numbers the least and the greatest. */
  readonly extents: readonly (readonly [Value, Value] | undefined)[]
}

const indexes = new WeakMap<Chunk, { readonly key: string; readonly index: KeyIndex | 'none' }>()

const indexOf = (chunk: Chunk, key: readonly number[]): KeyIndex | 'none' => {
  const name = key.join()
  const known = indexes.get(chunk)
  if (known?.key === name) return known.index
  const index = build(chunk, key)
  indexes.set(chunk, { key: name, index })
  return index
}

/** Text and bytes as one character per byte: JavaScript's order of such strings is that of the bytes. */
const sortable = (value: Value): Value => {
  if (typeof value === 'string') return Buffer.from(value).toString('latin1')
  return value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1') : value
}

const orderOf = (a: Value, b: Value): number => {
  if (a === b) return 0
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : 1
  if ((typeof a === 'bigint' && typeof b === 'bigint') || (typeof a === 'number' && typeof b === 'number')) {
    if (a < b) return -1
    if (a > b) return 1
  }
  return compareValues(a, b)
}

/** The cells of a column as `sortable` says, decoded at once. Without nulls. */
const sortableCells = (data: Data): readonly Value[] => {
  if (!DataType.isUtf8(data.type) && !DataType.isBinary(data.type)) return columnValues(data).map(sortable)
  const offsets: Int32Array = data.valueOffsets
  const first = offsets[0] ?? 0
  const text = Buffer.from(data.values.buffer, data.values.byteOffset, data.values.byteLength).toString(
    'latin1',
    first,
    offsets[data.length],
  )
  return Array.from({ length: data.length }, (_, row) => text.slice((offsets[row] ?? 0) - first, (offsets[row + 1] ?? 0) - first))
}

const build = (chunk: Chunk, key: readonly number[]): KeyIndex | 'none' => {
  const columns = key.flatMap((id) => chunk.columns.get(id) ?? [])
  if (columns.length < key.length || columns.some(({ nullCount }) => nullCount > 0)) return 'none'
  const values = columns.map(sortableCells)
  const compare = (a: number, b: number): number => {
    for (const column of values) {
      const difference = orderOf(column[a] ?? null, column[b] ?? null)
      if (difference !== 0) return difference
    }
    return a - b
  }
  const order = Uint32Array.from({ length: chunk.rows }, (_, row) => row)
  // Rows often come in the order of the key.
  if (order.some((row) => row > 0 && compare(row - 1, row) > 0)) order.sort(compare)
  return { columns: values, order, extents: values.map(extentOf) }
}

const extentOf = (cells: readonly Value[]): readonly [Value, Value] | undefined => {
  const [first] = cells
  if (typeof first !== 'bigint') return undefined
  let [least, greatest] = [first, first]
  for (const cell of cells as readonly bigint[]) {
    if (cell < least) least = cell
    if (cell > greatest) greatest = cell
  }
  return [least, greatest]
}

/** Whether a cell of the column may lie in one of the ranges: rows of a time are often inserted together. */
const reaches = (extent: readonly [Value, Value] | undefined, ranges: readonly KeyRange[]): boolean => {
  if (extent === undefined) return true
  const [least, greatest] = extent
  return ranges.some(
    ({ from, to }) => !(to !== undefined && orderOf(to, least) < 0) && !(from !== undefined && orderOf(from, greatest) > 0),
  )
}

/** Places in the order of the key, from … to (not included). */
interface Stretch {
  readonly from: number
  readonly to: number
}

/** The first place of the stretch whose cell in column `i`, by which it is ordered, is not below `value` (or, `after`, is above it). */
const search = ({ columns, order }: KeyIndex, i: number, value: Value, after: boolean, { from, to }: Stretch): number => {
  const cells = columns[i]
  let [low, high] = [from, to]
  while (low < high && cells !== undefined) {
    const middle = (low + high) >> 1
    const difference = orderOf(cells[order[middle] ?? 0] ?? null, value)
    if (difference < 0 || (after && difference === 0)) low = middle + 1
    else high = middle
  }
  return low
}

/** The parts of a stretch whose cells in column `i` lie in one of the ranges. Goes from one to the next that is there: few are among many. */
const parts = (index: KeyIndex, i: number, ranges: readonly KeyRange[], stretch: Stretch): Stretch[] => {
  const cells = index.columns[i]
  const found: Stretch[] = []
  let at = stretch.from
  for (let r = 0; r < ranges.length && at < stretch.to && cells !== undefined; r++) {
    const here = cells[index.order[at] ?? 0] ?? null
    let until = ranges.length
    while (r < until) {
      const middle = (r + until) >> 1
      const end = ranges[middle]?.to
      if (end !== undefined && orderOf(end, here) < 0) r = middle + 1
      else until = middle
    }
    const range = ranges[r]
    if (range === undefined) break
    // Often the whole stretch lies in the range.
    const last = cells[index.order[stretch.to - 1] ?? 0] ?? null
    const begins = range.from === undefined || orderOf(range.from, here) <= 0
    const from = begins ? at : search(index, i, range.from ?? null, false, { from: at, to: stretch.to })
    const ends = range.to === undefined || orderOf(last, range.to) <= 0
    at = ends ? stretch.to : search(index, i, range.to ?? null, true, { from, to: stretch.to })
    if (at > from) found.push({ from, to: at })
  }
  return found
}

/** Rows of the chunk that may pass, ascending: all that do are among them. `undefined`: all rows must be looked at. */
export const keyRows = (chunk: Chunk, key: readonly number[], bounds: KeyBounds): Uint32Array | undefined => {
  if (chunk.rows < MIN_ROWS) return undefined
  const index = indexOf(chunk, key)
  if (index === 'none') return undefined
  if (bounds.some((ranges, i) => !reaches(index.extents[i], ranges))) return new Uint32Array(0)
  let stretches: Stretch[] = [{ from: 0, to: index.order.length }]
  for (const [i, ranges] of bounds.entries()) stretches = stretches.flatMap((stretch) => parts(index, i, ranges, stretch))
  const size = stretches.reduce((sum, { from, to }) => sum + to - from, 0)
  if (size > chunk.rows / 2) return undefined
  const rows = new Uint32Array(size)
  let at = 0
  for (const { from, to } of stretches) {
    rows.set(index.order.subarray(from, to), at)
    at += to - from
  }
  // A value that is listed twice in an `in` is found twice.
  return rows.sort().filter((row, i) => i === 0 || row !== rows[i - 1])
}
