import type { Value } from '../../core/predicate.ts'
import type { OrderColumn } from '../list-order.ts'
import { compareValues, pinnedBy } from './column-terms.ts'
import type { ColumnTerm, Condition, SourceRow } from './row-source.ts'

export type RowOrder = (a: SourceRow, b: SourceRow) => number

export const rowOrder =
  (order: readonly OrderColumn[]): RowOrder =>
  (a, b) => {
    for (const entry of order) {
      const difference = compareCells(entry, a[entry.column] ?? null, b[entry.column] ?? null)
      if (difference !== 0) return difference
    }
    return 0
  }

/** The last row seen, as far as the order goes. */
export const rowAt = (order: readonly OrderColumn[], after: readonly Value[]): SourceRow =>
  Object.fromEntries(order.map(({ column }, i) => [column, after[i] ?? null]))

const compareCells = ({ descending, nullsFirst }: OrderColumn, a: Value, b: Value): number => {
  if (a === null || b === null) return a === b ? 0 : (a === null) === nullsFirst ? -1 : 1
  const difference = compareValues(a, b)
  return descending ? -difference : difference
}

/** What rows behind `after` have in common that the wire can say: a bound of the first column that is not fixed. */
export const boundBehind = (
  order: readonly OrderColumn[],
  after: readonly Value[],
  where: readonly ColumnTerm[],
): ColumnTerm | undefined => {
  for (const [i, { column, descending, nullable, nullsFirst }] of order.entries()) {
    const value = after[i] ?? null
    const fixed = where.find((term) => term.column === column && pinnedBy(term) !== undefined)
    if (fixed) {
      if (pinnedBy(fixed) !== value) return undefined
      continue
    }
    if (value === null) return nullsFirst ? undefined : { column, anyOf: [{ kind: 'null' }] }
    const bound: Condition = { kind: 'compare', op: descending ? '<=' : '>=', value }
    return { column, anyOf: nullable && !nullsFirst ? [bound, { kind: 'null' }] : [bound] }
  }
  return undefined
}

/** The first rows of many, in order. */
export class FirstRows {
  private rows: SourceRow[] = []

  constructor(
    private readonly order: RowOrder,
    private readonly count: number,
  ) {}

  add(rows: readonly SourceRow[]): void {
    for (const row of rows) this.rows.push(row)
    if (this.rows.length > 4 * this.count + 1000) this.cut()
  }

  sorted(): readonly SourceRow[] {
    this.cut()
    return this.rows
  }

  private cut(): void {
    this.rows.sort(this.order)
    if (this.rows.length > this.count) this.rows.length = this.count
  }
}
