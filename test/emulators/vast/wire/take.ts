// Chosen rows of an Arrow column as a new column, on the buffers, so that no value changes.
import { type Data, DataType } from 'apache-arrow'
import { columnOf } from '../../../../src/vastdb/wire/column.ts'
import { fixedWidth } from '../../../../src/vastdb/wire/ipc-batch.ts'
import { isThere } from '../../../../src/vastdb/wire/values.ts'

type Rows = Uint32Array

const bitAt = (bits: Uint8Array, index: number): boolean => (((bits[index >> 3] ?? 0) >> (index & 7)) & 1) === 1

const setBit = (bits: Uint8Array, index: number): void => {
  bits[index >> 3] = (bits[index >> 3] ?? 0) | (1 << (index & 7))
}

const takeValidity = (data: Data, rows: Rows): { readonly bitmap: Uint8Array | undefined; readonly nulls: number } => {
  if (data.nullCount === 0) return { bitmap: undefined, nulls: 0 }
  const bitmap = new Uint8Array((rows.length + 7) >> 3)
  let there = 0
  rows.forEach((row, i) => {
    if (!isThere(data, row)) return
    setBit(bitmap, i)
    there += 1
  })
  return there === rows.length ? { bitmap: undefined, nulls: 0 } : { bitmap, nulls: rows.length - there }
}

const takeOffsets = (data: Data, rows: Rows): Int32Array => {
  const offsets = new Int32Array(rows.length + 1)
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] ?? 0
    offsets[i + 1] = (offsets[i] ?? 0) + Number(data.valueOffsets[row + 1]) - Number(data.valueOffsets[row])
  }
  return offsets
}

/** The items of the lists at `rows`: `count` in all, list by list. */
const itemRows = (rows: Rows, count: number, span: (row: number) => readonly [number, number]): Rows => {
  const items = new Uint32Array(count)
  let at = 0
  for (const row of rows) {
    const [from, to] = span(row)
    for (let item = from; item < to; item++) items[at++] = item
  }
  return items
}

const takeFixed = (data: Data, rows: Rows): ArrayBufferView => {
  const { type } = data
  const width = fixedWidth(type)
  const source = new Uint8Array(data.values.buffer, data.values.byteOffset, data.values.byteLength)
  if (data.values.BYTES_PER_ELEMENT === width) {
    const target = new type.ArrayType(rows.length)
    for (let i = 0; i < rows.length; i++) target[i] = data.values[rows[i] ?? 0]
    return target
  }
  const bytes = new Uint8Array(rows.length * width)
  rows.forEach((row, i) => {
    bytes.set(source.subarray(row * width, (row + 1) * width), i * width)
  })
  return new type.ArrayType(bytes.buffer)
}

/** The rows `rows` of `data`, in that order; a row may be taken more than once. `data` must start at offset 0. */
export const takeRows = (data: Data, rows: Rows): Data => {
  const { type } = data
  if (data.offset !== 0) throw new RangeError(`${type}: a column that starts at ${data.offset} cannot be taken from`)
  const { bitmap, nulls } = takeValidity(data, rows)
  const make = (buffers: { readonly offsets?: Int32Array; readonly values?: ArrayBufferView }, children: Data[] = []): Data =>
    columnOf(type, { ...buffers, length: rows.length, nulls, validity: bitmap }, children)
  const child = (index: number): Data => {
    const found = data.children[index]
    if (found === undefined) throw new RangeError(`${type} without its child ${index}`)
    return found
  }

  if (DataType.isBool(type)) {
    const values = new Uint8Array((rows.length + 7) >> 3)
    rows.forEach((row, i) => {
      if (bitAt(data.values, row)) setBit(values, i)
    })
    return make({ values })
  }
  if (DataType.isUtf8(type) || DataType.isBinary(type)) {
    const offsets = takeOffsets(data, rows)
    const values = new Uint8Array(offsets[rows.length] ?? 0)
    rows.forEach((row, i) => {
      values.set(data.values.subarray(data.valueOffsets[row], data.valueOffsets[row + 1]), offsets[i])
    })
    return make({ offsets, values })
  }
  if (DataType.isList(type) || DataType.isMap(type)) {
    const offsets = takeOffsets(data, rows)
    const items = itemRows(rows, offsets[rows.length] ?? 0, (row) => [Number(data.valueOffsets[row]), Number(data.valueOffsets[row + 1])])
    return make({ offsets }, [takeRows(child(0), items)])
  }
  if (DataType.isFixedSizeList(type)) {
    const items = itemRows(rows, rows.length * type.listSize, (row) => [row * type.listSize, (row + 1) * type.listSize])
    return make({}, [takeRows(child(0), items)])
  }
  if (DataType.isStruct(type))
    return make(
      {},
      type.children.map((_, i) => takeRows(child(i), rows)),
    )
  return make({ values: takeFixed(data, rows) })
}
