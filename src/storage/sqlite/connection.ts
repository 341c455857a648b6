import { Database, type Statement } from 'bun:sqlite'
import type { SqlValue } from './table-info.ts'

export type SqlRow = Record<string, SqlValue>

export interface ConnectionOptions {
  readonly file: string
  /** Only the writer may change anything. */
  readonly writes: boolean
  readonly create?: boolean
}

// Texts differ by the lengths of their lists only, which are rounded up to powers of two: a few hundred at most.
const STATEMENT_LIMIT = 400
const WAL_PAGES = 4000
const JOURNAL_BYTES = 64 * 1024 * 1024
const WRITER_CACHE_KIB = 64 * 1024
const READER_CACHE_KIB = 32 * 1024

/**
 * One SQLite connection: 64-bit integers arrive as `bigint`, statements are prepared once per SQL text. The busy time-out is 0,
 * because SQLite would wait on the event loop's thread; callers retry on busy with an asynchronous wait.
 */
export class Connection {
  readonly db: Database
  private readonly statements = new Map<string, Statement<SqlRow, SqlValue[]>>()

  constructor({ file, writes, create = false }: ConnectionOptions) {
    this.db = new Database(file, { readwrite: true, create, strict: true, safeIntegers: true })
    try {
      this.db.run('pragma busy_timeout = 0')
      this.db.run(`pragma cache_size = -${writes ? WRITER_CACHE_KIB : READER_CACHE_KIB}`)
      // A file mapping would turn a disk error into a signal that kills the process, and measured no faster.
      this.db.run('pragma mmap_size = 0')
      // Each savepoint keeps the pages it changes, beyond 64 KiB in a temporary file: five times the bytes of the WAL in bulk writes.
      if (writes) this.db.run('pragma temp_store = memory')
      else this.db.run('pragma query_only = on')
    } catch (error) {
      this.db.close()
      throw error
    }
  }

  /** Every commit is synced before it returns. Throws busy while another process recovers or closes the file. */
  makeDurable(): void {
    this.db.run('pragma journal_mode = wal')
    this.db.run('pragma synchronous = full')
    this.db.run(`pragma wal_autocheckpoint = ${WAL_PAGES}`)
    // The WAL grows while an old snapshot is open; this gives the space back afterwards.
    this.db.run(`pragma journal_size_limit = ${JOURNAL_BYTES}`)
  }

  get inTransaction(): boolean {
    return this.db.inTransaction
  }

  rows(sql: string, params: readonly SqlValue[] = []): SqlRow[] {
    return this.statement(sql).all(...params)
  }

  row(sql: string, params: readonly SqlValue[]): SqlRow | undefined {
    return this.statement(sql).get(...params) ?? undefined
  }

  /** The single value of a query that gives one row of one column. */
  integer(sql: string, params: readonly SqlValue[]): number {
    return Number(this.statement(sql).values(...params)[0]?.[0] ?? 0)
  }

  /** Gives the number of rows changed. */
  run(sql: string, params: readonly SqlValue[] = []): number {
    return this.statement(sql).run(...params).changes
  }

  close(): void {
    // SQLite keeps a closed connection, and its locks, alive until the last statement is finalized.
    for (const statement of this.statements.values()) statement.finalize()
    this.statements.clear()
    this.db.close()
  }

  statement(sql: string): Statement<SqlRow, SqlValue[]> {
    let statement = this.statements.get(sql)
    if (!statement) {
      if (this.statements.size >= STATEMENT_LIMIT) this.forgetOldest()
      statement = this.db.prepare<SqlRow, SqlValue[]>(sql)
      this.statements.set(sql, statement)
    }
    return statement
  }

  private forgetOldest(): void {
    const oldest = this.statements.keys().next().value
    if (oldest === undefined) return
    this.statements.get(oldest)?.finalize()
    this.statements.delete(oldest)
  }
}
