import { TamsError } from '../../core/errors.ts'
import type { Predicate } from '../../core/predicate.ts'
import { checkRow, checkSet } from '../check-row.ts'
import type { Row, TableName } from '../schema.ts'
import type { LogEntry, WriteTx } from '../tables.ts'
import { compilePredicate, placeholders } from './compile-predicate.ts'
import type { Connection } from './connection.ts'
import { SqliteReadTx } from './read-tx.ts'
import type { TimeLimit } from './search.ts'
import { isExistingKey, translate } from './sqlite-errors.ts'
import { quoted, type SqlValue, type TableInfo, tableInfo } from './table-info.ts'

type Cells = Readonly<Record<string, SqlValue>>

/** What a work may do on the writer's connection, inside its savepoint. */
export class SqliteWriteTx extends SqliteReadTx implements WriteTx {
  /** Tables whose rows this work changed. */
  readonly touched = new Set<TableName>()
  /** Set when SQLite answered an error by rolling back the whole transaction. */
  lost: unknown
  private readonly locks = new Set<string>()

  constructor(
    connection: Connection,
    limits: TimeLimit,
    private readonly options: { readonly checkLocks: boolean; readonly touchedBefore: ReadonlySet<TableName> },
  ) {
    super(connection, limits, refuseScan, false)
  }

  lock(keys: readonly string[]): Promise<void> {
    // Works run one after another anyway: the keys are only for the check.
    return this.settled(() => {
      if (this.options.checkLocks) for (const key of keys) this.locks.add(key)
    })
  }

  // Nothing is far away here.
  prefetch(): void {}

  insert<N extends TableName>(table: N, rows: readonly Row<N>[]): Promise<void> {
    return this.settled(() => this.writeRows(table, rows, insertText))
  }

  put<N extends TableName>(table: N, rows: readonly Row<N>[]): Promise<void> {
    return this.settled(() => this.writeRows(table, rows, putText))
  }

  update<N extends TableName>(table: N, where: Predicate, set: Partial<Row<N>>): Promise<number> {
    return this.settled(() => {
      const info = tableInfo(table)
      checkSet(table, set)
      const entries = Object.entries(set as Cells)
      const params = entries.map(([, value]) => value)
      const assignments = entries.map(([column]) => `${quoted(column)} = ?`).join(', ')
      const condition = compilePredicate(info, where, params)
      return this.changed(table, this.connection.run(`update ${quoted(table)} as t set ${assignments} where ${condition}`, params))
    })
  }

  delete<N extends TableName>(table: N, where: Predicate): Promise<number> {
    return this.settled(() => {
      const params: SqlValue[] = []
      const condition = compilePredicate(tableInfo(table), where, params)
      return this.changed(table, this.connection.run(`delete from ${quoted(table)} as t where ${condition}`, params))
    })
  }

  append(entries: readonly LogEntry[]): Promise<void> {
    return this.settled(() => {
      if (entries.length === 0) return
      for (const entry of entries) checkRow('event_log', { ...entry, seq: 0n })
      this.allOrNothing(() => {
        const columns = logColumns()
        const sql = insertInto(tableInfo('event_log'), columns, 1)
        for (const entry of entries as readonly Cells[]) this.connection.run(sql, valuesOf([entry], columns))
      })
      this.touched.add('event_log')
    })
  }

  // What is written in this batch has no version yet. One that equals nothing is safe: it only makes a cache miss.
  protected override storedVersion(table: TableName): string {
    const stored = super.storedVersion(table)
    return this.touched.has(table) || this.options.touchedBefore.has(table) ? `${stored}+${crypto.randomUUID()}` : stored
  }

  // SQLite undoes the statement, or on some errors (a full disk) the whole transaction with all works before this one.
  protected override failure(error: unknown): unknown {
    const failure = translate(error, 'writing')
    if (!this.connection.inTransaction && this.lost === undefined) {
      this.lost = failure
      this.close()
    }
    return failure
  }

