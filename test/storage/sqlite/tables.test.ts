import { afterAll } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { openSqliteTables } from '../../../src/storage/sqlite/index.ts'
import { tablesContract } from '../../contract/tables.ts'

const directory = mkdtempSync(path.join(tmpdir(), 'tams-tables-'))
afterAll(() => rmSync(directory, { recursive: true }))

let stores = 0
tablesContract('SQLite', {
  open: (options = {}) => openSqliteTables({ file: path.join(directory, `${stores++}.db`), ...options }),
  detectsForeignWaits: true,
})
