import { describe, expect, test } from 'bun:test'
import { nextLink, TamsClient } from '../../src/cli/client.ts'
import type { RetryOptions } from '../../src/cli/retry.ts'
import { failure, StubService } from './stub-service.ts'

const FLOW = 'b3bb5be7-9fe9-4324-a5bb-4c70e1084449'

const connect = (service: StubService) => {
  const pauses: number[] = []
  const sleep = async (ms: number) => {
    pauses.push(ms)
  }
  const retry: RetryOptions = { attempts: 4, baseMs: 100, maxMs: 300, sleep, random: () => 0 }
  return { client: new TamsClient('http://tams.test/', { fetch: service.fetch, retry }), pauses }
}

const post = (n: number) => ({ object_id: `o${n}`, timerange: `[${n}:0_${n + 1}:0)` })

/** Interferes with the first `times` requests. */
const first = (times: number, answer: () => Response) => {
  let left = times
  return () => (left-- > 0 ? answer() : undefined)
}

describe('the client', () => {
  test('follows the links of a listing to its end, keeping the filters', async () => {
    const service = new StubService()
    service.segments.set(FLOW, [post(0), post(1), post(2), post(3), post(4)])
    const { client } = connect(service)
    const found = await Array.fromAsync(client.segments(FLOW, { timerange: '[1:0_5:0)', accept_get_urls: '' }))
    expect(found).toEqual([post(1), post(2), post(3), post(4)])
    expect(service.log).toHaveLength(2)
  })

  test('tries again after a lost connection and after 5xx, with pauses that grow', async () => {
    const service = new StubService()
    let tried = 0
    service.interfere = () => {
      tried++
      if (tried === 1) throw new Error('ECONNRESET')
      return tried < 4 ? failure(503, 'the store is away') : undefined
    }
    const { client, pauses } = connect(service)
    await client.putFlow({ id: FLOW, source_id: FLOW, format: 'urn:x-nmos:format:multi' })
    expect(service.flows.has(FLOW)).toBe(true)
    expect(pauses).toEqual([50, 100, 150])
  })

  test('waits as long as the service asks for', async () => {
    const service = new StubService()
    service.interfere = first(1, () => new Response(null, { status: 429, headers: { 'retry-after': '7' } }))
    const { client, pauses } = connect(service)
    expect(await client.findFlow(FLOW)).toBeUndefined()
    expect(pauses).toEqual([7000])
  })

  test("gives up in the end with the server's own words", async () => {
    const service = new StubService()
    service.interfere = () => failure(503, 'the store is away')
    const { client, pauses } = connect(service)
    expect(client.findFlow(FLOW)).rejects.toThrow('503 the store is away')
    await client.findFlow(FLOW).catch(() => {})
    expect(pauses).toHaveLength(6)
  })

  test('does not repeat what the server refuses', async () => {
    const service = new StubService()
    service.interfere = () => failure(400, 'container: flow has none')
    const { client } = connect(service)
    expect(client.allocate(FLOW, 3)).rejects.toThrow(`POST /flows/${FLOW}/storage: 400 container: flow has none`)
    await client.allocate(FLOW, 3).catch(() => {})
    expect(service.log).toHaveLength(2)
  })

  test('gives back the segments that a bulk request could not register', async () => {
    const { client } = connect(new StubService())
    expect(await client.postSegments(FLOW, [post(0), post(1)])).toEqual([])
    const [failed, ...others] = await client.postSegments(FLOW, [{ object_id: 'other', timerange: '[0:0_9:0)' }, post(1), post(5)])
    expect(failed).toMatchObject({ object_id: 'other', timerange: '[0:0_9:0)', error: { summary: 'it overlaps another segment' } })
    expect(others).toEqual([])
  })

  test('uploads a file with the content type of its allocation and downloads it again', async () => {
    const service = new StubService()
    const { client } = connect(service)
    const source = `${import.meta.dir}/client.test.ts`
    const [place] = await client.allocate(FLOW, 1)
    if (!place) throw new Error('nothing was allocated')
    await client.upload(place, source)
    expect(service.media.get(place.object_id)?.type).toBe('video/mp2t')
    const copy = `${process.env.TMPDIR ?? '/tmp'}/tams-client-${crypto.randomUUID()}`
    try {
      const size = await client.download(place.object_id, [place.put_url.url], copy)
      expect(size).toBe(Bun.file(source).size)
      expect(await Bun.file(copy).text()).toBe(await Bun.file(source).text())
    } finally {
      await Bun.file(copy).delete()
    }
  })

  describe('an upload that is refused with 412, because there is an object already', () => {
    const source = `${import.meta.dir}/client.test.ts`
    /** Answers PUTs in turn, and HEAD with this length. */
    const upload = async (answers: readonly (() => Response)[], length?: number) => {
      const service = new StubService()
      const { client } = connect(service)
      const [place] = await client.allocate(FLOW, 1)
      if (!place) throw new Error('nothing was allocated')
      let tried = 0
      service.interfere = (request) => {
        if (request.method === 'PUT') return answers[tried++]?.()
        if (request.method === 'HEAD')
          return new Response(null, length === undefined ? { status: 403 } : { headers: { 'content-length': `${length}` } })
        return undefined
      }
      return client.upload(place, source)
    }
    const lost = (): Response => {
      throw new Error('ECONNRESET')
    }
    const there = () => new Response('PreconditionFailed', { status: 412 })

    test('is done where an earlier try may have stored it', async () => {
      await upload([lost, there])
      await upload([() => failure(500, 'lost on the way'), there], Bun.file(source).size)
    })

    test('failed where it was the first try', async () => {
      await expect(upload([there])).rejects.toThrow('412')
    })

    test('failed where the server tells that it holds something else', async () => {
      await expect(upload([lost, there], 3)).rejects.toThrow('412')
    })
  })

  test('reads from the next URL when the preferred one does not work', async () => {
    const service = new StubService()
    service.media.set('here', { type: null, bytes: new Uint8Array([1, 2, 3]) })
    const { client } = connect(service)
    const copy = `${process.env.TMPDIR ?? '/tmp'}/tams-client-${crypto.randomUUID()}`
    try {
      expect(await client.download('x', ['http://media.test/media/gone', 'http://media.test/media/here'], copy)).toBe(3)
    } finally {
      await Bun.file(copy).delete()
    }
    expect(client.download('x', ['http://media.test/media/gone'], copy)).rejects.toThrow('404 gone was not found')
  })
})

test.each([
  ['<http://a/b?page=2>; rel="next"', 'http://a/b?page=2'],
  ['<http://a/b?x=1,2;3>; rel=next', 'http://a/b?x=1,2;3'],
  ['<http://a/first>; rel="first", <http://a/next>; title="n"; rel="next"', 'http://a/next'],
  ['<http://a/prev>; rel="prev"', undefined],
  ['<http://a/x>; rel="nextish"', undefined],
  [null, undefined],
])('the next link of %p is %p', (header, target) => {
  expect(nextLink(header)).toBe(target)
})
