// What a query can ask of rows. The shapes here are those of the protocol and no others: a filter is about one column, a row must pass all filters.
import type { Value } from './values.ts'

export type CompareOp = 'equal' | 'not_equal' | 'less' | 'less_equal' | 'greater' | 'greater_equal'

/** One condition on a column. A comparison with a null cell is no match, `not_equal` included. Text compares by UTF-8 bytes. */
export type Term =
  | { readonly kind: 'compare'; readonly op: CompareOp; readonly value: Value }
  /** Equal to one of the values; an empty list matches nothing and is refused before a request is made. */
  | { readonly kind: 'in'; readonly values: readonly Value[] }
  /** Both ends included. */
  | { readonly kind: 'between'; readonly from: Value; readonly to: Value }
  | { readonly kind: 'prefix'; readonly text: string }
  /** Plain substring, no wildcards, case-sensitive. */
  | { readonly kind: 'substring'; readonly text: string }
  | { readonly kind: 'is_null' }
  | { readonly kind: 'is_valid' }

/** Rows where at least one of `anyOf` holds for `column`: a top-level column, or the path of a struct's scalar member. */
export interface Filter {
  readonly column: string | readonly string[]
  readonly anyOf: readonly Term[]
}

type Column = Filter['column']
const one = (column: Column, term: Term): Filter => ({ column, anyOf: [term] })
const compare = (op: CompareOp) => (column: Column, value: Value) => one(column, { kind: 'compare', op, value })

export const eq = compare('equal')
export const ne = compare('not_equal')
export const lt = compare('less')
export const le = compare('less_equal')
export const gt = compare('greater')
export const ge = compare('greater_equal')
export const oneOf = (column: Column, values: readonly Value[]): Filter => one(column, { kind: 'in', values })
export const between = (column: Column, from: Value, to: Value): Filter => one(column, { kind: 'between', from, to })
export const startsWith = (column: Column, text: string): Filter => one(column, { kind: 'prefix', text })
export const contains = (column: Column, text: string): Filter => one(column, { kind: 'substring', text })
export const isNull = (column: Column): Filter => one(column, { kind: 'is_null' })
export const isValid = (column: Column): Filter => one(column, { kind: 'is_valid' })

/** Filters on one column joined by "or". Filters on different columns: `TypeError`, the protocol cannot say that. */
export const anyOf = (...filters: readonly Filter[]): Filter => {
  const [first] = filters
  if (first === undefined) throw new TypeError('anyOf needs a filter')
  const path = (filter: Filter) => JSON.stringify([filter.column].flat())
  if (filters.some((filter) => path(filter) !== path(first))) throw new TypeError('anyOf joins filters on one column only')
  return { column: first.column, anyOf: filters.flatMap((filter) => filter.anyOf) }
}

/** A filter that no row can pass: `in ()`. A query with one needs no request. */
export const matchesNothing = (filter: Filter): boolean => filter.anyOf.every((term) => term.kind === 'in' && term.values.length === 0)
