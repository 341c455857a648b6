// A RecordBatch message → Arrow data. Apache Arrow's own reader trusts the metadata; this one checks every length against the body,
// so that damaged bytes end in an error with a position. Columns are views over the body where their alignment allows it.
import { zstdDecompressSync } from 'node:zlib'
import { Data, DataType, RecordBatch, type Schema, Struct } from 'apache-arrow'
import { type ColumnBuffers, columnOf } from './column.ts'
import type { FlatTable } from './flat-reader.ts'
import { WireError } from './wire-error.ts'

const ZSTD = 1
/** More than any buffer of an answer needs; a damaged length must not ask for all memory. */
const MAX_BUFFER = 2 ** 31 - 1

interface Cursor {
  readonly nodes: readonly (readonly [number, number])[]
  readonly buffers: readonly (readonly [number, number])[]
  readonly body: Uint8Array
  readonly bodyOffset: number
  readonly compressed: boolean
  node: number
  buffer: number
}

const decompress = (bytes: Uint8Array, at: number): Uint8Array => {
  if (bytes.length < 8) throw new WireError('compressed buffer', at, `${bytes.length} bytes, expected at least 8`)
  const size = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigInt64(0, true)
  const content = bytes.subarray(8)
  if (size === -1n) return content
  if (size < 0n || size > BigInt(MAX_BUFFER)) throw new WireError('compressed buffer', at, `uncompressed size ${size}`)
  let result: Uint8Array
  try {
    result = zstdDecompressSync(content, { maxOutputLength: Number(size) + 1 })
  } catch (cause) {
    throw new WireError('compressed buffer', at, 'not a zstd frame of the announced size', { cause })
  }
  if (result.length !== Number(size)) throw new WireError('compressed buffer', at, `${result.length} bytes, announced were ${size}`)
  return result
}

const nextBuffer = (cursor: Cursor, what: string): { readonly bytes: Uint8Array; readonly at: number } => {
  const region = cursor.buffers[cursor.buffer]
  if (region === undefined) throw new WireError('RecordBatch', cursor.bodyOffset, `no buffer left for ${what}`)
  cursor.buffer += 1
  const [offset, length] = region
  const at = cursor.bodyOffset + offset
  if (offset < 0 || length < 0 || offset + length > cursor.body.length)
    throw new WireError(
      'RecordBatch',
      cursor.bodyOffset,
      `${what}: buffer ${offset}+${length} lies outside the body of ${cursor.body.length}`,
    )
  const bytes = cursor.body.subarray(offset, offset + length)
  return { bytes: cursor.compressed && bytes.length > 0 ? decompress(bytes, at) : bytes, at }
}

/** `length` bytes of the next buffer, at an address that is a multiple of `align`. */
const take = (cursor: Cursor, length: number, align: number, what: string): Uint8Array => {
  const { bytes, at } = nextBuffer(cursor, what)
  if (bytes.length < length) throw new WireError('RecordBatch', at, `${what}: ${bytes.length} bytes, expected ${length}`)
  const exact = bytes.subarray(0, length)
  return exact.byteOffset % align === 0 ? exact : exact.slice()
}

/** n + 1 ascending offsets, the last at most `limit` when that is known. */
const takeOffsets = (cursor: Cursor, length: number, what: string): Int32Array => {
  const { bytes, at } = nextBuffer(cursor, what)
  if (length === 0 && bytes.length < 4) return new Int32Array(1)
  const size = 4 * (length + 1)
  if (bytes.length < size) throw new WireError('RecordBatch', at, `${what}: ${bytes.length} bytes, expected ${size}`)
  const exact = bytes.subarray(0, size)
  const aligned = exact.byteOffset % 4 === 0 ? exact : exact.slice()
  const offsets = new Int32Array(aligned.buffer, aligned.byteOffset, length + 1)
  let previous = 0
  for (let i = 0; i <= length; i++) {
    const offset = offsets[i] ?? 0
    if (offset < previous) throw new WireError('RecordBatch', at + 4 * i, `${what}: offset ${offset} after ${previous}`)
    previous = offset
  }
  return offsets
}

const bitsSize = (length: number) => (length + 7) >> 3

