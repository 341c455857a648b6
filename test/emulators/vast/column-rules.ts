// Which columns a table may have (vast-protocol section 7), and when a column of a request is that of the table.
import { DataType, Field, Timestamp } from 'apache-arrow'
import { sameLayout } from '../../../src/vastdb/wire/arrow-schema.ts'
import { badRequest } from './protocol-error.ts'

/** The largest fixed-size list that is taken; the real limit is not known. */
const MAX_LIST_SIZE = 65_536

const unsupported = (field: Field, why: string) => badRequest(`column ${field.name}: ${why}`, 'TabularUnsupportedColumnType')

const isItem = (type: DataType): boolean =>
  DataType.isInt(type) ||
  (DataType.isFloat(type) && type.precision !== 0) ||
  DataType.isDecimal(type) ||
  DataType.isDate(type) ||
  DataType.isTime(type) ||
  DataType.isTimestamp(type)

const check = (field: Field): void => {
  const { type } = field
  if (DataType.isFixedSizeList(type)) {
    const [item] = type.children
    if (item === undefined || item.nullable || !isItem(item.type))
      throw unsupported(field, `a fixed-size list of ${item?.nullable ? 'nullable ' : ''}${item?.type}`)
    if (type.listSize < 1) throw badRequest(`column ${field.name}: a list of ${type.listSize} items`, 'TabularInvalidColumnTypeParam')
    if (type.listSize > MAX_LIST_SIZE) throw unsupported(field, `a list of ${type.listSize} items`)
  }
  for (const child of type.children ?? []) check(child)
}

/** Refuses types that no column can have; gives the fields as the table keeps them. */
export const acceptedFields = (fields: readonly Field[], keepTimeZones: boolean): Field[] => {
  for (const field of fields) {
    if (field.name.startsWith('$')) throw badRequest(`column ${field.name}: names with $ are reserved`)
    check(field)
  }
  return keepTimeZones ? [...fields] : fields.map(withoutTimeZone)
}

const withoutTimeZone = (field: Field): Field =>
  DataType.isTimestamp(field.type) ? new Field(field.name, new Timestamp(field.type.unit), field.nullable, field.metadata) : field

const sameNullability = (a: Field, b: Field): boolean => {
  const [left, right]: (readonly Field[])[] = [a.type.children ?? [], b.type.children ?? []]
  // The entries of a map may be called anything and are never null.
  if (DataType.isMap(a.type)) return true
  const same = (child: Field, i: number): boolean => {
    const other = right?.[i]
    return other !== undefined && sameNullability(child, other)
  }
  return a.nullable === b.nullable && (left ?? []).every(same)
}

/** A column of an insert or update must have exactly the type and nullability of the table's. */
export const checkSameColumn = (table: Field, request: Field): void => {
  if (!sameLayout(table.type, request.type) || !sameNullability(table, request)) {
    const described = (field: Field) => `${field.type}${field.nullable ? '' : ' not null'}`
    throw badRequest(`column ${table.name} is ${described(table)}, the request has ${described(request)}`, 'TabularMismatchColumnType')
  }
}
