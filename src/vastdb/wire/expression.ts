// Filters as Arrow compute IR: and( or( term … ) … ), each `or` about one column. The order of writing is that of the Python client, so that
// equal queries are equal bytes.
import type { Field } from 'apache-arrow'
import type { Builder } from 'flatbuffers'
import type { FlatTable } from './flat-reader.ts'
import { type Offset, writeOffsets, writeString, writeTable } from './flat-writer.ts'
import { predicateNode } from './leaves.ts'
import { readLiteral, writeLiteral } from './literal.ts'
import type { Filter, Term } from './predicate.ts'
import type { Value } from './values.ts'

const IMPL = { Literal: 1, FieldRef: 2, Call: 3 } as const
const FIELD_INDEX = 5

/** `position` as a FieldIndex table. */
export const writeFieldIndex = (builder: Builder, position: number): Offset =>
  writeTable(builder, 1, () => builder.addFieldInt32(0, position, 0))

const writeExpression = (builder: Builder, kind: number, impl: Offset): Offset =>
  writeTable(builder, 2, () => {
    builder.addFieldInt8(0, kind, 0)
    builder.addFieldOffset(1, impl, 0)
  })

const writeColumn = (builder: Builder, position: number): Offset => {
  const index = writeFieldIndex(builder, position)
  const reference = writeTable(builder, 3, () => {
    builder.addFieldInt8(0, FIELD_INDEX, 0)
    builder.addFieldOffset(1, index, 0)
  })
  return writeExpression(builder, IMPL.FieldRef, reference)
}

const writeCall = (builder: Builder, name: string, operands: readonly Offset[]): Offset => {
  const nameAt = writeString(builder, name)
  const operandsAt = writeOffsets(builder, operands)
  const call = writeTable(builder, 3, () => {
    builder.addFieldOffset(0, nameAt, 0)
    builder.addFieldOffset(1, operandsAt, 0)
  })
  return writeExpression(builder, IMPL.Call, call)
}

/** The prefix itself and the first bytes that sort after every text with it. No byte of UTF-8 is FF, so the last one + 1 fits. */
const prefixBounds = (text: string): { readonly from: Uint8Array; readonly to: Uint8Array } => {
  const from = new TextEncoder().encode(text)
  const to = from.slice()
  const last = to.length - 1
  to[last] = (to[last] ?? 0) + 1
  return { from, to }
}

const writeTerm = (builder: Builder, field: Field, position: number, term: Term): Offset[] => {
  const column = writeColumn(builder, position)
  const literal = (value: Value) => writeExpression(builder, IMPL.Literal, writeLiteral(builder, field, value))
  const within = (from: Value, upper: string, to: Value): Offset => {
    const [low, high] = [literal(from), literal(to)]
    const lower = writeCall(builder, 'greater_equal', [column, low])
    return writeCall(builder, 'and', [lower, writeCall(builder, upper, [column, high])])
  }
  switch (term.kind) {
    case 'compare':
      return [writeCall(builder, term.op, [column, literal(term.value)])]
    case 'in':
      return term.values.map((value) => writeCall(builder, 'equal', [column, literal(value)]))
    case 'between':
      return [within(term.from, 'less_equal', term.to)]
    case 'prefix': {
      if (term.text === '') return [writeCall(builder, 'is_valid', [column])]
      const { from, to } = prefixBounds(term.text)
      return [within(from, 'less', to)]
    }
    case 'substring':
      return [writeCall(builder, 'match_substring', [column, literal(term.text)])]
    case 'is_null':
    case 'is_valid':
      return [writeCall(builder, term.kind, [column])]
    default:
      throw new Error(`unhandled ${term satisfies never}`)
  }
}

/** The filter of a query over the request schema `fields`; no filters is `and()`, which every row passes. */
export const writeFilter = (builder: Builder, fields: readonly Field[], filters: readonly Filter[]): Offset => {
  const groups = filters.map((filter) => {
    const { node, list } = predicateNode(fields, [filter.column].flat())
    const terms = filter.anyOf.flatMap((term) => writeTerm(builder, list ?? node.field, node.position, term))
    return writeCall(builder, 'or', terms)
  })
  return writeCall(builder, 'and', groups)
}

/** A decoded filter. Function names: and or equal not_equal greater greater_equal less less_equal is_null is_valid match_substring. */
export type Expression =
  | { readonly kind: 'call'; readonly name: string; readonly operands: readonly Expression[] }
  /** A node number of the request schema (`numberNodes`). */
  | { readonly kind: 'column'; readonly position: number }
  | { readonly kind: 'literal'; readonly value: Value }

/** Reads an Expression table. */
export const readExpression = (table: FlatTable): Expression => {
  const kind = table.u8(0)
  switch (kind) {
    case IMPL.Literal:
      return { kind: 'literal', value: readLiteral(table.requiredTable(1, 'Literal')) }
    case IMPL.FieldRef: {
      const reference = table.requiredTable(1, 'FieldRef')
      if (reference.u8(0) !== FIELD_INDEX) throw reference.error(0, `expected a FieldIndex, found reference kind ${reference.u8(0)}`)
      return { kind: 'column', position: reference.requiredTable(1, 'FieldIndex').u32(0) }
    }
    case IMPL.Call: {
      const call = table.requiredTable(1, 'Call')
      return { kind: 'call', name: call.requiredString(0), operands: call.tables(1, 'Expression').map(readExpression) }
    }
    default:
      throw table.error(0, `expression kind ${kind} is not supported`)
  }
}
