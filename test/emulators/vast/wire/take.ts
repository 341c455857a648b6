// Chosen rows of Arrow columns as a new column, on the buffers, so that no value changes.
import { type Data, DataType } from 'apache-arrow'
import { dataOf } from '../../../../src/vastdb/wire/build.ts'
import { columnOf } from '../../../../src/vastdb/wire/column.ts'
import { concatData } from '../../../../src/vastdb/wire/combine.ts'
import { fixedWidth } from '../../../../src/vastdb/wire/ipc-batch.ts'
import { isThere } from '../../../../src/vastdb/wire/values.ts'

type Rows = Uint32Array

/** Rows of one column, in the order wanted; a row may be taken more than once. Without data all of them are null. */
export interface Part {
  readonly data: Data | undefined
  readonly rows: Rows
}

const bitAt = (bits: Uint8Array, index: number): boolean => (((bits[index >> 3] ?? 0) >> (index & 7)) & 1) === 1

const setBit = (bits: Uint8Array, index: number): void => {
  bits[index >> 3] = (bits[index >> 3] ?? 0) | (1 << (index & 7))
}

const isAllNull = ({ data, rows }: Part): boolean => data === undefined || (data.nullCount === data.length && rows.length > 0)

const lengthOf = (parts: readonly Part[]): number => {
  let length = 0
  for (const { rows } of parts) length += rows.length
  return length
}

const validityOf = (parts: readonly Part[], length: number): { readonly bitmap: Uint8Array | undefined; readonly nulls: number } => {
  if (parts.every(({ data }) => data?.nullCount === 0)) return { bitmap: undefined, nulls: 0 }
  const bitmap = new Uint8Array((length + 7) >> 3)
  let at = 0
  let there = 0
  for (const part of parts) {
    const { data, rows } = part
    if (data !== undefined && !isAllNull(part))
      for (let i = 0; i < rows.length; i++)
        if (isThere(data, rows[i] ?? 0)) {
          setBit(bitmap, at + i)
          there += 1
        }
    at += rows.length
  }
  return there === length ? { bitmap: undefined, nulls: 0 } : { bitmap, nulls: length - there }
}

/** Whether the rows follow one another. */
const isRun = (rows: Rows): boolean => {
  for (let i = 1; i < rows.length; i++) if (rows[i] !== (rows[0] ?? 0) + i) return false
  return true
}

const takeText = (parts: readonly Part[], length: number): { readonly offsets: Int32Array; readonly values: Uint8Array } => {
  const offsets = new Int32Array(length + 1)
  let at = 0
  let end = 0
  for (const { data, rows } of parts) {
    const from: Int32Array | undefined = data?.valueOffsets
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i] ?? 0
      if (from !== undefined) end += (from[row + 1] ?? 0) - (from[row] ?? 0)
      offsets[++at] = end
    }
  }
  const values = new Uint8Array(end)
  at = 0
  for (const { data, rows } of parts) {
    const start = offsets[at] ?? 0
    if (data !== undefined && (offsets[at + rows.length] ?? 0) > start) copyText(data, rows, values, start)
    at += rows.length
  }
  return { offsets, values }
}

/** Longer cells are worth a call. */
const LONG = 48

const copyText = (data: Data, rows: Rows, target: Uint8Array, start: number): void => {
  const bytes: Uint8Array = data.values
  const from: Int32Array = data.valueOffsets
  if (isRun(rows)) {
    target.set(bytes.subarray(from[rows[0] ?? 0], from[(rows.at(-1) ?? 0) + 1]), start)
    return
  }
  let at = start
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] ?? 0
    const [first, last] = [from[row] ?? 0, from[row + 1] ?? 0]
    if (last - first > LONG) {
      target.set(bytes.subarray(first, last), at)
      at += last - first
    } else for (let byte = first; byte < last; byte++) target[at++] = bytes[byte] ?? 0
  }
}

/** Copies by words of the width's divisor, which has no value that a copy could change. */
const takeFixed = (type: DataType, parts: readonly Part[], length: number): ArrayBufferView => {
  const width = fixedWidth(type)
  const Word = width % 4 === 0 && parts.every(({ data }) => (data?.values.byteOffset ?? 0) % 4 === 0) ? Uint32Array : Uint8Array
  const words = width / Word.BYTES_PER_ELEMENT
  const target = new Word(length * words)
  let at = 0
  for (const { data, rows } of parts) {
    if (data === undefined) {
      at += rows.length * words
      continue
    }
    const { buffer, byteOffset, byteLength } = data.values
    const source = new Word(buffer, byteOffset, byteLength / Word.BYTES_PER_ELEMENT)
    if (isRun(rows)) {
      const first = (rows[0] ?? 0) * words
      target.set(source.subarray(first, first + rows.length * words), at)
      at += rows.length * words
    } else
      for (let i = 0; i < rows.length; i++) {
        const first = (rows[i] ?? 0) * words
        for (let word = 0; word < words; word++) target[at++] = source[first + word] ?? 0
      }
  }
  return new type.ArrayType(target.buffer)
}

/** The rows of all parts, one part after the other, as one column of `type`. Their data must start at offset 0. */
export const takeParts = (type: DataType, parts: readonly Part[]): Data => {
  const shifted = parts.find(({ data }) => data !== undefined && data.offset !== 0)
  if (shifted) throw new RangeError(`${type}: a column that starts at ${shifted.data?.offset} cannot be taken from`)
  const length = lengthOf(parts)
  if (parts.every(isAllNull)) return dataOf(type, Array(length).fill(null))
  if (type.children?.length > 0 || DataType.isBool(type))
    return concatData(
      type,
      parts.map(({ data, rows }) => (data === undefined ? dataOf(type, Array(rows.length).fill(null)) : takeNested(data, rows))),
    )
  const { bitmap, nulls } = validityOf(parts, length)
  const buffers = DataType.isUtf8(type) || DataType.isBinary(type) ? takeText(parts, length) : { values: takeFixed(type, parts, length) }
  return columnOf(type, { ...buffers, length, nulls, validity: bitmap })
}

/** The rows `rows` of `data`, in that order. */
export const takeRows = (data: Data, rows: Rows): Data => takeParts(data.type, [{ data, rows }])

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

const takeNested = (data: Data, rows: Rows): Data => {
  const { type } = data
  const { bitmap, nulls } = validityOf([{ data, rows }], rows.length)
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
  if (DataType.isList(type) || DataType.isMap(type)) {
    const offsets = new Int32Array(rows.length + 1)
    rows.forEach((row, i) => {
      offsets[i + 1] = (offsets[i] ?? 0) + Number(data.valueOffsets[row + 1]) - Number(data.valueOffsets[row])
    })
    const items = itemRows(rows, offsets[rows.length] ?? 0, (row) => [Number(data.valueOffsets[row]), Number(data.valueOffsets[row + 1])])
    return make({ offsets }, [takeRows(child(0), items)])
  }
  if (DataType.isFixedSizeList(type)) {
    const items = itemRows(rows, rows.length * type.listSize, (row) => [row * type.listSize, (row + 1) * type.listSize])
    return make({}, [takeRows(child(0), items)])
  }
  return make(
    {},
    type.children.map((_, i) => takeRows(child(i), rows)),
  )
}
