/** A value of a column. `bigint` for 64-bit integers and times, `number` for 32-bit integers and floats. */
export type Value = string | bigint | number | boolean | null
export type Scalar = string | bigint | number | boolean

export type CompareOp = '=' | '!=' | '<' | '<=' | '>' | '>='

/**
 * A condition on the rows of one table, as data. Each engine compiles the same tree its own way; what it cannot push down it
 * applies afterwards, and never drops. Text compares by code point. A comparison with a null cell is false (also `!=`),
 * and `not` negates that two-valued result.
 */
export type Predicate =
  | { readonly kind: 'compare'; readonly column: string; readonly op: CompareOp; readonly value: Scalar }
  | { readonly kind: 'in'; readonly column: string; readonly values: readonly Scalar[] }
  | { readonly kind: 'null'; readonly column: string }
  | { readonly kind: 'not'; readonly term: Predicate }
  | { readonly kind: 'and' | 'or'; readonly terms: readonly Predicate[] }
  | Related

/**
 * The row has (or, negated, has not) a row in another table: `on` maps columns of that table to columns of this one.
 */
export interface Related {
  readonly kind: 'related'
  readonly table: string
  readonly on: Readonly<Record<string, string>>
  readonly where: Predicate
  readonly negated: boolean
}

export const everything: Predicate = { kind: 'and', terms: [] }
export const nothing: Predicate = { kind: 'or', terms: [] }

export const compare = (column: string, op: CompareOp, value: Scalar): Predicate => ({ kind: 'compare', column, op, value })
export const eq = (column: string, value: Scalar): Predicate => compare(column, '=', value)
export const isIn = (column: string, values: readonly Scalar[]): Predicate => ({ kind: 'in', column, values })
export const isNull = (column: string): Predicate => ({ kind: 'null', column })
export const not = (term: Predicate): Predicate => ({ kind: 'not', term })
export const and = (...terms: readonly Predicate[]): Predicate => combine('and', terms)
export const or = (...terms: readonly Predicate[]): Predicate => combine('or', terms)
export const related = (table: string, on: Readonly<Record<string, string>>, where: Predicate, negated = false): Predicate => ({
  kind: 'related',
  table,
  on,
  where,
  negated,
})

const combine = (kind: 'and' | 'or', terms: readonly Predicate[]): Predicate => {
  const flat = terms.flatMap((term) => (term.kind === kind ? term.terms : [term]))
  return flat.length === 1 && flat[0] ? flat[0] : { kind, terms: flat }
}
