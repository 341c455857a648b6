import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { changes } from './clients-7.0.ts'
import { conformanceReport, reportFile } from './report.ts'
import { appendices, requirements } from './requirements.ts'
import { allTaggedTests, root, taggedTests } from './tags.ts'

const behaviour = path.join(root, '..', 'shared', 'tams-behaviour.md')
const isThere = existsSync(behaviour)
if (!isThere) console.warn(`skipped: the lines of requirements.ts are not counted against ${behaviour}, which is absent`)

/** How often each section says MUST and SHOULD in bold: `6.2 MUST` → 10. The introduction explains the words. */
const levelWords = (text: string): Record<string, number> => {
  const counts: Record<string, number> = {}
  let section: string | undefined
  for (const line of text.split('\n')) {
    section = /^#{2,3} (\d+(?:\.\d+)?)\.? /.exec(line)?.[1] ?? section
    if (section === undefined) continue
    for (const [, level] of line.matchAll(/\*\*(MUST|SHOULD)(?: NOT)?\*\*/g)) {
      const key = `${section} ${level}`
      counts[key] = (counts[key] ?? 0) + 1
    }
  }
  return counts
}

const tests = allTaggedTests()
const tagged = new Set(tests.flatMap(({ tags }) => tags))

describe('requirements', () => {
  test.skipIf(!isThere)('are as many in each section as the specification has MUST and SHOULD', () => {
    const counts: Record<string, number> = {}
    for (const { section, level } of requirements) counts[`${section} ${level}`] = (counts[`${section} ${level}`] ?? 0) + 1
    expect(counts).toEqual(levelWords(readFileSync(behaviour, 'utf8')))
  })

  test('that are met have a test, and those that are not have none', () => {
    expect(requirements.filter(({ id, unmet }) => unmet === undefined && !tagged.has(id)).map(({ id }) => id)).toEqual([])
    expect(requirements.filter(({ id, unmet }) => unmet !== undefined && tagged.has(id)).map(({ id }) => id)).toEqual([])
  })

  test('of the appendices have a test each', () => {
    expect(Object.keys(appendices).filter((tag) => !tagged.has(tag))).toEqual([])
  })

  test('are what the tags of tests name', () => {
    const known = new Set([...requirements.map(({ id }) => id), ...Object.keys(appendices), ...changes.map(({ number }) => `13-${number}`)])
    expect([...tagged].filter((tag) => !known.has(tag))).toEqual([])
  })
})

test('every change since 7.0 is listed once, and has a test unless its part is still to come', () => {
  expect(changes.map(({ number }) => number)).toEqual(Array.from({ length: 29 }, (_, index) => index + 1))
  const untested = changes.filter(({ verdict, number }) => (verdict === 'later') === tagged.has(`13-${number}`))
  expect(untested.map(({ number }) => number)).toEqual([])
})

test(`${reportFile} is what the tests say: \`bun run conformance\` makes it`, () => {
  expect(readFileSync(path.join(root, reportFile), 'utf8')).toBe(conformanceReport(tests))
})

describe('tags', () => {
  test('are read from names on the line of the test and below it, with quotes of any kind', () => {
    const text = [
      "test('one [6.2] [6.2-M1]', () => {})",
      "test.each([['x']])(\n  'two: %s [13-4] [2.1-S1]',\n  () => {})",
      'test(`three [1.1-M1] [A]`, () => {})',
      "test('only a section [6.2]', () => {})",
    ].join('\n')
    expect(taggedTests('a.test.ts', text)).toEqual([
      { file: 'a.test.ts', name: 'one', tags: ['6.2-M1'] },
      { file: 'a.test.ts', name: 'two: %s', tags: ['13-4', '2.1-S1'] },
      { file: 'a.test.ts', name: 'three', tags: ['1.1-M1', 'A'] },
    ])
  })

  test.each(['// about [6.2-M1]', "test.skip('x [6.2-M1]', () => {})", "describe('x', () => { f('y [6.2-M1] z', 1) })"])(
    'elsewhere are an error: %s',
    (text) => {
      expect(() => taggedTests('a.test.ts', text)).toThrow('not at the end')
    },
  )
})
