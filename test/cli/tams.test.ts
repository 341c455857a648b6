import { describe, expect, test } from 'bun:test'
import { filters } from '../../src/cli/listing.ts'
import { collectTag } from '../../src/cli/options.ts'
import { formatTable } from '../../src/cli/table.ts'
import { runTams } from '../support/service-process.ts'

const tams = (...args: string[]) => runTams('/nowhere', args)

describe('the tams command', () => {
  test.each(['serve', 'ingest', 'export', 'ls', 'tail', 'seed', 'tables', 'users', 'tokens', 'config'])(
    'explains %s with examples',
    async (name) => {
      const { code, stdout } = await tams(name, '--help')
      expect(code).toBe(0)
      expect(stdout).toContain(`Usage: tams ${name}`)
      expect(stdout).toMatch(new RegExp(`Examples:[^]*tams ${name}`))
    },
  )

  test.each([
    [['nonsense'], "unknown command 'nonsense'"],
    [['ingest'], "missing required argument 'file'"],
    [['ls', 'flows', '--limit', '0'], 'whole number from 1'],
    [['ingest', 'x.mp4', '--start', '0:05'], 'timestamp'],
    [['export', 'no-uuid', 'x.mp4'], 'no-uuid is not the id of a flow'],
    [['export', 'b3bb5be7-9fe9-4324-a5bb-4c70e1084449', 'x.doc'], '.ts, .mp4, .mkv, .mov'],
    [['seed', '--flows', '2'], '--segments'],
  ])('says with exit code 2 what is wrong with %p', async (args, message) => {
    const { code, stdout, stderr } = await tams(...args)
    expect(code).toBe(2)
    expect(stderr).toContain(message)
    expect(stdout).toBe('')
  })

  test('gives exit code 1 and one line for a file that is not there', async () => {
    expect(await tams('ingest', '/nonexistent.mp4')).toEqual({ code: 1, stdout: '', stderr: 'tams: /nonexistent.mp4 does not exist\n' })
  })
})

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
