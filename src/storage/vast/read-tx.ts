import type { RecordBatch } from 'apache-arrow'
import { compare, type Predicate, type Scalar } from '../../core/predicate.ts'
import type { ColumnName, Row, TableName } from '../schema.ts'
import { comparable, tableFacts } from '../table-facts.ts'
import type { ListQuery, Page, ReadTx, ScanQuery } from '../tables.ts'
import { columnsOf } from './compile-predicate.ts'
import { keepAll } from './evaluate.ts'
import type { Hints } from './hints.ts'
import { listRows, prepare } from './list-rows.ts'
import { picked, type RowSource, type SourceRow } from './row-source.ts'
import { scanBatches } from './scan.ts'
import { translate } from './vast-errors.ts'
import { storedVersion } from './versions.ts'

/** Reading one state of the store, whatever gives it. Order, limits and all conditions that the wire cannot say are done here. */
export class VastReadTx implements ReadTx {
  #closed = false

  constructor(
    protected readonly source: RowSource,
    protected readonly hints: Hints,
  ) {}

  /** Every later call throws: a work may not keep its `tx`. */
  close(): void {
    this.#closed = true
  }

  find<N extends TableName>(table: N, key: readonly Scalar[]): Promise<Row<N> | undefined> {
    return this.reading(async () => {
      const facts = tableFacts(table)
      if (key.length !== facts.key.length) throw new Error(`the key of ${table} has ${facts.key.length} columns, not ${key.length}`)
      // A path may carry ill-formed text; no row has it.
      if (key.some((value) => typeof value === 'string' && !value.isWellFormed())) return undefined
      const row = await this.source.find(
        table,
        key.map((value, i) => comparable(facts, facts.key[i] ?? '', value)),
      )
      if (row && table === 'flows') this.hints.learnFlow(row)
      return row && as<Row<N>>(picked(row, facts.columnNames))
    })
  }

  list<N extends TableName, C extends ColumnName<N>>(
    table: N,
    query: ListQuery<N> & { readonly columns: readonly C[] },
  ): Promise<Page<Pick<Row<N>, C>>>
  list<N extends TableName>(table: N, query: ListQuery<N>): Promise<Page<Row<N>>>
  list<N extends TableName>(table: N, query: ListQuery<N>): Promise<Page<Row<N>>> {
    return this.reading(async () => as<Page<Row<N>>>(await listRows(this.source, this.hints, tableFacts(table), query)))
  }

  count<N extends TableName>(table: N, where: Predicate, { atMost }: { readonly atMost?: number } = {}): Promise<number> {
    return this.reading(async () => {
      const prepared = await prepare(this.source, tableFacts(table), where)
      if (!prepared || atMost === 0) return 0
      const { terms, rest } = prepared
      if (rest.length === 0) return Math.min(await this.source.count(table, terms, atMost), atMost ?? Number.MAX_SAFE_INTEGER)
      let count = 0
      for await (const rows of this.source.rows(table, { columns: rest.flatMap(columnsOf), where: terms, large: true })) {
        count += (await keepAll(this.source, rest, rows)).length
        if (atMost !== undefined && count >= atMost) return atMost
      }
      return count
    })
  }

  async *scan<N extends TableName>(table: N, query: ScanQuery<N>): AsyncGenerator<RecordBatch> {
    this.assertOpen()
    query.signal?.throwIfAborted()
    try {
      for await (const batch of scanBatches(this.source, tableFacts(table), query)) {
        yield batch
        this.assertOpen()
      }
    } catch (error) {
      query.signal?.throwIfAborted()
      throw translate(error, `scanning ${table}`)
    }
  }

  async readLog(after: bigint, limit: number): Promise<readonly Row<'event_log'>[]> {
    const rows: Row<'event_log'>[] = []
    let from = after
    for (;;) {
      const page = await this.list('event_log', { where: compare('seq', '>', from), limit: limit - rows.length })
      rows.push(...page.rows)
      const last = page.after?.[0]
      if (rows.length >= limit || typeof last !== 'bigint') return rows
      from = last
    }
  }

  version(table: TableName): Promise<string> {
    return this.reading(() => storedVersion(this.source, tableFacts(table).name))
  }

  protected async reading<T>(action: () => Promise<T>): Promise<T> {
    this.assertOpen()
    try {
      const value = await action()
      this.assertOpen()
      return value
    } catch (error) {
      throw translate(error, 'reading')
    }
  }

  protected assertOpen(): void {
    if (this.#closed) throw new Error('this transaction has ended: its tx was kept and used after its work')
  }
}

// Every column asked for is in the row, and each was checked when it was written.
const as = <T>(value: SourceRow | Page<SourceRow>): T => value as unknown as T