  private changed(table: TableName, rows: number): number {
    if (rows > 0) this.touched.add(table)
    return rows
  }

  private writeRows(table: TableName, rows: readonly unknown[], textOf: TextOf): void {
    const info = tableInfo(table)
    for (const row of rows as readonly Cells[]) {
      checkRow(table, row)
      if (this.options.checkLocks) this.assertLocked(info, row)
    }
    const [first] = rows as readonly Cells[]
    if (!first) return
    if (rows.length === 1) this.writeRow(info, textOf(table, 1), first)
    else this.allOrNothing(() => this.writeGroups(info, rows as readonly Cells[], textOf))
    this.touched.add(table)
  }

  private writeGroups(info: TableInfo, rows: readonly Cells[], textOf: TextOf): void {
    let at = 0
    for (const size of GROUPS)
      for (const sql = textOf(info.name, size); at + size <= rows.length; at += size) {
        const group = rows.slice(at, at + size)
        try {
          this.connection.run(sql, valuesOf(group, info.columnNames))
        } catch (error) {
          if (!isExistingKey(error)) throw error
          // SQLite undid the statement and does not say which row it was.
          for (const row of group) this.writeRow(info, textOf(info.name, 1), row)
          throw error
        }
      }
  }

  private writeRow(info: TableInfo, sql: string, row: Cells): void {
    try {
      this.connection.run(sql, valuesOf([row], info.columnNames))
    } catch (error) {
      if (!isExistingKey(error)) throw error
      const key = info.key.map((column) => row[column]).join(', ')
      throw new TamsError('exists', `A row of ${info.name} with the key (${key}) is there already`, { cause: error })
    }
  }

  private allOrNothing(action: () => void): void {
    this.connection.run('savepoint call')
    try {
      action()
    } catch (error) {
      if (this.connection.inTransaction) {
        this.connection.run('rollback to call')
        this.connection.run('release call')
      }
      throw error
    }
    this.connection.run('release call')
  }

  private assertLocked(info: TableInfo, row: Cells): void {
    const key = info.lock?.(row)
    if (key !== undefined && !this.locks.has(key)) throw new Error(`an insert into ${info.name} needs the lock ${key} first`)
  }
}

const valuesOf = (rows: readonly Cells[], columns: readonly string[]): SqlValue[] => {
  const values: SqlValue[] = []
  for (const row of rows) for (const column of columns) values.push(row[column] ?? null)
  return values
}

/** Rows of one statement: with 8 a row costs half of what it costs alone. */
const GROUPS = [32, 8, 1] as const

type TextOf = (table: TableName, rows: number) => string

const textFor = (make: (info: TableInfo, rows: number) => string): TextOf => {
  const known = new Map<string, string>()
  return (table, rows) => {
    const name = `${table} ${rows}`
    const text = known.get(name) ?? make(tableInfo(table), rows)
    known.set(name, text)
    return text
  }
}

const insertInto = (info: TableInfo, columns: readonly string[], rows: number): string => {
  const cells = `(${placeholders(columns.length)})`
  return `insert into ${quoted(info.name)} (${columns.map(quoted).join(', ')}) values ${Array.from({ length: rows }, () => cells).join(', ')}`
}

const insertText = textFor((info, rows) => insertInto(info, info.columnNames, rows))

const putText = textFor((info, rows) => {
  const others = info.columnNames.filter((column) => !info.key.includes(column))
  const action =
    others.length === 0 ? 'nothing' : `update set ${others.map((column) => `${quoted(column)} = excluded.${quoted(column)}`).join(', ')}`
  return `${insertInto(info, info.columnNames, rows)} on conflict (${info.key.map(quoted).join(', ')}) do ${action}`
})

const logColumns = (): readonly string[] => tableInfo('event_log').columnNames.filter((column) => column !== 'seq')

const refuseScan = (table: TableName): never => {
  throw new Error(`scan of ${table} in a write work: its changes are not visible to another connection; scan in a read work`)
}
