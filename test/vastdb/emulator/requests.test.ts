import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Binary, Field, FixedSizeList, Float32, Int32, Int64, Utf8 } from 'apache-arrow'
import { batchOf, batchOfData, dataOf } from '../../../src/vastdb/wire/build.ts'
import { encodeCreateProjection, encodeProperties } from '../../../src/vastdb/wire/control.ts'
import { decodeSchema } from '../../../src/vastdb/wire/ipc.ts'
import { decodeList } from '../../../src/vastdb/wire/listing.ts'
import { decodePageAnswer, encodePageRequest } from '../../../src/vastdb/wire/paging.ts'
import { rowIdField } from '../../../src/vastdb/wire/row-id.ts'
import { decodeTableStats } from '../../../src/vastdb/wire/stats.ts'
import { decodeBuckets } from '../../../src/vastdb/wire/xml.ts'
import { type Emulator, startEmulator } from '../../emulators/vast/index.ts'
import { vector } from '../vectors.ts'
import { FIELDS, Probe } from './support.ts'

let emulator: Emulator
let newer: Emulator
let probe: Probe
let newerProbe: Probe

beforeAll(async () => {
  emulator = await startEmulator({ buckets: ['tams', 'other'] })
  newer = await startEmulator({ version: '5.5.0.1' })
  probe = new Probe(emulator)
  newerProbe = new Probe(newer)
  for (const each of [probe, newerProbe]) {
    await each.createSchema()
    await each.createTable('t')
    await each.createTable('sorted', { sorted: [1] })
  }
})
afterAll(async () => {
  for (const each of [probe, newerProbe]) each.close()
  await Promise.all([emulator.close(), newer.close()])
})

describe('every answer', () => {
  test('says which version the server is, and success is 200', async () => {
    const { status, headers } = await probe.send('GET', { command: 'transaction' })
    expect([status, headers.server]).toEqual([200, 'vast 5.4.0.20'])
  })

  test('to a request signed with a wrong secret is 403, the probe of the version included', async () => {
    const stranger = new Probe(emulator, 'wrong')
    const { status, error } = await stranger.send('GET', { command: 'transaction' })
    stranger.close()
    expect([status, error.code]).toEqual([403, 'SignatureDoesNotMatch'])
  })

  test('that is an error is XML with code, message and resource', async () => {
    const { status, error } = await probe.send('GET', probe.at('no<t>', 'stats'))
    expect([status, error]).toEqual([
      404,
      expect.objectContaining({ code: 'NoSuchKey', message: 'table tams/s/no<t> does not exist', resource: '/tams/s/no%3Ct%3E?stats' }),
    ])
  })
})

describe('buckets', () => {
  test('are those the emulator was started with', async () => {
    const { body } = await probe.send('GET', {})
    expect(decodeBuckets(new TextDecoder().decode(body))).toEqual(['tams', 'other'])
    const statuses = await Promise.all(['tams', 'none'].map(async (bucket) => (await probe.send('HEAD', { bucket })).status))
    expect(statuses).toEqual([200, 404])
  })

  test('have their own schemas', async () => {
    const listing = await probe.send('GET', { bucket: 'other', command: 'schema' })
    expect(decodeList('schemas', listing.body).entries).toEqual([])
  })
})

describe('lists', () => {
  test('come in pages, by prefix, by exact name, and as a count', async () => {
    await probe.createSchema('list')
    const listed = (page: Parameters<typeof encodePageRequest>[0]) =>
      probe.send('GET', { bucket: 'tams', schema: 'list', command: 'schema' }, { headers: encodePageRequest(page) })
    for (const name of ['b1', 'a', 'b2', 'b3']) await probe.createSchema(`list/${name}`)
    const names = async (reply: Awaited<ReturnType<typeof listed>>) => decodeList('schemas', reply.body).entries.map(({ name }) => name)
    const first = await listed({ maxKeys: 2, nextKey: 0n, prefix: 'b' })
    const { nextKey, truncated } = decodePageAnswer(first.headers)
    const second = await listed({ maxKeys: 2, nextKey, prefix: 'b' })
    expect([await names(first), truncated, await names(second), decodePageAnswer(second.headers).truncated]).toEqual([
      ['b1', 'b2'],
      true,
      ['b3'],
      false,
    ])
    expect(await names(await listed({ maxKeys: 1, nextKey: 0n, exact: 'a' }))).toEqual(['a'])
    expect(decodePageAnswer((await listed({ maxKeys: 10, nextKey: 0n, countOnly: true })).headers).count).toBe(4)
  })

  test('of columns carry marks of the sorting key from 5.5 on, and none before', async () => {
    const marks = async (each: Probe) =>
      decodeSchema((await each.send('GET', each.at('sorted', 'column'))).body).fields.map(({ metadata }) => [...metadata])
    expect(await marks(probe)).toEqual([[], []])
    expect(await marks(newerProbe)).toEqual([
      [['VAST:sort_type', 'Unsorted']],
      [
        ['VAST:sort_type', 'Sorted'],
        ['VAST:sort_index', '0'],
      ],
    ])
  })
})

