// Arrow data → a RecordBatch message. Slices are written from their own first value, so any part of a batch can go out without a copy first.
import { zstdCompressSync } from 'node:zlib'
import { type Data, DataType, type RecordBatch, type Schema } from 'apache-arrow'
import { writeSchema } from './arrow-schema.ts'
import { flatBuffer, writePairs, writeTable } from './flat-writer.ts'
import { fixedWidth } from './ipc-batch.ts'
import { PREFIX } from './ipc-message.ts'

const VERSION_V5 = 4
const SCHEMA = 1
const RECORD_BATCH = 3
const padded = (length: number) => (length + 7) & ~7

export interface EncodeOptions {
  /** Compresses each buffer with zstd, unless that makes it larger. */
  readonly zstd?: boolean
}

interface Body {
  readonly nodes: (readonly [bigint, bigint])[]
  readonly buffers: Uint8Array[]
}

/** Bits `offset` … `offset + length` moved to the start of a new bitmap. */
export const sliceBits = (bits: Uint8Array, offset: number, length: number): Uint8Array => {
  const size = (length + 7) >> 3
  const result = new Uint8Array(size)
  const shift = offset & 7
  const start = offset >> 3
  for (let i = 0; i < size; i++) {
    const low = bits[start + i] ?? 0
    result[i] = shift === 0 ? low : (low >> shift) | ((bits[start + i + 1] ?? 0) << (8 - shift))
  }
  const extra = length & 7
  if (extra !== 0) result[size - 1] = (result[size - 1] ?? 0) & ((1 << extra) - 1)
  return result
}

const bytesOf = (values: ArrayBufferView): Uint8Array => new Uint8Array(values.buffer, values.byteOffset, values.byteLength)

const addData = (body: Body, data: Data): void => {
  const { type, length } = data
  const nulls = data.nullCount
  body.nodes.push([BigInt(length), BigInt(nulls)])
  body.buffers.push(nulls > 0 && data.nullBitmap ? sliceBits(data.nullBitmap, data.offset, length) : new Uint8Array(0))
  if (DataType.isBool(type)) {
    body.buffers.push(sliceBits(data.values, data.offset, length))
  } else if (DataType.isUtf8(type) || DataType.isBinary(type) || DataType.isList(type) || DataType.isMap(type)) {
    const offsets: Int32Array = data.valueOffsets
    const first = offsets[0] ?? 0
    const last = offsets[length] ?? first
    const rebased = first === 0 ? offsets.subarray(0, length + 1) : offsets.subarray(0, length + 1).map((offset) => offset - first)
    body.buffers.push(bytesOf(rebased))
    const [child] = data.children
    if (child === undefined) body.buffers.push(data.values.subarray(first, last))
    else addData(body, child.slice(first, last - first))
  } else if (DataType.isStruct(type)) {
    for (const child of data.children) addData(body, child.length === length ? child : child.slice(0, length))
  } else if (DataType.isFixedSizeList(type)) {
    for (const child of data.children) addData(body, child.slice(0, length * type.listSize))
  } else {
    body.buffers.push(bytesOf(data.values).subarray(0, length * fixedWidth(type)))
  }
}

const compressed = (buffer: Uint8Array): Uint8Array => {
  if (buffer.length === 0) return buffer
  const packed = zstdCompressSync(buffer)
  const smaller = packed.length < buffer.length
  const content = smaller ? packed : buffer
  const result = new Uint8Array(8 + content.length)
  new DataView(result.buffer).setBigInt64(0, smaller ? BigInt(buffer.length) : -1n, true)
  result.set(content, 8)
  return result
}

const encapsulate = (metadata: Uint8Array, body: readonly Uint8Array[]): Uint8Array => {
  const metadataSize = padded(metadata.length)
  const size = body.reduce((sum, buffer) => sum + padded(buffer.length), PREFIX + metadataSize)
  const result = new Uint8Array(size)
  const view = new DataView(result.buffer)
  view.setUint32(0, 0xffffffff, true)
  view.setInt32(4, metadataSize, true)
  result.set(metadata, PREFIX)
  let at = PREFIX + metadataSize
  for (const buffer of body) {
    result.set(buffer, at)
    at += padded(buffer.length)
  }
  return result
}

const schemaMessages = new WeakMap<Schema, Uint8Array>()

/** A schema as one encapsulated message, without end-of-stream: the body of "create table" and "add columns". Not to be changed: it is given out again. */
export const encodeSchemaMessage = (schema: Schema): Uint8Array =>
  schemaMessages.getOrInsertComputed(schema, () => newSchemaMessage(schema))

const newSchemaMessage = (schema: Schema): Uint8Array =>
  encapsulate(
    flatBuffer((builder) => {
      const header = writeSchema(builder, schema, 'ipc')
      return writeTable(builder, 5, () => {
        builder.addFieldInt16(0, VERSION_V5, 0)
        builder.addFieldInt8(1, SCHEMA, 0)
        builder.addFieldOffset(2, header, 0)
      })
    }),
    [],
  )

/** A record batch as one encapsulated message. */
export const encodeBatchMessage = (batch: RecordBatch, options: EncodeOptions = {}): Uint8Array =>
  encodeColumnsMessage(batch.data.children, batch.numRows, options)

/** The same of its columns. */
export const encodeColumnsMessage = (columns: readonly Data[], rows: number, options: EncodeOptions = {}): Uint8Array => {
  const content: Body = { nodes: [], buffers: [] }
  for (const column of columns) addData(content, column)
  const buffers = options.zstd ? content.buffers.map(compressed) : content.buffers
  let bodyLength = 0
  const regions = buffers.map((buffer) => {
    const region = [BigInt(bodyLength), BigInt(buffer.length)] as const
    bodyLength += padded(buffer.length)
    return region
  })
  const metadata = flatBuffer((builder) => {
    const compression = options.zstd ? writeTable(builder, 2, () => builder.addFieldInt8(0, 1, 0)) : 0
    const regionsAt = writePairs(builder, regions)
    const nodesAt = writePairs(builder, content.nodes)
    const header = writeTable(builder, 5, () => {
      builder.addFieldInt64(0, BigInt(rows), 0n)
      builder.addFieldOffset(1, nodesAt, 0)
      builder.addFieldOffset(2, regionsAt, 0)
      builder.addFieldOffset(3, compression, 0)
    })
    return writeTable(builder, 5, () => {
      builder.addFieldInt16(0, VERSION_V5, 0)
      builder.addFieldInt8(1, RECORD_BATCH, 0)
      builder.addFieldOffset(2, header, 0)
      builder.addFieldInt64(3, BigInt(bodyLength), 0n)
    })
  })
  return encapsulate(metadata, buffers)
}

/** The end-of-stream message. */
export const encodeEnd = (): Uint8Array => Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0)
