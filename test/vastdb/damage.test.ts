// Bytes that are cut short or have flipped bits: every reader gives values or an error that names the byte; client and emulator go on.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type Table, VastClient, VastError } from '../../src/vastdb/index.ts'
import { decodeBlobExpansion, encodeBlobExpansion } from '../../src/vastdb/wire/blob-expansion.ts'
import { batchOf } from '../../src/vastdb/wire/build.ts'
import * as control from '../../src/vastdb/wire/control.ts'
import { decodeOneBatch, decodeSchema, encodeSchemaStream, encodeStream } from '../../src/vastdb/wire/ipc.ts'
import { decodeList, encodeList, type ListKind } from '../../src/vastdb/wire/listing.ts'
import { eq, oneOf } from '../../src/vastdb/wire/predicate.ts'
import { decodeQueryRequest, encodeQueryRequest, queryRequest } from '../../src/vastdb/wire/query-request.ts'
import {
  decodeProjectionStats,
  decodeTableStats,
  emptyStats,
  encodeProjectionStats,
  encodeTableStats,
} from '../../src/vastdb/wire/stats.ts'
import { columnValues } from '../../src/vastdb/wire/values.ts'
import { WireError } from '../../src/vastdb/wire/wire-error.ts'
import { type Emulator, startEmulator } from '../emulators/vast/index.ts'
import { type DamagingProxy, startDamagingProxy } from './support/damaging-proxy.ts'
import { fakeTools } from './support/scripted-server.ts'
import { everyType } from './support/types.ts'

const FIELDS = everyType.map(([field]) => field)
const BATCH = batchOf(
  FIELDS,
  everyType.map(([, values]) => values),
)

interface Damage {
  /** Positions as parts of the whole, so that they fit a body of any size. */
  readonly bits: readonly number[]
  readonly keep: number
}

const damages: fc.Arbitrary<Damage> = fc.record({
  bits: fc.array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), { maxLength: 4 }),
  keep: fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
})

const damaged = (bytes: Uint8Array, { bits, keep }: Damage): Uint8Array => {
  const copy = bytes.slice(0, Math.ceil(bytes.length * keep))
  for (const part of bits) {
    const bit = Math.floor(part * copy.length * 8)
    copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  }
  return copy
}

const entry = { name: 'n', properties: '{}', handle: '7', numRows: 3n, sizeInBytes: 9n }
const parents: Readonly<Record<ListKind, readonly string[]>> = {
  schemas: ['b'],
  tables: ['b', 's'],
  views: ['b', 's'],
  projections: ['b', 's', 't'],
}

describe('a damaged message is read, or an error that names the byte:', () => {
  const filters = [eq('int64', 5n), oneOf('utf8', ['a', 'b', 'ü'])]
  const readers: readonly (readonly [string, Uint8Array, (bytes: Uint8Array) => unknown])[] = [
    ...(['schemas', 'tables', 'views', 'projections'] as const).map(
      (kind) =>
        [
          `listing of ${kind}`,
          encodeList(kind, { parents: parents[kind], entries: [entry, entry] }),
          (b: Uint8Array) => decodeList(kind, b),
        ] as const,
    ),
    ['statistics of a table', encodeTableStats({ ...emptyStats, numRows: 5n, vips: [{ start: '10.0.0.1', count: 16 }] }), decodeTableStats],
    [
      'statistics of a projection',
      encodeProjectionStats({ numRows: 1n, sizeInBytes: 2n, dirtyBlocksPercentage: 3n, initialSyncProgress: 4n }),
      decodeProjectionStats,
    ],
    ['properties', control.encodeProperties('{"a":1}'), control.decodeProperties],
    ['change of a column', control.encodeAlterColumn({ properties: '{}' }), control.decodeAlterColumn],
    ['new projection', control.encodeCreateProjection([{ name: 'a', sorted: true }]), control.decodeCreateProjection],
    ['change of a projection', control.encodeAlterProjection({ newName: 'b' }), control.decodeAlterProjection],
    [
      'blob expansion',
      encodeBlobExpansion({
        sourceColumn: 'c',
        targetTable: '/b/s/t',
        format: 'json',
        arrowSchema: Uint8Array.of(1, 2),
        copySourceColumn: false,
        missingValuesOutput: true,
        excessiveValuesOutput: true,
      }),
      decodeBlobExpansion,
    ],
    ['schema of columns', encodeSchemaStream(BATCH.schema), decodeSchema],
    ['batch of rows', encodeStream(BATCH), (bytes) => decodeOneBatch(bytes).data.children.map((column) => columnValues(column))],
    [
      'batch of rows, zstd',
      encodeStream(BATCH, { zstd: true }),
      (bytes) => decodeOneBatch(bytes).data.children.map((column) => columnValues(column)),
    ],
    ['query', encodeQueryRequest(queryRequest(FIELDS, ['int64', 'list'], filters)), decodeQueryRequest],
  ]

  test.each(readers)('%s', (_, bytes, read) => {
    fc.assert(
      fc.property(damages, (damage) => {
        try {
          read(damaged(bytes, damage))
        } catch (error) {
          expect(error).toBeInstanceOf(WireError)
          if (error instanceof WireError) expect(Number.isSafeInteger(error.offset)).toBe(true)
        }
      }),
      { numRuns: 400 },
    )
  })
})

