import { type Table, type TableName, tables } from '../schema.ts'
import { Connection } from './connection.ts'

export interface SqliteLook {
  /** Tables and columns (`table.column`) that the next start makes. */
  readonly missing: readonly string[]
  readonly journalMode: string
  /** Bytes: of the file, and of pages in it that hold nothing. */
  readonly size: number
  readonly free: number
}

/** What the file holds, changing nothing. */
export const lookIntoSqlite = (file: string): SqliteLook => {
  const connection = new Connection({ file, writes: false })
  try {
    const missing = (Object.keys(tables) as TableName[]).flatMap((name) => {
      const known = new Set(connection.rows('select name from pragma_table_info(?)', [name]).map((row) => String(row.name)))
      if (known.size === 0) return [name]
      return Object.keys((tables[name] as Table).columns)
        .filter((column) => !known.has(column))
        .map((column) => `${name}.${column}`)
    })
    const pragma = (name: string) => Object.values(connection.row(`pragma ${name}`, []) ?? {})[0]
    const pageSize = Number(pragma('page_size'))
    return {
      missing,
      journalMode: String(pragma('journal_mode')),
      size: Number(pragma('page_count')) * pageSize,
      free: Number(pragma('freelist_count')) * pageSize,
    }
  } finally {
    connection.close()
  }
}
