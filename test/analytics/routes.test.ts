import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { FormatRegistry } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { tableFromIPC } from 'apache-arrow'
import * as fc from 'fast-check'
import { Engine } from '../../analytics/engine.ts'
import { reports } from '../../analytics/reports/index.ts'
import { emptyModel, type Model, models } from './model.ts'
import { type Json, type OpenAnalytics, openAnalytics, withoutQuery } from './open.ts'

let open: OpenAnalytics
let model: Model
beforeAll(async () => {
  FormatRegistry.Set('date-time', (text) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(text))
  open = await openAnalytics()
  model =
    fc.sample(models, { numRuns: 50, seed: 11 }).find(({ segments, flows }) => segments.length > 8 && flows.length > 2) ?? emptyModel()
  await open.fill(model.rows)
})
afterAll(() => open.close())

describe('every report', () => {
  test.each(reports.map(({ name }) => name))('%s answers what its schema says, with data and without', async (name) => {
    const report = reports.find((each) => each.name === name)
    if (!report) throw new Error('no such report')
    const { additionalProperties: _, ...schema } = report.result
    const check = async (rows: Model['rows']) => {
      await open.fill(rows)
      const answer = await open.get(`/${name}?refresh=true`)
      const items = report.shape === 'object' ? [withoutQuery(answer)] : (answer.rows as Json[])
      for (const item of items) {
        expect(Object.keys(item)).toEqual(Object.keys(report.result.properties))
        expect(
          [...Value.Errors({ ...schema, additionalProperties: false }, item)].map(({ path, message }) => `${path}: ${message}`),
        ).toEqual([])
      }
      expect(answer.query).toMatchObject({ name, truncated: false })
    }
    await check(emptyModel().rows)
    await check(model.rows)
  })

  test('is listed with parameters, filters, metrics, formats and views', async () => {
    const catalog = await open.get('')
    expect((catalog.reports as Json[]).map(({ path }) => path)).toEqual(reports.map(({ name }) => `/analytics/${name}`))
    const percentiles = (catalog.reports as { name: string; parameters: Json; filters: string[] }[]).find(
      ({ name }) => name === 'percentiles',
    )
    expect(Object.keys(percentiles?.parameters ?? {})).toEqual(['metric', 'group_by', 'n'])
    expect(percentiles?.filters).toContain('timerange')
    expect((catalog.metrics as Json[]).map(({ name }) => name)).toContain('segment_duration')
    expect(catalog.formats).toEqual(['json', 'csv', 'arrow', 'parquet'])
  })
})

