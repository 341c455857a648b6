import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { TamsClient } from '../../src/cli/client.ts'
import { connectionOf } from '../../src/cli/connection.ts'
import { runTams } from '../support/service-process.ts'

describe('credentials for a service', () => {
  test.each([
    [{ url: 'https://a.example.com/x/' }, 'https://a.example.com/x', undefined],
    [{ url: 'https://a.example.com', token: 't' }, 'https://a.example.com', 'Bearer t'],
    [{ url: 'https://a.example.com', token: '' }, 'https://a.example.com', undefined],
    [{ url: 'https://ann:p%40ss%3Aword@a.example.com/x', token: 't' }, 'https://a.example.com/x', `Basic ${btoa('ann:p@ss:word')}`],
    [{ url: 'https://a.example.com/?access_token=u', token: 't' }, 'https://a.example.com', 'Bearer u'],
  ])('in %j leave its URL and go into the header', (flags, url, authorization) => {
    expect(connectionOf(flags)).toEqual({ url, authorization })
  })

  test('go to the service alone: not to where media are, nor where a link leads', async () => {
    const seen: (readonly [string, string | null])[] = []
    const fetch = async (url: string, init?: RequestInit) => {
      seen.push([url, new Headers(init?.headers).get('authorization')])
      const link = url.includes('elsewhere') ? {} : { link: '<https://elsewhere.example.com/flows?page=2>; rel="next"' }
      return Response.json([], { headers: link })
    }
    const client = new TamsClient('https://tams.example.com', { fetch, authorization: 'Bearer secret' })
    await Array.fromAsync(client.flows({}))
    await client.upload({ object_id: 'o', put_url: { url: 'https://tams.example.com/media/o' } }, import.meta.path)
    expect(seen.map(([url, authorization]) => [new URL(url).host + new URL(url).pathname, authorization])).toEqual([
      ['tams.example.com/flows', 'Bearer secret'],
      ['elsewhere.example.com/flows', null],
      ['tams.example.com/media/o', null],
    ])
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
