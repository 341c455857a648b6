import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type OpenAnalytics, openAnalytics } from '../analytics/open.ts'

// pyarrow and pandas come from PyPI into an environment of their own, or from TAMS_TEST_PYTHON.
const SCRIPT = `
import json, sys
import pandas, pyarrow, pyarrow.csv, pyarrow.ipc, pyarrow.parquet
folder = sys.argv[1]
tables = {
  'arrow': pyarrow.ipc.open_stream(folder + '/x.arrow').read_all(),
  'parquet': pyarrow.parquet.read_table(folder + '/x.parquet'),
}
found = {}
for name, table in tables.items():
  table.validate(full=True)
  found[name] = {
    'types': {field.name: str(field.type) for field in table.schema},
    'rows': [{key: None if value is None else str(value) for key, value in row.items()} for row in table.to_pylist()],
  }
found['pandas'] = {name: [str(int(table.to_pandas()['big'][0])), len(table.to_pandas())] for name, table in tables.items()}
frame = pandas.read_csv(folder + '/x.csv', dtype=str, keep_default_na=False)
found['csv'] = frame.to_dict('records')
print(json.dumps(found))
`

const SQL = `select 9007199254740993::bigint as big, -99999999999999999999999999999999999999::hugeint as huge, 1.25::decimal(5, 2) as price,
  0.1::double as real, true as yes, 'a"b,c' || chr(10) || 'ü😀' as text, timestamp '2026-01-02 03:04:05.000006' as time, [1, 2] as list, null::bigint as nothing`

let directory: string
let open: OpenAnalytics
let python: string | undefined

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'tams-formats-'))
  open = await openAnalytics()
  python = process.env.TAMS_TEST_PYTHON ?? (await makeEnvironment(path.join(directory, 'venv')))
  if (python === undefined) console.warn('skipped: reading Arrow and Parquet with pyarrow, because it cannot be installed')
}, 300_000)
afterAll(async () => {
  await open?.close()
  await rm(directory, { recursive: true, force: true })
})

const makeEnvironment = async (folder: string): Promise<string | undefined> => {
  if (Bun.which('python3') === null) return undefined
  const run = async (...command: string[]) => (await Bun.spawn(command, { stdout: 'ignore', stderr: 'ignore' }).exited) === 0
  const program = path.join(folder, 'bin', 'python')
  const made = (await run('python3', '-m', 'venv', folder)) && (await run(program, '-m', 'pip', 'install', '-q', 'pyarrow', 'pandas'))
  return made ? program : undefined
}

describe('answers read by pyarrow and pandas', () => {
  test('have their types and all their digits', async () => {
    if (python === undefined) return
    for (const format of ['arrow', 'parquet', 'csv']) {
      const response = await open.fetch(`/query?format=${format}`, { method: 'POST', body: JSON.stringify({ sql: SQL }) })
      await Bun.write(path.join(directory, `x.${format}`), await response.bytes())
    }
    const child = Bun.spawn([python, '-c', SCRIPT, directory], { stdout: 'pipe', stderr: 'inherit' })
    const found = JSON.parse(await new Response(child.stdout).text())
    const row = {
      big: '9007199254740993',
      huge: '-99999999999999999999999999999999999999',
      price: '1.25',
      real: '0.1',
      yes: 'True',
      text: 'a"b,c\nü😀',
      time: '2026-01-02 03:04:05.000006+00:00',
      list: '[1,2]',
      nothing: null,
    }
    const types = {
      big: 'int64',
      huge: 'decimal128(38, 0)',
      price: 'decimal128(38, 2)',
      real: 'double',
      yes: 'bool',
      text: 'string',
      time: 'timestamp[us, tz=UTC]',
      list: 'string',
      nothing: 'int64',
    }
    expect(found.arrow).toEqual({ types, rows: [row] })
    expect(found.parquet).toEqual({ types, rows: [row] })
    expect(found.pandas).toEqual({ arrow: ['9007199254740993', 1], parquet: ['9007199254740993', 1] })
    expect(found.csv).toEqual([{ ...row, yes: 'true', time: '2026-01-02T03:04:05.000006Z', nothing: '' }])
  }, 120_000)
})
