import type { Scalar, Value } from '../../core/predicate.ts'
import { among, rowTest } from './column-terms.ts'
import { columnsOf, type Node, type RelatedNode, split } from './compile-predicate.ts'
import type { ColumnTerm, RowSource, SourceRow } from './row-source.ts'

/** Those of `rows` that pass, in their order. Related rows are read from the same source, for all rows at once. */
export const keep = async (source: RowSource, node: Node, rows: readonly SourceRow[]): Promise<readonly SourceRow[]> => {
  if (rows.length === 0) return rows
  switch (node.kind) {
    case 'term':
      return rows.filter(rowTest([node.term]))
    case 'and':
      return keepAll(source, node.nodes, rows)
    case 'or': {
      const kept = new Set<SourceRow>()
      let left = rows
      for (const each of node.nodes) {
        for (const row of await keep(source, each, left)) kept.add(row)
        left = left.filter((row) => !kept.has(row))
      }
      return rows.filter((row) => kept.has(row))
    }
    case 'related': {
      const found = await relatedTo(source, node, rows)
      return rows.filter((row) => found.has(tupleOf(node.links.map(([, ours]) => row[ours] ?? null))) !== node.negated)
    }
    default:
      throw new Error(`unhandled ${node satisfies never}`)
  }
}

export const keepAll = async (source: RowSource, nodes: readonly Node[], rows: readonly SourceRow[]): Promise<readonly SourceRow[]> => {
  let kept = rows
  for (const node of nodes) kept = await keep(source, node, kept)
  return kept
}

/** Values as one text, equal exactly when they are equal; columns of one place have one type. */
export const tupleOf = (values: readonly Value[]): string => JSON.stringify(values.map((value) => (value === null ? null : String(value))))

/** The tuples of link columns that some related row has. A null links to nothing. */
const relatedTo = async (source: RowSource, node: RelatedNode, rows: readonly SourceRow[]): Promise<ReadonlySet<string>> => {
  const lists = node.links.map(([theirs, ours]): ColumnTerm => {
    const values = new Set(rows.map((row) => row[ours] ?? null))
    return among(
      theirs,
      [...values].filter((value): value is Scalar => value !== null),
    )
  })
  const found = new Set<string>()
  for await (const others of relatedRows(source, node, lists)) for (const other of others) found.add(linkOf(node, other))
  return found
}

const linkOf = ({ links }: RelatedNode, other: SourceRow): string => tupleOf(links.map(([theirs]) => other[theirs] ?? null))

async function* relatedRows(
  source: RowSource,
  { other, links, where }: RelatedNode,
  lists: readonly ColumnTerm[],
  limit?: number,
): AsyncGenerator<readonly SourceRow[]> {
  const condition: Node = { kind: 'and', nodes: [...lists.map((term): Node => ({ kind: 'term', term })), where] }
  const flat: Node = { kind: 'and', nodes: condition.nodes.flatMap((node) => (node.kind === 'and' ? node.nodes : [node])) }
  const { terms, rest, never } = split(other, flat)
  if (never) return
  const columns = [...new Set([...links.map(([theirs]) => theirs), ...rest.flatMap(columnsOf)])]
  for await (const chunk of source.rows(other.name, { columns, where: terms, ...(limit === undefined ? {} : { limit }) })) {
    if (limit !== undefined && rest.length > 0) yield chunk
    else yield await keepAll(source, rest, chunk)
  }
}

/** Sides smaller than this are worth starting from. */
const SMALL = 1000

/**
 * The related rows as a condition on this table's column, when there are few of them: a list of three flows with a tag is then found from the tag.
 * With conditions that the wire cannot say the related rows are examined afterwards, so the list may be too long: `exact` tells.
 */
export const startFrom = async (
  source: RowSource,
  node: RelatedNode,
): Promise<{ readonly term: ColumnTerm; readonly exact: boolean } | undefined> => {
  const [link] = node.links
  if (node.negated || !link) return undefined
  const [theirs, ours] = link
  const values = new Set<Scalar>()
  let rows = 0
  for await (const others of relatedRows(source, node, [], SMALL + 1)) {
    rows += others.length
    for (const other of others) {
      const value = other[theirs] ?? null
      if (value !== null) values.add(value)
    }
  }
  if (rows > SMALL) return undefined
  const exact = node.links.length === 1 && split(node.other, node.where).rest.length === 0
  return { term: among(ours, [...values]), exact }
}
