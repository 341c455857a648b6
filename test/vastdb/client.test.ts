import { afterEach, describe, expect, test } from 'bun:test'
import { Field, Int64, type RecordBatch, Utf8 } from 'apache-arrow'
import { type ClientOptions, VastClient } from '../../src/vastdb/client.ts'
import {
  CommitUncertain,
  Conflict,
  ConnectionFailed,
  Forbidden,
  InvalidArgument,
  NotFound,
  NotSupportedCommand,
  NotSupportedVersion,
  ProtocolError,
  QueryFailed,
  TimedOut,
  TooLargeRequest,
  TooWideRow,
  TransactionNotActive,
  UnsupportedServer,
} from '../../src/vastdb/errors.ts'
import { authorization, sha256Hex } from '../../src/vastdb/sign.ts'
import type { Table } from '../../src/vastdb/tables.ts'
import { batchOf } from '../../src/vastdb/wire/build.ts'
import { encodeChunk } from '../../src/vastdb/wire/chunks.ts'
import { encodeCompleted, encodeFailed } from '../../src/vastdb/wire/frames.ts'
import { decodeOneBatch, encodeSchemaStream, encodeStream } from '../../src/vastdb/wire/ipc.ts'
import { encodeList } from '../../src/vastdb/wire/listing.ts'
import { eq, oneOf } from '../../src/vastdb/wire/predicate.ts'
import { decodeQueryHeaders, FINISHED } from '../../src/vastdb/wire/query-headers.ts'
import { decodeQueryRequest } from '../../src/vastdb/wire/query-request.ts'
import { ROW_ID, rowIdField } from '../../src/vastdb/wire/row-id.ts'
import { emptyStats, encodeTableStats } from '../../src/vastdb/wire/stats.ts'
import { columnValues, type Value } from '../../src/vastdb/wire/values.ts'
import {
  breakingOff,
  failing,
  fakeTools,
  hangUp,
  ok,
  type Reply,
  type ScriptedServer,
  silence,
  startScriptedServer,
} from './support/scripted-server.ts'

const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

const HELLO: readonly Reply[] = [ok(), ok()]
const PAGE = { 'tabular-next-key': '0', 'tabular-is-truncated': 'false' }
const BEGIN = ok('', { 'tabular-txid': '18446744073709551615' })

const serve = async (...script: Reply[]): Promise<ScriptedServer> => {
  const server = await startScriptedServer([...HELLO, ...script])
  open.push(server)
  return server
}

const connect = async (server: ScriptedServer | readonly string[], options: Partial<ClientOptions> = {}): Promise<VastClient> => {
  const endpoints = 'url' in server ? [server.url] : server
  const client = await VastClient.connect({ endpoints, accessKey: 'key', secretKey: 'secret', bucket: 'b', tools: fakeTools(), ...options })
  open.push(client)
  return client
}

/** Requests after the two of connecting, as `GET /path`. */
const lines = (server: ScriptedServer): string[] => server.seen.slice(2).map(({ method, url }) => `${method} ${url}`)

const fields = [new Field('id', new Utf8(), true), new Field('start', new Int64(), true)]
const table: Table = { schema: 's', table: 't', fields, sortedColumns: [], rowIds: 'plain' }
const sorted: Table = { ...table, sortedColumns: ['id'], rowIds: 'wide' }
const rows = (count: number, text = 'x'): RecordBatch =>
  batchOf(fields, [Array.from({ length: count }, () => text), Array.from({ length: count }, (_, i) => BigInt(i))])
const ids = (from: number, count: number): Uint8Array =>
  encodeStream(batchOf([rowIdField('plain')], [Array.from({ length: count }, (_, i) => BigInt(from + i))]))
const valuesOf = (batch: RecordBatch): Value[][] => batch.data.children.map((column) => columnValues(column))