describe('parameters', () => {
  test.each([
    ['/gaps?treshold=1', 'treshold'],
    ['/gaps?threshold=x', 'threshold'],
    ['/gaps?threshold=-1', 'threshold'],
    ['/gaps?n=0', 'n'],
    ['/gaps?n=1.5', 'n'],
    ['/gaps?flow_id=x', 'flow_id'],
    ['/gaps?source_id=00000000-0000-0000-0000-000000000000', 'source_id'],
    ['/gaps?start_time=yesterday', 'start_time'],
    ['/gaps?start_time=2026-13-01T00:00:00Z', 'start_time'],
    ['/gaps?start_time=2026-02-01T00:00:00Z&end_time=2026-01-01T00:00:00Z', 'end_time'],
    ['/gaps?timerange=now', 'timerange'],
    ['/gaps?format=xml', 'format'],
    ['/gaps?format=urn:x-nmos:format:smell', 'format'],
    ['/gaps?refresh=yes', 'refresh'],
    ['/gaps?tag_exists.x=maybe', 'tag_exists.x'],
    ['/gaps?flow_id=%ff', 'flow_id'],
    ['/percentiles?metric=beauty', 'metric'],
    ['/percentiles?metric=object_size&timerange=[0:0_1:0)', 'timerange'],
    ['/percentiles?group_by=content_type', 'group_by'],
    ['/trends?bucket=month', 'bucket'],
    ['/correlation?x=object_size&y=segment_duration', 'y'],
    ['/distribution?bins=0', 'bins'],
    ['/distribution?bins=1,1', 'bins'],
    ['/distribution?bins=1,x', 'bins'],
    ['/cost?prices=x:1', 'prices'],
    ['/tag-usage?flow_id=00000001-0000-4000-8000-000000000000', 'flow_id'],
    ['/storage-usage?timerange=_', 'timerange'],
    ['/performance?limit=0', 'limit'],
  ])('%s is 400 and names %s', async (path, name) => {
    const response = await open.fetch(path)
    const body = (await response.json()) as Json
    expect([response.status, body.type]).toEqual([400, 'invalid'])
    expect(String(body.summary)).toStartWith(`${name}: `)
  })

  test('a bucket too small for the span of time is 400', async () => {
    const far = {
      ...model.rows.objects[0],
      id: 'far',
      state: 'registered',
      deletion_id: '',
      size: 1n,
      created: 0n,
    } as (typeof model.rows.objects)[number]
    await open.fill({ ...model.rows, objects: [...model.rows.objects, far] })
    const response = await open.fetch('/growth?bucket=minute')
    expect([response.status, ((await response.json()) as Json).summary]).toEqual([400, 'bucket: is too small for this span of time'])
    await open.fill(model.rows)
  })

  test('format= is the answer’s format or the URN of the flow’s, both at once where both are there', async () => {
    const urn = model.flows[0]?.row.format ?? ''
    const expected = (await open.rows(`/coverage?flow_format=${urn}`)).length
    expect(expected).toBe(model.flows.filter(({ row }) => row.format === urn).length)
    expect(await open.rows(`/coverage?format=${urn}`)).toHaveLength(expected)
    const csv = await (await open.fetch(`/coverage?format=${urn}&format=csv`)).text()
    expect(csv.trimEnd().split('\r\n')).toHaveLength(expected + 1)
  })
})

