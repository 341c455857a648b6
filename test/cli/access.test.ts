import { describe, expect, test } from 'bun:test'
import { TamsClient } from '../../src/cli/client.ts'
import { connectionOf } from '../../src/cli/connection.ts'

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
