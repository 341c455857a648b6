import { expect, test } from 'bun:test'
import { filters } from '../../src/cli/listing.ts'
import { collectTag } from '../../src/cli/options.ts'
import { formatTable } from '../../src/cli/table.ts'

test('filters of a listing become query parameters', () => {
  expect(filters({ tag: { venue: ['Leeds', 'York'], 'a b': 'c' }, format: 'image', label: 'x', limit: 5000 })).toEqual({
    'tag.venue': 'Leeds,York',
    'tag.a b': 'c',
    format: 'urn:x-tam:format:image',
    label: 'x',
    timerange: undefined,
    limit: 1000,
  })
})

test('a tag given twice is a list, and its value may hold an equals sign', () => {
  expect(collectTag('b=x=y', collectTag('a=2', collectTag('a=1')))).toEqual({ a: ['1', '2'], b: 'x=y' })
  expect(() => collectTag('novalue')).toThrow('name=value')
})

test('a table is aligned by width on screen and free of control characters', () => {
  expect(
    formatTable(
      ['A', 'B'],
      [
        ['日本', 'x'],
        ['\u001b[2J', 'y'],
      ],
    ),
  ).toBe('A     B\n日本  x\n�[2J  y')
})
