import type { CompareOp, Predicate, Scalar, Value } from '../../src/core/predicate.ts'
import { compareText } from '../../src/core/text-order.ts'

export type ModelRow = Readonly<Record<string, Value>>
export interface OrderModel {
  readonly column: string
  readonly direction: 'asc' | 'desc'
  readonly nulls?: 'first' | 'last'
}
export type ModelTables = Readonly<Record<string, readonly ModelRow[]>>

/** What the interface's words say, evaluated row by row: the opinion that engines are compared with. */
export const matches = (row: ModelRow, predicate: Predicate, all: ModelTables): boolean => {
  switch (predicate.kind) {
    case 'compare': {
      const value = row[predicate.column] ?? null
      return value !== null && holds(predicate.op, compareValues(value, predicate.value))
    }
    case 'in': {
      const value = row[predicate.column] ?? null
      return value !== null && predicate.values.some((one) => compareValues(value, one) === 0)
    }
    case 'null':
      return (row[predicate.column] ?? null) === null
    case 'not':
      return !matches(row, predicate.term, all)
    case 'and':
      return predicate.terms.every((term) => matches(row, term, all))
    case 'or':
      return predicate.terms.some((term) => matches(row, term, all))
    case 'related': {
      const found = (all[predicate.table] ?? []).some(
        (other) =>
          Object.entries(predicate.on).every(([theirs, ours]) => (row[ours] ?? null) !== null && other[theirs] === row[ours]) &&
          matches(other, predicate.where, all),
      )
      return found !== predicate.negated
    }
    default:
      throw new Error(`unhandled ${predicate satisfies never}`)
  }
}

const compareValues = (a: Scalar, b: Scalar): number => {
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b)
  return a < b ? -1 : a > b ? 1 : 0
}

const holds = (op: CompareOp, order: number): boolean => {
  switch (op) {
    case '=':
      return order === 0
    case '!=':
      return order !== 0
    case '<':
      return order < 0
    case '<=':
      return order <= 0
    case '>':
      return order > 0
    case '>=':
      return order >= 0
    default:
      throw new Error(`unhandled ${op satisfies never}`)
  }
}

/** `rows` in the order asked for, completed by the key in the direction of its last column. */
export const sorted = (rows: readonly ModelRow[], orderBy: readonly OrderModel[], key: readonly string[]): readonly ModelRow[] => {
  const last = orderBy.at(-1)?.direction ?? 'asc'
  const order: readonly OrderModel[] = [...orderBy, ...key.map((column) => ({ column, direction: last }))]
  return rows.toSorted((a, b) => {
    for (const { column, direction, nulls } of order) {
      const [x, y] = [a[column] ?? null, b[column] ?? null]
      if (x === null || y === null) {
        if (x === y) continue
        const nullsFirst = nulls === undefined ? direction === 'asc' : nulls === 'first'
        return (x === null) === nullsFirst ? -1 : 1
      }
      const difference = compareValues(x, y)
      if (difference !== 0) return direction === 'asc' ? difference : -difference
    }
    return 0
  })
}
