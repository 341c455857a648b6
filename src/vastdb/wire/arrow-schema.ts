// Arrow's Schema.fbs, in both directions, for the types of the protocol (vast-protocol "Types"). The ids of the Type union are Arrow's own.
import {
  Binary,
  Bool,
  DataType,
  Date_ as DateType,
  DateUnit,
  Decimal,
  Field,
  FixedSizeBinary,
  FixedSizeList,
  Float,
  Int,
  List,
  Map_ as MapType,
  Precision,
  Schema,
  Struct,
  Time,
  Timestamp,
  type TimeUnit,
  Utf8,
} from 'apache-arrow'
import type { Builder } from 'flatbuffers'
import type { FlatTable } from './flat-reader.ts'
import { type Offset, writeOffsets, writeString, writeTable } from './flat-writer.ts'
import { UnsupportedTypeError } from './wire-error.ts'

const TYPE = {
  Int: 2,
  FloatingPoint: 3,
  Binary: 4,
  Utf8: 5,
  Bool: 6,
  Decimal: 7,
  Date: 8,
  Time: 9,
  Timestamp: 10,
  List: 12,
  Struct: 13,
  FixedSizeBinary: 15,
  FixedSizeList: 16,
  Map: 17,
} as const

type IntWidth = ConstructorParameters<typeof Int>[1]
const isIntWidth = (width: number): width is IntWidth => [8, 16, 32, 64].includes(width)

const UNSUPPORTED = [
  'no type',
  'null',
  ...Array<string>(9),
  'interval',
  '',
  '',
  'union',
  '',
  '',
  '',
  'duration',
  'large binary',
  'large utf8',
  'large list',
]

const unsupported = (field: FlatTable, what: string) =>
  new UnsupportedTypeError('Field', field.offset, `column ${JSON.stringify(field.string(0) ?? '')}: type ${what} is not supported`)

const readMetadata = (table: FlatTable, slot: number): Map<string, string> =>
  new Map(table.tables(slot, 'KeyValue').map((entry) => [entry.string(0) ?? '', entry.string(1) ?? '']))

const onlyChild = (field: FlatTable): FlatTable => {
  const [child, ...more] = field.tables(5, 'Field')
  if (child === undefined || more.length > 0) throw field.error(5, `expected one child, found ${child === undefined ? 0 : more.length + 1}`)
  return child
}

const readType = (field: FlatTable): DataType => {
  const id = field.u8(2)
  if (field.table(4, 'DictionaryEncoding') !== undefined) throw unsupported(field, 'dictionary')
  const type = () => field.requiredTable(3, 'Type')
  switch (id) {
    case TYPE.Int: {
      const width = type().i32(0)
      if (!isIntWidth(width)) throw unsupported(field, `int of ${width} bits`)
      return new Int(type().bool(1), width)
    }
    case TYPE.FloatingPoint: {
      const precision = type().i16(0)
      if (precision !== Precision.HALF && precision !== Precision.SINGLE && precision !== Precision.DOUBLE)
        throw unsupported(field, `float of precision ${precision}`)
      return new Float(precision)
    }
    case TYPE.Binary:
      return new Binary()
    case TYPE.Utf8:
      return new Utf8()
    case TYPE.Bool:
      return new Bool()
    case TYPE.Decimal: {
      const width = type().i32(2, 128)
      if (width !== 128) throw unsupported(field, `decimal of ${width} bits`)
      return new Decimal(type().i32(1), type().i32(0), 128)
    }
    case TYPE.Date:
      if (type().i16(0, DateUnit.MILLISECOND) !== DateUnit.DAY) throw unsupported(field, 'date64')
      return new DateType(DateUnit.DAY)
    case TYPE.Time: {
      const unit = type().i16(0, 1)
      const width = type().i32(1, 32)
      if (unit < 0 || unit > 3 || width !== (unit < 2 ? 32 : 64)) throw unsupported(field, `time of ${width} bits in unit ${unit}`)
      return new Time(unit as TimeUnit, width)
    }
    case TYPE.Timestamp: {
      const unit = type().i16(0)
      if (unit < 0 || unit > 3) throw unsupported(field, `timestamp in unit ${unit}`)
      return new Timestamp(unit as TimeUnit, type().string(1) ?? null)
    }
    case TYPE.List:
      return new List(readField(onlyChild(field)))
    case TYPE.Struct:
      return new Struct(field.tables(5, 'Field').map(readField))
    case TYPE.FixedSizeBinary: {
      const width = type().i32(0)
      if (width < 0) throw field.error(3, `byte width ${width}`)
      return new FixedSizeBinary(width)
    }
    case TYPE.FixedSizeList: {
      const size = type().i32(0)
      if (size < 0) throw field.error(3, `list size ${size}`)
      return new FixedSizeList(size, readField(onlyChild(field)))
    }
    case TYPE.Map: {
      // The entries of a Map come marked as Map once more from the Python client: only the nesting counts.
      const entries = onlyChild(field)
      const [key, value, ...more] = entries.tables(5, 'Field').map(readField)
      if (key === undefined || value === undefined || more.length > 0) throw entries.error(5, 'expected a key and a value')
      return new MapType(
        new Field(entries.string(0) ?? 'entries', new Struct<{ key: DataType; value: DataType }>([key, value]), false),
        type().bool(0),
      )
    }
    default:
      throw unsupported(field, UNSUPPORTED[id] || `number ${id}`)
  }
}

