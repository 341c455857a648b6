// Filters of a query, bound to the rows of a chunk. The tree has no "not", so a comparison with a null cell may simply be false.
import { type Data, DataType, type Field } from 'apache-arrow'
import { isThere, type Value, valueAt } from '../../../../src/vastdb/wire/values.ts'
import { badRequest } from '../protocol-error.ts'

const COMPARE = {
  equal: (order: number) => order === 0,
  not_equal: (order: number) => order !== 0,
  less: (order: number) => order < 0,
  less_equal: (order: number) => order <= 0,
  greater: (order: number) => order > 0,
  greater_equal: (order: number) => order >= 0,
} as const
type CompareName = keyof typeof COMPARE
const COMPARE_NAMES: ReadonlySet<string> = new Set(Object.keys(COMPARE))
export const isCompare = (name: string): name is CompareName => COMPARE_NAMES.has(name)

/** A scalar of the request: the top-level column, and the way into it (struct members). */
export interface ColumnRef {
  readonly column: number
  readonly path: readonly number[]
}

export type Predicate =
  | { readonly kind: 'and' | 'or'; readonly terms: readonly Predicate[] }
  | { readonly kind: 'null'; readonly ref: ColumnRef }
  | { readonly kind: 'valid'; readonly ref: ColumnRef }
  | { readonly kind: 'compare'; readonly op: CompareName; readonly ref: ColumnRef; readonly value: Value }
  | { readonly kind: 'in'; readonly ref: ColumnRef; readonly values: readonly Value[] }
  /** In one of the ranges, both ends of each included; they ascend and do not touch. */
  | { readonly kind: 'within'; readonly ref: ColumnRef; readonly from: BigInt64Array; readonly to: BigInt64Array }
  | { readonly kind: 'substring'; readonly ref: ColumnRef; readonly text: Uint8Array }

const utf8 = new TextEncoder()

/** Order of two cells of one type; NaN is in no order with anything. Text and bytes by their bytes, lists element by element. */
export const compareValues = (a: Value, b: Value): number => {
  if (typeof a === 'string') return compareValues(utf8.encode(a), b)
  if (typeof b === 'string') return compareValues(a, utf8.encode(b))
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b)
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let i = 0; i < Math.min(a.length, b.length); i++) {
      const order = compareValues(a[i] ?? null, b[i] ?? null)
      if (order !== 0) return order
    }
    return a.length - b.length
  }
  const [left, right] = [Number.isInteger(a) || typeof a !== 'number' ? a : Number(a), b]
  if ((typeof left === 'number' || typeof left === 'bigint') && (typeof right === 'number' || typeof right === 'bigint'))
    return left < right ? -1 : left > right ? 1 : Number(left) === Number(right) ? 0 : Number.NaN
  if (typeof left === 'boolean' && typeof right === 'boolean') return Number(left) - Number(right)
  throw badRequest(`a value of type ${typeof a} cannot be compared with one of type ${typeof b}`)
}

type Within = Extract<Predicate, { readonly kind: 'within' }>

const isWithin = ({ from, to }: Within, value: bigint): boolean => {
  let [low, high] = [0, from.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((from[middle] ?? 0n) <= value) low = middle + 1
    else high = middle
  }
  return low > 0 && value <= (to[low - 1] ?? 0n)
}

/** The columns (numbers of the request's fields) that a filter looks at. */
export const columnsOf = (predicate: Predicate): number[] =>
  'terms' in predicate ? predicate.terms.flatMap(columnsOf) : [predicate.ref.column]

/** A key under which equal values are found in a set; numbers and bigints of one value share it. */
const keyOf = (value: Value): string | number | boolean | null => {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1')
  if (typeof value === 'string') return Buffer.from(value).toString('latin1')
  if (typeof value === 'bigint') return BigInt(Number(value)) === value ? Number(value) : `${value}n`
  if (typeof value === 'number' || typeof value === 'boolean') return value
  return null
}

type Keys = ReadonlySet<ReturnType<typeof keyOf>>

const keySets = new WeakMap<readonly Value[], Keys>()

/** The keys of a list, made once: it is bound to every chunk of the table. */
const keysOf = (values: readonly Value[]): Keys => keySets.getOrInsertComputed(values, () => new Set(values.map(keyOf)))

type RowTest = (row: number) => boolean

/** Cells of one column: as Arrow data, or one by one (rows that were changed, ids that are in no buffer). */
export interface Cells {
  readonly data?: Data | undefined
  readonly at: (row: number) => Value
}

const walk = (value: Value, path: readonly number[], type: DataType | undefined): Value => {
  let [found, at] = [value, type]
  for (const index of path) {
    if (found === null || at === undefined || !DataType.isStruct(at)) return null
    const child = at.children[index]
    found = child === undefined ? null : ((found as { readonly [name: string]: Value })[child.name] ?? null)
    at = child?.type
  }
  return found
}

/** The leaf that `path` leads to, and whether all that holds it is there. */
const leafOf = (data: Data, path: readonly number[]): { readonly leaf: Data; readonly there: RowTest } | undefined => {
  const holders = [data]
  for (const index of path) {
    const child = holders.at(-1)?.children[index]
    if (child === undefined) return undefined
    holders.push(child)
  }
  const leaf = holders.at(-1)
  if (leaf === undefined) return undefined
  const partial = holders.filter(({ nullCount }) => nullCount > 0)
  return { leaf, there: partial.length === 0 ? () => true : (row) => partial.every((holder) => isThere(holder, row)) }
}

