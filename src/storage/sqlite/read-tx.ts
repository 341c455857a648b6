import type { RecordBatch } from 'apache-arrow'
import type { Predicate, Scalar } from '../../core/predicate.ts'
import type { ColumnName, Row, TableName } from '../schema.ts'
import { comparable } from '../table-facts.ts'
import type { ListQuery, Page, ReadTx, ScanQuery } from '../tables.ts'
import type { Connection, SqlRow } from './connection.ts'
import { VERSIONS_TABLE } from './migrate.ts'
import { type RowReader, rowReader } from './rows.ts'
import { countSteps, listSteps, type Steps, type TimeLimit } from './search.ts'
import { translate } from './sqlite-errors.ts'
import { quoted, type TableInfo, tableInfo } from './table-info.ts'
import { nextTurn } from './wait.ts'

export type Scan = <N extends TableName>(table: N, query: ScanQuery<N>) => AsyncIterable<RecordBatch>

/** Reading through one connection that is inside a transaction: a snapshot, or the writer's own state. */
export class SqliteReadTx implements ReadTx {
  private closed = false

  constructor(
    protected readonly connection: Connection,
    private readonly limits: TimeLimit,
    private readonly openScan: Scan,
    /** Whether others may have their turn between the steps of a query. A write work runs in one go. */
    private readonly yields: boolean,
  ) {}

  /** Every later call throws: a work may not keep its `tx`. */
  close(): void {
    this.closed = true
  }

  find<N extends TableName>(table: N, key: readonly Scalar[]): Promise<Row<N> | undefined> {
    return this.settled(() => {
      const { info, sql, reader } = findStatement(table)
      if (key.length !== info.key.length) throw new Error(`the key of ${table} has ${info.key.length} columns, not ${key.length}`)
      // A path may carry ill-formed text; no row has it.
      if (key.some((value) => typeof value === 'string' && !value.isWellFormed())) return undefined
      const rows = this.connection.rows(
        sql,
        key.map((value, i) => comparable(info, info.key[i] ?? '', value)),
      )
      return rows.length === 0 ? undefined : as<Row<N>>(reader.finish(rows)[0])
    })
  }

  list<N extends TableName, C extends ColumnName<N>>(
    table: N,
    query: ListQuery<N> & { readonly columns: readonly C[] },
  ): Promise<Page<Pick<Row<N>, C>>>
  list<N extends TableName>(table: N, query: ListQuery<N>): Promise<Page<Row<N>>>
  list<N extends TableName>(table: N, query: ListQuery<N>): Promise<Page<Row<N>>> {
    const page: Promise<Page<unknown>> = this.stepped(() => listSteps(this.connection, tableInfo(table), query, this.limits))
    return page as Promise<Page<Row<N>>>
  }

  count<N extends TableName>(table: N, where: Predicate, options: { readonly atMost?: number } = {}): Promise<number> {
    return this.stepped(() => countSteps(this.connection, tableInfo(table), where, options.atMost ?? Number.MAX_SAFE_INTEGER))
  }

  scan<N extends TableName>(table: N, query: ScanQuery<N>): AsyncIterable<RecordBatch> {
    this.assertOpen()
    return this.openScan(table, query)
  }

  readLog(after: bigint, limit: number): Promise<readonly Row<'event_log'>[]> {
    return this.settled(() => {
      const { sql, reader } = logStatement()
      return reader.finish(this.connection.rows(sql, [after, limit])).map((row) => as<Row<'event_log'>>(row))
    })
  }

  version(table: TableName): Promise<string> {
    return this.settled(() => this.storedVersion(table))
  }

  protected storedVersion(table: TableName): string {
    tableInfo(table)
    return String(this.connection.integer(`select version from ${VERSIONS_TABLE} where name = ?`, [table]))
  }

  /** A settled promise: the writer can tell from it that a work waits for nothing foreign. */
  protected settled<T>(action: () => T): Promise<T> {
    try {
      this.assertOpen()
      return Promise.resolve(action())
    } catch (error) {
      return Promise.reject(this.failure(error))
    }
  }

  protected failure(error: unknown): unknown {
    return translate(error, 'reading')
  }

  private stepped<T>(start: () => Steps<T>): Promise<T> {
    try {
      this.assertOpen()
      const steps = start()
      for (;;) {
        const step = steps.next()
        if (step.done) return Promise.resolve(step.value)
        if (this.yields) return this.inTurns(steps)
      }
    } catch (error) {
      return Promise.reject(this.failure(error))
    }
  }

  private async inTurns<T>(steps: Steps<T>): Promise<T> {
    for (;;) {
      await nextTurn()
      this.assertOpen()
      try {
        const step = steps.next()
        if (step.done) return step.value
      } catch (error) {
        throw this.failure(error)
      }
    }
  }

  private assertOpen(): void {
    if (this.closed) throw new Error('this transaction has ended: its tx was kept and used after its work')
  }
}

interface Lookup {
  readonly info: TableInfo
  readonly sql: string
  readonly reader: RowReader
}

const lookups = new Map<TableName | '(log)', Lookup>()

const lookup = (name: TableName | '(log)', make: () => Lookup): Lookup => {
  let found = lookups.get(name)
  if (!found) {
    found = make()
    lookups.set(name, found)
  }
  return found
}

const selectAll = (info: TableInfo): string => `select ${info.columnNames.map(quoted).join(', ')} from ${quoted(info.name)}`

const findStatement = (table: TableName): Lookup =>
  lookup(table, () => {
    const info = tableInfo(table)
    const sql = `${selectAll(info)} where ${info.key.map((column) => `${quoted(column)} = ?`).join(' and ')}`
    return { info, sql, reader: rowReader(info, info.columnNames, []) }
  })

const logStatement = (): Lookup =>
  lookup('(log)', () => {
    const info = tableInfo('event_log')
    return { info, sql: `${selectAll(info)} where "seq" > ? order by "seq" limit ?`, reader: rowReader(info, info.columnNames, []) }
  })

// The statement selects every column of the definition, and each was checked when it was written.
const as = <T>(row: SqlRow | undefined): T => row as T
