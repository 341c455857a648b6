import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { runTams } from '../support/service-process.ts'

describe('the tams command', () => {
  const tams = (...args: string[]) => runTams('/nowhere', args)

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

describe('tams users and tams tokens', () => {
  let dataDir: string
  beforeAll(async () => {
    dataDir = await mkdtemp(path.join(tmpdir(), 'tams-cli-'))
  })
  afterAll(() => rm(dataDir, { recursive: true, force: true }))

  const tams = (args: readonly string[], stdin = '') => runTams(dataDir, args, { stdin })

  test('keep who may log in, with passwords from standard input and tokens shown once', async () => {
    expect(await tams(['users', 'add', 'ann', '--scope', 'read', '--scope', 'write'], 'correct horse battery\n')).toMatchObject({ code: 0 })
    expect(await tams(['users', 'add', 'bob', '--scope', 'read'], 'short\n')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('12'),
    })
    expect(await tams(['users', 'add', 'bob', '--scope', 'read'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no password'),
    })
    expect(await tams(['users', 'add', 'bob', '--scope', 'root'], 'correct horse battery\n')).toMatchObject({ code: 2 })
    expect(await tams(['users', 'disable', 'ann'])).toMatchObject({ code: 0 })
    const users = JSON.parse((await tams(['users', 'list', '--json'])).stdout)
    expect(users).toMatchObject([{ name: 'ann', scopes: ['read', 'write'], disabled: true }])
    const made = await tams(['tokens', 'create', 'robot', '--scope', 'read', '--user', 'ann', '--days', '3'])
    expect(made.stdout).toMatch(/^tams_[\w-]{43}\n$/)
    const { stdout } = await tams(['tokens', 'list', '--json'])
    expect(stdout).not.toContain(made.stdout.trim())
    const [token] = JSON.parse(stdout)
    expect(token).toMatchObject({ name: 'robot', user_name: 'ann', revoked: false })
    expect(await tams(['tokens', 'revoke', token.id])).toMatchObject({ code: 0 })
    expect((await tams(['tokens', 'list'])).stdout).toContain('revoked')
  }, 120_000)
})
