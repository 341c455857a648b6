import { invalid } from '../../core/errors.ts'
import type { Value } from '../../core/predicate.ts'
import { checkCell } from '../check-row.ts'
import { kindOfColumn, quoted, type SqlValue, type TableInfo } from './table-info.ts'

/** `Order` of the interface, for any table. */
export interface OrderRequest {
  readonly column: string
  readonly direction: 'asc' | 'desc'
  readonly nulls?: 'first' | 'last'
}

export interface OrderColumn {
  readonly column: string
  readonly descending: boolean
  readonly nullsFirst: boolean
  readonly nullable: boolean
}

/** The order asked for, made total by the key columns that are missing, in the direction of the last column asked for. */
export const totalOrder = (info: TableInfo, orderBy: readonly OrderRequest[] = []): readonly OrderColumn[] => {
  const order: OrderColumn[] = []
  for (const { column, direction, nulls } of orderBy) {
    kindOfColumn(info, column)
    if (order.some((known) => known.column === column)) throw new Error(`${info.name} is ordered by ${column} twice`)
    const descending = direction === 'desc'
    const nullsFirst = nulls === undefined ? !descending : nulls === 'first'
    order.push({ column, descending, nullsFirst, nullable: info.nullable.has(column) })
  }
  const descending = order.at(-1)?.descending ?? false
  for (const column of info.key)
    if (!order.some((known) => known.column === column)) order.push({ column, descending, nullsFirst: !descending, nullable: false })
  return order
}

/** Throws `invalid` unless `after` can be a row's values in these columns: a page key may come from another query. */
export const checkAfter = (info: TableInfo, order: readonly OrderColumn[], after: readonly Value[]): void => {
  const fits =
    after.length === order.length && order.every(({ column, nullable }, i) => isValueOf(info, column, nullable, after[i] as Value))
  if (!fits) throw invalid('page', 'is not a page key of this query')
}

const isValueOf = (info: TableInfo, column: string, nullable: boolean, value: Value): boolean => {
  if (value === null) return nullable
  try {
    checkCell(info.name, column, value)
    return true
  } catch {
    return false
  }
}

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