describe('over the wire', () => {
  const bugs: unknown[] = []
  let emulator: Emulator
  let proxy: DamagingProxy
  let client: VastClient
  let table: Table

  beforeAll(async () => {
    emulator = await startEmulator({ buckets: ['b'], credentials: null, chunkRows: 2, onBug: (error) => bugs.push(error) })
    proxy = await startDamagingProxy(emulator.url)
    client = await VastClient.connect({ endpoints: [proxy.url], accessKey: 'a', secretKey: 's', bucket: 'b', tools: fakeTools() })
    await client.database.createSchema('s')
    table = await client.database.createTable({ schema: 's', table: 't' }, FIELDS)
    await client.database.insert(table, BATCH)
    await client.database.createProjection(table, 'p', { sorted: ['int64'], unsorted: ['utf8'] })
  })
  afterAll(async () => {
    client.close()
    await proxy.close()
    await emulator.close()
  })

  const query = { columns: FIELDS.map(({ name }) => name), splits: 1, subsplits: 2 }
  const reads: Readonly<Record<string, () => Promise<unknown>>> = {
    'a look-up of a table': () => client.database.table(table),
    'a listing of schemas': () => client.database.listSchemas(),
    'a listing of tables': () => client.database.listTables('s', { stats: true }),
    'a listing of projections': () => client.database.listProjections(table),
    'statistics of a table': () => client.database.stats(table),
    'statistics of a projection': () => client.database.projectionStats(table, 'p'),
    'columns of a projection': () => client.database.projectionColumns(table, 'p'),
    'a query': () => Array.fromAsync(client.database.select(table, query)),
    'a filtered query': () => Array.fromAsync(client.database.select(table, { ...query, where: [eq('int16', 1), oneOf('utf8', ['a'])] })),
  }

  test.each(Object.entries(reads))('damaged answers to %s are values or errors of the library', async (_, read) => {
    await fc.assert(
      fc.asyncProperty(damages, async (damage) => {
        proxy.answer = (body) => damaged(body, damage)
        try {
          await read()
        } catch (error) {
          expect(error).toBeInstanceOf(VastError)
        } finally {
          proxy.answer = undefined
        }
      }),
      { numRuns: 40 },
    )
    await read()
  })

  const writes: Readonly<Record<string, (name: string) => Promise<unknown>>> = {
    'a new schema': (name) => client.database.createSchema(name, '{"a":1}'),
    'a new table': (name) => client.database.createTable({ schema: 's', table: name }, FIELDS),
    'a new projection': (name) => client.database.createProjection(table, name, { sorted: ['int32'], unsorted: ['utf8'] }),
    'an insert': () => client.database.insert(table, BATCH),
    'a filtered query': reads['a filtered query'] ?? (() => Promise.reject(new Error('no such read'))),
  }

  test.each(Object.entries(writes))('damaged requests for %s are carried out or refused', async (what, write) => {
    let turn = 0
    await fc.assert(
      fc.asyncProperty(damages, async (damage) => {
        proxy.request = (body) => damaged(body, damage)
        turn += 1
        try {
          await write(`n${turn}`)
        } catch (error) {
          expect(error).toBeInstanceOf(VastError)
          if (error instanceof VastError) expect(error.status ?? 0).toBeLessThan(500)
        } finally {
          proxy.request = undefined
        }
      }),
      { numRuns: 60 },
    )
    expect({ what, bugs }).toEqual({ what, bugs: [] })
  })
})
