import { describe, expect, test } from 'bun:test'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { violationsOf } from './support/import-rules.ts'
import { importsOf, type Sources } from './support/imports.ts'

const root = join(import.meta.dir, '..')

const program = async (): Promise<Sources> => {
  const paths = (
    await Promise.all(['src', 'api', 'analytics'].map((folder) => Array.fromAsync(new Bun.Glob(`${folder}/**/*.ts`).scan(root))))
  ).flat()
  return new Map(await Promise.all(paths.sort().map(async (path) => [path, await readFile(join(root, path), 'utf8')] as const)))
}

describe('the program', () => {
  test('imports only along the arrows of its layout', async () => {
    const sources = await program()
    expect(sources.size).toBeGreaterThan(20)
    expect(violationsOf(sources)).toEqual([])
  })
})

describe('the check of imports', () => {
  const planted = (file: string, text: string) => violationsOf(new Map([[file, text]]))

  test.each<[string, string, string]>([
    ['src/core/a.ts', "import { x } from '../storage/tables.ts'\nx()", 'core may not import interfaces'],
    ['src/core/a.ts', "import type { X } from '../storage/tables.ts'", 'core may not import interfaces'],
    ['src/core/a.ts', "export type { X } from '../domain/flow.ts'", 'core may not import domain'],
    ['src/core/a.ts', "export * from '../domain/flow.ts'", 'core may not import domain'],
    ['src/core/a.ts', "type X = import('../domain/flow.ts').Flow", 'core may not import domain'],
    ['src/core/a.ts', "const x = await import('../domain/flow.ts')", 'core may not import domain'],
    ['src/core/a.ts', "import {\n  type X,\n  y,\n} from '../domain/flow.ts'\ny()", 'core may not import domain'],
    ['src/vastdb/a.ts', "import { TamsError } from '../core/errors.ts'\nTamsError", 'vastdb may not import core'],
    ['src/storage/sqlite/a.ts', "import '../disk/disk.ts'", 'storage/sqlite may not import storage/disk'],
    ['src/storage/sqlite/a.ts', "import type { Deps } from '../../domain/deps.ts'", 'storage/sqlite may not import domain'],
    ['src/storage/disk/a.ts', "import { log } from '../../telemetry/log.ts'\nlog()", 'storage/disk may not import telemetry'],
    ['src/domain/a.ts', "import { open } from '../storage/sqlite/open.ts'\nopen()", 'domain may not import storage/sqlite'],
    ['src/domain/a.ts', "import type { Config } from '../config.ts'", 'domain may not import config'],
    ['src/domain/a.ts', "import { Elysia } from 'elysia'\nnew Elysia()", 'domain may not use elysia'],
    ['src/domain/a.ts', "import type { App } from 'elysia/types'", 'domain may not use elysia'],
    ['src/workers/a.ts', "import { flows } from '../../api/routes/flows.ts'\nflows()", 'workers may not import api'],
    ['api/routes/a.ts', "import { openStores } from '../../src/open-stores.ts'\nopenStores()", 'api may not import start-up'],
    ['api/routes/a.ts', "import { readConfig } from '../../src/config.ts'\nreadConfig({})", 'api may not import config'],
    ['src/cli/a.ts', "#!/usr/bin/env bun\nimport { open } from '../storage/sqlite/open.ts'\nopen()", 'cli may not import storage/sqlite'],
    ['api/routes/a.ts', "import { Database } from 'bun:sqlite'\nnew Database()", 'api may not use bun:sqlite'],
    ['analytics/reports/a.ts', "import { DuckDBInstance } from '@duckdb/node-api'\nDuckDBInstance", 'analytics may not use @duckdb'],
    ['src/storage/s3/a.ts', "import { request } from 'node:http'\nrequest()", 'storage/s3 may not use node:http'],
    ['src/storage/s3/a.ts', "import '../../../test/support/app.ts'", 'outside the program'],
  ])('finds %s with %j', (file, text, reason) => {
    const found = planted(file, text)
    expect(found).toHaveLength(1)
    expect(found[0]).toStartWith(`${file} -> `)
    expect(found[0]).toEndWith(reason)
  })

  test.each<[string, string]>([
    ['src/storage/sqlite/a.ts', "import type { Tables } from '../tables.ts'\nimport { eq } from '../../core/predicate.ts'\neq('a', 1)"],
    ['src/storage/vast/a.ts', "import { client } from '../../vastdb/client.ts'\nclient()"],
    ['src/domain/a.ts', "import { Type } from '@sinclair/typebox'\nimport type { Log } from '../telemetry/log.ts'\nType.String()"],
    ['src/open-stores.ts', "import { open } from './storage/sqlite/open.ts'\nopen()"],
    ['api/server.ts', "import { readConfig } from '../src/config.ts'\nreadConfig(process.env)"],
    ['src/core/a.ts', "// import { x } from '../domain/flow.ts'\nconst text = `import { x } from './b.ts'`"],
    ['src/core/a.ts', '// process.env is read elsewhere\n/**\n * process.env\n */'],
  ])('lets %s have %j', (file, text) => {
    expect(planted(file, text)).toEqual([])
  })

  test('finds a cycle at run time, and lets types refer to each other', () => {
    const a = "import { b } from './b.ts'\nexport const a = () => b()"
    const cycle = new Map([
      ['src/core/a.ts', a],
      ['src/core/b.ts', "import { c } from './c.ts'\nexport const b = () => c()"],
      ['src/core/c.ts', "import { a } from './a.ts'\nexport const c = () => a()"],
    ])
    expect(violationsOf(cycle)).toEqual(['cycle: src/core/a.ts -> src/core/b.ts -> src/core/c.ts -> src/core/a.ts'])
    const types = new Map([
      ['src/core/a.ts', a],
      ['src/core/b.ts', "import type { A } from './a.ts'\nexport const b = (): A => 1"],
    ])
    expect(violationsOf(types)).toEqual([])
  })

  test.each(['const x = process.env.HOME', "  const { HOME } = Bun.env\n  log('//')", 'use(import.meta.env)'])(
    'finds %j outside start-up files',
    (text) => {
      expect(planted('src/domain/a.ts', text)).toEqual(['src/domain/a.ts reads the environment'])
      expect(planted('src/cli/a.ts', text)).toEqual([])
    },
  )

  test('finds a folder without a rule', () => {
    expect(planted('src/utils/a.ts', '')).toEqual(['src/utils/a.ts lies in no folder that has a rule'])
  })

  test('tells types from values', () => {
    const text = "import type { A } from './a.ts'\nimport { type B, b } from './b.ts'\nimport c, { d } from 'c'\nb(c, d)"
    const found = importsOf(new Map([['src/core/x.ts', text]])).map(({ to, typeOnly }) => [to, typeOnly])
    expect(found.sort()).toEqual([
      ['c', false],
      ['src/core/a.ts', true],
      ['src/core/b.ts', false],
    ])
  })
})