describe('connecting', () => {
  test('asks for the version and the bucket, signed as the Python client signs', async () => {
    const server = await serve()
    const client = await connect(server, { date: () => new Date('2026-01-02T03:04:05Z') })
    expect(client.version).toEqual([5, 4, 0, 20])
    expect(server.seen.map(({ method, url }) => `${method} ${url}`)).toEqual(['GET /?transaction', 'HEAD /b'])
    const [probe] = server.seen
    const headers = { host: new URL(server.url).host, 'x-amz-date': '20260102T030405Z' }
    const expected = authorization(
      { accessKey: 'key', secretKey: 'secret' },
      { method: 'GET', path: '/', query: 'transaction', headers, payloadHash: sha256Hex('') },
    )
    expect(probe?.headers).toMatchObject({ authorization: expected, 'tabular-get-vast-version': 'true', host: headers.host })
    expect(probe?.headers['tabular-client-name']).toBeUndefined()
  })

  test.each<[string, Reply[], new (...args: never[]) => Error]>([
    ['wrong keys', [failing(403, 'AccessDenied')], Forbidden],
    ['another server', [ok('', { server: 'nginx' })], UnsupportedServer],
    ['a server that hides its version', [ok('', { server: 'vast' })], UnsupportedServer],
    ['a missing bucket', [ok(), failing(404, 'NoSuchBucket')], NotFound],
  ])('fails clearly for %s', async (_, script, expected) => {
    const server = await startScriptedServer(script)
    open.push(server)
    await expect(connect(server)).rejects.toBeInstanceOf(expected)
  })

  test('fails clearly when nobody listens', async () => {
    const server = await startScriptedServer()
    await server.close()
    const tools = fakeTools()
    await expect(connect(server, { tools })).rejects.toBeInstanceOf(ConnectionFailed)
    expect(tools.waits.length).toBeGreaterThan(0)
  })
})

describe('a transaction', () => {
  test('commits what its work did, with its id on every request', async () => {
    const server = await serve(BEGIN, ok(), ok())
    const client = await connect(server)
    expect(await client.transaction(async (tx) => tx.createSchema('a/b').then(() => tx.id))).toBe(18446744073709551615n)
    expect(lines(server)).toEqual(['POST /?transaction', 'POST /b/a/b?schema', 'PUT /?transaction'])
    expect(server.seen.slice(2).map(({ headers }) => headers['tabular-txid'])).toEqual([
      '0',
      '18446744073709551615',
      '18446744073709551615',
    ])
    expect(server.seen[2]?.headers).toMatchObject({ 'tabular-api-version-id': '1', 'content-length': '0' })
  })

  test('rolls back when its work fails, and passes the error on', async () => {
    const server = await serve(BEGIN, failing(409, 'Conflict'), ok())
    const client = await connect(server)
    await expect(client.transaction((tx) => tx.dropSchema('s'))).rejects.toBeInstanceOf(Conflict)
    expect(lines(server).at(-1)).toBe('DELETE /?transaction')
  })

  test('passes the error of its work on when the rollback fails too', async () => {
    const warnings: string[] = []
    const server = await serve(BEGIN, failing(500, 'Oops'))
    const client = await connect(server, { onWarning: (message) => warnings.push(message) })
    await expect(client.transaction(() => Promise.reject(new Error('mine')))).rejects.toThrow('mine')
    expect(warnings).toEqual(['transaction 18446744073709551615 could not be rolled back'])
  })

  test('whose commit got no answer says so, and does not commit again', async () => {
    const server = await serve(BEGIN, hangUp)
    const client = await connect(server)
    await expect(client.transaction(() => Promise.resolve())).rejects.toBeInstanceOf(CommitUncertain)
    expect(lines(server)).toEqual(['POST /?transaction', 'PUT /?transaction'])
  })

  test('cannot be used when it is over', async () => {
    const server = await serve(BEGIN, ok())
    const client = await connect(server)
    const tx = await client.begin()
    await tx.commit()
    await expect(tx.createSchema('s')).rejects.toBeInstanceOf(TransactionNotActive)
    await expect(tx.commit()).rejects.toBeInstanceOf(TransactionNotActive)
    await expect(tx.select(table, { columns: ['id'], splits: 1 }).next()).rejects.toBeInstanceOf(TransactionNotActive)
  })

  test('is kept alive by a request of its own', async () => {
    const server = await serve(BEGIN, ok(), ok())
    const tx = await (await connect(server)).begin()
    await tx.keepAlive()
    await tx.rollback()
    expect(lines(server)).toEqual(['POST /?transaction', 'GET /?transaction', 'DELETE /?transaction'])
  })
})

