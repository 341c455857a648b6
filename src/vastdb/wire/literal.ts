// A value of a predicate: Expression{ Literal{ impl, type } }. The ids of LiteralImpl are those of the Arrow compute IR.
import { DataType, type Field, List } from 'apache-arrow'
import type { Builder } from 'flatbuffers'
import { readFieldTable, writeLiteralType } from './arrow-schema.ts'
import { dataOf, numberToHalf } from './build.ts'
import type { FlatTable } from './flat-reader.ts'
import { type Offset, writeBytes, writeOffsets, writeString, writeTable } from './flat-writer.ts'
import { halfToNumber, type Value } from './values.ts'

const IMPL = {
  Boolean: 1,
  Int8: 2,
  Int16: 3,
  Int32: 4,
  Int64: 5,
  UInt8: 6,
  UInt16: 7,
  UInt32: 8,
  UInt64: 9,
  Date: 10,
  Time: 11,
  Timestamp: 12,
  Decimal: 15,
  Float16: 16,
  Float32: 17,
  Float64: 18,
  List: 19,
  String: 22,
  Binary: 23,
  FixedSizeBinary: 24,
} as const

interface Impl {
  readonly id: number
  readonly table: Offset
}

const wrong = (type: DataType, value: Value) => new TypeError(`${String(value)} is not a value of ${type} in a predicate`)

/** Whether a whole number fits into an integer type. */
const fits = (type: DataType, value: Value): boolean => {
  if (!DataType.isInt(type) || (typeof value !== 'bigint' && !Number.isSafeInteger(value))) return false
  const exact = BigInt(value as bigint | number)
  return (type.isSigned ? BigInt.asIntN(type.bitWidth, exact) : BigInt.asUintN(type.bitWidth, exact)) === exact
}

const integerImpl = (builder: Builder, type: DataType, value: Value): Impl => {
  // dataOf checks kind and range of everything, and says what is wrong.
  if (!fits(type, value)) dataOf(type, [value])
  const long = (id: number): Impl => ({
    id,
    table: writeTable(builder, 1, () => builder.addFieldInt64(0, BigInt.asIntN(64, BigInt(value as bigint | number)), 0n)),
  })
  if (DataType.isDate(type)) return long(IMPL.Date)
  if (DataType.isTime(type)) return long(IMPL.Time)
  if (DataType.isTimestamp(type)) return long(IMPL.Timestamp)
  if (!DataType.isInt(type)) throw wrong(type, value)
  const id = (type.isSigned ? IMPL.Int8 : IMPL.UInt8) + [8, 16, 32, 64].indexOf(type.bitWidth)
  if (type.bitWidth === 64) return long(id)
  const number = Number(value)
  const table = writeTable(builder, 1, () => {
    if (type.bitWidth === 8) builder.addFieldInt8(0, number, 0)
    else if (type.bitWidth === 16) builder.addFieldInt16(0, number, 0)
    else builder.addFieldInt32(0, number, 0)
  })
  return { id, table }
}

const bytesImpl = (builder: Builder, id: number, bytes: Uint8Array): Impl => {
  const at = writeBytes(builder, bytes)
  return { id, table: writeTable(builder, 1, () => builder.addFieldOffset(0, at, 0)) }
}

const writeImpl = (builder: Builder, type: DataType, value: Value): Impl => {
  if (DataType.isUtf8(type)) {
    // Bytes stand for the bound of a prefix, which may end in the middle of a character.
    if (typeof value !== 'string' && !(value instanceof Uint8Array)) throw wrong(type, value)
    const at = writeString(builder, value)
    return { id: IMPL.String, table: writeTable(builder, 1, () => builder.addFieldOffset(0, at, 0)) }
  }
  if (DataType.isBool(type)) {
    if (typeof value !== 'boolean') throw wrong(type, value)
    return { id: IMPL.Boolean, table: writeTable(builder, 1, () => builder.addFieldInt8(0, Number(value), 0)) }
  }
  if (DataType.isFloat(type)) {
    if (typeof value !== 'number') throw wrong(type, value)
    const table = writeTable(builder, 1, () => {
      if (type.precision === 0) builder.addFieldInt16(0, numberToHalf(value), 0)
      else if (type.precision === 1) builder.addFieldFloat32(0, value, 0)
      else builder.addFieldFloat64(0, value, 0)
    })
    return { id: IMPL.Float16 + type.precision, table }
  }
  if (DataType.isBinary(type)) {
    if (!(value instanceof Uint8Array)) throw wrong(type, value)
    return bytesImpl(builder, IMPL.Binary, value)
  }
  if (DataType.isFixedSizeBinary(type) || DataType.isDecimal(type)) {
    const { values } = dataOf(type, [value])
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    return bytesImpl(builder, DataType.isDecimal(type) ? IMPL.Decimal : IMPL.FixedSizeBinary, bytes)
  }
  return integerImpl(builder, type, value)
}

