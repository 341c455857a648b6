import { describe, expect, test } from 'bun:test'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { STATUS } from '../api/plugins/errors.ts'
import { ERRORS } from '../src/core/errors.ts'
import { EXTENSIONS } from '../src/domain/extensions.ts'
import { REMEDIES } from '../src/domain/integrity/index.ts'
import { object } from './support/answers.ts'
import { openApp } from './support/app.ts'
import { expectStatus } from './support/fixtures.ts'

const read = (name: string): Promise<string> => readFile(path.join(import.meta.dir, '../docs', name), 'utf8')
/** Cells of the rows of all tables, those of titles left out. */
const rowsOf = (text: string): string[][] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )

test('ERRORS.md lists every type of error with its status and what it says, and no other', async () => {
  const listed = rowsOf(await read('ERRORS.md')).map(([type = '', status, says]) => [type.replaceAll('`', ''), Number(status), says])
  const known = Object.entries(ERRORS).map(([type, says]) => [type, STATUS[type as keyof typeof ERRORS], says])
  expect(listed.sort()).toEqual(known.sort())
})

test('OPERATIONS.md says of every rule of the store what has to hold', async () => {
  const rules = [...(await read('OPERATIONS.md')).matchAll(/^\| (`[a-z-]+`(?:, `[a-z-]+`)*) /gm)].flatMap(([, names = '']) =>
    names.split(', ').map((name) => name.replaceAll('`', '')),
  )
  expect(rules.sort()).toEqual([...Object.keys(REMEDIES), 'file'].sort())
})

describe('the list of extensions', () => {
  test('has a section in EXTENSIONS.md for each, and no section is of another', async () => {
    const sections = [...(await read('EXTENSIONS.md')).matchAll(/^## (.+)$/gm)].map(([, title = '']) => title)
    expect(sections.sort()).toEqual(EXTENSIONS.map(({ title }) => title).sort())
  })

  test('is told by /service, and not in strict mode', async () => {
    for (const strict of [false, true]) {
      const app = await openApp({ settings: { strict } })
      const service = object(expectStatus(await app.get('/service'), 200))
      expect(service.extensions).toEqual(strict ? undefined : EXTENSIONS.map(({ name }) => name))
      await app.close()
    }
  })

  test('names only what is there: every path answers, and none of them in strict mode', async () => {
    const app = await openApp({ settings: { strict: false } })
    const strict = await openApp({ settings: { strict: true } })
    const documented = async (each: typeof app) => {
      const { paths } = object(expectStatus(await each.get('/openapi.json'), 200)) as { paths: Record<string, Record<string, unknown>> }
      return new Set(Object.entries(paths).flatMap(([name, item]) => Object.keys(item).map((method) => `${method.toUpperCase()} ${name}`)))
    }
    const [here, standard] = [await documented(app), await documented(strict)]
    for (const { operations } of EXTENSIONS)
      for (const operation of operations) {
        expect(here).toContain(operation)
        expect(standard).not.toContain(operation)
      }
    await app.close()
    await strict.close()
  })
})