const readData = (cursor: Cursor, type: DataType, name: string): Data => {
  const node = cursor.nodes[cursor.node]
  if (node === undefined) throw new WireError('RecordBatch', cursor.bodyOffset, `no field node left for ${name}`)
  cursor.node += 1
  const [length, nullCount] = node
  if (length < 0 || length > MAX_BUFFER || nullCount < -1 || nullCount > length)
    throw new WireError('RecordBatch', cursor.bodyOffset, `${name}: ${length} values of which ${nullCount} are null`)
  const validity = nextBuffer(cursor, `validity of ${name}`)
  if (validity.bytes.length > 0 && validity.bytes.length < bitsSize(length))
    throw new WireError('RecordBatch', validity.at, `validity of ${name}: ${validity.bytes.length} bytes for ${length} values`)
  if (validity.bytes.length === 0 && nullCount > 0)
    throw new WireError('RecordBatch', validity.at, `${name}: ${nullCount} nulls without a validity buffer`)
  const nullBitmap = validity.bytes.length > 0 && nullCount !== 0 ? validity.bytes.subarray(0, bitsSize(length)) : undefined
  const nulls = nullBitmap === undefined ? 0 : nullCount
  const make = (buffers: Pick<ColumnBuffers, 'offsets' | 'values'>, children: readonly Data[] = []): Data =>
    columnOf(type, { ...buffers, length, nulls, validity: nullBitmap }, children)

  if (DataType.isBool(type)) return make({ values: take(cursor, bitsSize(length), 1, name) })
  if (DataType.isUtf8(type) || DataType.isBinary(type)) {
    const valueOffsets = takeOffsets(cursor, length, `offsets of ${name}`)
    return make({ offsets: valueOffsets, values: take(cursor, valueOffsets[length] ?? 0, 1, name) })
  }
  if (DataType.isList(type) || DataType.isMap(type)) {
    const valueOffsets = takeOffsets(cursor, length, `offsets of ${name}`)
    const child = readData(cursor, type.children[0]?.type ?? type, `${name}.${type.children[0]?.name ?? ''}`)
    if (child.length < (valueOffsets[length] ?? 0))
      throw new WireError('RecordBatch', cursor.bodyOffset, `${name}: ${child.length} items, offsets go to ${valueOffsets[length]}`)
    return make({ offsets: valueOffsets }, [child])
  }
  if (DataType.isStruct(type) || DataType.isFixedSizeList(type)) {
    const expected = DataType.isStruct(type) ? length : length * type.listSize
    const children = type.children.map((field) => {
      const child = readData(cursor, field.type, `${name}.${field.name}`)
      if (child.length < expected)
        throw new WireError('RecordBatch', cursor.bodyOffset, `${name}.${field.name}: ${child.length} values, expected ${expected}`)
      return child.length === expected ? child : child.slice(0, expected)
    })
    return make({}, children)
  }
  const width = fixedWidth(type)
  const bytes = take(cursor, length * width, Math.min(8, Math.max(1, type.ArrayType.BYTES_PER_ELEMENT)), name)
  return make({ values: new type.ArrayType(bytes.buffer, bytes.byteOffset, bytes.byteLength / type.ArrayType.BYTES_PER_ELEMENT) })
}

/** Bytes of one value in the data buffer of a type of fixed width. */
export const fixedWidth = (type: DataType): number => {
  if (DataType.isFixedSizeBinary(type)) return type.byteWidth
  if (DataType.isDecimal(type)) return 16
  if (DataType.isTimestamp(type)) return 8
  if (DataType.isDate(type)) return 4
  if (DataType.isFloat(type)) return [2, 4, 8][type.precision] ?? 8
  if (DataType.isInt(type) || DataType.isTime(type)) return type.bitWidth / 8
  throw new Error(`${type} has no fixed width`)
}

/** Columns of one length. */
export interface Columns {
  readonly rows: number
  readonly columns: readonly Data[]
}

/** The columns of a record batch over the body of its message. Dictionaries and lz4 are refused; zstd is read. */
export const readColumns = (schema: Schema, header: FlatTable, body: Uint8Array, bodyOffset: number): Columns => {
  const rows = header.i64(0)
  if (rows < 0n || rows > BigInt(MAX_BUFFER)) throw header.error(0, `a batch of ${rows} rows`)
  const compression = header.table(3, 'BodyCompression')
  if (compression !== undefined && compression.i8(0) !== ZSTD)
    throw compression.error(0, `body compression ${compression.i8(0)} is not supported, only zstd`)
  const cursor: Cursor = {
    nodes: header.pairs(1),
    buffers: header.pairs(2),
    body,
    bodyOffset,
    compressed: compression !== undefined,
    node: 0,
    buffer: 0,
  }
  const columns = schema.fields.map((field) => {
    const data = readData(cursor, field.type, field.name)
    if (data.length !== Number(rows)) throw header.error(0, `column ${field.name} has ${data.length} values, the batch ${rows} rows`)
    return data
  })
  if (cursor.node !== cursor.nodes.length) throw header.error(1, `${cursor.nodes.length} field nodes, the schema has ${cursor.node}`)
  return { rows: Number(rows), columns }
}

/** The same as a record batch. */
export const readBatch = (schema: Schema, header: FlatTable, body: Uint8Array, bodyOffset: number): RecordBatch => {
  const { rows, columns } = readColumns(schema, header, body, bodyOffset)
  return new RecordBatch(schema, new Data(new Struct(schema.fields), 0, rows, 0, undefined, [...columns]))
}