const readField = (table: FlatTable): Field => new Field(table.string(0) ?? '', readType(table), table.bool(1), readMetadata(table, 6))

/** A Field table as an Arrow field. A type that the protocol has no place for: `UnsupportedTypeError`. */
export const readFieldTable = readField

/** A Schema table as an Arrow schema, metadata of schema and fields included. */
export const readSchemaTable = (table: FlatTable): Schema => {
  if (table.i16(0) !== 0) throw table.error(0, 'big-endian data is not supported')
  return new Schema(table.tables(1, 'Field').map(readField), readMetadata(table, 2))
}

/** How a schema is written: `query` as in a QueryData body (no time zones, no metadata, Map entries marked Map), `ipc` as Arrow says. */
export type SchemaForm = 'query' | 'ipc'

/** The id of a type in Arrow's Type union. */
export const typeCode = (type: DataType): number => {
  if (DataType.isInt(type)) return TYPE.Int
  if (DataType.isFloat(type)) return TYPE.FloatingPoint
  if (DataType.isBinary(type)) return TYPE.Binary
  if (DataType.isUtf8(type)) return TYPE.Utf8
  if (DataType.isBool(type)) return TYPE.Bool
  if (DataType.isDecimal(type) && type.bitWidth === 128) return TYPE.Decimal
  if (DataType.isDate(type) && type.unit === DateUnit.DAY) return TYPE.Date
  if (DataType.isTime(type)) return TYPE.Time
  if (DataType.isTimestamp(type)) return TYPE.Timestamp
  if (DataType.isList(type)) return TYPE.List
  if (DataType.isStruct(type)) return TYPE.Struct
  if (DataType.isFixedSizeBinary(type)) return TYPE.FixedSizeBinary
  if (DataType.isFixedSizeList(type)) return TYPE.FixedSizeList
  if (DataType.isMap(type)) return TYPE.Map
  throw new UnsupportedTypeError('Field', 0, `type ${type} is not supported`)
}

const writeType = (builder: Builder, type: DataType, form: SchemaForm): Offset => {
  if (DataType.isInt(type))
    return writeTable(builder, 2, () => {
      builder.addFieldInt32(0, type.bitWidth, 0)
      builder.addFieldInt8(1, Number(type.isSigned), 0)
    })
  if (DataType.isFloat(type)) return writeTable(builder, 1, () => builder.addFieldInt16(0, type.precision, 0))
  if (DataType.isDecimal(type))
    return writeTable(builder, 3, () => {
      builder.addFieldInt32(0, type.precision, 0)
      builder.addFieldInt32(1, type.scale, 0)
      if (form === 'ipc') builder.addFieldInt32(2, type.bitWidth, 128)
    })
  if (DataType.isDate(type)) return writeTable(builder, 1, () => builder.addFieldInt16(0, type.unit, DateUnit.MILLISECOND))
  if (DataType.isTime(type))
    return writeTable(builder, 2, () => {
      builder.addFieldInt16(0, type.unit, 1)
      builder.addFieldInt32(1, type.bitWidth, 32)
    })
  if (DataType.isTimestamp(type)) {
    const zone = form === 'ipc' && type.timezone ? writeString(builder, type.timezone) : 0
    return writeTable(builder, 2, () => {
      builder.addFieldInt16(0, type.unit, 0)
      builder.addFieldOffset(1, zone, 0)
    })
  }
  if (DataType.isFixedSizeBinary(type)) return writeTable(builder, 1, () => builder.addFieldInt32(0, type.byteWidth, 0))
  if (DataType.isFixedSizeList(type)) return writeTable(builder, 1, () => builder.addFieldInt32(0, type.listSize, 0))
  if (DataType.isMap(type)) return writeTable(builder, 1, () => builder.addFieldInt8(0, Number(type.keysSorted), 0))
  return writeTable(builder, 0)
}

