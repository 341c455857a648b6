import { describe, expect, test } from 'bun:test'
import { Field, FixedSizeList, Float32, Int16, Int32, Int64, List, Map_ as MapType, Struct, Utf8 } from 'apache-arrow'
import { dataOf } from '../../src/vastdb/wire/build.ts'
import type { Expression } from '../../src/vastdb/wire/expression.ts'
import { leafPositions, numberNodes } from '../../src/vastdb/wire/leaves.ts'
import {
  anyOf,
  between,
  contains,
  eq,
  type Filter,
  ge,
  gt,
  isNull,
  isValid,
  le,
  lt,
  matchesNothing,
  ne,
  oneOf,
  startsWith,
} from '../../src/vastdb/wire/predicate.ts'
import { decodeQueryRequest, encodeQueryRequest, queryRequest } from '../../src/vastdb/wire/query-request.ts'
import { columnValues } from '../../src/vastdb/wire/values.ts'
import { everyType } from './support/types.ts'

const field = (name: string, type: Field['type'], nullable = true) => new Field(name, type, nullable)
const point = new Struct([field('x', new Int16()), field('y', new Utf8())])
const entries = new Struct<{ key: Field['type']; value: Field['type'] }>([field('key', new Utf8(), false), field('value', point)])
const columns = [
  field('s', point),
  field('a', new Int32()),
  field('l', new List(field('item', point))),
  field('m', new MapType(field('entries', entries, false) as Field<typeof entries>)),
  field('v', new FixedSizeList(2, field('item', new Float32(), false))),
  field('id', new Utf8()),
]

describe('node numbers', () => {
  test('go depth first and count containers', () => {
    expect(numberNodes(columns).map((node) => `${node.position} ${node.path.join('.')}${node.isLeaf ? '' : ' +'}`)).toEqual([
      '0 s +',
      '1 s.x',
      '2 s.y',
      '3 a',
      '4 l +',
      '5 l.item +',
      '6 l.item.x',
      '7 l.item.y',
      '8 m +',
      '9 m.entries +',
      '10 m.entries.key',
      '11 m.entries.value +',
      '12 m.entries.value.x',
      '13 m.entries.value.y',
      '14 v +',
      '15 v.item',
      '16 id',
    ])
  })

  test('of a projection are the leaves of its columns in the order asked for', () => {
    expect(leafPositions(columns, [1, 3, 0])).toEqual([3, 10, 12, 13, 1, 2])
  })
})

const written = (expression: Expression): string => {
  if (expression.kind === 'call') return `${expression.name}(${expression.operands.map(written).join(', ')})`
  if (expression.kind === 'column') return `#${expression.position}`
  const { value } = expression
  return value instanceof Uint8Array ? `'${new TextDecoder('latin1').decode(value)}'` : String(value)
}

const filterOf = (where: readonly Filter[], select: readonly string[] = []) =>
  decodeQueryRequest(encodeQueryRequest(queryRequest(columns, select, where)))

describe('a filter', () => {
  test.each<[string, Filter, string]>([
    ['=', eq('a', 1), 'equal(#0, 1)'],
    ['!=', ne('a', 1), 'not_equal(#0, 1)'],
    ['<', lt('a', 1), 'less(#0, 1)'],
    ['<=', le('a', 1), 'less_equal(#0, 1)'],
    ['>', gt('a', 1), 'greater(#0, 1)'],
    ['>=', ge('a', -1), 'greater_equal(#0, -1)'],
    ['in', oneOf('a', [1, 2]), 'equal(#0, 1), equal(#0, 2)'],
    ['between', between('a', 0, 2), 'and(greater_equal(#0, 0), less_equal(#0, 2))'],
    ['prefix', startsWith('id', 'az'), "and(greater_equal(#0, 'az'), less(#0, 'a{'))"],
    ['a prefix that ends in a long character', startsWith('id', 'é'), "and(greater_equal(#0, 'Ã©'), less(#0, 'Ãª'))"],
    ['an empty prefix', startsWith('id', ''), 'is_valid(#0)'],
    ['substring', contains('id', 'x%'), "match_substring(#0, 'x%')"],
    ['is null', isNull('a'), 'is_null(#0)'],
    ['is not null', isValid('a'), 'is_valid(#0)'],
    ['or on one column', anyOf(isNull('a'), eq('a', 3)), 'is_null(#0), equal(#0, 3)'],
    ['a member of a struct', eq(['s', 'y'], 'q'), "equal(#2, 'q')"],
    ['a whole vector', eq('v', [1, 2]), 'equal(#1, 1,2)'],
  ])('%s is written as the protocol says', (_, filter, expected) => {
    expect(written(filterOf([filter]).filter)).toBe(`and(or(${expected}))`)
  })

  test('on a column that is not selected brings it into the request, not into the projection', () => {
    const query = filterOf([eq('a', 1), lt('a', 5), isNull(['s', 'x'])], ['id'])
    expect(query.fields.map((one) => one.name)).toEqual(['id', 'a', 's'])
    expect(query.projection).toEqual([0])
    expect(written(query.filter)).toBe('and(or(equal(#1, 1)), or(less(#1, 5)), or(is_null(#3)))')
  })

  test('on different columns cannot be joined by or', () => {
    expect(() => anyOf(eq('a', 1), eq('id', 'x'))).toThrow(TypeError)
  })

  test.each<[string, Filter, string]>([
    ['a list', isNull('l'), 'is not a scalar'],
    ['a map', isNull('m'), 'is not a scalar'],
    ['a struct', isNull('s'), 'is not a scalar'],
    ['nothing', isNull('none'), 'no column'],
    ['text for a number', eq('a', 'x'), 'cannot be string'],
    ['a number out of range', eq('a', 2 ** 40), 'does not fit'],
    ['null', eq('a', null), 'ask for is_null'],
  ])('on %s is refused', (_, filter, message) => {
    expect(() => filterOf([filter])).toThrow(message)
  })

  test('of an empty in can pass no row', () => {
    expect(matchesNothing(oneOf('a', []))).toBe(true)
    expect(matchesNothing(anyOf(oneOf('a', []), isNull('a')))).toBe(false)
  })
})

describe('a literal', () => {
  const scalars = everyType.filter(([one]) => !one.type.children?.length)
  test.each(scalars.map(([one, values]) => [one.name, one, values] as const))('of type %s keeps its value', (_, one, values) => {
    const [expected] = values
    const { filter } = decodeQueryRequest(encodeQueryRequest(queryRequest([one], [], [eq(one.name, expected ?? 0)])))
    const group = filter.kind === 'call' ? filter.operands[0] : undefined
    const call = group?.kind === 'call' ? group.operands[0] : undefined
    const literal = call?.kind === 'call' ? call.operands[1] : undefined
    if (literal?.kind !== 'literal') throw new Error('no literal')
    const value =
      literal.value instanceof Uint8Array && typeof expected === 'string' ? new TextDecoder().decode(literal.value) : literal.value
    expect(columnValues(dataOf(one.type, [value]))).toEqual([expected ?? null])
  })

  test('of an int64 at its ends is exact', () => {
    const fields = [field('n', new Int64())]
    const { filter } = decodeQueryRequest(encodeQueryRequest(queryRequest(fields, [], [between('n', -(2n ** 63n), 2n ** 63n - 1n)])))
    expect(written(filter)).toBe('and(or(and(greater_equal(#0, -9223372036854775808), less_equal(#0, 9223372036854775807))))')
  })
})