describe('requests', () => {
  test('are repeated on SlowDown, writes too', async () => {
    const server = await serve(failing(503, 'SlowDown'), failing(503, 'SlowDown'), ok())
    const tools = fakeTools()
    await (await connect(server, { tools })).database.createSchema('s')
    expect(lines(server)).toHaveLength(3)
    expect(tools.waits).toEqual([500, 1000])
  })

  test('that read are repeated after a lost connection', async () => {
    const stats = encodeTableStats({ ...emptyStats, numRows: 3n })
    const server = await serve(hangUp, ok(stats))
    expect((await (await connect(server)).database.stats(table)).numRows).toBe(3n)
  })

  test('that write are not', async () => {
    const server = await serve(hangUp, ok(ids(0, 1)))
    const { database } = await connect(server)
    await expect(database.insert(table, rows(1))).rejects.toBeInstanceOf(ConnectionFailed)
    expect(lines(server)).toHaveLength(1)
  })

  test('that nobody can have seen go to another endpoint, writes too', async () => {
    const [dead, alive] = [await serve(), await serve(ok(), ok(), ok(), ok())]
    const client = await connect([dead.url, alive.url])
    await dead.close()
    for (let i = 0; i < 4; i++) await client.database.createSchema(`s${i}`)
    expect(alive.seen.filter(({ method }) => method === 'POST')).toHaveLength(4)
  })

  test('that read go on at another endpoint when one fails', async () => {
    const stats = encodeTableStats({ ...emptyStats, numRows: 3n })
    const [first, second] = [await serve(), await serve()]
    first.script.length = 0
    second.script.length = 0
    for (const server of [first, second]) server.script.push(ok(), ok())
    const client = await connect([first.url, second.url])
    first.script.splice(0, first.script.length, ...Array<Reply>(5).fill(hangUp))
    second.script.splice(0, second.script.length, ...Array<Reply>(5).fill(ok(stats)))
    for (let i = 0; i < 3; i++) expect((await client.database.stats(table)).numRows).toBe(3n)
    expect(client.health().find(({ url }) => url === second.url)?.state).toBe('up')
  })

  test('leave an endpoint out that fails, tell its state, and find it again', async () => {
    const stats = ok(encodeTableStats({ ...emptyStats, numRows: 3n }))
    const [bad, good] = [await serve(), await serve()]
    const tools = fakeTools()
    const client = await connect([bad.url, good.url], { tools })
    bad.script.splice(0, bad.script.length, ...Array<Reply>(3).fill(hangUp), ...Array<Reply>(20).fill(stats))
    good.script.splice(0, good.script.length, ...Array<Reply>(40).fill(stats))
    const of = (server: ScriptedServer) => client.health().find(({ url }) => url === server.url)
    for (let i = 0; of(bad)?.state === 'up' && i < 20; i++) await client.database.stats(table)
    expect(of(bad)).toMatchObject({ state: 'down', failures: 3, lastError: expect.stringContaining(bad.url) })
    const asked = bad.seen.length
    for (let i = 0; i < 5; i++) await client.database.stats(table)
    expect(bad.seen.length).toBe(asked)
    await tools.sleep(1000)
    await client.database.stats(table)
    expect(of(bad)).toMatchObject({ state: 'up', latencyMs: { read: expect.any(Number) } })
    expect(of(good)).toMatchObject({ state: 'up', failures: 0, lastError: undefined })
  })

  test('without an answer end after the time limit and are not repeated', async () => {
    const server = await serve(silence, silence)
    const { database } = await connect(server, { timeoutMs: 50 })
    await expect(database.stats(table)).rejects.toBeInstanceOf(TimedOut)
    expect(lines(server)).toHaveLength(1)
  })

  test('end when their caller gives up, with the caller’s reason', async () => {
    const controller = new AbortController()
    const server = await serve(() => controller.abort(new Error('enough')))
    const { database } = await connect(server)
    await expect(database.insert(table, rows(1), controller.signal)).rejects.toThrow('enough')
  })

  test('whose answer is no message of the protocol fail with the byte', async () => {
    const server = await serve(ok('gibberish'))
    const { database } = await connect(server)
    await expect(database.stats(table)).rejects.toThrow(/byte \d+/)
  })
})