const writeMetadata = (builder: Builder, metadata: ReadonlyMap<string, string>): Offset => {
  const entries = [...metadata].map(([key, value]) => {
    const keyAt = writeString(builder, key)
    const valueAt = writeString(builder, value)
    return writeTable(builder, 2, () => {
      builder.addFieldOffset(0, keyAt, 0)
      builder.addFieldOffset(1, valueAt, 0)
    })
  })
  return writeOffsets(builder, entries)
}

/** A Field table. `entriesOf` is the Map type when the field is the entries of a Map. */
export const writeField = (builder: Builder, field: Field, form: SchemaForm, entriesOf?: DataType): Offset => {
  const type = form === 'query' && entriesOf !== undefined ? entriesOf : field.type
  const nested: readonly Field[] = field.type.children ?? []
  const inside = DataType.isMap(field.type) ? field.type : undefined
  const children =
    nested.length > 0
      ? writeOffsets(
          builder,
          nested.map((child) => writeField(builder, child, form, inside)),
        )
      : 0
  const metadata = form === 'ipc' && field.metadata.size > 0 ? writeMetadata(builder, field.metadata) : 0
  const name = writeString(builder, field.name)
  const typeAt = writeType(builder, type, form)
  return writeTable(builder, 7, () => {
    builder.addFieldOffset(0, name, 0)
    builder.addFieldInt8(1, Number(field.nullable), 0)
    builder.addFieldInt8(2, typeCode(type), 0)
    builder.addFieldOffset(3, typeAt, 0)
    builder.addFieldOffset(5, children, 0)
    builder.addFieldOffset(6, metadata, 0)
  })
}

/** The type of a literal: the field without its name and children. */
export const writeLiteralType = (builder: Builder, type: DataType, nullable: boolean, children: readonly Field[] = []): Offset => {
  const childrenAt =
    children.length > 0
      ? writeOffsets(
          builder,
          children.map((child) => writeField(builder, child, 'query')),
        )
      : 0
  const typeAt = writeType(builder, type, 'query')
  return writeTable(builder, 7, () => {
    builder.addFieldInt8(1, Number(nullable), 0)
    builder.addFieldInt8(2, typeCode(type), 0)
    builder.addFieldOffset(3, typeAt, 0)
    builder.addFieldOffset(5, childrenAt, 0)
  })
}

/** A Schema table. */
export const writeSchema = (builder: Builder, schema: Schema, form: SchemaForm): Offset => {
  const fieldsAt = schema.fields.map((field) => writeField(builder, field, form))
  const fields = writeOffsets(builder, fieldsAt)
  const metadata = form === 'ipc' ? writeMetadata(builder, schema.metadata) : 0
  return writeTable(builder, 4, () => {
    builder.addFieldOffset(1, fields, 0)
    builder.addFieldOffset(2, metadata, 0)
  })
}

/** Whether two types have the same buffers: names, nullability and time zones do not count. */
export const sameLayout = (a: DataType, b: DataType): boolean => {
  if (typeCode(a) !== typeCode(b)) return false
  if (DataType.isInt(a) && DataType.isInt(b)) return a.bitWidth === b.bitWidth && a.isSigned === b.isSigned
  if (DataType.isFloat(a) && DataType.isFloat(b)) return a.precision === b.precision
  if (DataType.isDecimal(a) && DataType.isDecimal(b)) return a.precision === b.precision && a.scale === b.scale
  if (DataType.isTime(a) && DataType.isTime(b)) return a.unit === b.unit
  if (DataType.isTimestamp(a) && DataType.isTimestamp(b)) return a.unit === b.unit
  if (DataType.isFixedSizeBinary(a) && DataType.isFixedSizeBinary(b)) return a.byteWidth === b.byteWidth
  if (DataType.isFixedSizeList(a) && DataType.isFixedSizeList(b) && a.listSize !== b.listSize) return false
  const [left, right] = [a.children ?? [], b.children ?? []]
  return left.length === right.length && left.every((child, i) => child.type !== undefined && sameLayout(child.type, right[i]?.type ?? a))
}
