import type { RecordBatch } from 'apache-arrow'
import type { Predicate, Scalar, Value } from '../core/predicate.ts'
import type { ColumnName, Row, TableName } from './schema.ts'
import type { TableWatch } from './table-watch.ts'

export interface Order<N extends TableName = TableName> {
  readonly column: ColumnName<N>
  readonly direction: 'asc' | 'desc'
  /** Default: as if null were the smallest value (first ascending, last descending). */
  readonly nulls?: 'first' | 'last'
}

export interface ListQuery<N extends TableName> {
  /** Default: all columns. */
  readonly columns?: readonly ColumnName<N>[]
  readonly where: Predicate
  /** Default: by key, ascending. The engine adds the key columns that are missing, so that the order is total. */
  readonly orderBy?: readonly Order<N>[]
  /** Continue behind this row: its values in the columns of `Page.order` of an earlier call with the same query. */
  readonly after?: readonly Value[]
  readonly limit: number
}

export interface Page<T> {
  readonly rows: readonly T[]
  /**
   * Set when more rows may follow: pass it as `after`. A page can be shorter than `limit` although more follow
   * (a filter that matches rarely is examined in bounded steps).
   */
  readonly after?: readonly Value[]
}

export interface ScanQuery<N extends TableName> {
  readonly columns: readonly ColumnName<N>[]
  readonly where: Predicate
  readonly signal?: AbortSignal
}

/** What happened, for the ordered log. The engine numbers it. */
export type LogEntry = Omit<Row<'event_log'>, 'seq'>

export interface ReadTx {
  /** The row with this key, in the order of the table's `key`. */
  find<N extends TableName>(table: N, key: readonly Scalar[]): Promise<Row<N> | undefined>
  list<N extends TableName, C extends ColumnName<N>>(
    table: N,
    query: ListQuery<N> & { readonly columns: readonly C[] },
  ): Promise<Page<Pick<Row<N>, C>>>
  list<N extends TableName>(table: N, query: ListQuery<N>): Promise<Page<Row<N>>>
  /** With `atMost`, counting stops there: the answer is then `atMost`. */
  count<N extends TableName>(table: N, where: Predicate, options?: { readonly atMost?: number }): Promise<number>
  /** Columnar, unordered, in bounded memory. Text columns come dictionary-encoded. Batches are valid after the transaction. */
  scan<N extends TableName>(table: N, query: ScanQuery<N>): AsyncIterable<RecordBatch>
  /** Rows of the ordered log behind `after`, oldest first. */
  readLog(after: bigint, limit: number): Promise<readonly Row<'event_log'>[]>
  /** As of this snapshot. See `Tables.version`. */
  version(table: TableName): Promise<string>
}

export interface WriteTx extends ReadTx {
  /**
   * Before the first read that a rule about these keys rests on ("does not exist yet", "overlaps nothing"): of two works that
   * hold the same lock, the later sees what the earlier wrote.
   */
  lock(keys: readonly string[]): Promise<void>
  /**
   * Reads that the work is going to make behind its locks, and the locks that it is going to take, for a store that is far away: it may look now, together
   * with other works, so that the answers are near when they are wanted. Changes nothing of what the work sees, and takes no lock; what `reads` gives or
   * throws is ignored, and it may not run at all.
   */
  prefetch(reads: (tx: ReadTx) => Promise<unknown>, locks: readonly string[]): void
  /** Throws `exists` when a row with that key is there; nothing of this call is inserted then. */
  insert<N extends TableName>(table: N, rows: readonly Row<N>[], options?: InsertOptions): Promise<void>
  /** Inserts each row, or replaces the one with its key. For rows that differ, where `update` sets all alike. */
  put<N extends TableName>(table: N, rows: readonly Row<N>[]): Promise<void>
  /** Sets the columns of `set` (no key columns) in every row that matches, and gives their number. */
  update<N extends TableName>(table: N, where: Predicate, set: Partial<Row<N>>): Promise<number>
  /** Gives the number of rows deleted. */
  delete<N extends TableName>(table: N, where: Predicate): Promise<number>
  append(entries: readonly LogEntry[]): Promise<void>
}

export interface InsertOptions {
  /**
   * What was read under the locks rules out that rows have these keys: a store that would have to look for them need not, and may not notice one that is
   * there.
   */
  readonly vacant?: boolean
}

/**
 * The metadata store. Failures: `exists`, `too_large` (a cell above `CELL_LIMIT`), `storage_full`, `unavailable`
 * (busy or away: try again), `timeout`. Anything else is a bug.
 *
 * A `work` may await the methods of its own `tx` and values already settled, nothing else: a write work that waits for
 * something foreign is rolled back and rejects. `tx` is unusable after its work has ended.
 */
export interface Tables {
  /** One consistent snapshot for the whole work. May run `work` again: so that a scan sees the snapshot of the reads before it. */
  read<T>(work: (tx: ReadTx) => Promise<T>): Promise<T>
  /** All or nothing. Settles only when durable. May run `work` again, so `work` must not have effects outside `tx`. */
  write<T>(work: (tx: WriteTx) => Promise<T>): Promise<T>
  /** Differs whenever a committed write touched the table. Compare for equality only. */
  version(table: TableName): Promise<string>
  /** For those who look for changes all the time, where `version` is too dear for that. Behind it by half a second at most, for writes of this process not at all. */
  readonly watch?: TableWatch
  /** Resolves when the store can answer, rejects with `unavailable` and the reason otherwise. */
  check(signal?: AbortSignal): Promise<void>
  /** Waits for writes in progress, then releases everything. */
  close(): Promise<void>
}

/** `version`, for those who ask many times a second. To be asked before the table is read. */
export const lastSeen = async (tables: Tables, table: TableName): Promise<string> => tables.watch?.seen(table) ?? tables.version(table)
