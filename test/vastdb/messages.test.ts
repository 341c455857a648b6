import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { parseAuthorization, signedHost } from '../../src/vastdb/sign.ts'
import { hasFeature, parseServer, requireFeature } from '../../src/vastdb/version.ts'
import { decodeBlobExpansion, encodeBlobExpansion } from '../../src/vastdb/wire/blob-expansion.ts'
import { decodeCreateProjection, decodeImport, encodeImport } from '../../src/vastdb/wire/control.ts'
import { decodeStream } from '../../src/vastdb/wire/ipc.ts'
import { decodeList, encodeList, type ListKind, type ObjectDetails } from '../../src/vastdb/wire/listing.ts'
import { decodePageAnswer, decodePageRequest, encodePageAnswer, encodePageRequest } from '../../src/vastdb/wire/paging.ts'
import { decodeQueryHeaders, encodeQueryHeaders, FINISHED } from '../../src/vastdb/wire/query-headers.ts'
import { decodeQueryRequest } from '../../src/vastdb/wire/query-request.ts'
import { decodeProjectionStats, decodeTableStats, encodeProjectionStats, encodeTableStats } from '../../src/vastdb/wire/stats.ts'
import { decodeTarget, encodeTarget, type Target } from '../../src/vastdb/wire/target.ts'
import { WireError } from '../../src/vastdb/wire/wire-error.ts'
import { decodeBuckets, decodeError, decodeSnapshots, encodeBuckets, encodeError, encodeSnapshots } from '../../src/vastdb/wire/xml.ts'
import { type VectorName, vector } from './vectors.ts'

describe('damaged messages', () => {
  const readers: [VectorName, (bytes: Uint8Array) => unknown][] = [
    ['Q3', decodeQueryRequest],
    ['Q4', decodeQueryRequest],
    ['R1', (bytes) => decodeList('tables', bytes)],
    ['R2', decodeTableStats],
    ['C5', decodeCreateProjection],
    ['C7', decodeImport],
    ['A2', decodeStream],
    ['A6', decodeStream],
  ]

  test.each(readers)('%s with flipped bits or cut short is read, or an error with its byte', (name, read) => {
    const bytes = vector(name)
    const damage = fc.record({
      bits: fc.array(fc.nat({ max: bytes.length * 8 - 1 }), { maxLength: 3 }),
      length: fc.nat({ max: bytes.length }),
    })
    fc.assert(
      fc.property(damage, ({ bits, length }) => {
        const damaged = bytes.slice()
        for (const bit of bits) damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        for (const candidate of [damaged, damaged.subarray(0, length)])
          try {
            read(candidate)
          } catch (error) {
            expect(error).toBeInstanceOf(WireError)
          }
      }),
      { numRuns: 400 },
    )
  })
})

const entry: ObjectDetails = {
  name: 'n',
  properties: '{}',
  handle: '7',
  numRows: 2n ** 63n,
  sizeInBytes: 2n,
  numPartitions: 3n,
  sortingKeyEnabled: true,
  sortingScore: 2n ** 63n + 5n,
  writeAmplification: 4n,
  insertedRows: 5n,
  partitioningKeyEnabled: true,
}

describe('answers read as they were written:', () => {
  test.each<[ListKind, string[]]>([
    ['schemas', ['b']],
    ['tables', ['b', 's/t']],
    ['views', ['b', 's']],
    ['projections', ['b', 's', 't']],
  ])('a listing of %s', (kind, parents) => {
    expect(decodeList(kind, encodeList(kind, { parents, entries: [entry, entry] }))).toEqual({ parents, entries: [entry, entry] })
  })

  test('table statistics with addresses and a vector index', () => {
    const stats = {
      numRows: 1n,
      sizeInBytes: 2n,
      externalRowIds: true,
      vips: [{ start: '10.0.0.1', count: 16 }],
      sortingKeyEnabled: true,
      sortingScore: 2n ** 63n,
      writeAmplification: 3n,
      insertedRows: 4n,
      vectorIndex: {
        column: 'v',
        distanceMetric: 'l2sq',
        sqlFunction: 'array_distance',
        clusterQuantization: 'none',
        searchQuantization: 'scalar_8bit',
      },
      partitioningKeyEnabled: true,
      numPartitions: 5n,
    }
    expect(decodeTableStats(encodeTableStats(stats))).toEqual(stats)
  })

  test('projection statistics', () => {
    const stats = { numRows: 1n, sizeInBytes: 2n, dirtyBlocksPercentage: 3n, initialSyncProgress: 100n }
    expect(decodeProjectionStats(encodeProjectionStats(stats))).toEqual(stats)
  })

  test('an import request with key columns', () => {
    const request = { files: [{ bucket: 'b', key: 'k', partitions: Uint8Array.of(1, 2) }], keyNames: ['a', 'b'] }
    expect(decodeImport(encodeImport(request))).toEqual(request)
  })

  test('a blob expansion', () => {
    const answer = {
      sourceColumn: 'c',
      targetTable: '/b/s/t',
      format: 'json',
      arrowSchema: Uint8Array.of(1, 2, 3),
      copySourceColumn: false,
      missingValuesOutput: true,
      excessiveValuesOutput: true,
    }
    expect(decodeBlobExpansion(encodeBlobExpansion(answer))).toEqual(answer)
  })

  test('XML of errors, buckets and snapshots', () => {
    const error = { code: 'C', message: 'a < b & "c"', resource: '/b', requestId: '1' }
    expect(decodeError(encodeError(error))).toEqual(error)
    expect(decodeError('<Error><Code>X</Code></Error>')).toMatchObject({ code: 'X', message: undefined })
    expect(decodeBuckets(encodeBuckets(['a&b', 'c']))).toEqual(['a&b', 'c'])
    const page = { names: ['one', 'two'], truncated: true, marker: 'two' }
    expect(decodeSnapshots(encodeSnapshots(page))).toEqual(page)
  })
})