describe('schemas and tables', () => {
  test('listings follow their pages', async () => {
    const page = (name: string) => encodeList('schemas', { parents: ['b'], entries: [{ name, properties: '' }] })
    const server = await serve(
      ok(page('s0'), { ...PAGE, 'tabular-next-key': '18446744073709551000', 'tabular-is-truncated': 'true' }),
      ok(page('s1'), PAGE),
    )
    const { database } = await connect(server)
    expect((await database.listSchemas()).map(({ name }) => name)).toEqual(['s0', 's1'])
    expect(server.seen.slice(2).map(({ headers }) => headers['tabular-next-key'])).toEqual(['0', '18446744073709551000'])
  })

  test('a listing that goes in circles is an error', async () => {
    const page = encodeList('schemas', { parents: ['b'], entries: [] })
    const server = await serve(ok(page, { ...PAGE, 'tabular-is-truncated': 'true' }))
    await expect((await connect(server)).database.listSchemas()).rejects.toBeInstanceOf(ProtocolError)
  })

  const opened = async (version: string, columns: readonly Field[], ...more: Reply[]) => {
    const entry = encodeList('tables', { parents: ['b', 's'], entries: [{ name: 't', properties: '', handle: '1' }] })
    const schema = encodeSchemaStream(
      batchOf(
        columns,
        columns.map(() => []),
      ).schema,
    )
    const server = await startScriptedServer([
      ok('', { server: version }),
      ok(),
      ok(entry, PAGE),
      ok(schema, PAGE),
      ok(encodeTableStats(emptyStats)),
      ...more,
    ])
    open.push(server)
    return { server, opened: await (await connect(server)).database.table({ schema: 's', table: 't' }) }
  }

  test('a plain table is known by its columns', async () => {
    const { server, opened: found } = await opened('vast 5.4.0.20', fields, failing(400, 'InvalidArgument'))
    expect(found).toMatchObject({ schema: 's', table: 't', sortedColumns: [], rowIds: 'plain' })
    expect(found.fields.map(String)).toEqual(fields.map(String))
    expect(lines(server)).toEqual(['GET /b/s?table', 'GET /b/s/t?column', 'GET /b/s/t?stats', 'GET /b/s/t?sorted-columns'])
  })

  test('a sorted table is known by its listing below 5.5, by marks from then on', async () => {
    const key = encodeSchemaStream(batchOf([fields[1] as Field], [[]]).schema)
    expect((await opened('vast 5.4.0.20', fields, ok(key, PAGE))).opened).toMatchObject({ sortedColumns: ['start'], rowIds: 'wide' })
    const mark = (field: Field | undefined, index: number) =>
      new Field(
        field?.name ?? '',
        field?.type ?? new Utf8(),
        true,
        new Map([
          ['VAST:sort_type', 'Sorted'],
          ['VAST:sort_index', String(index)],
        ]),
      )
    const found = (await opened('vast 5.5.0.1', [mark(fields[0], 1), mark(fields[1], 0)])).opened
    expect(found).toMatchObject({ sortedColumns: ['start', 'id'], rowIds: 'wide' })
    expect(found.fields[0]?.metadata.size).toBe(0)
  })

  test('a table that is not there is not found', async () => {
    const server = await serve(ok(encodeList('tables', { parents: ['b', 's'], entries: [] }), PAGE))
    await expect((await connect(server)).database.table(table)).rejects.toBeInstanceOf(NotFound)
  })

  test('a sorted table is created by the indexes of its key, on a server that has them', async () => {
    const server = await serve(ok())
    await (await connect(server)).database.createTable(table, fields, { sortedColumns: ['start', 'id'] })
    expect(server.seen[2]?.headers).toMatchObject({ 'tabular-sorted-column-0': '1', 'tabular-sorted-column-1': '0' })
    const old = await startScriptedServer([ok('', { server: 'vast 5.2.9.1' }), ok()])
    open.push(old)
    await expect((await connect(old)).database.createTable(table, fields, { sortedColumns: ['id'] })).rejects.toBeInstanceOf(
      NotSupportedVersion,
    )
    expect(lines(old)).toEqual([])
  })

  test('names that cannot be in a path are refused', async () => {
    const { database } = await connect(await serve())
    await expect(database.dropTable({ schema: 's', table: 'a/b' })).rejects.toBeInstanceOf(RangeError)
    await expect(database.dropSchema('..')).rejects.toBeInstanceOf(RangeError)
  })

  test('an import is refused clearly', async () => {
    await expect((await connect(await serve())).database.importFiles()).rejects.toBeInstanceOf(NotSupportedCommand)
  })
})

