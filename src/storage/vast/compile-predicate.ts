import type { CompareOp, Predicate, Related } from '../../core/predicate.ts'
import type { TableName } from '../schema.ts'
import { comparable, kindOfColumn, relatedColumns, type TableFacts, tableFacts } from '../table-facts.ts'
import { bytesOf, costOf } from './column-terms.ts'
import type { ColumnTerm, Condition } from './row-source.ts'

/** A checked predicate without `not`: conditions are grouped by column wherever "or" allows, which is what the wire can say. */
export type Node =
  | { readonly kind: 'term'; readonly term: ColumnTerm }
  | { readonly kind: 'and' | 'or'; readonly nodes: readonly Node[] }
  | RelatedNode

export interface RelatedNode {
  readonly kind: 'related'
  readonly other: TableFacts
  readonly links: readonly (readonly [theirs: string, ours: string])[]
  readonly where: Node
  readonly negated: boolean
}

const opposite: Record<CompareOp, CompareOp> = { '=': '!=', '!=': '=', '<': '>=', '<=': '>', '>': '<=', '>=': '<' }

/** Throws `invalid` for text that no row can hold, an Error for unknown tables and columns and for values of a wrong type. */
export const compile = (facts: TableFacts, predicate: Predicate, negated = false): Node => {
  switch (predicate.kind) {
    case 'compare': {
      const value = comparable(facts, predicate.column, predicate.value)
      const op = negated ? opposite[predicate.op] : predicate.op
      return term(facts, predicate.column, { kind: 'compare', op, value }, negated)
    }
    case 'in': {
      const values = [...new Set(predicate.values.map((value) => comparable(facts, predicate.column, value)))]
      kindOfColumn(facts, predicate.column)
      if (values.length === 0) return { kind: negated ? 'and' : 'or', nodes: [] }
      if (!negated) return term(facts, predicate.column, { kind: 'in', values }, false)
      return join(
        'and',
        values.map((value) => term(facts, predicate.column, { kind: 'compare', op: '!=', value }, true)),
      )
    }
    case 'null':
      kindOfColumn(facts, predicate.column)
      if (!facts.nullable.has(predicate.column)) return { kind: negated ? 'and' : 'or', nodes: [] }
      return term(facts, predicate.column, { kind: negated ? 'valid' : 'null' }, false)
    case 'not':
      return compile(facts, predicate.term, !negated)
    case 'and':
    case 'or': {
      const kind = (predicate.kind === 'and') === negated ? 'or' : 'and'
      return join(
        kind,
        predicate.terms.map((each) => compile(facts, each, negated)),
      )
    }
    case 'related':
      return compileRelated(facts, predicate, negated)
    default:
      throw new Error(`unhandled ${predicate satisfies never}`)
  }
}

const term = (facts: TableFacts, column: string, condition: Condition, orNull: boolean): Node => ({
  kind: 'term',
  term: { column, anyOf: orNull && facts.nullable.has(column) ? [condition, { kind: 'null' }] : [condition] },
})

const compileRelated = (facts: TableFacts, related: Related, negated: boolean): Node => {
  const other = tableFacts(related.table as TableName)
  return {
    kind: 'related',
    other,
    links: relatedColumns(facts, other, related),
    where: compile(other, related.where),
    negated: related.negated !== negated,
  }
}

const join = (kind: 'and' | 'or', nodes: readonly Node[]): Node => {
  const flat = nodes.flatMap((node) => (node.kind === kind ? node.nodes : [node]))
  const joined = kind === 'or' ? byColumn(flat) : flat
  return joined.length === 1 && joined[0] ? joined[0] : { kind, nodes: joined }
}

const byColumn = (nodes: readonly Node[]): readonly Node[] => {
  const conditions = new Map<string, Condition[]>()
  for (const node of nodes)
    if (node.kind === 'term') conditions.set(node.term.column, [...(conditions.get(node.term.column) ?? []), ...node.term.anyOf])
  const terms = [...conditions].map(([column, anyOf]): Node => ({ kind: 'term', term: { column, anyOf: withoutEquals(anyOf) } }))
  return [...terms, ...nodes.filter(({ kind }) => kind !== 'term')]
}

/** Equalities as one list: a list can be looked up, and cut into several requests. */
const withoutEquals = (conditions: readonly Condition[]): readonly Condition[] => {
  const equal = conditions.flatMap((condition) => {
    if (condition.kind === 'in') return condition.values
    return condition.kind === 'compare' && condition.op === '=' ? [condition.value] : []
  })
  const others = conditions.filter(({ kind, ...rest }) => !(kind === 'in' || ('op' in rest && rest.op === '=')))
  return equal.length === 0 ? others : [{ kind: 'in', values: [...new Set(equal)] }, ...others]
}

/** Columns of the row itself that a condition looks at. */
export const columnsOf = (node: Node): readonly string[] => {
  if (node.kind === 'term') return [node.term.column]
  return node.kind === 'related' ? node.links.map(([, ours]) => ours) : node.nodes.flatMap(columnsOf)
}

export interface SplitNode {
  /** For the source. */
  readonly terms: readonly ColumnTerm[]
  /** To be evaluated here; all of them. */
  readonly rest: readonly Node[]
  /** No row can pass. */
  readonly never: boolean
}

/** A request may hold 4.5 MiB; what is beyond this is evaluated here. */
const REQUEST_BYTES = 1024 * 1024
const VALUE_BYTES = 64 * 1024

/** Divides a condition into what the wire can say and the rest. One list may be of any length: the source cuts it. */
export const split = (facts: TableFacts, node: Node): SplitNode => {
  const terms: ColumnTerm[] = []
  const rest: Node[] = []
  let bytes = 0
  let cut = false
  for (const each of node.kind === 'and' ? node.nodes : [node]) {
    if (each.kind === 'or' && each.nodes.length === 0) return { terms: [], rest: [], never: true }
    if (each.kind !== 'term' || !isOnWire(facts, each.term)) {
      rest.push(each)
      continue
    }
    const cost = costOf(each.term)
    const cuttable = !cut && isList(each.term)
    if (bytes + cost > REQUEST_BYTES && !cuttable) rest.push(each)
    else {
      terms.push(each.term)
      if (bytes + cost > REQUEST_BYTES) cut = true
      else bytes += cost
    }
  }
  return { terms, rest, never: false }
}

/** One list of values and nothing else. */
export const isList = ({ anyOf }: ColumnTerm): boolean => anyOf.length === 1 && anyOf[0]?.kind === 'in'

const isOnWire = (facts: TableFacts, { column, anyOf }: ColumnTerm): boolean => {
  const ordered = facts.kinds.get(column) !== 'bool'
  return anyOf.every((condition) => {
    if (condition.kind === 'in') return condition.values.every((value) => bytesOf(value) <= VALUE_BYTES)
    if (condition.kind !== 'compare') return true
    // Whether booleans have an order on the wire is not documented.
    return bytesOf(condition.value) <= VALUE_BYTES && (ordered || condition.op === '=' || condition.op === '!=')
  })
}
