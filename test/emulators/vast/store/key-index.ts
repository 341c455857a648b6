// Sorted tables: the rows of a chunk in the order of the sorting key, found by binary search. Chunks do not change and key columns cannot be
// updated, so an index holds for as long as its chunk. Without it every look-up in a large table would read the whole of it.
import { columnValues, type Value } from '../../../../src/vastdb/wire/values.ts'
import type { Chunk } from './chunk.ts'
import { compareValues, type Predicate } from './predicate.ts'

/** Smaller chunks are read as quickly as searched. */
const MIN_ROWS = 512

/** What a filter says about the leading columns of the key: equal to one of some values each (ascending), and a range of the next column. */
export interface KeyBounds {
  readonly equal: readonly (readonly Value[])[]
  readonly from?: Value | undefined
  readonly to?: Value | undefined
}

type Term = Extract<Predicate, { readonly kind: 'compare' | 'in' }>

/** The terms every row must pass: those of the top-level `and`, and of an `or` with one term only. */
const required = (predicate: Predicate): Term[] => {
  if (predicate.kind === 'and') return predicate.terms.flatMap(required)
  if (predicate.kind === 'or') {
    const [only] = predicate.terms
    return predicate.terms.length === 1 && only !== undefined ? required(only) : equalities(predicate.terms)
  }
  return predicate.kind === 'compare' || predicate.kind === 'in' ? [predicate] : []
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
  const equal: (readonly Value[])[] = []
  for (const column of key) {
    const own = terms.filter(({ ref }) => ref.column === column)
    const fixed = own.find((term) => term.kind === 'in' || term.op === 'equal')
    const values = fixed === undefined ? undefined : fixed.kind === 'in' ? fixed.values : [fixed.value]
    if (values !== undefined) {
      equal.push(values.map(sortable).sort(orderOf))
      continue
    }
    const limit = (...ops: readonly string[]) => own.find((term) => term.kind === 'compare' && ops.includes(term.op))
    const [low, high] = [limit('greater', 'greater_equal'), limit('less', 'less_equal')]
    const bounds = {
      equal,
      from: low?.kind === 'compare' ? sortable(low.value) : undefined,
      to: high?.kind === 'compare' ? sortable(high.value) : undefined,
    }
    return equal.length > 0 || low !== undefined || high !== undefined ? bounds : undefined
  }
  return equal.length > 0 ? { equal } : undefined
}

interface KeyIndex {
  /** The cells of each column of the key, by row number. */
  readonly columns: readonly (readonly Value[])[]
  /** Row numbers in the order of the key. */
  readonly order: Uint32Array
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
  return typeof a === 'string' && typeof b === 'string' ? (a < b ? -1 : 1) : compareValues(a, b)
}

const build = (chunk: Chunk, key: readonly number[]): KeyIndex | 'none' => {
  const columns = key.flatMap((id) => chunk.columns.get(id) ?? [])
  if (columns.length < key.length || columns.some(({ nullCount }) => nullCount > 0)) return 'none'
  const values = columns.map((data) => columnValues(data).map(sortable))
  const order = Uint32Array.from({ length: chunk.rows }, (_, row) => row).sort((a, b) => {
    for (const column of values) {
      const difference = orderOf(column[a] ?? null, column[b] ?? null)
      if (difference !== 0) return difference
    }
    return a - b
  })
  return { columns: values, order }
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

/** The parts of a stretch that have one of the values, which ascend, in column `i`. Goes from one to the next that is there: few are among many. */
const parts = (index: KeyIndex, i: number, values: readonly Value[], stretch: Stretch): Stretch[] => {
  const cells = index.columns[i]
  const found: Stretch[] = []
  let at = stretch.from
  for (let v = 0; v < values.length && at < stretch.to && cells !== undefined; v++) {
    const here = cells[index.order[at] ?? 0] ?? null
    let last = values.length
    while (v < last) {
      const middle = (v + last) >> 1
      if (orderOf(values[middle] ?? null, here) < 0) v = middle + 1
      else last = middle
    }
    const value = values[v] ?? null
    if (v === values.length) break
    const from = search(index, i, value, false, { from: at, to: stretch.to })
    at = search(index, i, value, true, { from, to: stretch.to })
    if (at > from) found.push({ from, to: at })
  }
  return found
}

/** Rows of the chunk that may pass, ascending: all that do are among them. `undefined`: all rows must be looked at. */
export const keyRows = (chunk: Chunk, key: readonly number[], { equal, from, to }: KeyBounds): Uint32Array | undefined => {
  if (chunk.rows < MIN_ROWS) return undefined
  const index = indexOf(chunk, key)
  if (index === 'none') return undefined
  let stretches: Stretch[] = [{ from: 0, to: index.order.length }]
  for (const [i, values] of equal.entries()) stretches = stretches.flatMap((stretch) => parts(index, i, values, stretch))
  const next = equal.length
  const found = stretches.map((stretch) => {
    const start = from === undefined ? stretch.from : search(index, next, from, false, stretch)
    const end = to === undefined ? stretch.to : search(index, next, to, true, stretch)
    return index.order.subarray(start, Math.max(start, end))
  })
  const size = found.reduce((sum, rows) => sum + rows.length, 0)
  if (size > chunk.rows / 2) return undefined
  const rows = new Uint32Array(size)
  let at = 0
  for (const some of found) {
    rows.set(some, at)
    at += some.length
  }
  // A value that is listed twice in an `in` is found twice.
  return rows.sort().filter((row, i) => i === 0 || row !== rows[i - 1])
}