describe('a table', () => {
  test.each<[string, Field, string]>([
    [
      'a fixed-size list of nothing',
      new Field('v', new FixedSizeList(0, new Field('item', new Float32(), false)), true),
      'TabularInvalidColumnTypeParam',
    ],
    [
      'a fixed-size list of nullable items',
      new Field('v', new FixedSizeList(2, new Field('item', new Float32(), true)), true),
      'TabularUnsupportedColumnType',
    ],
    [
      'a fixed-size list of text',
      new Field('v', new FixedSizeList(2, new Field('item', new Utf8(), false)), true),
      'TabularUnsupportedColumnType',
    ],
    ['a reserved name', new Field('$v', new Int64(), true), 'InvalidArgument'],
  ])('is not made with %s', async (_, field, code) => {
    const { status, error } = await probe.createTable('refused', { fields: [field] })
    expect([status, error.code]).toEqual([400, code])
  })

  test('refuses a key column that is not there: 500 before 5.5, 400 from then on', async () => {
    expect((await probe.createTable('x', { sorted: [7] })).status).toBe(500)
    const { status, error } = await newerProbe.createTable('x', { sorted: [7] })
    expect([status, error.message?.includes('InvalidArgument')]).toEqual([400, true])
  })

  test('counts its rows in the statistics, and announces no addresses', async () => {
    await probe.createTable('counted')
    await probe.insert(
      [
        ['a', 1n],
        ['b', 2n],
        ['c', 3n],
      ],
      undefined,
      'counted',
    )
    await probe.delete([1n], undefined, 'counted')
    const { body } = await probe.send('GET', probe.at('counted', 'stats'))
    expect(decodeTableStats(body)).toMatchObject({ numRows: 2n, insertedRows: 3n, vips: [], vectorIndex: undefined })
  })

  test('with a projection does not lose a column of it', async () => {
    await probe.createTable('projected')
    const projection = encodeCreateProjection([{ name: 'start', sorted: true }])
    await probe.send('POST', probe.at('projected', 'projection', { name: 'p' }), { body: projection })
    expect((await probe.send('DELETE', probe.at('projected', 'column'), { body: vector('A1') })).status).toBe(409)
  })
})

describe('rows are refused', () => {
  const id = new Field('id', new Utf8(), true)
  const rowId = rowIdField('plain')

  test.each<[string, 'POST' | 'PUT' | 'DELETE', string, Parameters<Probe['rows']>[1], number, string]>([
    ['of another type', 'POST', 't', batchOf([new Field('start', new Int32(), true)], [[1]]), 400, 'TabularMismatchColumnType'],
    ['of another nullability', 'POST', 't', batchOf([new Field('start', new Int64(), false)], [[1n]]), 400, 'TabularMismatchColumnType'],
    [
      'of a column that is not there',
      'POST',
      't',
      batchOf([new Field('none', new Utf8(), true)], [['a']]),
      404,
      'TabularMismatchColumnName',
    ],
    ['without columns', 'POST', 't', batchOfData([], [], 3), 501, 'NotImplemented'],
    ['with a cell of more than 128 KiB', 'POST', 't', batchOf([id], [['x'.repeat(131_073)]]), 400, 'TabularCellTooLarge'],
    [
      'when the request has more than 5 MiB',
      'POST',
      't',
      batchOf([new Field('b', new Binary(), true)], [Array(60).fill(new Uint8Array(100_000))]),
      400,
      'EntityTooLarge',
    ],
    ['when row ids descend', 'DELETE', 't', batchOf([rowId], [[2n, 1n]]), 400, 'InvalidArgument'],
    ['when a row id comes twice', 'DELETE', 't', batchOf([rowId], [[2n, 2n]]), 400, 'InvalidArgument'],
    ['when a row is not there', 'DELETE', 't', batchOf([rowId], [[2n ** 40n]]), 404, 'TabularRowNotFound'],
    ['when no row id comes first', 'PUT', 't', batchOf([id], [['a']]), 400, 'InvalidArgument'],
    [
      'that change a key column',
      'PUT',
      'sorted',
      batchOfData([rowId, FIELDS[1] ?? id], [dataOf(rowId.type, [0n]), dataOf(new Int64(), [1n])]),
      400,
      'InvalidArgument',
    ],
  ])('%s', async (_, method, table, batch, status, code) => {
    const reply = await probe.rows(method, batch, undefined, table)
    expect([reply.status, reply.error.code]).toEqual([status, code])
  })
})

describe('what is not emulated', () => {
  test.each<[string, string, string, Readonly<Record<string, string>>]>([
    ['import', 'POST', 'data', {}],
    ['blob expansion', 'POST', 'blob-expansion', {}],
    ['partitions', 'DELETE', 'partitions', {}],
    ['a vector index', 'POST', 'table', { 'tabular-vector-index-column': '0' }],
  ])('is refused with 501: %s', async (_, method, command, headers) => {
    const { status, error } = await probe.send(method, probe.at('fresh', command), { headers, body: encodeProperties('') })
    expect([status, error.code, error.message]).toEqual([501, 'NotImplemented', expect.stringContaining('emulator')])
  })

  test('is told from what is no operation at all', async () => {
    expect((await probe.send('PATCH', probe.at('t', 'rows'))).status).toBe(405)
  })
})
