// Exact JavaScript values → Arrow data, the inverse of values.ts.
import { Data, DataType, type Field, RecordBatch, Schema, Struct } from 'apache-arrow'
import { type ColumnBuffers, columnOf } from './column.ts'
import { fixedWidth } from './ipc-batch.ts'
import type { Value } from './values.ts'

const utf8 = new TextEncoder()

const wrong = (type: DataType, value: Value): TypeError =>
  new TypeError(`a value of ${type} cannot be ${typeof value}: ${String(value).slice(0, 60)}`)

/** number → IEEE 754 binary16, ties to even. */
export const numberToHalf = (value: number): number => {
  const view = new DataView(new ArrayBuffer(4))
  view.setFloat32(0, value)
  const bits = view.getUint32(0)
  const sign = (bits >>> 16) & 0x8000
  if (Number.isNaN(value)) return 0x7e00
  const magnitude = Math.abs(value)
  if (magnitude >= 65520) return sign | 0x7c00
  if (magnitude < 2 ** -14) return sign | roundToEven(magnitude * 2 ** 24)
  const exponent = Math.floor(Math.log2(magnitude))
  return sign | (((exponent + 15) << 10) + roundToEven((magnitude / 2 ** exponent - 1) * 1024))
}

const roundToEven = (value: number): number => {
  const floor = Math.floor(value)
  const rest = value - floor
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor
}

interface Validity {
  readonly bitmap: Uint8Array | undefined
  readonly nulls: number
}

const validityOf = (values: readonly Value[]): Validity => {
  let nulls = 0
  for (const value of values) if (value === null) nulls += 1
  if (nulls === 0) return { bitmap: undefined, nulls }
  const bitmap = new Uint8Array((values.length + 7) >> 3)
  if (nulls === values.length) return { bitmap, nulls }
  values.forEach((value, i) => {
    if (value !== null) bitmap[i >> 3] = (bitmap[i >> 3] ?? 0) | (1 << (i & 7))
  })
  return { bitmap, nulls }
}

const bytesOf = (type: DataType, value: Value): Uint8Array => {
  if (value === null) return new Uint8Array(0)
  if (typeof value === 'string' && DataType.isUtf8(type)) return utf8.encode(value)
  if (value instanceof Uint8Array) return value
  throw wrong(type, value)
}

/** A column of text as bytes, encoded at once; undefined where a character is more than a byte, or a cell no text. */
const asciiOf = (values: readonly Value[]): { readonly offsets: Int32Array; readonly bytes: Uint8Array } | undefined => {
  const offsets = new Int32Array(values.length + 1)
  let text = ''
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? null
    if (typeof value === 'string') text += value
    else if (value !== null) return undefined
    offsets[i + 1] = text.length
  }
  const bytes = utf8.encode(text)
  return bytes.length === text.length ? { offsets, bytes } : undefined
}

const listOf = (type: DataType, value: Value): readonly Value[] => {
  if (value === null) return []
  if (Array.isArray(value)) return value
  throw wrong(type, value)
}

const offsetsOf = (lengths: readonly number[]): Int32Array => {
  const offsets = new Int32Array(lengths.length + 1)
  lengths.forEach((length, i) => {
    offsets[i + 1] = (offsets[i] ?? 0) + length
  })
  return offsets
}

const integer = (type: DataType, value: Value): bigint => {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value)
  throw wrong(type, value)
}

const setFixed = (view: DataView, at: number, type: DataType, value: Value): void => {
  if (DataType.isFixedSizeBinary(type)) {
    if (!(value instanceof Uint8Array) || value.length !== type.byteWidth) throw wrong(type, value)
    new Uint8Array(view.buffer).set(value, at)
  } else if (DataType.isFloat(type)) {
    if (typeof value !== 'number') throw wrong(type, value)
    if (type.precision === 0) view.setUint16(at, numberToHalf(value), true)
    else if (type.precision === 1) view.setFloat32(at, value, true)
    else view.setFloat64(at, value, true)
  } else if (DataType.isDecimal(type)) {
    const unscaled = integer(type, value)
    if (BigInt.asIntN(128, unscaled) !== unscaled) throw wrong(type, value)
    view.setBigUint64(at, BigInt.asUintN(64, unscaled), true)
    view.setBigInt64(at + 8, unscaled >> 64n, true)
  } else {
    setInteger(view, at, type, integer(type, value))
  }
}

const is64Bit = (type: DataType): boolean =>
  DataType.isTimestamp(type) || ((DataType.isInt(type) || DataType.isTime(type)) && type.bitWidth === 64)

const longs = (type: DataType, values: readonly Value[]): BigInt64Array | BigUint64Array => {
  const result = DataType.isInt(type) && !type.isSigned ? new BigUint64Array(values.length) : new BigInt64Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? null
    if (value === null) continue
    const exact = integer(type, value)
    result[i] = exact
    // What does not fit is stored modulo 2^64.
    if (result[i] !== exact) throw new RangeError(`${value} does not fit into ${type}`)
  }
  return result
}

const setInteger = (view: DataView, at: number, type: DataType, value: bigint): void => {
  const bits = 8 * fixedWidth(type)
  const signed = !DataType.isInt(type) || type.isSigned
  if ((signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value)) !== value)
    throw new RangeError(`${value} does not fit into ${type}`)
  if (bits === 32) view.setUint32(at, Number(BigInt.asUintN(32, value)), true)
  else if (bits === 16) view.setUint16(at, Number(BigInt.asUintN(16, value)), true)
  else view.setUint8(at, Number(BigInt.asUintN(8, value)))
}

