// The promises of `Tables` on the engine that TAMS_TEST_ENGINE names; each engine's own suite runs them too.
import { afterAll } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { tablesContract } from '../contract/tables.ts'
import { engineUnderTest, openTestTables } from '../support/engines.ts'

const root = await mkdtemp(path.join(tmpdir(), 'tams-engine-'))
afterAll(() => rm(root, { recursive: true }))

// Without the variable the suite of SQLite has run them already.
if (process.env.TAMS_TEST_ENGINE !== undefined)
  tablesContract(`the engine under test (${engineUnderTest()})`, {
    open: async (options) => openTestTables({ directory: await mkdtemp(path.join(root, 'store-')), ...options }),
    detectsForeignWaits: engineUnderTest() === 'sqlite',
  })
