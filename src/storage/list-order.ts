import { invalid } from '../core/errors.ts'
import type { Value } from '../core/predicate.ts'
import { checkCell } from './check-row.ts'
import { kindOfColumn, type TableFacts } from './table-facts.ts'

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
export const totalOrder = (facts: TableFacts, orderBy: readonly OrderRequest[] = []): readonly OrderColumn[] => {
  const order: OrderColumn[] = []
  for (const { column, direction, nulls } of orderBy) {
    kindOfColumn(facts, column)
    if (order.some((known) => known.column === column)) throw new Error(`${facts.name} is ordered by ${column} twice`)
    const descending = direction === 'desc'
    const nullsFirst = nulls === undefined ? !descending : nulls === 'first'
    order.push({ column, descending, nullsFirst, nullable: facts.nullable.has(column) })
  }
  const descending = order.at(-1)?.descending ?? false
  for (const column of facts.key)
    if (!order.some((known) => known.column === column)) order.push({ column, descending, nullsFirst: !descending, nullable: false })
  return order
}

/** Throws `invalid` unless `after` can be a row's values in these columns: a page key may come from another query. */
export const checkAfter = (facts: TableFacts, order: readonly OrderColumn[], after: readonly Value[]): void => {
  const fits =
    after.length === order.length && order.every(({ column, nullable }, i) => isValueOf(facts, column, nullable, after[i] as Value))
  if (!fits) throw invalid('page', 'is not a page key of this query')
}

const isValueOf = (facts: TableFacts, column: string, nullable: boolean, value: Value): boolean => {
  if (value === null) return nullable
  try {
    checkCell(facts.name, column, value)
    return true
  } catch {
    return false
  }
}