describe('rows', () => {
  test('are inserted in one request that gives their ids', async () => {
    const server = await serve(ok(ids(7, 2)))
    expect(await (await connect(server)).database.insert(table, rows(2))).toEqual([7n, 8n])
    const body = server.seen[2]?.body ?? new Uint8Array(0)
    expect(valuesOf(decodeOneBatch(body))).toEqual([
      ['x', 'x'],
      [0n, 1n],
    ])
  })

  test('that do not fit into one request go in several, in order, each below the limit', async () => {
    const counted: Reply = (response, { body }) => {
      const [, starts = []] = valuesOf(decodeOneBatch(body))
      ok(encodeStream(batchOf([rowIdField('plain')], [starts])))(response, { method: '', url: '', headers: {}, body })
    }
    const server = await serve(...Array<Reply>(12).fill(counted))
    const inserted = await (await connect(server)).database.insert(table, rows(120, 'y'.repeat(120_000)))
    expect(inserted).toEqual(Array.from({ length: 120 }, (_, i) => BigInt(i)))
    expect(server.seen.length).toBeGreaterThan(4)
    expect(Math.max(...server.seen.map(({ body }) => body.length))).toBeLessThanOrEqual(5_138_022)
  })

  test.each<[string, RecordBatch, new (...args: never[]) => Error]>([
    [
      'a cell above 128 KiB',
      batchOf(fields, [
        ['ok', 'z'.repeat(131_073)],
        [0n, 1n],
      ]),
      TooWideRow,
    ],
    ['an unknown column', batchOf([new Field('none', new Utf8(), true)], [['x']]), InvalidArgument],
    ['a column of another type', batchOf([new Field('id', new Int64(), true)], [[1n]]), InvalidArgument],
  ])('with %s are refused before a request', async (_, batch, expected) => {
    const server = await serve()
    await expect((await connect(server)).database.insert(table, batch)).rejects.toBeInstanceOf(expected)
    expect(lines(server)).toEqual([])
  })

  test('none of them make no request', async () => {
    const server = await serve()
    expect(await (await connect(server)).database.insert(table, rows(0))).toEqual([])
    expect(lines(server)).toEqual([])
  })

  test('are updated in ascending order of their ids', async () => {
    const server = await serve(ok())
    await (await connect(server)).database.update(table, [9n, 3n], batchOf([fields[1] as Field], [[90n, 30n]]))
    const batch = decodeOneBatch(server.seen[2]?.body ?? new Uint8Array(0))
    expect(batch.schema.fields.map(({ name }) => name)).toEqual([ROW_ID, 'start'])
    expect(valuesOf(batch)).toEqual([
      [3n, 9n],
      [30n, 90n],
    ])
  })

  test('named twice, or by their sorting key, are not updated', async () => {
    const { database } = await connect(await serve())
    const starts = batchOf([fields[1] as Field], [[1n, 2n]])
    await expect(database.update(table, [3n, 3n], starts)).rejects.toBeInstanceOf(InvalidArgument)
    await expect(database.update(sorted, [3n], batchOf([fields[0] as Field], [['x']]))).rejects.toThrow('sorting key')
  })

  test('of a sorted table are deleted by wide ids', async () => {
    const server = await serve(ok())
    await (await connect(server)).database.delete(sorted, [2n ** 60n, 1n])
    expect(lines(server)).toEqual(['DELETE /b/s/t?rows'])
    const batch = decodeOneBatch(server.seen[2]?.body ?? new Uint8Array(0))
    expect(String(batch.schema.fields[0])).toContain('Decimal')
    expect(valuesOf(batch)).toEqual([[1n, 2n ** 60n]])
  })
})

const chunk = (stream: number, nextRowId: bigint, start: readonly bigint[]) =>
  Buffer.concat(encodeChunk({ stream, nextRowId, batch: batchOf(fields, [start.map(() => 'x'), start]) }))