const NOTHING: Predicate = { kind: 'or', terms: [] }

/** A test of the rows of one chunk. `cells` and `types` are by number of the request's field. */
export const bindRows = (predicate: Predicate, cells: (column: number) => Cells | undefined, fields: readonly Field[]): RowTest => {
  switch (predicate.kind) {
    case 'and':
    case 'or': {
      const { terms } = predicate
      const [only] = terms
      if (terms.length === 1 && only !== undefined) return bindRows(only, cells, fields)
      const ends = predicate.kind === 'or'
      // Bound when a row gets so far: of many small chunks most have none that does.
      const tests: RowTest[] = []
      return (row) => {
        for (let i = 0; i < terms.length; i++) {
          tests[i] ??= bindRows(terms[i] ?? NOTHING, cells, fields)
          if (tests[i]?.(row) === ends) return ends
        }
        return !ends
      }
    }
    default:
      return bindTerm(predicate, cells(predicate.ref.column), fields[predicate.ref.column]?.type)
  }
}

type TermPredicate = Extract<Predicate, { readonly ref: ColumnRef }>
type ValueTest = Extract<TermPredicate, { readonly kind: 'compare' | 'in' | 'within' | 'substring' }>

const bindTerm = (term: TermPredicate, cells: Cells | undefined, type: DataType | undefined): RowTest => {
  if (cells === undefined) return () => term.kind === 'null'
  const { data } = cells
  const found = data === undefined ? undefined : leafOf(data, term.ref.path)
  const there: RowTest = found?.there ?? ((row) => walk(cells.at(row), term.ref.path, type) !== null)
  if (term.kind === 'valid') return there
  if (term.kind === 'null') return (row) => !there(row)
  const fast = found === undefined ? undefined : bindLeaf(term, found.leaf, found.there)
  return fast ?? bindValues(term, (row) => walk(cells.at(row), term.ref.path, type))
}

const bindValues = (term: ValueTest, at: (row: number) => Value): RowTest => {
  const tested =
    (test: (value: Value) => boolean): RowTest =>
    (row) => {
      const value = at(row)
      return value !== null && test(value)
    }
  if (term.kind === 'compare') {
    const passes = COMPARE[term.op]
    return tested((value) => passes(compareValues(value, term.value)))
  }
  if (term.kind === 'in') {
    const keys = keysOf(term.values)
    return tested((value) => keys.has(keyOf(value)))
  }
  if (term.kind === 'within') return tested((value) => typeof value === 'bigint' && isWithin(term, value))
  const text = Buffer.from(term.text)
  return tested((value) => Buffer.from(value as string).includes(text))
}

/** The same on the buffers of a leaf, without making values, for the types that scans spend their time on. */
const bindLeaf = (term: ValueTest, leaf: Data, there: RowTest): RowTest | undefined => {
  const { type } = leaf
  if (DataType.isUtf8(type) || DataType.isBinary(type)) {
    const bytes = Buffer.from(leaf.values.buffer, leaf.values.byteOffset, leaf.values.byteLength)
    const offsets: Int32Array = leaf.valueOffsets
    const end = (row: number) => offsets[row + 1] ?? 0
    if (term.kind === 'substring') {
      const text = Buffer.from(term.text)
      return (row) => there(row) && bytes.subarray(offsets[row], end(row)).includes(text)
    }
    if (term.kind === 'in') {
      const keys = keysOf(term.values)
      return (row) => there(row) && keys.has(bytes.toString('latin1', offsets[row], end(row)))
    }
    const value = term.kind === 'compare' ? term.value : undefined
    if (term.kind !== 'compare' || !(value instanceof Uint8Array)) return undefined
    if (term.op === 'equal')
      return (row) => {
        const from = offsets[row] ?? 0
        return (
          end(row) - from === value.length &&
          (value.length === 0 || bytes.compare(value, 0, value.length, from, end(row)) === 0) &&
          there(row)
        )
      }
    const passes = COMPARE[term.op]
    return (row) => there(row) && passes(bytes.compare(value, 0, value.length, offsets[row], end(row)))
  }
  const numeric = (DataType.isInt(type) || DataType.isTimestamp(type)) && leaf.values instanceof BigInt64Array
  if (!numeric) return undefined
  const values: BigInt64Array = leaf.values
  if (term.kind === 'within') return (row) => there(row) && isWithin(term, values[row] ?? 0n)
  if (term.kind !== 'compare' || typeof term.value !== 'bigint') return undefined
  const { value } = term
  switch (term.op) {
    case 'equal':
      return (row) => values[row] === value && there(row)
    case 'less':
      return (row) => (values[row] ?? 0n) < value && there(row)
    case 'less_equal':
      return (row) => (values[row] ?? 0n) <= value && there(row)
    case 'greater':
      return (row) => (values[row] ?? 0n) > value && there(row)
    case 'greater_equal':
      return (row) => (values[row] ?? 0n) >= value && there(row)
    default:
      return undefined
  }
}

/** The value of a cell of `data`, changes not counted. */
export const plainCells = (data: Data): Cells => ({ data, at: (row) => valueAt(data, row) })
