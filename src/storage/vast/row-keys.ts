import type { Scalar } from '../../core/predicate.ts'
import type { TableName } from '../schema.ts'
import { tableFacts } from '../table-facts.ts'
import type { ColumnTerm, SourceRow } from './row-source.ts'

/** One text per key, to look rows up by in memory. Lengths keep ('a', 'bc') and ('ab', 'c') apart. */
export const keyText = (key: readonly unknown[]): string => {
  let text = ''
  for (const value of key) {
    const cell = String(value)
    text += `${cell.length}:${cell}`
  }
  return text
}

/** `keyText` of the first column alone, out of that of the whole key. */
export const firstCell = (text: string): string => {
  const colon = text.indexOf(':')
  return text.slice(0, colon + 1 + Number(text.slice(0, colon)))
}

export const rowKeyText = (table: TableName, row: SourceRow): string => keyText(tableFacts(table).key.map((column) => row[column]))

/** Most keys that are looked up one by one instead of by a query. */
const MOST_KEYS = 2000

/** The only keys that rows passing all terms can have, where the terms name values for every key column (and not too many). */
export const pinnedKeys = (table: TableName, where: readonly ColumnTerm[]): readonly (readonly Scalar[])[] | undefined => {
  let keys: readonly (readonly Scalar[])[] = [[]]
  for (const column of tableFacts(table).key) {
    const values = pinnedValues(where, column)
    if (!values || keys.length * values.length > MOST_KEYS) return undefined
    keys = keys.flatMap((key) => values.map((value) => [...key, value]))
  }
  return keys
}

const pinnedValues = (where: readonly ColumnTerm[], column: string): readonly Scalar[] | undefined => {
  for (const term of where) {
    if (term.column !== column) continue
    const values: Scalar[] = []
    for (const condition of term.anyOf) {
      if (condition.kind === 'in') values.push(...condition.values)
      else if (condition.kind === 'compare' && condition.op === '=') values.push(condition.value)
      else if (condition.kind !== 'null') return undefined
    }
    return values.length < 2 ? values : [...new Set(values)]
  }
  return undefined
}