const fixedSizeItems = (type: DataType, size: number, value: Value): readonly Value[] => {
  const items = value === null ? Array<Value>(size).fill(null) : listOf(type, value)
  if (items.length !== size) throw new TypeError(`a value of ${type} has ${items.length} items`)
  return items
}

const isStruct = (value: Value): value is { readonly [name: string]: Value } =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)

const memberOf = (type: DataType, value: Value, name: string): Value => {
  if (value === null) return null
  if (!isStruct(value)) throw wrong(type, value)
  return value[name] ?? null
}

/** A column of `type` out of exact values. A value of the wrong kind: `TypeError`; a number that does not fit: `RangeError`. */
export const dataOf = (type: DataType, values: readonly Value[]): Data => {
  const { length } = values
  const { bitmap, nulls } = validityOf(values)
  const make = (buffers: Pick<ColumnBuffers, 'offsets' | 'values'>, children: readonly Data[] = []): Data =>
    columnOf(type, { ...buffers, length, nulls, validity: bitmap }, children)

  if (DataType.isBool(type)) {
    const bits = new Uint8Array((length + 7) >> 3)
    values.forEach((value, i) => {
      if (value !== null && typeof value !== 'boolean') throw wrong(type, value)
      if (value === true) bits[i >> 3] = (bits[i >> 3] ?? 0) | (1 << (i & 7))
    })
    return make({ values: bits })
  }
  if (DataType.isUtf8(type) || DataType.isBinary(type)) {
    const ascii = DataType.isUtf8(type) ? asciiOf(values) : undefined
    if (ascii) return make({ offsets: ascii.offsets, values: ascii.bytes })
    const cells = values.map((value) => bytesOf(type, value))
    const offsets = offsetsOf(cells.map((cell) => cell.length))
    const bytes = new Uint8Array(offsets[length] ?? 0)
    cells.forEach((cell, i) => {
      bytes.set(cell, offsets[i])
    })
    return make({ offsets, values: bytes })
  }
  if (DataType.isList(type)) {
    const lists = values.map((value) => listOf(type, value))
    return make({ offsets: offsetsOf(lists.map((list) => list.length)) }, [dataOf(type.valueType, lists.flat(1))])
  }
  if (DataType.isMap(type)) {
    const entries = type.children[0]?.type
    const pairs = values.map((value) => listOf(type, value).map((entry) => listOf(type, entry)))
    const flat = pairs.flat(1)
    const columns = (entries?.children ?? []).map((field, side) =>
      dataOf(
        field.type,
        flat.map((pair) => pair[side] ?? null),
      ),
    )
    return make({ offsets: offsetsOf(pairs.map((list) => list.length)) }, [
      new Data(entries ?? type, 0, flat.length, 0, undefined, columns),
    ])
  }
  if (DataType.isFixedSizeList(type)) {
    const filler = type.children[0]?.nullable === false ? zeroOf(type.valueType) : null
    const items = values.flatMap((value) =>
      value === null ? Array<Value>(type.listSize).fill(filler) : fixedSizeItems(type, type.listSize, value),
    )
    return make({}, [dataOf(type.valueType, items)])
  }
  if (DataType.isStruct(type))
    return make(
      {},
      type.children.map((field) =>
        dataOf(
          field.type,
          values.map((value) => memberOf(type, value, field.name)),
        ),
      ),
    )
  if (is64Bit(type)) return make({ values: longs(type, values) })
  const width = fixedWidth(type)
  const view = new DataView(new ArrayBuffer(length * width))
  values.forEach((value, i) => {
    if (value !== null) setFixed(view, i * width, type, value)
  })
  return make({ values: new type.ArrayType(view.buffer) })
}

/** What stands in the items of a null fixed-size list whose items may not be null. */
const zeroOf = (type: DataType): Value => (DataType.isFloat(type) ? 0 : 0n)

/** A batch of named columns with the same number of cells each. */
export const batchOf = (fields: readonly Field[], columns: readonly (readonly Value[])[], rows = columns[0]?.length ?? 0): RecordBatch => {
  const data = fields.map((field, i) => dataOf(field.type, columns[i] ?? []))
  const uneven = data.findIndex((column) => column.length !== rows)
  if (uneven >= 0) throw new TypeError(`column ${fields[uneven]?.name} has ${data[uneven]?.length} cells, expected ${rows}`)
  return batchOfData(fields, data, rows)
}

/** A batch of row objects; a missing name is null. */
export const batchOfRows = (fields: readonly Field[], rows: readonly { readonly [name: string]: Value | undefined }[]): RecordBatch =>
  batchOf(
    fields,
    fields.map((field) => rows.map((row) => row[field.name] ?? null)),
    rows.length,
  )

/** Of lists of fields that are used again and again, such as those of a table. */
const schemas = new WeakMap<readonly Field[], Schema>()

/** A batch of columns that are Arrow data already; `rows` counts when there is no column. */
export const batchOfData = (fields: readonly Field[], data: readonly Data[], rows = data[0]?.length ?? 0): RecordBatch => {
  const schema = schemas.getOrInsertComputed(fields, () => new Schema([...fields]))
  const batch = new RecordBatch(schema, new Data(new Struct(schema.fields), 0, rows, 0, undefined, [...data]))
  // The constructor makes an equal schema for each batch; what is known of this one (its message) is known of the object.
  return Object.assign(batch, { schema })
}