const done = encodeCompleted()
const answer = (...parts: readonly Uint8Array[]) => new Uint8Array(Buffer.concat([...parts, done]))

const starts = async (batches: AsyncIterable<RecordBatch>): Promise<Value[]> => {
  const found: Value[] = []
  for await (const batch of batches) found.push(...(valuesOf(batch)[1] ?? []))
  return found
}

const ONE = { columns: ['id', 'start'], splits: 1, subsplits: 1 } as const
const cursorsOf = (server: ScriptedServer) => server.seen.slice(2).map(({ headers }) => decodeQueryHeaders(headers).cursors)

describe('a query', () => {
  test('sends columns and filter in the body of a GET, and reads until every cursor is finished', async () => {
    const server = await serve(ok(answer(chunk(0, 5n, [1n]), chunk(1, FINISHED, [2n]))), ok(answer(chunk(0, FINISHED, [3n]))))
    const { database } = await connect(server)
    expect(await starts(database.select(table, { ...ONE, subsplits: 2, where: [eq('id', 'x')] }))).toEqual([1n, 2n, 3n])
    expect(cursorsOf(server)).toEqual([
      [0n, 0n],
      [5n, FINISHED],
    ])
    const [, , first] = server.seen
    expect(first).toMatchObject({
      method: 'GET',
      url: '/b/s/t?data',
      headers: { 'tabular-split': '0,1,8', 'tabular-limit-rows': '131072' },
    })
    expect(decodeQueryRequest(first?.body ?? new Uint8Array(0)).projection).toEqual([0, 1])
  })

  test('goes on from the last whole chunk after a lost connection, without a row twice', async () => {
    const half = chunk(0, FINISHED, [2n]).subarray(0, 300)
    const server = await serve(
      breakingOff(new Uint8Array(Buffer.concat([chunk(0, 5n, [1n]), half]))),
      hangUp,
      ok(answer(chunk(0, FINISHED, [2n, 3n]))),
    )
    const { database } = await connect(server)
    expect(await starts(database.select(table, ONE))).toEqual([1n, 2n, 3n])
    expect(cursorsOf(server)).toEqual([[0n], [5n], [5n]])
  })

  test('backs off on SlowDown', async () => {
    const tools = fakeTools()
    const server = await serve(failing(503, 'SlowDown'), ok(answer(chunk(0, FINISHED, [1n]))))
    expect(await starts((await connect(server, { tools })).database.select(table, ONE))).toEqual([1n])
    expect(tools.waits).toEqual([500])
  })

  test('gives up when lost connections do not end', async () => {
    const server = await serve(...Array<Reply>(20).fill(hangUp))
    const { database } = await connect(server, { retry: { maxTries: 3 } })
    await expect(starts(database.select(table, ONE))).rejects.toBeInstanceOf(ConnectionFailed)
    expect(lines(server)).toHaveLength(3)
  })

  test.each<[string, readonly Reply[], new (...args: never[]) => Error]>([
    ['the failed marker', [ok(encodeFailed(13n))], QueryFailed],
    ['answers that make no progress', Array<Reply>(5).fill(ok(answer())), ProtocolError],
    ['a body that ends inside a frame', [ok(chunk(0, FINISHED, [1n]).subarray(0, 300))], ProtocolError],
    ['a cursor that goes back', [ok(answer(chunk(0, 9n, [1n]), chunk(0, 4n, [1n])))], ProtocolError],
    ['an error of the server', [failing(409, 'Conflict')], Conflict],
  ])('fails on %s', async (_, script, expected) => {
    const { database } = await connect(await serve(...script))
    await expect(starts(database.select(table, ONE))).rejects.toBeInstanceOf(expected)
  })

  test('reads each split once, whatever the number of readers', async () => {
    const bySplit: Reply = (response, seen) => {
      const { split } = decodeQueryHeaders(seen.headers)
      ok(answer(chunk(0, FINISHED, [BigInt(split.index)])))(response, seen)
    }
    const server = await serve(...Array<Reply>(7).fill(bySplit))
    const found = await starts((await connect(server)).database.select(table, { ...ONE, splits: 7, concurrency: 3 }))
    expect(found.map(Number).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6])
    expect(lines(server)).toHaveLength(7)
  })

  test('spreads its splits over the endpoints', async () => {
    const bySplit: Reply = (response, seen) =>
      ok(answer(chunk(0, FINISHED, [BigInt(decodeQueryHeaders(seen.headers).split.index)])))(response, seen)
    const servers = [await serve(...Array<Reply>(6).fill(bySplit)), await startScriptedServer(Array<Reply>(6).fill(bySplit))]
    open.push(...servers)
    for (const server of servers) server.script.splice(0, 2, ok(), ok())
    const client = await connect(servers.map(({ url }) => url))
    for (const server of servers) server.script.splice(0, server.script.length, ...Array<Reply>(6).fill(bySplit))
    await starts(client.database.select(table, { ...ONE, splits: 6 }))
    expect(servers.map(({ seen }) => seen.filter(({ url }) => url === '/b/s/t?data').length)).toEqual([3, 3])
  })

  test('with a limit asks for no more, cuts the last batch and stops', async () => {
    const server = await serve(ok(answer(chunk(0, 9n, [1n, 2n, 3n, 4n]))))
    expect(await starts((await connect(server)).database.select(table, { ...ONE, limit: 3 }))).toEqual([1n, 2n, 3n])
    expect(server.seen[2]?.headers['tabular-limit-rows']).toBe('3')
    expect(lines(server)).toHaveLength(1)
  })

  test('that can match nothing makes no request', async () => {
    const server = await serve()
    const { database } = await connect(server)
    expect(await starts(database.select(table, { ...ONE, where: [oneOf('id', [])] }))).toEqual([])
    expect(await starts(database.select(table, { ...ONE, limit: 0 }))).toEqual([])
    expect(lines(server)).toEqual([])
  })

  test('takes its number of splits from the statistics', async () => {
    const server = await serve(
      ok(encodeTableStats({ ...emptyStats, numRows: 9_000_000n })),
      ...Array<Reply>(2).fill(ok(answer(chunk(0, FINISHED, [])))),
    )
    await starts((await connect(server)).database.select(table, { columns: ['id', 'start'], subsplits: 1 }))
    expect(server.seen.slice(3).map(({ headers }) => headers['tabular-split'])).toEqual(['0,2,8', '1,2,8'])
  })

  test('gives row ids of the kind that the table has', async () => {
    const reply = (kind: 'plain' | 'wide', id: bigint) =>
      ok(answer(Buffer.concat(encodeChunk({ stream: 0, nextRowId: FINISHED, batch: batchOf([rowIdField(kind)], [[id]]) }))))
    const { database } = await connect(await serve(reply('plain', 5n), reply('wide', 2n ** 100n)))
    for (const [one, id] of [
      [table, 5n],
      [sorted, 2n ** 100n],
    ] as const)
      for await (const batch of database.select(one, { ...ONE, columns: [ROW_ID] })) expect(valuesOf(batch)).toEqual([[id]])
  })

  test('that is left early ends its request', async () => {
    let ended: () => void = () => undefined
    const closed = new Promise<void>((resolve) => {
      ended = resolve
    })
    const endless: Reply = (response) => {
      response.on('close', () => ended())
      response.writeHead(200)
      response.write(chunk(0, 5n, [1n]))
    }
    const { database } = await connect(await serve(endless))
    for await (const _ of database.select(table, ONE)) break
    await expect(closed).resolves.toBeUndefined()
  })

  test('larger than the server takes is refused before a request', async () => {
    const server = await serve()
    const values = Array.from({ length: 60_000 }, (_, i) => BigInt(i))
    await expect(
      starts((await connect(server)).database.select(table, { ...ONE, where: [oneOf('start', values)] })),
    ).rejects.toBeInstanceOf(TooLargeRequest)
    expect(lines(server)).toEqual([])
  })

  test.each<[string, object]>([
    ['an unknown column', { columns: ['none'] }],
    ['no sub-split', { subsplits: 0 }],
    ['65 sub-splits', { subsplits: 65 }],
    ['a negative priority', { priority: -1 }],
    ['a value of the wrong type', { where: [eq('start', 'x')] }],
  ])('with %s is an invalid argument', async (_, change) => {
    const { database } = await connect(await serve())
    await expect(starts(database.select(table, { ...ONE, ...change }))).rejects.toBeInstanceOf(InvalidArgument)
  })
})
