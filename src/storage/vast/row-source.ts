import type { RecordBatch } from 'apache-arrow'
import type { CompareOp, Scalar, Value } from '../../core/predicate.ts'
import type { TableName } from '../schema.ts'

/** Where a row that was read with `rowIds` carries its `$row_id`, by which updates and deletes address it. */
export const ROW_ID: unique symbol = Symbol('$row_id')

/** Cells by column. Which columns are there is what the query asked for. */
export type SourceRow = { readonly [column: string]: Value } & { readonly [ROW_ID]?: bigint }

/** A row of these columns and nothing else. */
export const picked = (row: SourceRow, columns: readonly string[]): SourceRow => {
  const cells: { [column: string]: Value } = {}
  for (const column of columns) cells[column] = row[column] ?? null
  return cells
}

export type Condition =
  | { readonly kind: 'compare'; readonly op: CompareOp; readonly value: Scalar }
  | { readonly kind: 'in'; readonly values: readonly Scalar[] }
  /** Both ends included. */
  | { readonly kind: 'between'; readonly from: Scalar; readonly to: Scalar }
  | { readonly kind: 'null' }
  | { readonly kind: 'valid' }

/**
 * What the wire can say about a row: at least one of the conditions holds for the cell. A comparison with a null cell is false. Values are checked
 * already (`checkCell`: type, well-formed text). `column-terms.ts` makes terms from predicates and evaluates them.
 */
export interface ColumnTerm {
  readonly column: string
  readonly anyOf: readonly Condition[]
}

export interface RowQuery {
  /** What rows must carry; they may carry more. */
  readonly columns: readonly string[]
  /** A row must pass all of them. */
  readonly where: readonly ColumnTerm[]
  /** Most rows to give; which ones is the source's choice. */
  readonly limit?: number
  /** Whether rows carry `ROW_ID`; only inside a transaction. */
  readonly rowIds?: boolean
  /** Whether as much of the table may match as for a scan: it is then read in several shares at a time. */
  readonly large?: boolean
  readonly signal?: AbortSignal | undefined
}

/** One state of the store, to read rows from. Read transactions are written over this, whatever is below: a snapshot, or one with changes upon it. */
export interface RowSource {
  /** The rows that pass, in no order, in chunks. */
  rows(table: TableName, query: RowQuery): AsyncIterable<readonly SourceRow[]>
  /** The row with this key (in the order of the table's `key`), with all columns. */
  find(table: TableName, key: readonly Scalar[]): Promise<SourceRow | undefined>
  /** How many rows pass; with `atMost`, counting may stop there. */
  count(table: TableName, where: readonly ColumnTerm[], atMost?: number): Promise<number>
  /** `rows` as Arrow, text not yet as a dictionary. Absent where rows do not come from the store as they are. */
  batches?(table: TableName, query: RowQuery): AsyncIterable<RecordBatch>
}
