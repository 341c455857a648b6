// Nested columns travel one leaf at a time, each wrapped in its ancestors: struct<a,b> as struct<a> and struct<b>, map<k,v> as
// list<struct<k>> and list<struct<v>>. Splitting and joining work on buffers; validity and offsets of the ancestors are shared.
import { type Data, DataType, Field, FixedSizeList, List, Struct } from 'apache-arrow'
import { sameLayout, typeCode } from './arrow-schema.ts'
import { columnOf } from './column.ts'
import { leafCount } from './leaves.ts'
import { WireError } from './wire-error.ts'

const rebuild = (type: DataType, data: Data, children: readonly Data[]): Data =>
  columnOf(
    type,
    {
      offset: data.offset,
      length: data.length,
      nulls: data.nullCount,
      offsets: data.valueOffsets,
      values: data.values,
      validity: data.nullBitmap,
    },
    children,
  )

const childAt = (data: Data, index: number, where: string): Data => {
  const child = data.children[index]
  if (child === undefined) throw new WireError(where, 0, `${data.type} without its child ${index}`)
  return child
}

/** One column as its leaves, in order, each wrapped in its ancestors with a single child. A column that is a leaf stays as it is. */
export const splitLeaves = (data: Data): Data[] => {
  const { type } = data
  if (leafCount(type) === 1 && !DataType.isMap(type)) return [data]
  if (DataType.isStruct(type))
    return type.children.flatMap((field, i) =>
      splitLeaves(childAt(data, i, 'leaf')).map((leaf) =>
        rebuild(new Struct([new Field(field.name, leaf.type, field.nullable)]), data, [leaf]),
      ),
    )
  const inner = childAt(data, 0, 'leaf')
  return splitLeaves(inner).map((leaf) => {
    const item = new Field(type.children[0]?.name ?? 'item', leaf.type, type.children[0]?.nullable ?? true)
    return rebuild(DataType.isFixedSizeList(type) ? new FixedSizeList(type.listSize, item) : new List(item), data, [leaf])
  })
}

const sameOffsets = (a: Int32Array, b: Int32Array, length: number): boolean => {
  for (let i = 0; i <= length; i++) if (a[i] !== b[i]) return false
  return true
}

/** The leaves of one column (as `splitLeaves` gives them) put together as `field.type`. Names of the parts do not count, layouts do. */
export const joinLeaves = (field: Field, parts: readonly Data[]): Data => {
  const where = `column ${field.name}`
  const [first] = parts
  const { type } = field
  if (first === undefined || parts.length !== leafCount(type))
    throw new WireError(where, 0, `expected ${leafCount(type)} leaves, found ${parts.length}`)
  if (!type.children?.length) {
    if (!sameLayout(first.type, type)) throw new WireError(where, 0, `expected ${type}, found ${first.type}`)
    return rebuild(type, first, [])
  }
  const isList = DataType.isList(type) || DataType.isMap(type)
  for (const part of parts) {
    const matches = isList ? DataType.isList(part.type) || DataType.isMap(part.type) : typeCode(part.type) === typeCode(type)
    if (!matches) throw new WireError(where, 0, `expected ${type}, found ${part.type}`)
    if (DataType.isFixedSizeList(type) && DataType.isFixedSizeList(part.type) && type.listSize !== part.type.listSize)
      throw new WireError(where, 0, `expected lists of ${type.listSize}, found ${part.type.listSize}`)
    const same = part.length === first.length && part.nullCount === first.nullCount
    if (!same || (isList && !sameOffsets(part.valueOffsets, first.valueOffsets, first.length)))
      throw new WireError(where, 0, 'the leaves disagree about the values that hold them')
  }
  if (!DataType.isStruct(type)) {
    const [item] = type.children
    if (item === undefined) throw new WireError(where, 0, `${type} without items`)
    return rebuild(type, first, [
      joinLeaves(
        item,
        parts.map((part) => childAt(part, 0, where)),
      ),
    ])
  }
  let next = 0
  const children = type.children.map((child) => {
    const from = next
    next += leafCount(child.type)
    return joinLeaves(
      child,
      parts.slice(from, next).map((part) => childAt(part, 0, where)),
    )
  })
  return rebuild(type, first, children)
}