describe('formats', () => {
  const sql = `select 9007199254740993::bigint as big, null::bigint as nothing, -99999999999999999999999999999999999999::hugeint as huge, 170141183460469231731687303715884105727::hugeint as huger, 1.25::decimal(5, 2) as price,
    0.1::double as real, true as yes, 'a"b,c' || chr(10) || 'ü😀' as text, '' as empty, timestamp '2026-01-02 03:04:05.000006' as time, [1, 2] as list
    union all by name select '-9223372036854775808'::bigint as big, 5 as nothing, null as huge, null as huger, null as price, null as real, null as yes, null as text,
    null as empty, null as time, null as list`
  const ask = async (format: string, accept?: string): Promise<Response> => {
    const response = await open.fetch(`/query${format === '' ? '' : `?format=${format}`}`, {
      method: 'POST',
      body: JSON.stringify({ sql: `select * from (${sql}) order by big desc` }),
      ...(accept !== undefined && { headers: { accept } }),
    })
    if (response.status !== 200) throw new Error(`${await response.text()} ${open.failures.at(-1)}`)
    return response
  }

  test('CSV has all digits, quotes what needs it, and tells null from empty text', async () => {
    const response = await ask('csv')
    expect(response.headers.get('content-type')).toStartWith('text/csv')
    expect(await response.text()).toBe(
      'big,nothing,huge,huger,price,real,yes,text,empty,time,list\r\n' +
        '9007199254740993,,-99999999999999999999999999999999999999,170141183460469231731687303715884105727,1.25,0.1,true,"a""b,c\nü😀","",2026-01-02T03:04:05.000006Z,"[1,2]"\r\n' +
        '-9223372036854775808,5,,,,,,,,,\r\n',
    )
  })

  test('Arrow has types and all digits', async () => {
    const response = await ask('arrow')
    expect(response.headers.get('content-type')).toBe('application/vnd.apache.arrow.stream')
    const table = tableFromIPC(await response.bytes())
    expect(table.schema.fields.map(({ name, type }) => `${name}: ${type}`)).toEqual([
      'big: Int64',
      'nothing: Int64',
      'huge: Decimal[38e0]',
      'huger: Utf8',
      'price: Decimal[38e+2]',
      'real: Float64',
      'yes: Bool',
      'text: Utf8',
      'empty: Utf8',
      'time: Timestamp<MICROSECOND, UTC>',
      'list: Utf8',
    ])
    const column = (name: string) => [...(table.getChild(name) ?? [])]
    expect(column('big')).toEqual([9007199254740993n, -9223372036854775808n])
    expect(column('nothing')).toEqual([null, 5n])
    expect(column('text')).toEqual(['a"b,c\nü😀', null])
    expect(column('list')).toEqual(['[1,2]', null])
    const words = table.getChild('huge')?.get(0) as Uint32Array
    const unsigned = [...words].reduceRight((sum, word) => (sum << 32n) | BigInt(word), 0n)
    expect(BigInt.asIntN(128, unsigned)).toBe(-99999999999999999999999999999999999999n)
    expect(column('huger')).toEqual(['170141183460469231731687303715884105727', null])
  })

  test('Parquet is read back by DuckDB as it was', async () => {
    const response = await ask('parquet')
    expect(response.headers.get('content-type')).toBe('application/vnd.apache.parquet')
    const directory = mkdtempSync('/tmp/tams-parquet-test-')
    const file = `${directory}/x.parquet`
    await Bun.write(file, await response.bytes())
    const reader = await Engine.open({ memoryLimitMiB: 100, threads: 1, concurrency: 1, directory })
    try {
      const { columns, rows } = await reader.query({ sql: `select * from read_parquet('${file}')`, maxRows: 10, timeoutMs: 5000 })
      expect(columns.map(({ name, kind }) => `${name}: ${kind}`)).toEqual([
        'big: int64',
        'nothing: int64',
        'huge: decimal',
        'huger: text',
        'price: decimal',
        'real: float64',
        'yes: bool',
        'text: text',
        'empty: text',
        'time: time',
        'list: text',
      ])
      expect(rows[0]).toEqual([
        9007199254740993n,
        null,
        -99999999999999999999999999999999999999n,
        '170141183460469231731687303715884105727',
        125n,
        0.1,
        true,
        'a"b,c\nü😀',
        '',
        1767323045000006n,
        '[1,2]',
      ])
      expect(rows[1]).toEqual([-9223372036854775808n, 5n, null, null, null, null, null, null, null, null, null])
    } finally {
      reader.close()
      rmSync(directory, { recursive: true })
    }
  })

  test.each([
    ['', 'application/json'],
    ['*/*', 'application/json'],
    ['text/csv', 'text/csv'],
    ['text/*;q=0.5, application/json;q=0.4', 'text/csv'],
    ['application/vnd.apache.arrow.stream, text/csv;q=0.9', 'application/vnd.apache.arrow.stream'],
    ['application/vnd.apache.parquet', 'application/vnd.apache.parquet'],
    ['image/png', 'application/json'],
  ])('Accept: %j gives %s', async (accept, type) => {
    expect((await ask('', accept)).headers.get('content-type')).toStartWith(type)
  })

  test('large answers arrive whole in every format', async () => {
    const get = (format: string) =>
      open.fetch(`/query?format=${format}`, {
        method: 'POST',
        body: JSON.stringify({ sql: "select range as n, 'text ' || range as t from range(40000)", limit: 40_000 }),
      })
    const { rows } = (await (await get('json')).json()) as { rows: { n: number; t: string }[] }
    expect(rows).toHaveLength(40_000)
    expect(rows.every(({ n, t }) => t === `text ${n}`)).toBe(true)
    expect((await (await get('csv')).text()).split('\r\n')).toHaveLength(40_002)
    const arrow = tableFromIPC(await (await get('arrow')).bytes())
    expect(arrow.numRows).toBe(40_000)
    expect(new Set(arrow.getChild('t')).size).toBe(40_000)
  })
})
