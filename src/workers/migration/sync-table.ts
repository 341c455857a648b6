import { and, eq, type Scalar } from '../../core/predicate.ts'
import { type Row, tables as schema, type Table, type TableName } from '../../storage/schema.ts'
import type { Tables } from '../../storage/tables.ts'
import { type AnyRow, compareKeys, keyOf, RowSum, rowsOf, type Transform, textOf } from './rows.ts'

export interface TableResult {
  readonly table: TableName
  readonly rows: number
  /** Rows that were not alike. */
  readonly differences: number
  /** Of the rows as they should be, and as they were found. */
  readonly expected: string
  readonly found: string
}

const BATCH = 500

/**
 * Makes the target's table like the source's: both are walked in key order, and what differs is written, in transactions of their own.
 * Nothing is written twice, so that doing it again goes on where it was broken off. Without `apply` it only compares.
 */
export const syncTable = async <N extends TableName>(
  source: Tables,
  target: Tables,
  table: N,
  { apply, transform, keep = () => true }: SyncOptions<N>,
): Promise<TableResult> => {
  const changes = new Changes(target, table)
  const [expected, found] = [new RowSum(table), new RowSum(table)]
  const wanted = rowsOf(source, table, transform)
  const present = filter(rowsOf(target, table), keep)
  let [a, b] = [await next(wanted), await next(present)]
  let differences = 0
  while (a || b) {
    const order = !a ? 1 : !b ? -1 : compareKeys(table, a, b)
    if (order <= 0 && a) expected.add(a)
    if (order >= 0 && b) found.add(b)
    if (order !== 0 || (a && b && textOf(table, a) !== textOf(table, b))) {
      differences++
      if (apply && a && order <= 0) await (order < 0 ? changes.insert(a) : changes.put(a))
      else if (apply && b) await changes.remove(b)
    }
    ;[a, b] = [order <= 0 ? await next(wanted) : a, order >= 0 ? await next(present) : b]
  }
  await changes.flush()
  return { table, rows: expected.count, differences, expected: expected.toString(), found: found.toString() }
}

export interface SyncOptions<N extends TableName> {
  readonly apply: boolean
  readonly transform?: Transform<N> | undefined
  /** Rows of the target that are looked at; the others are its own. */
  readonly keep?: ((row: Row<N>) => boolean) | undefined
}

const next = async <T>(rows: AsyncGenerator<T>): Promise<T | undefined> => {
  const { done, value } = await rows.next()
  return done ? undefined : value
}

async function* filter<T>(rows: AsyncGenerator<T>, keep: (row: T) => boolean): AsyncGenerator<T> {
  for await (const row of rows) if (keep(row)) yield row
}

/** Writes rows in batches, under the locks that their table asks for. */
export class Changes<N extends TableName> {
  private inserted: Row<N>[] = []
  private replaced: Row<N>[] = []
  private removed: Row<N>[] = []

  constructor(
    private readonly target: Tables,
    private readonly table: N,
  ) {}

  insert(row: Row<N>): Promise<void> {
    this.inserted.push(row)
    return this.flushFull()
  }

  put(row: Row<N>): Promise<void> {
    this.replaced.push(row)
    return this.flushFull()
  }

  remove(row: Row<N>): Promise<void> {
    this.removed.push(row)
    return this.flushFull()
  }

  async flush(): Promise<void> {
    const { table, inserted, replaced, removed } = this
    if (inserted.length + replaced.length + removed.length === 0) return
    ;[this.inserted, this.replaced, this.removed] = [[], [], []]
    const { lock, key } = schema[table] as Table
    const locks = lock ? [...new Set([...inserted, ...replaced].map((row) => lock(row)))].sort() : []
    await this.target.write(async (tx) => {
      await tx.lock(locks)
      // `put`: what a commit with a lost answer has written is there already.
      await tx.put(table, [...inserted, ...replaced])
      for (const row of removed) {
        const values = keyOf(table, row as AnyRow)
        await tx.delete(table, and(...key.map((column, index) => eq(column, values[index] as Scalar))))
      }
    })
  }

  private flushFull(): Promise<void> {
    const waiting = this.inserted.length + this.replaced.length + this.removed.length
    return waiting < BATCH ? Promise.resolve() : this.flush()
  }
}
