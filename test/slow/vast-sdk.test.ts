// VAST's own Python SDK against the emulator: a script of checks, and the tests that the SDK brings along. Python packages are installed
// once into a directory of their own (VAST_SDK_VENV, default below the user's cache directory); without Python or the packages the suite is skipped, visibly.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { Field, Int64, type RecordBatch } from 'apache-arrow'
import { batchOf, columnValues, type Table, type Value, VastClient } from '../../src/vastdb/index.ts'
import { type Emulator, startEmulator } from '../emulators/vast/index.ts'
import { everyType } from '../vastdb/support/types.ts'
import { randomCells } from './vast-sdk/cells.ts'
import { pyarrowName, type ToldColumn, told } from './vast-sdk/told.ts'

const PACKAGES = ['vastdb==2.1.0', 'duckdb==1.3.2', 'pandas', 'boto3', 'pytest', 'pytest-check', 'pytest-retry']
const FILES = ['sanity', 'schemas', 'nested', 'fixed_list', 'table_in_tx', 'tables', 'projections', 'duckdb', 'configs']
/** Why each fails stands in test/emulators/vast/README.md. */
const EXPECTED_FAILURES = ['test_audit_log_select', 'test_catalog_select', 'test_catalog_snapshots_select']
const BUCKET = 'vastdb'

const environment = process.env.VAST_SDK_VENV ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'vast-sdk')
const python = join(environment, 'bin/python')
const scripts = join(import.meta.dir, 'vast-sdk')

const run = (command: readonly string[], env: Record<string, string> = {}) =>
  Bun.spawnSync([...command], { env: { ...process.env, ...env }, stdout: 'pipe', stderr: 'pipe' })

const installed = (): boolean => run([python, '-c', 'import vastdb, duckdb, pandas, boto3, pytest, pytest_check, pytest_retry']).success

/** Makes the virtual environment; answers why it could not. */
const install = (): string | undefined => {
  if (existsSync(python) && installed()) return undefined
  if (Bun.which('python3') === null) return 'python3 is not installed'
  if (!run(['python3', '-m', 'venv', environment]).success) return 'python3 -m venv failed'
  const { success, stderr } = run([python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...PACKAGES])
  return success ? undefined : `the packages could not be installed: ${stderr.toString().trim().split('\n').at(-1)}`
}

const missing = install()
if (missing !== undefined) console.warn(`SKIPPED: the Python SDK against the emulator (${missing})`)

const sdkFolder = (): string => {
  const lib = join(environment, 'lib')
  const [version = ''] = readdirSync(lib).filter((name) => name.startsWith('python'))
  return join(lib, version, 'site-packages/vastdb')
}

/** What a run of pytest says, test by test: names without their parameters. */
const outcomes = (report: string, word: string): string[] =>
  [...report.matchAll(new RegExp(`^${word} \\S*::(\\w+)`, 'gm'))].map((match) => match[1] ?? '').sort()

const counted = (report: string, word: string): number =>
  Number(new RegExp(`(\\d+) ${word}`).exec(report.trim().split('\n').at(-1) ?? '')?.[1] ?? 0)

const spawned = async (
  command: readonly string[],
  env: Record<string, string>,
): Promise<{ readonly exitCode: number; readonly output: string }> => {
  const child = Bun.spawn([...command], { env: { ...process.env, ...env }, stdout: 'pipe', stderr: 'pipe' })
  const [output, errors, exitCode] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited])
  return { exitCode, output: exitCode > 1 ? output + errors : output }
}

