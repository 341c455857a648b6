import type { CompareOp, Scalar, Value } from '../../core/predicate.ts'
import { compareText } from '../../core/text-order.ts'
import type { ColumnTerm, Condition, SourceRow } from './row-source.ts'

/** The order of two values of one column, texts by code point. */
export const compareValues = (a: Scalar, b: Scalar): number => {
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b)
  return a < b ? -1 : a > b ? 1 : 0
}

/** A term as a function of the cell. */
export const cellTest = ({ anyOf }: ColumnTerm): ((cell: Value) => boolean) => {
  const tests = anyOf.map(conditionTest)
  const [only] = tests
  return tests.length === 1 && only ? only : (cell) => tests.some((test) => test(cell))
}

/** All of `where` as a function of the row. */
export const rowTest = (where: readonly ColumnTerm[]): ((row: SourceRow) => boolean) => {
  const tests = where.map((term) => [term.column, cellTest(term)] as const)
  return (row) => tests.every(([column, test]) => test(row[column] ?? null))
}

const conditionTest = (condition: Condition): ((cell: Value) => boolean) => {
  switch (condition.kind) {
    case 'compare': {
      const { value } = condition
      const holds = orderTest(condition.op)
      return (cell) => cell !== null && holds(compareValues(cell, value))
    }
    case 'in': {
      const values = new Set<Value>(condition.values)
      return (cell) => cell !== null && values.has(cell)
    }
    case 'between': {
      const { from, to } = condition
      return (cell) => cell !== null && compareValues(cell, from) >= 0 && compareValues(cell, to) <= 0
    }
    case 'null':
      return (cell) => cell === null
    case 'valid':
      return (cell) => cell !== null
    default:
      throw new Error(`unhandled ${condition satisfies never}`)
  }
}

const orderTest = (op: CompareOp): ((order: number) => boolean) => {
  switch (op) {
    case '=':
      return (order) => order === 0
    case '!=':
      return (order) => order !== 0
    case '<':
      return (order) => order < 0
    case '<=':
      return (order) => order <= 0
    case '>':
      return (order) => order > 0
    case '>=':
      return (order) => order >= 0
    default:
      throw new Error(`unhandled ${op satisfies never}`)
  }
}

/** The value that a term fixes its column to, if it does. */
export const pinnedBy = ({ anyOf: [only, ...others] }: ColumnTerm): Scalar | undefined => {
  if (!only || others.length > 0) return undefined
  if (only.kind === 'compare' && only.op === '=') return only.value
  return only.kind === 'in' && only.values.length === 1 ? only.values[0] : undefined
}

export const pinned = (column: string, value: Scalar): ColumnTerm => ({ column, anyOf: [{ kind: 'compare', op: '=', value }] })

export const among = (column: string, values: readonly Scalar[]): ColumnTerm => ({ column, anyOf: [{ kind: 'in', values }] })

const LITERAL_BYTES = 96

/** About how many bytes of a request a term takes. */
export const costOf = ({ anyOf }: ColumnTerm): number => {
  let bytes = 0
  for (const condition of anyOf) {
    if (condition.kind === 'in') for (const value of condition.values) bytes += bytesOf(value)
    else bytes += condition.kind === 'compare' ? bytesOf(condition.value) : LITERAL_BYTES
  }
  return bytes
}

export const bytesOf = (value: Scalar): number => LITERAL_BYTES + (typeof value === 'string' ? value.length * 3 : 0)
