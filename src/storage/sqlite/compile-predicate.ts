import type { CompareOp, Predicate, Related, Scalar } from '../../core/predicate.ts'
import type { TableName } from '../schema.ts'
import { comparable, kindOfColumn, relatedColumns } from '../table-facts.ts'
import { quoted, type SqlValue, type TableInfo, tableInfo } from './table-info.ts'

const opposite: Record<CompareOp, CompareOp> = { '=': '!=', '!=': '=', '<': '>=', '<=': '>', '>': '<=', '>=': '<' }
const LIST_LIMIT = 32_768

/**
 * The condition on the row named `alias`. SQL's third truth value never shows: `not` is pushed down to the leaves, and a negated
 * comparison of a nullable column accepts null by itself. Values go to `params` in the order of their question marks. Throws `invalid` for text that no row can hold.
 */
export const compilePredicate = (info: TableInfo, predicate: Predicate, params: SqlValue[], alias = 't', negated = false): string => {
  switch (predicate.kind) {
    case 'compare': {
      const column = `${alias}.${quoted(predicate.column)}`
      params.push(comparable(info, predicate.column, predicate.value))
      const text = `${column} ${negated ? opposite[predicate.op] : predicate.op} ?`
      return negated && info.nullable.has(predicate.column) ? `(${text} or ${column} is null)` : text
    }
    case 'in': {
      const column = `${alias}.${quoted(predicate.column)}`
      if (predicate.values.length === 0) return negated ? '1' : '0'
      const text = `${column} ${negated ? 'not in' : 'in'} (${list(info, predicate.column, predicate.values, params)})`
      return negated && info.nullable.has(predicate.column) ? `(${text} or ${column} is null)` : text
    }
    case 'null':
      kindOfColumn(info, predicate.column)
      return `${alias}.${quoted(predicate.column)} is ${negated ? 'not null' : 'null'}`
    case 'not':
      return compilePredicate(info, predicate.term, params, alias, !negated)
    case 'and':
    case 'or': {
      const every = (predicate.kind === 'and') !== negated
      if (predicate.terms.length === 0) return every ? '1' : '0'
      const terms = predicate.terms.map((term) => compilePredicate(info, term, params, alias, negated))
      return joined(terms, every ? ' and ' : ' or ')
    }
    case 'related':
      return compileRelated(info, predicate, params, alias, negated)
    default:
      throw new Error(`unhandled ${predicate satisfies never}`)
  }
}

// Halved again and again: SQLite reads a flat chain as a tree as deep as it is long, and refuses more than 1,000 levels.
const joined = (terms: readonly string[], operator: string): string => {
  if (terms.length <= 100) return `(${terms.join(operator)})`
  const half = terms.length >> 1
  return `(${joined(terms.slice(0, half), operator)}${operator}${joined(terms.slice(half), operator)})`
}

/** All of `terms`; `1` for none. */
export const compileAll = (info: TableInfo, terms: readonly Predicate[], params: SqlValue[]): string =>
  compilePredicate(info, { kind: 'and', terms }, params)

// Padded to a power of two with the last value, so that lists of all lengths share a few statements.
// (json_each(?) would be one statement, but cuts text at U+0000 and carries no 64-bit integers beyond its parser's care.)
const list = (info: TableInfo, column: string, values: readonly Scalar[], params: SqlValue[]): string => {
  if (values.length > LIST_LIMIT) throw new Error(`a list of ${values.length} values for ${info.name}.${column}: at most ${LIST_LIMIT}`)
  let size = 1
  while (size < values.length) size *= 2
  let last: SqlValue = null
  for (const value of values) {
    last = comparable(info, column, value)
    params.push(last)
  }
  for (let i = values.length; i < size; i++) params.push(last)
  return placeholders(size)
}

export const placeholders = (count: number): string => `?${',?'.repeat(count - 1)}`

// A scalar subquery instead of `exists`: SQLite may turn `exists` into a join and then walk the tables in an order of its own.
const compileRelated = (info: TableInfo, related: Related, params: SqlValue[], alias: string, negated: boolean): string => {
  const other = tableInfo(related.table as TableName)
  const name = alias === 't' ? 'r1' : `r${Number(alias.slice(1)) + 1}`
  const links = relatedColumns(info, other, related).map(([theirs, ours]) => `${name}.${quoted(theirs)} = ${alias}.${quoted(ours)}`)
  const where = compilePredicate(other, related.where, params, name)
  const absent = related.negated !== negated
  return `(select 1 from ${quoted(other.name)} ${name} where ${[...links, where].join(' and ')} limit 1) is ${absent ? 'null' : 'not null'}`
}
