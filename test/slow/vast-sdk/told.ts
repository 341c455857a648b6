import { DataType } from 'apache-arrow'
import type { Value } from '../../../src/vastdb/wire/values.ts'

/** A cell the way `exchange.py` prints it; what the forms are stands there. */
export type Told = null | boolean | string | readonly Told[]

/** One column as `exchange.py` prints it. */
export interface ToldColumn {
  readonly name: string
  /** As PyArrow writes it. */
  readonly type: string
  readonly cells: readonly Told[]
}

const isNumber = (type: DataType): boolean =>
  DataType.isInt(type) || DataType.isDecimal(type) || DataType.isDate(type) || DataType.isTime(type) || DataType.isTimestamp(type)

const binary64 = (value: number): string => {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleBE(value)
  return bytes.toString('hex')
}

/** A value of `columnValues` of this type. */
export const told = (type: DataType, value: Value): Told => {
  if (value === null) return null
  const members = type.children ?? []
  if (isNumber(type)) return String(value)
  if (DataType.isFloat(type)) return binary64(Number(value))
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (DataType.isList(type) || DataType.isFixedSizeList(type)) return (value as readonly Value[]).map((item) => told(type.valueType, item))
  if (DataType.isMap(type))
    return (value as readonly (readonly [Value, Value])[]).map(([key, item]) => [told(type.keyType, key), told(type.valueType, item)])
  if (DataType.isStruct(type)) {
    const struct = value as { readonly [name: string]: Value }
    return members.map((member) => told(member.type, struct[member.name] ?? null))
  }
  if (typeof value === 'boolean' || typeof value === 'string') return value
  throw new TypeError(`no text for ${type}`)
}

const UNITS = ['s', 'ms', 'us', 'ns']

/** The type as PyArrow writes it. */
export const pyarrowName = (type: DataType): string => {
  const named = (members: readonly { readonly name: string; readonly nullable: boolean; readonly type: DataType }[]): string =>
    members.map(({ name, nullable, type: member }) => `${name}: ${pyarrowName(member)}${nullable ? '' : ' not null'}`).join(', ')
  if (DataType.isBool(type)) return 'bool'
  if (DataType.isInt(type)) return `${type.isSigned ? '' : 'u'}int${type.bitWidth}`
  if (DataType.isFloat(type)) return ['halffloat', 'float', 'double'][type.precision] ?? ''
  if (DataType.isDecimal(type)) return `decimal${type.bitWidth}(${type.precision}, ${type.scale})`
  if (DataType.isUtf8(type)) return 'string'
  if (DataType.isBinary(type)) return 'binary'
  if (DataType.isFixedSizeBinary(type)) return `fixed_size_binary[${type.byteWidth}]`
  if (DataType.isDate(type)) return 'date32[day]'
  if (DataType.isTime(type)) return `time${type.bitWidth}[${UNITS[type.unit]}]`
  if (DataType.isTimestamp(type)) return `timestamp[${UNITS[type.unit]}${type.timezone ? `, tz=${type.timezone}` : ''}]`
  if (DataType.isList(type)) return `list<${named(type.children)}>`
  if (DataType.isFixedSizeList(type)) return `fixed_size_list<${named(type.children)}>[${type.listSize}]`
  if (DataType.isMap(type)) return `map<${pyarrowName(type.keyType)}, ${pyarrowName(type.valueType)}>`
  if (DataType.isStruct(type)) return `struct<${named(type.children)}>`
  throw new TypeError(`PyArrow's name of ${type} is not known`)
}
