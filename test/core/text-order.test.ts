import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { compareText, isWellFormed, prefixBytes } from '../../src/core/text-order.ts'

const wellFormed = () => fc.string({ unit: 'binary', maxLength: 12 })
// Units next to the surrogates, where comparing UTF-16 goes wrong, and shared beginnings.
const tricky = () =>
  fc.string({ unit: fc.constantFrom('a', 'é', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{1f600}', '\u{10ffff}'), maxLength: 6 })

describe('text', () => {
  test('compares like its UTF-8 bytes', () => {
    const pair = fc.oneof(fc.tuple(wellFormed(), wellFormed()), fc.tuple(tricky(), tricky()))
    fc.assert(
      fc.property(pair, ([a, b]) => {
        expect(Math.sign(compareText(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)))
      }),
      { numRuns: 2000 },
    )
  })

  test('above U+FFFF sorts behind all below, unlike in UTF-16', () => {
    expect(compareText('\u{1f600}', '\uff5e')).toBeGreaterThan(0)
    expect('\u{1f600}' < '\uff5e').toBe(true)
  })

  test('without partner for a surrogate is not well-formed', () => {
    expect(['', 'a', '\u{1f600}'].map(isWellFormed)).toEqual([true, true, true])
    expect(['\ud83d', 'a\ude00', '\ude00\ud83d'].map(isWellFormed)).toEqual([false, false, false])
  })
})

describe('the beginning of a text', () => {
  test('is the longest that fits into the bytes and ends between code points', () => {
    fc.assert(
      fc.property(fc.oneof(wellFormed(), tricky()), fc.nat(30), (text, limit) => {
        let longest = ''
        for (const character of text) {
          if (Buffer.byteLength(longest + character) > limit) break
          longest += character
        }
        expect(prefixBytes(text, limit)).toBe(longest)
      }),
      { numRuns: 1000 },
    )
  })

  test.each<[string, number, string]>([
    ['news', 64, 'news'],
    ['news', 2, 'ne'],
    ['é', 1, ''],
    ['aé', 2, 'a'],
    ['\u{1f600}x', 4, '\u{1f600}'],
    ['\ufeffabc', 4, '\ufeffa'],
  ])('of %j in %d bytes is %j', (text, limit, prefix) => {
    expect(prefixBytes(text, limit)).toBe(prefix)
  })
})
