import type { RecordBatch } from 'apache-arrow'
import type { Scalar } from '../../core/predicate.ts'
import type { TableName } from '../schema.ts'
import type { ColumnTerm, RowQuery, RowSource, SourceRow } from './row-source.ts'
import { RunAgain } from './work-locks.ts'

/** The log is read, and entries of it are still without numbers. */
export class LogBehind extends RunAgain {
  constructor() {
    super('entries of the log had no numbers yet')
    this.name = 'LogBehind'
  }
}

/**
 * A source whose `event_log` is complete: before its first row is read the outbox is looked into, and unless it is empty `LogBehind` is thrown. (First,
 * so that it holds without a transaction too: what left the outbox before is in the log after.)
 */
export class LogSource implements RowSource {
  readonly batches?: (table: TableName, query: RowQuery) => AsyncIterable<RecordBatch>
  #checked: Promise<void> | undefined

  constructor(
    private readonly base: RowSource,
    private readonly onBehind: (reason: LogBehind) => void,
  ) {
    if (base.batches) this.batches = (table, query) => this.#checkedBatches(table, query)
  }

  rows(table: TableName, query: RowQuery): AsyncIterable<readonly SourceRow[]> {
    return table === 'event_log' ? this.#checkedRows(table, query) : this.base.rows(table, query)
  }

  async *#checkedRows(table: TableName, query: RowQuery): AsyncGenerator<readonly SourceRow[]> {
    await this.#check(table)
    yield* this.base.rows(table, query)
  }

  find(table: TableName, key: readonly Scalar[]): Promise<SourceRow | undefined> {
    return table === 'event_log' ? this.#check(table).then(() => this.base.find(table, key)) : this.base.find(table, key)
  }

  async count(table: TableName, where: readonly ColumnTerm[], atMost?: number): Promise<number> {
    await this.#check(table)
    return this.base.count(table, where, atMost)
  }

  async *#checkedBatches(table: TableName, query: RowQuery): AsyncGenerator<RecordBatch> {
    await this.#check(table)
    yield* this.base.batches?.(table, query) ?? []
  }

  async #check(table: TableName): Promise<void> {
    if (table !== 'event_log') return
    this.#checked ??= this.#lookIntoOutbox()
    await this.#checked
  }

  async #lookIntoOutbox(): Promise<void> {
    if ((await this.base.count('outbox', [], 1)) === 0) return
    const behind = new LogBehind()
    this.onBehind(behind)
    throw behind
  }
}
