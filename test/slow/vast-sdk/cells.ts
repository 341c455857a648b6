import { DataType, type Field } from 'apache-arrow'
import fc from 'fast-check'
import type { Value } from '../../../src/vastdb/wire/values.ts'

/** Times end with the day, and dates with what Python has. */
const UNIT_PER_DAY = [86_400, 86_400_000, 86_400_000_000, 86_400_000_000_000]
const DAYS = { min: -719_162, max: 2_932_896 }

const bytes = (minLength: number, maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength, maxLength })
const integers = (bits: number, signed: boolean): fc.Arbitrary<bigint> =>
  signed
    ? fc.bigInt({ min: -(2n ** BigInt(bits - 1)), max: 2n ** BigInt(bits - 1) - 1n })
    : fc.bigInt({ min: 0n, max: 2n ** BigInt(bits) - 1n })

const present = (type: DataType): fc.Arbitrary<Value> => {
  if (DataType.isBool(type)) return fc.boolean()
  if (DataType.isInt(type)) {
    const any = integers(type.bitWidth, type.isSigned)
    return type.bitWidth === 64 ? any : any.map(Number)
  }
  if (DataType.isFloat(type)) {
    // Of binary16 the multiples of 2^-10 below 2: what lies between them is not kept.
    if (type.precision === 0) return fc.integer({ min: -2047, max: 2047 }).map((n) => n / 1024)
    return type.precision === 1 ? fc.float({ noNaN: true }) : fc.double({ noNaN: true })
  }
  if (DataType.isDecimal(type)) return fc.bigInt({ min: 1n - 10n ** BigInt(type.precision), max: 10n ** BigInt(type.precision) - 1n })
  if (DataType.isUtf8(type)) return fc.string({ unit: 'binary', maxLength: 20 })
  if (DataType.isBinary(type)) return bytes(0, 20)
  if (DataType.isFixedSizeBinary(type)) return bytes(type.byteWidth, type.byteWidth)
  if (DataType.isDate(type)) return fc.integer(DAYS)
  if (DataType.isTime(type)) {
    const within = fc.integer({ min: 0, max: (UNIT_PER_DAY[type.unit] ?? 1) - 1 })
    return type.bitWidth === 64 ? within.map(BigInt) : within
  }
  if (DataType.isTimestamp(type)) return integers(64, true)
  if (DataType.isList(type)) return fc.array(cell(type.children[0] as Field), { maxLength: 4 })
  if (DataType.isFixedSizeList(type))
    return fc.array(cell(type.children[0] as Field), { minLength: type.listSize, maxLength: type.listSize })
  if (DataType.isMap(type)) return fc.array(fc.tuple(present(type.keyType), maybe(present(type.valueType))), { maxLength: 4 })
  if (DataType.isStruct(type)) return fc.record(Object.fromEntries(type.children.map((member) => [member.name, cell(member)])))
  throw new TypeError(`no values of ${type}`)
}

const maybe = (values: fc.Arbitrary<Value>): fc.Arbitrary<Value> => fc.option(values, { nil: null, freq: 6 })

const cell = ({ type, nullable }: Field): fc.Arbitrary<Value> => (nullable ? maybe(present(type)) : present(type))

/** `count` random cells of a column, the same in each run. */
export const randomCells = (field: Field, count: number): Value[] => fc.sample(cell(field), { seed: 11, numRuns: count })
