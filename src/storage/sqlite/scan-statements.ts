import type { Database, Statement } from 'bun:sqlite'
import type { SqlRow } from './connection.ts'
import type { ScanSpec } from './scan-protocol.ts'
import { quoted, type SqlValue } from './table-info.ts'

/** A term on the column of the key at `at`. */
export interface KeyTerm {
  readonly at: number
  readonly op: '=' | '>' | '>=' | '<'
  readonly value: SqlValue
}

export const pinnedTerms = (values: readonly SqlValue[]): readonly KeyTerm[] => values.map((value, at) => ({ at, op: '=', value }))

/** Statements about the keys of one table. They are nobody else's: two scans may have the same texts at the same time. */
export class ScanStatements {
  private readonly prepared = new Map<string, Statement<SqlRow, SqlValue[]>>()

  constructor(
    private readonly db: Database,
    private readonly spec: ScanSpec,
  ) {}

  /** Rows that the scan asks for, among those with these keys. A statement can have one such reading at a time. */
  rows(columns: readonly string[], terms: readonly KeyTerm[]): Iterator<SqlRow> {
    const sql = `select ${this.list(columns)} from ${quoted(this.spec.table)} t where ${this.spec.where}${this.also(terms)}`
    return this.statement(sql).iterate(...this.spec.params, ...terms.map(({ value }) => value))
  }

  /** The first of these keys, as the columns `from` up to `to` of it. */
  first(from: number, to: number, terms: readonly KeyTerm[], order: 'asc' | 'desc' = 'asc'): readonly SqlValue[] | undefined {
    const names = this.keyColumns(from, to)
    const by = names.map((name) => `t.${quoted(name)} ${order}`).join(', ')
    const sql = `select ${this.list(names)} from ${quoted(this.spec.table)} t where 1${this.also(terms)} order by ${by} limit 1`
    const row = this.statement(sql).get(...terms.map(({ value }) => value))
    return row ? names.map((name) => row[name] ?? null) : undefined
  }

  /** Whether the condition leads to rows some other way than by looking at all of them. */
  isNarrowed(): boolean {
    const columns = this.list(this.spec.columns.map(({ name }) => name))
    const all = `explain query plan select ${columns} from ${quoted(this.spec.table)} t`
    const detail = (sql: string, params: readonly SqlValue[]): SqlValue | undefined => this.statement(sql).get(...params)?.detail
    const found = detail(`${all} where ${this.spec.where}`, this.spec.params)
    // Without the condition an index may do that has all columns, and with it the table.
    return found !== 'SCAN t' && found !== detail(all, [])
  }

  close(): void {
    for (const statement of this.prepared.values()) statement.finalize()
    this.prepared.clear()
  }

  private keyColumns(from: number, to: number): readonly string[] {
    return this.spec.key.slice(from, to).map(({ name }) => name)
  }

  private list(columns: readonly string[]): string {
    return columns.length === 0 ? '1' : columns.map((column) => `t.${quoted(column)}`).join(', ')
  }

  private also(terms: readonly KeyTerm[]): string {
    return terms.map(({ at, op }) => ` and t.${quoted(this.spec.key[at]?.name ?? '')} ${op} ?`).join('')
  }

  private statement(sql: string): Statement<SqlRow, SqlValue[]> {
    let statement = this.prepared.get(sql)
    if (!statement) {
      statement = this.db.prepare<SqlRow, SqlValue[]>(sql)
      this.prepared.set(sql, statement)
    }
    return statement
  }
}