const writeLiteralTable = (builder: Builder, field: Field, value: Value): Offset => {
  if (value === null) throw new TypeError(`a comparison of ${field.name} with null matches nothing: ask for is_null`)
  const item = DataType.isFixedSizeList(field.type) ? field.type.children[0] : undefined
  const impl = item === undefined ? writeImpl(builder, field.type, value) : writeListImpl(builder, item, value)
  const type =
    item === undefined
      ? writeLiteralType(builder, field.type, field.nullable)
      : writeLiteralType(builder, new List(item), field.nullable, [item])
  return writeTable(builder, 3, () => {
    builder.addFieldInt8(0, impl.id, 0)
    builder.addFieldOffset(1, impl.table, 0)
    builder.addFieldOffset(2, type, 0)
  })
}

const writeListImpl = (builder: Builder, item: Field, value: Value): Impl => {
  if (!Array.isArray(value)) throw new TypeError('a fixed-size list is compared with an array')
  const at = writeOffsets(
    builder,
    value.map((element) => writeLiteralTable(builder, item, element)),
  )
  return { id: IMPL.List, table: writeTable(builder, 1, () => builder.addFieldOffset(0, at, 0)) }
}

/** The Literal table of `value`, typed like `field` (a fixed-size list: a vector of literals, typed as a list). */
export const writeLiteral = (builder: Builder, field: Field, value: Value): Offset => writeLiteralTable(builder, field, value)

const decimal = (bytes: Uint8Array): bigint => bytes.toReversed().reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)

/** What a Literal holds: numbers up to 32 bits and floats as number, 64 bits, times and decimals as bigint, text as its UTF-8 bytes (they may be ill-formed). */
export const readLiteral = (table: FlatTable): Value => readImpl(table.u8(0), table.requiredTable(1, 'LiteralImpl'), table)

const readImpl = (id: number, impl: FlatTable, literal: FlatTable): Value => {
  const bytes = () => impl.bytes(0) ?? new Uint8Array(0)
  switch (id) {
    case IMPL.Boolean:
      return impl.bool(0)
    case IMPL.Int8:
      return impl.i8(0)
    case IMPL.Int16:
      return impl.i16(0)
    case IMPL.Int32:
      return impl.i32(0)
    case IMPL.UInt8:
      return impl.u8(0)
    case IMPL.UInt16:
      return impl.u16(0)
    case IMPL.UInt32:
      return impl.u32(0)
    case IMPL.UInt64:
      return impl.u64(0)
    case IMPL.Int64:
    case IMPL.Timestamp:
      return impl.i64(0)
    case IMPL.Date:
      return Number(impl.i64(0))
    case IMPL.Time: {
      const { type } = readFieldTable(literal.requiredTable(2, 'Field'))
      return DataType.isTime(type) && type.bitWidth === 32 ? Number(impl.i64(0)) : impl.i64(0)
    }
    case IMPL.Decimal:
      return BigInt.asIntN(8 * bytes().length, decimal(bytes()))
    case IMPL.Float16:
      return halfToNumber(impl.u16(0))
    case IMPL.Float32:
      return impl.f32(0)
    case IMPL.Float64:
      return impl.f64(0)
    case IMPL.List:
      return impl.tables(0, 'Literal').map(readLiteral)
    case IMPL.String:
    case IMPL.Binary:
    case IMPL.FixedSizeBinary:
      return bytes()
    default:
      throw literal.error(0, `literal kind ${id} is not supported`)
  }
}
