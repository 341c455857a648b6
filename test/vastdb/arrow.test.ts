import { describe, expect, test } from 'bun:test'
import {
  Table as ArrowTable,
  DateMillisecond,
  Dictionary,
  Field,
  Int32,
  LargeUtf8,
  Null,
  Schema,
  tableToIPC,
  Utf8,
  vectorFromArray,
} from 'apache-arrow'
import { sliceBatch } from '../../src/vastdb/slices.ts'
import { batchOf, batchOfData, dataOf } from '../../src/vastdb/wire/build.ts'
import { concatData } from '../../src/vastdb/wire/combine.ts'
import { decodeOneBatch, decodeSchema, decodeStream, encodeSchemaMessage, encodeStream } from '../../src/vastdb/wire/ipc.ts'
import { joinLeaves, splitLeaves } from '../../src/vastdb/wire/leaf-columns.ts'
import { leafCount } from '../../src/vastdb/wire/leaves.ts'
import { columnValues } from '../../src/vastdb/wire/values.ts'
import { UnsupportedTypeError, WireError } from '../../src/vastdb/wire/wire-error.ts'
import { everyType } from './support/types.ts'

const named = everyType.map(([field, values]) => [field.name, field, values] as const)

const roundTrip = (field: Field, values: (typeof named)[number][2], zstd = false) => {
  const batch = decodeOneBatch(encodeStream(batchOf([field], [values]), { zstd }))
  expect(String(batch.schema.fields[0]?.type)).toBe(String(field.type))
  return columnValues(batch.data.children[0] ?? dataOf(field.type, []))
}

describe('a column of every type', () => {
  test.each(named)('%s keeps its exact values through Arrow data', (_, field, values) => {
    expect(columnValues(dataOf(field.type, values))).toEqual([...values])
  })

  test.each(named)('%s keeps them through an IPC stream', (_, field, values) => {
    expect(roundTrip(field, values)).toEqual([...values])
  })

  test.each(named)('%s keeps them through a zstd stream', (_, field, values) => {
    const many = Array.from({ length: 40 }, () => values).flat(1)
    expect(roundTrip(field, many, true)).toEqual(many)
  })

  test.each(named)('%s is written from the middle as from the start', (_, field, values) => {
    const middle = sliceBatch(batchOf([field], [values]), 1, 4)
    const again = decodeOneBatch(encodeStream(middle))
    expect(again.data.children.map((column) => columnValues(column))).toEqual([values.slice(1, 4)])
  })

  test.each(named)('%s is put together from slices', (_, field, values) => {
    const whole = dataOf(field.type, values)
    const parts = [whole.slice(0, 2), whole.slice(2, 1), whole.slice(3, 2)]
    expect(columnValues(concatData(field.type, parts))).toEqual([...values])
  })

  test.each(named)('%s is taken apart into its leaves and put together again', (_, field, values) => {
    const leaves = splitLeaves(dataOf(field.type, values))
    expect(leaves).toHaveLength(leafCount(field.type))
    expect(columnValues(joinLeaves(field, leaves))).toEqual([...values])
  })

  test.each(named)('%s without rows is a column too', (_, field) => {
    expect(roundTrip(field, [])).toEqual([])
  })
})

describe('streams', () => {
  test('of Apache Arrow are read', () => {
    const table = new ArrowTable({ a: vectorFromArray([1, null, 3], new Int32()), b: vectorFromArray(['x', 'y', null], new Utf8()) })
    const batch = decodeOneBatch(tableToIPC(table, 'stream'))
    expect(batch.data.children.map((column) => columnValues(column))).toEqual([
      [1, null, 3],
      ['x', 'y', null],
    ])
  })

  test('written here are read by Apache Arrow', async () => {
    const { tableFromIPC } = await import('apache-arrow')
    const table = tableFromIPC(
      encodeStream(
        batchOf(
          [new Field('a', new Int32(), true), new Field('b', new Utf8(), true)],
          [
            [1, null],
            ['x', null],
          ],
        ),
      ),
    )
    expect(table.toArray().map((row) => ({ ...row }))).toEqual([
      { a: 1, b: 'x' },
      { a: null, b: null },
    ])
  })

  test('of no columns still count their rows', () => {
    expect(decodeOneBatch(encodeStream(batchOfData([], [], 7))).numRows).toBe(7)
  })

  test('keep the metadata of schema and fields', () => {
    const field = new Field('id', new Utf8(), false, new Map([['k', 'v']]))
    const schema = decodeSchema(encodeSchemaMessage(new Schema([field], new Map([['s', 't']]))))
    expect([...schema.metadata]).toEqual([['s', 't']])
    expect([...(schema.fields[0]?.metadata ?? [])]).toEqual([['k', 'v']])
    expect(schema.fields[0]?.nullable).toBe(false)
  })

  test('with two batches are refused where one is expected', () => {
    const batch = batchOf([new Field('a', new Int32(), true)], [[1]])
    const bytes = encodeStream(batch)
    const twice = Buffer.concat([
      bytes.subarray(0, bytes.length - 8),
      encodeStream(batch).subarray(encodeSchemaMessage(batch.schema).length),
    ])
    expect(decodeStream(new Uint8Array(twice)).batches).toHaveLength(2)
    expect(() => decodeOneBatch(new Uint8Array(twice))).toThrow('expected one batch, found 2')
  })

  test.each([
    ['null', new Null()],
    ['dictionary', new Dictionary(new Utf8(), new Int32())],
    ['large utf8', new LargeUtf8()],
    ['date64', new DateMillisecond()],
  ])('with a column of type %s are refused by name', (_, type) => {
    const bytes = tableToIPC(new ArrowTable({ odd: vectorFromArray([null], type) }), 'stream')
    expect(() => decodeSchema(bytes)).toThrow(UnsupportedTypeError)
    expect(() => decodeSchema(bytes)).toThrow('"odd"')
  })

  test('cut short are an error with the byte', () => {
    const bytes = encodeStream(batchOf([new Field('a', new Int32(), true)], [[1, 2, 3]]))
    const error = (() => {
      try {
        return decodeStream(bytes.subarray(0, bytes.length - 12))
      } catch (caught) {
        return caught
      }
    })()
    expect(error).toBeInstanceOf(WireError)
    expect(error).toMatchObject({ offset: expect.any(Number) })
  })
})

describe('values that do not fit', () => {
  test('a number out of range is refused', () => {
    expect(() => dataOf(new Int32(), [2 ** 31])).toThrow(RangeError)
  })
  test('a value of another kind is refused', () => {
    expect(() => dataOf(new Utf8(), [1])).toThrow(TypeError)
    expect(() => dataOf(new Int32(), ['1'])).toThrow(TypeError)
  })
})
