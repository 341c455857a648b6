import type { CompareOp, Predicate, Scalar } from '../../../core/predicate.ts'
import { integerOf } from './integers.ts'
import { NULL_TYPE, type StoredRow, textBytes } from './record.ts'

/** Whether the row at hand fulfils a condition. */
export type RowFilter = (row: StoredRow) => boolean

/**
 * The columns that a condition on the row itself looks at; undefined for one that needs other rows, or for which SQLite is better. What is
 * compared is text or integers.
 */
export const testedColumns = (predicate: Predicate): readonly string[] | undefined => {
  switch (predicate.kind) {
    case 'compare':
      return typeof predicate.value === 'number' ? undefined : [predicate.column]
    case 'null':
      return [predicate.column]
    case 'not':
      return testedColumns(predicate.term)
    case 'and':
    case 'or': {
      const terms = predicate.terms.map(testedColumns)
      return terms.every((term) => term !== undefined) ? terms.flat() : undefined
    }
    case 'in':
    case 'related':
      return undefined
    default:
      throw new Error(`unhandled ${predicate satisfies never}`)
  }
}

/** For a condition that has `testedColumns`. `placeOf`: where in the record a column stands. */
export const rowFilter = (predicate: Predicate, placeOf: (column: string) => number): RowFilter => {
  switch (predicate.kind) {
    case 'compare':
      return comparison(placeOf(predicate.column), predicate.op, predicate.value)
    case 'null': {
      const at = placeOf(predicate.column)
      return ({ types }) => types[at] === NULL_TYPE
    }
    case 'not': {
      const term = rowFilter(predicate.term, placeOf)
      return (row) => !term(row)
    }
    case 'and':
    case 'or': {
      const decisive = predicate.kind === 'or'
      // Nested pairs: a list of functions would be walked for each row.
      return predicate.terms
        .map((term) => rowFilter(term, placeOf))
        .reduceRight<RowFilter>(
          (rest, term) => (decisive ? (row) => term(row) || rest(row) : (row) => term(row) && rest(row)),
          () => !decisive,
        )
    }
    default:
      throw new Error(`a condition of the kind ${predicate.kind} was left to the pages`)
  }
}

const comparison = (at: number, op: CompareOp, value: Scalar): RowFilter => {
  const order = typeof value === 'string' ? textOrder(at, Buffer.from(value)) : integerOrder(at, BigInt(value))
  const passes = PASSES[op]
  return (row) => row.types[at] !== NULL_TYPE && passes(order(row))
}

// Of the sign of an order.
const PASSES: Readonly<Record<CompareOp, (order: number) => boolean>> = {
  '=': (order) => order === 0,
  '!=': (order) => order !== 0,
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
}

const textOrder =
  (at: number, text: Buffer) =>
  ({ bytes, types, starts }: StoredRow): number => {
    const start = starts[at] as number
    const length = textBytes(types[at] as number)
    const common = Math.min(length, text.length)
    for (let i = 0; i < common; i++) {
      const difference = (bytes[start + i] as number) - (text[i] as number)
      if (difference !== 0) return difference
    }
    return length - text.length
  }

const integerOrder = (at: number, value: bigint) => {
  const high = Number(value >> 32n)
  const low = Number(value & 0xffff_ffffn)
  const words = new Int32Array(2)
  return ({ bytes, types, starts }: StoredRow): number => {
    integerOf(bytes, starts[at] as number, types[at] as number, words, 0)
    return (words[1] as number) - high || ((words[0] as number) >>> 0) - low
  }
}