describe('headers', () => {
  test('of a query read as they were written', () => {
    const query = {
      split: { index: 1, total: 4, rowGroups: 8 },
      subsplits: 2,
      cursors: [12n, FINISHED],
      sortedProjections: true,
      limitRows: 65_536,
      priority: 3,
      zstdSavings: 30,
    }
    expect(decodeQueryHeaders(encodeQueryHeaders(query))).toEqual(query)
  })

  test('of a query may leave finished sub-splits out', () => {
    const headers = { 'tabular-split': '0,1,8', 'tabular-num-of-subsplits': '3', 'tabular-start-row-id-1': '1,7' }
    expect(decodeQueryHeaders(headers).cursors).toEqual([FINISHED, 7n, FINISHED])
  })

  test.each([
    [{ 'tabular-split': '0,1' }],
    [{ 'tabular-split': '0,1,x' }],
    [{ 'tabular-split': '0,1,8', 'tabular-num-of-subsplits': '65' }],
    [{ 'tabular-split': '0,1,8', 'tabular-num-of-subsplits': '1', 'tabular-start-row-id-0': '-1,0' }],
  ])('of a query that make no sense are refused: %j', (headers) => {
    expect(() => decodeQueryHeaders(headers)).toThrow(WireError)
  })

  test('of a page read as they were written', () => {
    const request = { maxKeys: 10, nextKey: 2n ** 64n - 1n, exact: 'n', prefix: undefined, countOnly: true, stats: false }
    expect(decodePageRequest(encodePageRequest(request))).toEqual(request)
    const answer = { nextKey: 5n, truncated: true, count: 7 }
    expect(decodePageAnswer(encodePageAnswer(answer))).toEqual(answer)
    expect(() => decodePageAnswer({ 'tabular-is-truncated': 'false' })).toThrow('tabular-next-key')
  })
})

describe('request targets', () => {
  test.each<[string, Target, string]>([
    ['GET', { command: 'transaction' }, '/?transaction'],
    ['HEAD', { bucket: 'b' }, '/b'],
    ['POST', { bucket: 'b', schema: 's', command: 'schema' }, '/b/s?schema'],
    ['GET', { bucket: 'b', schema: 's/u', command: 'table' }, '/b/s/u?table'],
    ['POST', { bucket: 'b', schema: 's/u', table: 't', command: 'table' }, '/b/s/u/t?table'],
    [
      'PUT',
      { bucket: 'b', schema: 's', table: 't', command: 'table', params: { 'tabular-new-table-name': 's/t 2' } },
      '/b/s/t?table&tabular-new-table-name=s%2Ft+2',
    ],
    ['GET', { bucket: 'b/.snapshot/x', schema: 's', table: 't', command: 'data' }, '/b/.snapshot/x/s/t?data'],
    ['GET', { bucket: 'b', params: { prefix: '.snapshot/', delimiter: '/' } }, '/b?delimiter=%2F&prefix=.snapshot%2F'],
  ])('%s %o is %s', (method, target, expected) => {
    const { path, query } = encodeTarget(target)
    const text = query === '' ? path : `${path}?${query}`
    expect(text).toBe(expected)
    const decoded = decodeTarget(method, text)
    expect(JSON.parse(JSON.stringify(decoded))).toEqual(JSON.parse(JSON.stringify({ params: {}, ...target })))
  })

  test('with damaged percent signs are an error', () => {
    expect(() => decodeTarget('GET', '/b/%zz?schema')).toThrow(WireError)
  })
})

describe('signing', () => {
  test('leaves out the ports 80 and 443', () => {
    expect(['', '80', '443', '9090'].map((port) => signedHost('h', port))).toEqual(['h', 'h', 'h', 'h:9090'])
  })

  test('can be read back by a server', () => {
    const value = `AWS4-HMAC-SHA256 Credential=AK/20260102//s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=${'a'.repeat(64)}`
    expect(parseAuthorization(value)).toEqual({
      accessKey: 'AK',
      day: '20260102',
      region: '',
      signedHeaders: ['host', 'x-amz-date'],
      signature: 'a'.repeat(64),
    })
    expect(parseAuthorization('Bearer x')).toBeUndefined()
  })
})

describe('versions', () => {
  test('need four numbers after vast', () => {
    expect(parseServer('vast 5.4.0.20')).toEqual([5, 4, 0, 20])
    for (const header of [undefined, 'vast', 'vast 5.4.0', 'vast 5.4.0.20-sp1', 'nginx']) expect(() => parseServer(header)).toThrow()
  })

  test('have the features of all before them', () => {
    expect(hasFeature([5, 3, 0, 0], 'sorted tables')).toBe(true)
    expect(hasFeature([5, 2, 99, 0], 'sorted tables')).toBe(false)
    expect(hasFeature([6, 0, 0, 0], 'vector index')).toBe(true)
    expect(() => requireFeature([5, 0, 0, 1], 'sorted tables')).toThrow('needs server 5.3, this one is 5.0.0.1')
  })
})
