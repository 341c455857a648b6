import { everything, type Value } from '../../core/predicate.ts'
import { compareText } from '../../core/text-order.ts'
import { type Row, tables as schema, type Table, type TableName } from '../../storage/schema.ts'
import type { Page, ReadTx, Tables } from '../../storage/tables.ts'

export type AnyRow = Readonly<Record<string, Value>>

const PAGE = 1000

/** What becomes of a page of rows on the way; may look things up in the same snapshot. */
export type Transform<N extends TableName> = (tx: ReadTx, rows: readonly Row<N>[]) => Promise<readonly Row<N>[]>

/** All rows in key order, a page in memory at a time, each page as of a moment of its own. */
export async function* rowsOf<N extends TableName>(tables: Tables, table: N, transform?: Transform<N>): AsyncGenerator<Row<N>> {
  let after: Page<unknown>['after']
  do {
    const from = after
    const page = await tables.read(async (tx) => {
      const found = await tx.list<N>(table, { where: everything, limit: PAGE, ...(from && { after: from }) })
      return { rows: transform ? await transform(tx, found.rows) : found.rows, after: found.after }
    })
    yield* page.rows
    after = page.after
  } while (after)
}

export const columnsOf = (table: TableName): readonly string[] => Object.keys(schema[table].columns)
export const keyOf = (table: TableName, row: object): readonly Value[] =>
  (schema[table] as Table).key.map((column) => (row as AnyRow)[column] ?? null)

/** The order of `rowsOf`. */
export const compareKeys = (table: TableName, a: object, b: object): number => {
  const other = keyOf(table, b)
  for (const [index, value] of keyOf(table, a).entries()) {
    const order = compareValues(value, other[index] ?? null)
    if (order !== 0) return order
  }
  return 0
}

const compareValues = (a: Value, b: Value): number => {
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b)
  if (a === b || a === null || b === null) return 0
  return a < b ? -1 : 1
}

/** All cells of a row as one text: equal for equal rows alone. */
export const textOf = (table: TableName, row: object): string =>
  JSON.stringify(columnsOf(table).map((column) => cellText((row as AnyRow)[column] ?? null)))

const cellText = (value: Value): unknown => (typeof value === 'bigint' ? [value.toString()] : value)

const LIMIT = 1n << 256n

/** Number and sum of the rows of a table: the sum of their SHA-256, so that the order does not matter. */
export class RowSum {
  count = 0
  private sum = 0n

  constructor(private readonly table: TableName) {}

  add(row: object): void {
    this.count++
    this.sum = (this.sum + BigInt(`0x${new Bun.CryptoHasher('sha256').update(textOf(this.table, row)).digest('hex')}`)) % LIMIT
  }

  toString(): string {
    return this.sum.toString(16).padStart(64, '0')
  }
}
