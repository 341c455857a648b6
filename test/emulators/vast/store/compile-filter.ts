// Filters as a query says them, read into predicates. Lists and ranges of one column become one term each, so that a row is tested once.
import { DataType, type Field } from 'apache-arrow'
import type { Expression } from '../../../../src/vastdb/wire/expression.ts'
import { numberNodes } from '../../../../src/vastdb/wire/leaves.ts'
import type { Value } from '../../../../src/vastdb/wire/values.ts'
import { badRequest } from '../protocol-error.ts'
import { type ColumnRef, isCompare, type Predicate } from './predicate.ts'

const refsOf = (fields: readonly Field[]): readonly (ColumnRef | undefined)[] => {
  const nodes = numberNodes(fields)
  return nodes.map(({ path, column, isLeaf }) => {
    if (!isLeaf) return undefined
    const indexes: number[] = []
    let type = fields[column]?.type
    for (const name of path.slice(1)) {
      // The item of a fixed-size list stands for the whole list in a predicate.
      if (type === undefined || DataType.isFixedSizeList(type)) break
      if (!DataType.isStruct(type)) return undefined
      const index = type.children.findIndex((child) => child.name === name)
      indexes.push(index)
      type = type.children[index]?.type
    }
    return { column, path: indexes }
  })
}

/** Reads the filter of a query over the request's columns. What the protocol cannot say is a 400. */
export const compileFilter = (fields: readonly Field[], filter: Expression): Predicate => {
  const refs = refsOf(fields)
  const refOf = (expression: Expression | undefined): ColumnRef => {
    if (expression?.kind !== 'column') throw badRequest('the first operand of a predicate must be a column')
    const ref = refs[expression.position]
    if (ref === undefined) throw badRequest(`a predicate on node ${expression.position}, which is not a scalar`)
    return ref
  }
  const literalOf = (expression: Expression | undefined): Value => {
    if (expression?.kind !== 'literal') throw badRequest('the second operand of a predicate must be a literal')
    return expression.value
  }
  const compile = (expression: Expression): Predicate => {
    if (expression.kind !== 'call') throw badRequest(`a predicate that is a ${expression.kind}`)
    const { name, operands } = expression
    const [first, second] = operands
    if (name === 'and') return { kind: 'and', terms: operands.map(compile) }
    if (name === 'or') return { kind: 'or', terms: united(grouped(operands.map(compile))) }
    if (name === 'is_null') return { kind: 'null', ref: refOf(first) }
    if (name === 'is_valid') return { kind: 'valid', ref: refOf(first) }
    if (isCompare(name)) return { kind: 'compare', op: name, ref: refOf(first), value: literalOf(second) }
    if (name === 'match_substring') {
      const text = literalOf(second)
      if (!(text instanceof Uint8Array)) throw badRequest('match_substring needs text')
      return { kind: 'substring', ref: refOf(first), text }
    }
    throw badRequest(`function ${JSON.stringify(name)} is not known`)
  }
  return compile(filter)
}

/** `IN` arrives as many `equal`; one set is quicker than thousands of comparisons per row. */
const grouped = (terms: readonly Predicate[]): readonly Predicate[] => {
  const equals = terms.filter((term) => term.kind === 'compare' && term.op === 'equal' && !Array.isArray(term.value))
  const [first] = equals
  if (equals.length < 4 || first?.kind !== 'compare') return terms
  const values = equals.flatMap((term) => (term.kind === 'compare' ? [term.value] : []))
  return [...terms.filter((term) => !equals.includes(term)), { kind: 'in', ref: first.ref, values }]
}

type Comparison = Extract<Predicate, { readonly kind: 'compare' }>

/** `from <= column and column <= to` for whole numbers. */
const rangeOf = (term: Predicate): { readonly ref: ColumnRef; readonly from: bigint; readonly to: bigint } | undefined => {
  if (term.kind !== 'and' || term.terms.length !== 2) return undefined
  const side = (op: string) => term.terms.find((each): each is Comparison => each.kind === 'compare' && each.op === op)
  const [low, high] = [side('greater_equal'), side('less_equal')]
  if (!low || high?.ref !== low.ref || typeof low.value !== 'bigint' || typeof high.value !== 'bigint') return undefined
  return { ref: low.ref, from: low.value, to: high.value }
}

const isLong = (value: bigint): boolean => BigInt.asIntN(64, value) === value

/** Many ranges of one column as one list: where a value lies is found by halving, not one after the other. */
const united = (terms: readonly Predicate[]): readonly Predicate[] => {
  if (terms.length < 2) return terms
  const ranges = terms.flatMap((term) => rangeOf(term) ?? [])
  const [first] = ranges
  const fits = ranges.every(({ ref, from, to }) => ref === first?.ref && from <= to && isLong(from) && isLong(to))
  if (!first || !fits || ranges.length < terms.length) return terms
  ranges.sort((a, b) => (a.from < b.from ? -1 : 1))
  const from: bigint[] = []
  const to: bigint[] = []
  for (const range of ranges) {
    const last = to.length - 1
    const end = to[last]
    if (end === undefined || range.from > end) {
      from.push(range.from)
      to.push(range.to)
    } else if (range.to > end) to[last] = range.to
  }
  return [{ kind: 'within', ref: first.ref, from: BigInt64Array.from(from), to: BigInt64Array.from(to) }]
}
