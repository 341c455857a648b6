// Exact JavaScript values out of Arrow data. Apache Arrow's own getters turn timestamps into milliseconds and lose what is finer.
import { type Data, DataType } from 'apache-arrow'

/** One cell; the table of types is in the README of this folder. */
export type Value = null | boolean | number | bigint | string | Uint8Array | readonly Value[] | { readonly [name: string]: Value }

const utf8 = new TextDecoder()

/** Whether value `index` is there. Apache Arrow's `getValid` answers true for a missing bitmap too. */
export const isThere = (data: Data, index: number): boolean => {
  if (data.nullCount === 0) return true
  const bit = data.offset + index
  return (((data.nullBitmap[bit >> 3] ?? 0) >> (bit & 7)) & 1) === 1
}

const decimalAt = (words: Uint32Array, index: number): bigint => {
  const at = 4 * index
  const high = words[at + 1] ?? 0
  // Row ids are such numbers, and small ones.
  if (high < 0x20_0000 && words[at + 2] === 0 && words[at + 3] === 0) return BigInt(high * 0x1_0000_0000 + (words[at] ?? 0))
  let value = 0n
  for (let i = 3; i >= 0; i--) value = (value << 32n) | BigInt(words[at + i] ?? 0)
  return BigInt.asIntN(128, value)
}

/** IEEE 754 binary16 → number. */
export const halfToNumber = (bits: number): number => {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * 2 ** -14 * (fraction / 1024)
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * 2 ** (exponent - 15) * (1 + fraction / 1024)
}

const childOf = (data: Data, index = 0): Data => {
  const child = data.children[index]
  if (child === undefined) throw new Error(`${data.type} without its child ${index}`)
  return child
}

const range = (data: Data, from: number, to: number): Value[] => Array.from({ length: to - from }, (_, i) => valueAt(data, from + i))

/** The cell `index` of a column. */
export const valueAt = (data: Data, index: number): Value => {
  if (!isThere(data, index)) return null
  const { type } = data
  if (DataType.isBool(type)) {
    const bit = data.offset + index
    return ((data.values[bit >> 3] >> (bit & 7)) & 1) === 1
  }
  if (DataType.isUtf8(type)) return utf8.decode(data.values.subarray(data.valueOffsets[index], data.valueOffsets[index + 1]))
  if (DataType.isBinary(type)) return data.values.slice(data.valueOffsets[index], data.valueOffsets[index + 1])
  if (DataType.isFixedSizeBinary(type)) return data.values.slice(index * type.byteWidth, (index + 1) * type.byteWidth)
  if (DataType.isDecimal(type)) return decimalAt(data.values, index)
  if (DataType.isFloat(type) && type.precision === 0) return halfToNumber(data.values[index])
  if (DataType.isList(type)) return range(childOf(data), data.valueOffsets[index], data.valueOffsets[index + 1])
  if (DataType.isFixedSizeList(type)) return range(childOf(data), index * type.listSize, (index + 1) * type.listSize)
  if (DataType.isStruct(type)) return Object.fromEntries(type.children.map((field, i) => [field.name, valueAt(childOf(data, i), index)]))
  if (DataType.isMap(type)) {
    const entries = childOf(data)
    return Array.from({ length: data.valueOffsets[index + 1] - data.valueOffsets[index] }, (_, i) => {
      const at = data.valueOffsets[index] + i
      return [valueAt(childOf(entries, 0), at), valueAt(childOf(entries, 1), at)]
    })
  }
  return data.values[index]
}

/** Cells keep the text that they are parts of alive, so it must not be long. */
const MOST_TEXT = 64 * 1024

/** The cells of a column of text, decoded at once; undefined where characters are not bytes. */
const textCells = (data: Data): Value[] | undefined => {
  const offsets: Int32Array = data.valueOffsets
  const [first = 0, last = 0] = [offsets[0], offsets[data.length]]
  if (last - first > MOST_TEXT) return undefined
  const text = utf8.decode(data.values.subarray(first, last))
  if (text.length < last - first) return undefined
  const cells: Value[] = []
  for (let i = 0; i < data.length; i++)
    cells.push(isThere(data, i) ? text.slice((offsets[i] ?? 0) - first, (offsets[i + 1] ?? 0) - first) : null)
  return cells
}

/** The cells of a column whose values lie in its buffer one by one, as they are. */
const plainCells = (data: Data): Value[] => {
  const { values, length } = data
  const cells = Array<Value>(length)
  if (data.nullCount === 0) for (let i = 0; i < length; i++) cells[i] = values[i]
  else for (let i = 0; i < length; i++) cells[i] = isThere(data, i) ? values[i] : null
  return cells
}

const decimalCells = (data: Data): Value[] => {
  const cells = Array<Value>(data.length)
  for (let i = 0; i < data.length; i++) cells[i] = isThere(data, i) ? decimalAt(data.values, i) : null
  return cells
}

const isPlain = (type: DataType): boolean =>
  DataType.isInt(type) || DataType.isTimestamp(type) || DataType.isTime(type) || DataType.isDate(type)

/** All cells of a column. */
export const columnValues = (data: Data): Value[] => {
  const { type } = data
  if (data.nullCount === data.length) return Array<Value>(data.length).fill(null)
  if (DataType.isUtf8(type)) return textCells(data) ?? range(data, 0, data.length)
  if (isPlain(type)) return plainCells(data)
  return DataType.isDecimal(type) ? decimalCells(data) : range(data, 0, data.length)
}
