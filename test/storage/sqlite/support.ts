import { afterEach } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type OpenSqliteOptions, openSqliteTables, type SqliteTables } from '../../../src/storage/sqlite/index.ts'

/** Stores in a temporary directory, closed and removed after each test. */
export const temporaryStores = () => {
  let directory: string | undefined
  let opened: SqliteTables[] = []

  afterEach(async () => {
    await Promise.all(opened.splice(0).map((tables) => tables.close()))
    if (directory) rmSync(directory, { recursive: true })
    directory = undefined
    opened = []
  })

  const file = (): string => {
    directory ??= mkdtempSync(path.join(tmpdir(), 'tams-sqlite-'))
    return path.join(directory, 'store.db')
  }
  return {
    /** The same file for the whole test. */
    file,
    async open(options: Partial<OpenSqliteOptions> = {}): Promise<SqliteTables> {
      const tables = await openSqliteTables({ file: file(), ...options })
      opened.push(tables)
      return tables
    },
  }
}