describe.skipIf(missing !== undefined)('the Python SDK of VAST', () => {
  let emulator: Emulator
  beforeAll(async () => {
    emulator = await startEmulator({ buckets: [BUCKET] })
  })
  afterAll(() => emulator.close())

  test.each(['5.4.0.20', '5.5.0.1'])(
    'passes our checks against a server that announces %s',
    async (version) => {
      const own = await startEmulator({ buckets: [BUCKET], version })
      const { exitCode, output } = await spawned([python, join(scripts, 'checks.py'), own.url, BUCKET, 'test', 'test'], {})
      await own.close()
      expect(output.split('\n').filter((line) => line.startsWith('FAIL'))).toEqual([])
      expect({ exitCode, checks: output.match(/^ok /gm)?.length }).toEqual({ exitCode: 0, checks: 103 })
    },
    300_000,
  )

  test('passes the tests that it brings along, except those that need tables of a real cluster', async () => {
    const folder = sdkFolder()
    const { output } = await spawned(
      [
        ...[
          python,
          '-m',
          'pytest',
          '-p',
          'no_waiting',
          '-p',
          'no:cacheprovider',
          '-q',
          '-rfEs',
          '-W',
          'ignore',
          '--tb=no',
          '--show-capture=no',
        ],
        ...[`--rootdir=${folder}`, `--confcutdir=${folder}`, '--tabular-endpoint-url', emulator.url, '--tabular-bucket-name', BUCKET],
        ...['--tabular-access-key', 'test', '--tabular-secret-key', 'test', '--retries=0'],
        ...FILES.map((name) => join(folder, 'tests', `test_${name}.py`)),
      ],
      { PYTHONPATH: scripts },
    )
    const passed = counted(output, 'passed')
    expect({ failed: outcomes(output, 'FAILED'), errors: outcomes(output, 'ERROR') }).toEqual({ failed: EXPECTED_FAILURES, errors: [] })
    expect(passed).toBeGreaterThanOrEqual(137)
    expect(passed / (passed + EXPECTED_FAILURES.length)).toBeGreaterThan(0.95)
  }, 900_000)
})

const ROWS = 400
const fields = [new Field('n', new Int64(), true), ...everyType.map(([field]) => field)]
/** The cells that every test of types has, then random ones. */
const columns: readonly (readonly Value[])[] = [
  Array.from({ length: ROWS }, (_, i) => BigInt(i)),
  ...everyType.map(([field, values]) => [...values, ...randomCells(field, ROWS - values.length)]),
]

const tellColumns = (batches: readonly RecordBatch[], table: Table): ToldColumn[] =>
  table.fields.map(({ name, type }, i) => ({
    name,
    type: pyarrowName(type),
    cells: batches.flatMap((batch) =>
      batch.data.children.slice(i, i + 1).flatMap((column) => columnValues(column).map((value) => told(type, value))),
    ),
  }))

describe.skipIf(missing !== undefined)('tables of every type, exchanged with the Python SDK of VAST', () => {
  let emulator: Emulator
  let client: VastClient
  beforeAll(async () => {
    emulator = await startEmulator({ buckets: [BUCKET], chunkRows: 70 })
    client = await VastClient.connect({ endpoints: [emulator.url], accessKey: 'test', secretKey: 'test', bucket: BUCKET })
    await client.database.createSchema('exchange')
  })
  afterAll(async () => {
    client.close()
    await emulator.close()
  })

  const python3 = async (mode: 'read' | 'write', table: string): Promise<ToldColumn[]> => {
    const { exitCode, output } = await spawned([python, join(scripts, 'exchange.py'), mode, emulator.url, BUCKET, 'exchange', table], {})
    if (exitCode !== 0) throw new Error(`exchange.py ${mode} ${table} ended with ${exitCode}: ${output.slice(-2000)}`)
    return JSON.parse(output)
  }

  const read = async (name: string): Promise<ToldColumn[]> => {
    const table = await client.database.table({ schema: 'exchange', table: name })
    const query = { columns: table.fields.map((field) => field.name), splits: 1, subsplits: 1, compress: true }
    return tellColumns(await Array.fromAsync(client.database.select(table, query)), table)
  }

  test.each([
    ['plain', []],
    ['sorted', ['n']],
  ])('a %s one written here is read there, value by value', async (kind, sortedColumns) => {
    const table = await client.database.createTable({ schema: 'exchange', table: `ours_${kind}` }, fields, { sortedColumns })
    await client.database.insert(table, batchOf(fields, columns))
    const expected = fields.map(({ name, type }, i) => ({
      name,
      type: pyarrowName(type),
      cells: (columns[i] ?? []).map((value) => told(type, value)),
    }))
    expect(await python3('read', `ours_${kind}`)).toEqual(expected)
  })

  test('one written there is read here, value by value, plain and sorted', async () => {
    const expected = await python3('write', 'theirs')
    expect(expected.map(({ cells }) => cells.length)).toEqual(Array(36).fill(ROWS))
    expect(await read('theirs')).toEqual(expected)
    expect(await read('theirs_sorted')).toEqual(expected)
  })
})
