import { type Change, changes } from './clients-7.0.ts'
import { appendices, type Level, type Requirement, requirements, sectionNumbers, sections } from './requirements.ts'
import type { TaggedTest } from './tags.ts'

export const reportFile = 'docs/CONFORMANCE.md'

/** `docs/CONFORMANCE.md` from the requirements and the tests that hold them. */
export const conformanceReport = (tests: readonly TaggedTest[]): string =>
  `${[
    '# Conformance',
    '',
    'Made by `bun run conformance` from `test/conformance/requirements` and the tags in the names of tests; a test compares. Do not edit.',
    '',
    'Every line of `tams-behaviour.md` (the reading of TAMS 8.2 that this service is built on) that says MUST or SHOULD, with the tests',
    'that hold it: in `6.2-M4`, 6.2 is the section, M or S the level, 4 the place in the section. Recommendations and permissions are not',
    'counted; many are tested, their tests carry only the section. `bun test -t 6.2-M4` runs the tests of a line.',
    '',
    'Where a line lists 403 for a caller without permission, what is tested is 403 for a read-only flow; 403 for a scope that is missing',
    'is tested for all routes at once (section 12).',
    '',
    '## Summary',
    '',
    ...summary(),
    '',
    '## Lines not met',
    '',
    ...table(
      ['line', 'statement', 'reason'],
      requirements.flatMap(({ id, statement, unmet }) => (unmet === undefined ? [] : [[id, statement, unmet]])),
    ),
    '',
    '## Lines and their tests',
    ...sectionNumbers.flatMap((number) => sectionPart(number, tests)),
    '',
    '### Appendices',
    '',
    ...table(
      ['table', '', 'tests'],
      Object.entries(appendices).map(([letter, title]) => [letter, title, testsOf(letter, tests)]),
    ),
    '',
    '## Clients of 7.0',
    '',
    'Reading, ingest, deletion and object look-up of a 7.0 client work. The numbers are those of the list of changes from 7.0 to 8.2.',
    '',
    ...clientsPart(tests),
  ].join('\n')}\n`

const core = ({ section }: Requirement) => !/^1[02]/.test(section)

const summary = (): string[] => {
  const row = (name: string, level: Level, among: readonly Requirement[]) => {
    const all = among.filter((each) => each.level === level)
    const met = all.filter((each) => each.unmet === undefined)
    return [name, level, String(met.length), String(all.length), `${((100 * met.length) / all.length).toFixed(1)} %`]
  }
  const levels = ['MUST', 'SHOULD'] as const
  return table(
    ['sections', 'level', 'met', 'lines', ''],
    [
      ...levels.map((level) => row('1–9, 11: the core', level, requirements.filter(core))),
      ...levels.map((level) => row('all, with 10 (events) and 12 (authentication)', level, requirements)),
    ],
  )
}

const sectionPart = (number: string, tests: readonly TaggedTest[]): string[] => [
  '',
  `### ${number} ${sections[number]?.title}`,
  '',
  ...table(
    ['line', 'statement', 'tests'],
    requirements
      .filter(({ section }) => section === number)
      .map(({ id, statement, note, unmet }) => [
        id,
        note === undefined ? statement : `${statement}. ${note}`,
        unmet === undefined ? testsOf(id, tests) : 'not met',
      ]),
  ),
]

const verdicts: readonly (readonly [Change['verdict'], string])[] = [
  ['works', 'Goes on working unchanged'],
  ['differs', 'Goes on working, but may read something else'],
  ['breaks', 'Has to be changed in the client'],
  ['later', 'Not in this version'],
]

const clientsPart = (tests: readonly TaggedTest[]): string[] =>
  verdicts.flatMap(([verdict, title], index) => [
    ...(index === 0 ? [] : ['']),
    `### ${title}`,
    '',
    ...table(
      ['change', '', 'for the client', 'tests'],
      changes
        .filter((each) => each.verdict === verdict)
        .map((each) => [`13-${each.number}`, each.change, each.client, testsOf(`13-${each.number}`, tests)]),
    ),
  ])

const testsOf = (id: string, tests: readonly TaggedTest[]): string => {
  const names = new Map<string, string[]>()
  for (const { file, name, tags } of tests) if (tags.includes(id)) names.set(file, [...(names.get(file) ?? []), name])
  return [...names].map(([file, own]) => `${file.replace(/^test\//, '')}: ${own.join('; ')}`).join('<br>')
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string[] => [
  row(head),
  row(head.map(() => '---')),
  ...rows.map((cells) => row(cells)),
]

const row = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`

// What Markdown would read as a column, markup or HTML in names of tests; `<br>` between them is ours.
const cell = (text: string): string => text.replaceAll('|', String.raw`\|`).replaceAll(/[*_]/g, String.raw`\$&`)
