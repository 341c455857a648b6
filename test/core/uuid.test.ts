import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { isUuid, parseUuid, quote } from '../../src/core/uuid.ts'

const good = '6a0b0c0d-1111-4222-8333-444455556666'

describe('a UUID of the specification', () => {
  test('has version 1 to 5', () => {
    fc.assert(fc.property(fc.uuid({ version: [1, 2, 3, 4, 5] }), (id) => parseUuid(id, 'id') === id))
    fc.assert(fc.property(fc.uuid({ version: [6, 7, 8] }), (id) => !isUuid(id)))
  })

  test('is what crypto.randomUUID makes', () => {
    expect(isUuid(crypto.randomUUID())).toBe(true)
  })

  test.each([
    ...[
      '',
      good.toUpperCase(),
      `{${good}}`,
      `urn:uuid:${good}`,
      good.replaceAll('-', ''),
      `${good}\n`,
      ` ${good}`,
      `${good}0`,
      good.slice(1),
    ],
    ...['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '6a0b0c0d-1111-4222-7333-444455556666'],
    ...['6a0b0c0d-1111-4222-c333-444455556666', '6a0b0c0g-1111-4222-8333-444455556666', '6a0b0c0d_1111-4222-8333-444455556666'],
  ])('is not %j', (text) => {
    expect(isUuid(text)).toBe(false)
    expect(() => parseUuid(text, 'source_id')).toThrow(/^source_id: .* is not a lower-case UUID/s)
  })

  test.each([[undefined], [null], [4], [{}], [[good]]])('is a text, not %p', (value) => {
    expect(isUuid(value)).toBe(false)
  })
})

describe('a quoted value', () => {
  test('is JSON of at most 80 characters', () => {
    expect(quote('a"b')).toBe('"a\\"b"')
    expect(quote(undefined)).toBe('undefined')
    expect(quote({ a: 1 })).toBe('{"a":1}')
    expect(quote('x'.repeat(1_000_000)).length).toBeLessThanOrEqual(80)
  })
})
