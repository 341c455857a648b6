import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { isTamsError, type TamsError } from '../../src/core/errors.ts'
import { decodePageKey, encodePageKey } from '../../src/core/page-key.ts'
import type { Value } from '../../src/core/predicate.ts'

const scope = 'flows:created'

const value = (): fc.Arbitrary<Value> =>
  fc.oneof(
    fc.string({ unit: 'binary', maxLength: 64 }),
    fc.uuid({ version: [1, 2, 3, 4, 5] }),
    fc.uuid({ version: [7] }),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.double(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
  )

const refusal = (scopeOf: string, key: string): TamsError | undefined => {
  try {
    decodePageKey(scopeOf, key)
    return undefined
  } catch (error) {
    if (isTamsError(error)) return error
    throw error
  }
}

describe('a page key', () => {
  test('gives back the values that went in', () => {
    fc.assert(
      fc.property(fc.array(value(), { maxLength: 4 }), (values) => {
        const decoded = decodePageKey(scope, encodePageKey(scope, values))
        expect(decoded.length).toBe(values.length)
        for (const [i, each] of values.entries()) expect(Object.is(decoded[i], each)).toBe(true)
      }),
    )
  })

  test.each<[string, readonly Value[]]>([
    ['the bounds of 64 bits', [-(2n ** 63n), 2n ** 63n - 1n]],
    ['an integer apart from a number of the same value', [1n, 1]],
    ['no values', []],
    ['an empty text', ['']],
    ['a text of 200 characters', ['é'.repeat(200)]],
    ['a byte order mark', ['\ufeffnews']],
    ['an upper-case UUID, which is plain text', ['0A0B0C0D-1111-4222-8333-444455556666']],
  ])('carries %s', (_, values) => {
    expect(decodePageKey(scope, encodePageKey(scope, values))).toEqual(values)
  })

  test('is safe in a URL without encoding', () => {
    fc.assert(fc.property(fc.array(value(), { maxLength: 4 }), (values) => /^[A-Za-z0-9_-]+$/.test(encodePageKey(scope, values))))
  })

  test('for a moment and a UUID is 40 characters long', () => {
    expect(encodePageKey(scope, [1_795_000_000_000_000n, '0a0b0c0d-1111-4222-8333-444455556666'])).toHaveLength(40)
  })

  test('of another listing or order is refused, naming `page`', () => {
    const key = encodePageKey('flows:created', [1n, 'a'])
    expect(refusal('flows:label', key)?.code).toBe('invalid')
    expect(refusal('sources:created', key)?.field).toBe('page')
    expect(refusal('flows:created', key)).toBeUndefined()
  })

  test('with any bit of any character flipped is refused', () => {
    const keyAndBit = fc.array(value(), { maxLength: 4 }).chain((values) => {
      const key = encodePageKey(scope, values)
      return fc.tuple(fc.constant(key), fc.nat(key.length - 1), fc.nat(7))
    })
    fc.assert(
      fc.property(keyAndBit, ([key, at, bit]) => {
        const flipped = key.slice(0, at) + String.fromCharCode(key.charCodeAt(at) ^ (1 << bit)) + key.slice(at + 1)
        expect(refusal(scope, flipped)?.field).toBe('page')
      }),
    )
  })

  test('with spare bits set in its last character is refused', () => {
    const key = encodePageKey(scope, [null])
    const canonical = key.at(-1) ?? ''
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const next = alphabet[alphabet.indexOf(canonical) + 1] ?? ''
    expect(Buffer.from(key.slice(0, -1) + next, 'base64url')).toEqual(Buffer.from(key, 'base64url'))
    expect(refusal(scope, key.slice(0, -1) + next)?.code).toBe('invalid')
  })

  test('made up by a client is refused without any other error', () => {
    const anything = fc.oneof(fc.string({ unit: 'binary' }), fc.base64String(), fc.string(), fc.constantFrom('', '=', '%', 'null', '0'))
    fc.assert(fc.property(anything, (key) => refusal(scope, key)?.code === 'invalid'))
  })

  test('with a right checksum over bytes that are no values is refused', () => {
    const forge = (body: Uint8Array) => {
      const sum = Buffer.alloc(4)
      sum.writeUInt32BE(Bun.hash.crc32(body, Bun.hash.crc32(new TextEncoder().encode(scope))))
      return Buffer.concat([sum, body]).toString('base64url')
    }
    // An unknown tag, a text longer than the key, a length without end, text that is not UTF-8, half an integer.
    const bodies = [[99], [3, 20, 65], [3, 255, 255, 255, 255, 255], [3, 1, 0xff], [5, 0, 0]]
    for (const body of bodies) expect(refusal(scope, forge(Uint8Array.from(body)))?.field).toBe('page')
    expect(decodePageKey(scope, forge(Uint8Array.of(3, 1, 65)))).toEqual(['A'])
  })

  test('refuses to carry an integer of more than 64 bits', () => {
    expect(() => encodePageKey(scope, [2n ** 63n])).toThrow(RangeError)
  })
})
