import { DataType, type Field } from 'apache-arrow'

/** A node of a schema in the numbering of the protocol: depth first, parents before children, every node takes a number, from 0. */
export interface Node {
  readonly position: number
  /** Names from the top-level column down. */
  readonly path: readonly string[]
  readonly field: Field
  /** Index of the top-level column. */
  readonly column: number
  readonly isLeaf: boolean
}

const childrenOf = (type: DataType): readonly Field[] => type.children ?? []

/** All nodes of a schema, in order of their numbers. */
export const numberNodes = (fields: readonly Field[]): Node[] => {
  const nodes: Node[] = []
  const visit = (field: Field, path: readonly string[], column: number): void => {
    const children = childrenOf(field.type)
    nodes.push({ position: nodes.length, path, field, column, isLeaf: children.length === 0 })
    for (const child of children) visit(child, [...path, child.name], column)
  }
  fields.forEach((field, column) => {
    visit(field, [field.name], column)
  })
  return nodes
}

/** The nodes without children. */
export const leavesOf = (fields: readonly Field[]): Node[] => numberNodes(fields).filter((node) => node.isLeaf)

/** The leaf numbers of whole top-level columns, column by column in the order asked for: the projection of a query. */
export const leafPositions = (fields: readonly Field[], columns: readonly number[]): number[] => {
  const leaves = leavesOf(fields)
  return columns.flatMap((column) => leaves.filter((leaf) => leaf.column === column).map((leaf) => leaf.position))
}

/** How many leaves a type has. */
export const leafCount = (type: DataType): number => {
  const children = childrenOf(type)
  return children.length === 0 ? 1 : children.reduce((sum, child) => sum + leafCount(child.type), 0)
}

/** The node that a predicate on `path` addresses: the leaf itself; the item of a fixed-size list. Throws `RangeError` for anything else. */
export const predicateNode = (fields: readonly Field[], path: readonly string[]): { readonly node: Node; readonly list?: Field } => {
  const nodes = numberNodes(fields)
  const index = nodes.findIndex((node) => node.path.length === path.length && node.path.every((name, i) => name === path[i]))
  const node = nodes[index]
  if (node === undefined) throw new RangeError(`no column ${path.join('.')}`)
  if (node.isLeaf) return { node }
  const item = nodes[index + 1]
  if (DataType.isFixedSizeList(node.field.type) && item?.isLeaf) return { node: item, list: node.field }
  throw new RangeError(`a predicate on ${path.join('.')} is not possible: ${node.field.type} is not a scalar`)
}
