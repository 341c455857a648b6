import { describe, expect, test } from 'bun:test'
import { and, compare, eq, everything, isIn, isNull, not, nothing, or, related } from '../../src/core/predicate.ts'

const [a, b, c] = [eq('a', 1n), compare('b', '<', 'x'), isNull('c')] as const

describe('and, or', () => {
  test('take in the terms of their own kind', () => {
    expect(and(and(a, b), c)).toEqual({ kind: 'and', terms: [a, b, c] })
    expect(or(a, or(b, or(c)))).toEqual({ kind: 'or', terms: [a, b, c] })
  })

  test('leave the other kind whole', () => {
    expect(and(a, or(b, c))).toEqual({ kind: 'and', terms: [a, { kind: 'or', terms: [b, c] }] })
    expect(or(and(a, b), c)).toEqual({ kind: 'or', terms: [{ kind: 'and', terms: [a, b] }, c] })
  })

  test('of one term are that term', () => {
    expect(and(a)).toBe(a)
    expect(or(and(b))).toBe(b)
    expect(and(everything, a)).toBe(a)
    expect(or(nothing, c)).toBe(c)
  })

  test('of no term are everything and nothing', () => {
    expect(and()).toEqual(everything)
    expect(or()).toEqual(nothing)
    expect(and(everything, and())).toEqual(everything)
    expect(everything).not.toEqual(nothing)
  })

  test('keep what is never true and what is always true of the other kind', () => {
    expect(and(a, nothing)).toEqual({ kind: 'and', terms: [a, nothing] })
    expect(or(a, everything)).toEqual({ kind: 'or', terms: [a, everything] })
  })
})

test('the other predicates are plain data', () => {
  expect(isIn('format', ['x', 'y'])).toEqual({ kind: 'in', column: 'format', values: ['x', 'y'] })
  expect(not(a)).toEqual({ kind: 'not', term: a })
  const tagged = related('tags', { entity_id: 'id' }, eq('name', 'genre'))
  expect(tagged).toEqual({ kind: 'related', table: 'tags', on: { entity_id: 'id' }, where: eq('name', 'genre'), negated: false })
  expect(related('tags', { entity_id: 'id' }, a, true)).toMatchObject({ negated: true })
})
