// Columns that arrive in several pieces, made one. Everything is done on the buffers, so that no value changes.
import { type Data, type DataType, DataType as Types } from 'apache-arrow'
import { type ColumnBuffers, columnOf } from './column.ts'
import { fixedWidth } from './ipc-batch.ts'
import { isThere } from './values.ts'

const setBits = (target: Uint8Array, at: number, count: number, bit: (index: number) => boolean): void => {
  for (let i = 0; i < count; i++) if (bit(i)) target[(at + i) >> 3] = (target[(at + i) >> 3] ?? 0) | (1 << ((at + i) & 7))
}

const concatBits = (parts: readonly Data[], length: number, bit: (part: Data, index: number) => boolean): Uint8Array => {
  const bits = new Uint8Array((length + 7) >> 3)
  let at = 0
  for (const part of parts) {
    setBits(bits, at, part.length, (index) => bit(part, index))
    at += part.length
  }
  return bits
}

const concatBytes = (parts: readonly Uint8Array[]): Uint8Array => {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

/** The offsets of all parts as one row of offsets, and the part of each child or data buffer that they speak of. */
const concatOffsets = (parts: readonly Data[], length: number) => {
  const offsets = new Int32Array(length + 1)
  const spans: { readonly first: number; readonly last: number }[] = []
  let row = 0
  let end = 0
  for (const part of parts) {
    const first = Number(part.valueOffsets[0] ?? 0)
    const last = Number(part.valueOffsets[part.length] ?? first)
    for (let i = 1; i <= part.length; i++) offsets[row + i] = end + Number(part.valueOffsets[i]) - first
    spans.push({ first, last })
    row += part.length
    end += last - first
  }
  return { offsets, spans }
}

const childOf = (part: Data, index: number): Data => {
  const child = part.children[index]
  if (child === undefined) throw new Error(`${part.type} without its child ${index}`)
  return child
}

/** All parts of one column, one after the other, as one column of `type`. */
export const concatData = (type: DataType, parts: readonly Data[]): Data => {
  const [only] = parts
  if (parts.length === 1 && only !== undefined) return only
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const nulls = parts.reduce((sum, part) => sum + part.nullCount, 0)
  const bitmap = nulls === 0 ? undefined : concatBits(parts, length, isThere)
  const make = (buffers: Pick<ColumnBuffers, 'offsets' | 'values'>, children: readonly Data[] = []): Data =>
    columnOf(type, { ...buffers, length, nulls, validity: bitmap }, children)

  if (Types.isBool(type)) {
    const bit = (part: Data, index: number) => (((part.values[(part.offset + index) >> 3] ?? 0) >> ((part.offset + index) & 7)) & 1) === 1
    return make({ values: concatBits(parts, length, bit) })
  }
  if (Types.isUtf8(type) || Types.isBinary(type) || Types.isList(type) || Types.isMap(type)) {
    const { offsets, spans } = concatOffsets(parts, length)
    const slices = parts.map((part, i) => ({ part, first: spans[i]?.first ?? 0, last: spans[i]?.last ?? 0 }))
    if (Types.isUtf8(type) || Types.isBinary(type))
      return make({ offsets, values: concatBytes(slices.map(({ part, first, last }) => part.values.subarray(first, last))) })
    const item = type.children[0]?.type ?? type
    return make({ offsets }, [
      concatData(
        item,
        slices.map(({ part, first, last }) => childOf(part, 0).slice(first, last - first)),
      ),
    ])
  }
  if (Types.isStruct(type) || Types.isFixedSizeList(type))
    return make(
      {},
      type.children.map((field, i) =>
        concatData(
          field.type,
          parts.map((part) => childOf(part, i)),
        ),
      ),
    )
  const width = fixedWidth(type)
  const bytes = concatBytes(
    parts.map((part) =>
      new Uint8Array(part.values.buffer, part.values.byteOffset, part.values.byteLength).subarray(0, part.length * width),
    ),
  )
  return make({ values: new type.ArrayType(bytes.buffer) })
}
