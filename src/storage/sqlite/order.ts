import type { Value } from '../../core/predicate.ts'
import type { OrderColumn } from '../list-order.ts'
import { quoted, type SqlValue } from './table-info.ts'

/** SQLite's own place of nulls (as the smallest value): the only one its indexes have. */
export const isNative = ({ nullable, nullsFirst, descending }: OrderColumn): boolean => !nullable || nullsFirst !== descending

export const orderText = (order: readonly OrderColumn[]): string =>
  order.map((entry) => `t.${quoted(entry.column)}${entry.descending ? ' desc' : ''}${nullsText(entry)}`).join(', ')

const nullsText = (entry: OrderColumn): string => (isNative(entry) ? '' : entry.nullsFirst ? ' nulls first' : ' nulls last')

/** The condition "comes behind these values". One row value where that is the same, since it can be looked up in an index. */
export const behind = (order: readonly OrderColumn[], values: readonly Value[], params: SqlValue[]): string => {
  const [first] = order
  if (!first) return '0'
  if (order.every((entry) => !entry.nullable && entry.descending === first.descending)) {
    params.push(...values)
    const columns = order.map(({ column }) => `t.${quoted(column)}`).join(', ')
    return `(${columns}) ${first.descending ? '<' : '>'} (${order.map(() => '?').join(', ')})`
  }
  const bound: string[] = []
  if (!first.nullable) {
    params.push(values[0] as SqlValue)
    bound.push(`t.${quoted(first.column)} ${first.descending ? '<=' : '>='} ? and `)
  }
  const cases = order.map((entry, i) => {
    const equal = order.slice(0, i).map(({ column }, j) => {
      params.push(values[j] as SqlValue)
      return `t.${quoted(column)} is ?`
    })
    return [...equal, strictlyBehind(entry, values[i] as SqlValue, params)].join(' and ')
  })
  return `(${bound.join('')}(${cases.join(' or ')}))`
}

const strictlyBehind = ({ column, descending, nullable, nullsFirst }: OrderColumn, value: SqlValue, params: SqlValue[]): string => {
  const name = `t.${quoted(column)}`
  if (value === null) return nullsFirst ? `${name} is not null` : '0'
  params.push(value)
  const beyond = `${name} ${descending ? '<' : '>'} ?`
  return nullable && !nullsFirst ? `(${beyond} or ${name} is null)` : beyond
}
