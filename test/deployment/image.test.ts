import { describe, expect, test } from 'bun:test'
import { stat } from 'node:fs/promises'
import path from 'node:path'
import packageJson from '../../package.json' with { type: 'json' }
import { variableNames } from '../../src/config/variables.ts'
import { isThere, ROOT, readText } from '../support/deployment/repository.ts'
import { documentedPaths } from '../support/deployment/routes.ts'
import { importsOf } from '../support/imports.ts'

interface Instruction {
  readonly name: string
  readonly rest: string
}

const instructions = async (): Promise<readonly Instruction[]> => {
  const text = (await readText('Dockerfile')).replace(/^#.*\n/gm, '').replace(/\\\n\s*/g, '')
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ({ name: line.slice(0, line.indexOf(' ')), rest: line.slice(line.indexOf(' ') + 1) }))
}
const all = async (name: string): Promise<readonly string[]> =>
  (await instructions()).filter((each) => each.name === name).map(({ rest }) => rest)
const last = async (name: string): Promise<string> => (await all(name)).at(-1) ?? ''
const command = async (name: string): Promise<string[]> => JSON.parse(await last(name)) as string[]

/** Sources of the build context. */
const copied = async (): Promise<readonly string[]> =>
  (await all('COPY')).filter((rest) => !rest.startsWith('--from=')).flatMap((rest) => rest.split(' ').slice(0, -1))

/** The last line that matches decides. */
const isIgnored = (lines: readonly string[], name: string): boolean =>
  lines.reduce((ignored, line) => {
    const pattern = line.replace(/^!/, '')
    return pattern === '*' || pattern === name || name.startsWith(`${pattern}/`) ? !line.startsWith('!') : ignored
  }, false)

describe('the image', () => {
  test('is made of files that are there and in the build context', async () => {
    const ignore = (await readText('.dockerignore')).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    const sources = await copied()
    expect(sources).toContain('src')
    for (const source of sources) expect([source, await isThere(source), isIgnored(ignore, source)]).toEqual([source, true, false])
    for (const secret of ['.env', 'data', '.git', 'node_modules', 'observability/secrets'])
      expect([secret, isIgnored(ignore, secret)]).toEqual([secret, true])
  })

  test('has every folder that the service imports from', async () => {
    const sources = await copied()
    const texts = new Map<string, string>()
    for (const folder of sources.filter((name) => !name.includes('.')))
      for await (const file of new Bun.Glob(`${folder}/**/*.ts`).scan(ROOT)) texts.set(file, await readText(file))
    const missing = importsOf(texts).filter(({ to, ours, typeOnly }) => ours && !typeOnly && !sources.includes(to.split('/')[0] ?? ''))
    expect(texts.size).toBeGreaterThan(100)
    expect(missing).toEqual([])
  })

  test('runs the Bun of the scripts, on Debian, in every stage', async () => {
    const [, version = ''] = /^version=(.+)$/m.exec(await readText('scripts/bun')) ?? []
    expect(await all('ARG')).toEqual([`BUN_VERSION=${version}`])
    expect(packageJson.engines.bun).toBe(`>=${version}`)
    const bases = (await all('FROM')).map((rest) => rest.split(' ')[0])
    expect(new Set(bases)).toEqual(new Set([`oven/bun:\${BUN_VERSION}-slim`]))
  })

  test('installs what the lock file says and nothing for development', async () => {
    expect(await all('RUN')).toContain('bun install --frozen-lockfile --production')
  })

  test('runs as nobody special, who owns the directory of the data', async () => {
    const user = await last('USER')
    expect(user).toMatch(/^[1-9]\d*:[1-9]\d*$/)
    const volume = await last('VOLUME')
    expect(await last('ENV')).toContain(`TAMS_DATA_DIR=${volume}`)
    expect(await last('RUN')).toContain(`mkdir ${volume} && chown ${user} ${volume}`)
  })

  test('sets only variables that the service reads', async () => {
    const names = (await last('ENV')).split(' ').map((pair) => pair.split('=')[0] ?? '')
    expect(names.filter((name) => name !== 'NODE_ENV' && !variableNames.some((known) => known === name))).toEqual([])
  })

  test('starts the command line without a shell in between, so that signals arrive', async () => {
    const [bun, run, file = ''] = await command('ENTRYPOINT')
    expect([bun, run, await command('CMD'), await last('STOPSIGNAL')]).toEqual(['bun', 'run', ['serve'], 'SIGTERM'])
    expect(await isThere(file.replace(/^\/app\//, ''))).toBe(true)
  })

  test('has the command line as `tams`, a file that may be executed', async () => {
    const [, file = ''] = /ln -s (\S+) \/usr\/local\/bin\/tams/.exec(await last('RUN')) ?? []
    const name = file.replace(/^\/app\//, '')
    expect((await readText(name)).startsWith('#!/usr/bin/env bun\n')).toBe(true)
    expect((await stat(path.join(ROOT, name))).mode & 0o111).not.toBe(0)
  })

  test('is healthy while a route that exists answers', async () => {
    const check = (await last('HEALTHCHECK')).replace(/^.* CMD /, '')
    const [bun, , script = ''] = JSON.parse(check) as string[]
    const [, route = ''] = /}(\/[a-z/]+)`/.exec(script) ?? []
    expect(bun).toBe('bun')
    expect(await documentedPaths()).toContain(route)
    for (const [status, code] of [
      [200, 0],
      [503, 1],
    ] as const) {
      using server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('', { status }) })
      const child = Bun.spawn([process.execPath, '-e', script], { env: { PORT: String(server.port) } })
      expect(await child.exited).toBe(code)
    }
  })
})
