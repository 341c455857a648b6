// Batches that are larger than a request may be, cut by rows. A cell or a row that cannot be cut is refused before anything is sent.
import { type Data, DataType, type RecordBatch } from 'apache-arrow'
import { TooWideRow } from './errors.ts'
import { batchOfData } from './wire/build.ts'
import { encodeStream } from './wire/ipc.ts'
import { fixedWidth } from './wire/ipc-batch.ts'

/** Bytes that one cell may have. */
export const MAX_CELL = 128 * 1024
const MIB5 = 5 * 1024 * 1024

export interface RequestLimits {
  readonly bytes: number
  readonly rows: number
}

/** 0.98 × 5 MiB, and as many rows as the row ids of the answer leave room for. */
export const INSERT_LIMITS = {
  plain: { bytes: 5_138_022, rows: 610_140 },
  wide: { bytes: 5_138_022, rows: 305_070 },
} as const satisfies Record<string, RequestLimits>
export const UPDATE_LIMITS: RequestLimits = { bytes: 0.9 * MIB5, rows: 524_288 }

/** Bytes of the values in cells `from` … `to` of a column. */
const contentBytes = (data: Data, from: number, to: number): number => {
  const { type } = data
  if (DataType.isUtf8(type) || DataType.isBinary(type)) return data.valueOffsets[to] - data.valueOffsets[from]
  if (DataType.isList(type) || DataType.isMap(type))
    return data.children.reduce((sum, child) => sum + contentBytes(child, data.valueOffsets[from], data.valueOffsets[to]), 0)
  if (DataType.isFixedSizeList(type))
    return data.children.reduce((sum, child) => sum + contentBytes(child, from * type.listSize, to * type.listSize), 0)
  if (DataType.isStruct(type)) return data.children.reduce((sum, child) => sum + contentBytes(child, from, to), 0)
  return (to - from) * (DataType.isBool(type) ? 1 / 8 : fixedWidth(type))
}

/** Throws `TooWideRow` for the first cell above 128 KiB. */
export const checkCells = (batch: RecordBatch): void => {
  batch.schema.fields.forEach((field, i) => {
    const column = batch.data.children[i]
    if (column === undefined || contentBytes(column, 0, column.length) <= MAX_CELL) return
    for (let row = 0; row < column.length; row++) {
      const bytes = contentBytes(column, row, row + 1)
      if (bytes > MAX_CELL)
        throw new TooWideRow(`row ${row}, column ${field.name}: ${Math.ceil(bytes)} bytes, a cell holds at most ${MAX_CELL}`)
    }
  })
}

/** Rows `from` … `to` of a batch, as views. */
export const sliceBatch = (batch: RecordBatch, from: number, to: number): RecordBatch =>
  batchOfData(
    batch.schema.fields,
    batch.data.children.map((column) => column.slice(from, to - from)),
    to - from,
  )

/** The bodies that carry a batch, in order, each with as many rows as fit. */
export function* requestBodies(batch: RecordBatch, limits: RequestLimits): Generator<Uint8Array> {
  const { numRows } = batch
  if (numRows <= limits.rows) {
    const body = encodeStream(batch)
    if (body.length <= limits.bytes) {
      yield body
      return
    }
    if (numRows === 1) throw new TooWideRow(`one row takes ${body.length} bytes, a request at most ${limits.bytes}`)
    yield* cut(batch, Math.max(2, Math.ceil(body.length / (0.9 * limits.bytes))), limits)
  } else yield* cut(batch, Math.ceil(numRows / limits.rows), limits)
}

function* cut(batch: RecordBatch, parts: number, limits: RequestLimits): Generator<Uint8Array> {
  const size = Math.ceil(batch.numRows / parts)
  for (let from = 0; from < batch.numRows; from += size)
    yield* requestBodies(sliceBatch(batch, from, Math.min(from + size, batch.numRows)), limits)
}
