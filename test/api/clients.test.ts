import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { object } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import {
  allocateOne,
  createFlow,
  expectInvalid,
  expectStatus,
  external,
  ids,
  multiFlow,
  nextLink,
  postSegment,
  readFlow,
  register,
  seconds,
  segmentsOf,
  timerangesOf,
  uuid,
  videoFlow,
  walk,
} from '../support/fixtures.ts'

/* What published clients need on top of the specification; the numbers are those of the list in the product's description. */

let app: TestApp
beforeAll(async () => {
  app = await openApp()
})
afterAll(() => app.close())

const withApp = async <T>(options: Parameters<typeof openApp>[0], work: (own: TestApp) => Promise<T>): Promise<T> => {
  const own = await openApp(options)
  try {
    return await work(own)
  } finally {
    await own.close()
  }
}

/** A flow with segments enough for a second page. */
const long = async (own: TestApp): Promise<string> => {
  const { id } = await createFlow(own)
  await register(own, id, ...seconds(3))
  return id
}

const linkOf = async (own: TestApp, path: string, headers: Record<string, string> = {}) =>
  nextLink(expectStatus(await own.request('GET', path, { headers }), 200)) ?? ''

describe('1 Link', () => {
  test('is absolute and begins with what the client used [1.5] [client.1]', async () => {
    const id = await long(app)
    expect(await linkOf(app, `/flows/${id}/segments?limit=1`)).toStartWith(`http://localhost/flows/${id}/segments?`)
    const other = await app.fetch(`http://store.example.org:8080/flows/${id}/segments?limit=1`)
    expect(other.headers.get('link')).toStartWith(`<http://store.example.org:8080/flows/${id}/segments?`)
  })

  test('writes a list filter as one parameter for each value, without raw commas or semicolons [1.5] [client.1]', async () => {
    const own = uuid()
    for (const genre of ['a;b', 'c,d', 'e', 'f']) await createFlow(app, videoFlow({ tags: { own, genre } }))
    const path = `/flows?tag.own=${own}&tag.genre=a%3Bb,c%2Cd,e&limit=1`
    const link = await linkOf(app, path)
    expect(link).not.toMatch(/[,;]/)
    expect(new URL(link).searchParams.getAll('tag.genre')).toEqual(['a;b', 'c,d', 'e'])
    expect((await walk(app, path)).map((flow) => Object(flow.tags).genre).sort()).toEqual(['a;b', 'c,d', 'e'])
  })

  test('begins with PUBLIC_BASE_URL when there is one [1.5] [client.1]', () =>
    withApp({ http: { publicBaseUrl: 'https://media.example.org/tams' } }, async (own) => {
      const id = await long(own)
      expect(await linkOf(own, `/flows/${id}/segments?limit=1`)).toStartWith(`https://media.example.org/tams/flows/${id}/segments?`)
      const { put_url } = await allocateOne(own, id)
      expect(put_url.url).toStartWith('https://media.example.org/tams/')
    }))

  test('follows X-Forwarded-* only when the proxy is trusted [1.5] [client.1]', async () => {
    const headers = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'tams.example.org' }
    const id = await long(app)
    expect(await linkOf(app, `/flows/${id}/segments?limit=1`, headers)).toStartWith('http://localhost/')
    await withApp({ http: { trustProxy: true } }, async (own) => {
      const other = await long(own)
      expect(await linkOf(own, `/flows/${other}/segments?limit=1`, headers)).toStartWith(
        `https://tams.example.org/flows/${other}/segments?`,
      )
    })
  })

  test('forged forwarding headers cannot break out of Link [client.1]', () =>
    withApp({ http: { trustProxy: true } }, async (own) => {
      const id = await long(own)
      for (const host of ['evil.example.org>; rel="next", <http://x', 'a b', '@', 'x/y?z#', '[::1'])
        await own.request('GET', `/flows/${id}/segments?limit=1`, {
          headers: { 'x-forwarded-host': host, 'x-forwarded-proto': 'javascript' },
        })
    }))
})

describe('2 CORS', () => {
  test('the preflight names Authorization and Content-Type [1.5] [client.2]', async () => {
    const response = await app.fetch('/flows', {
      method: 'OPTIONS',
      headers: {
        origin: 'https://player.example.com',
        'access-control-request-method': 'PUT',
        'access-control-request-headers': 'authorization,content-type',
      },
    })
    expect(response.status).toBeLessThan(300)
    const allowed = (response.headers.get('access-control-allow-headers') ?? '').toLowerCase()
    expect(allowed).toContain('authorization')
    expect(allowed).toContain('content-type')
    for (const method of ['GET', 'PUT', 'POST', 'DELETE'])
      expect(response.headers.get('access-control-allow-methods') ?? '').toContain(method)
    expect(response.headers.get('access-control-allow-origin')).toBeOneOf(['*', 'https://player.example.com'])
  })

  test('Link, Location and the X-Paging headers are exposed, on errors too [1.5] [client.2]', async () => {
    for (const path of ['/flows', `/flows/${uuid()}`]) {
      const response = await app.fetch(path, { headers: { origin: 'https://player.example.com' } })
      expect(response.headers.get('access-control-allow-origin')).toBeOneOf(['*', 'https://player.example.com'])
      const exposed = (response.headers.get('access-control-expose-headers') ?? '').toLowerCase()
      for (const name of [
        'link',
        'location',
        'x-paging-limit',
        'x-paging-nextkey',
        'x-paging-count',
        'x-paging-reverse-order',
        'x-paging-timerange',
      ])
        expect(exposed).toContain(name)
    }
  })

  test('only the configured origins are allowed, and never with credentials [client.2]', () =>
    withApp({ http: { corsOrigins: ['https://good.example.com'] } }, async (own) => {
      const allow = async (origin: string) =>
        (await own.fetch('/flows', { headers: { origin } })).headers.get('access-control-allow-origin')
      expect(await allow('https://good.example.com')).toBe('https://good.example.com')
      expect(await allow('https://bad.example.com')).not.toBe('https://bad.example.com')
      const answer = await own.fetch('/flows', { headers: { origin: 'https://good.example.com' } })
      expect(answer.headers.get('access-control-allow-credentials')).not.toBe('true')
    }))

  test('media URLs answer CORS and Range too [client.2] [14.20]', async () => {
    const { id } = await createFlow(app)
    const { object_id, put_url } = await allocateOne(app, id)
    await app.fetch(put_url.url, { method: 'PUT', body: '0123456789', headers: { 'content-type': 'video/mp2t' } })
    await postSegment(app, id, { object_id, timerange: '[0:0_1:0)' })
    const [segment] = await segmentsOf(app, id)
    const url: string = Object(segment?.get_urls)[0].url
    const part = await app.fetch(url, { headers: { origin: 'https://player.example.com', range: 'bytes=-3' } })
    expect([part.status, await part.text()]).toEqual([206, '789'])
    expect(part.headers.get('access-control-allow-origin')).toBeOneOf(['*', 'https://player.example.com'])
    const preflight = await app.fetch(put_url.url, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://player.example.com',
        'access-control-request-method': 'PUT',
        'access-control-request-headers': 'content-type',
      },
    })
    expect(preflight.status).toBeLessThan(300)
    expect(preflight.headers.get('access-control-allow-methods') ?? '').toContain('PUT')
  })
})

test('3 times in resources are to the second, and sorting is finer [client.3] [1.1] [1.1-M5]', async () => {
  const own = uuid()
  const made: string[] = []
  for (let index = 0; index < 5; index++) made.push((await createFlow(app, videoFlow({ tags: { own } }))).id)
  const flows = await walk(app, `/flows?tag.own=${own}`)
  expect(new Set(flows.map((flow) => flow.created)).size).toBe(1)
  expect(String(flows[0]?.created)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  expect(ids(flows)).toEqual([...made].reverse())
})

test('4 limit=300 is honoured, the default page has 30, the maximum is configurable [client.4] [1.5] [1.5-M4]', async () => {
  const { id } = await createFlow(app)
  await register(app, id, ...seconds(320))
  expect(await segmentsOf(app, id)).toHaveLength(30)
  expect(await segmentsOf(app, id, '?limit=300')).toHaveLength(300)
  await withApp({ settings: { pageLimitMax: 40, pageLimitDefault: 10 } }, async (own) => {
    const flow = await createFlow(own)
    await register(own, flow.id, ...seconds(50))
    expect(await segmentsOf(own, flow.id)).toHaveLength(10)
    const answer = await own.get(`/flows/${flow.id}/segments?limit=300`)
    expect([answer.headers.get('x-paging-limit'), answer.headers.get('x-paging-count')]).toEqual(['40', '40'])
  })
})

test('5 unset values are null with 200; ids that are none are 404 in paths and 400 in queries and bodies [client.5] [14.3]', async () => {
  const { id, source_id } = await createFlow(app)
  for (const path of [
    `/flows/${id}/label`,
    `/flows/${id}/description`,
    `/flows/${id}/max_bit_rate`,
    `/flows/${id}/avg_bit_rate`,
    `/sources/${source_id}/label`,
  ]) {
    const answer = expectStatus(await app.get(path), 200)
    expect([answer.text, answer.body]).toEqual(['null', null])
  }
  expectStatus(await app.get('/flows/nonsense'), 404)
  expectInvalid(await app.get('/flows?source_id=nonsense'), 'source_id')
  const body = videoFlow({ source_id: 'nonsense' })
  expectInvalid(await app.put(`/flows/${body.id}`, body), 'source_id')
})

test('6 an overlap is 400 with a text that contains "already exist", and message is summary [client.6] [6.2]', async () => {
  const { id } = await createFlow(app)
  await register(app, id, '[0:0_10:0)')
  const answer = expectStatus(await postSegment(app, id, external('[5:0_15:0)')), 400)
  expect(object(answer).message).toContain('already exist')
  const bulk = expectStatus(await postSegment(app, id, [external('[5:0_15:0)')]), 200)
  expect(Object(bulk.body).failed_segments[0].error.summary).toContain('already exist')
})

test('7 the identical segment again is 201 without a second event; other object properties are 400 [client.7] [6.2] [6.2-M8]', async () => {
  const { id } = await createFlow(app)
  const { object_id } = await allocateOne(app, id)
  const segment = { object_id, timerange: '[0:0_10:0)', ts_offset: '0:0', key_frame_count: 1 }
  expectStatus(await postSegment(app, id, segment), 201)
  expectStatus(await postSegment(app, id, segment), 201)
  expectStatus(await postSegment(app, id, { object_id, timerange: '[0:0_10:0)' }), 201)
  expect((await app.events(id)).filter((type) => type === 'flows/segments_added')).toHaveLength(1)
  expectStatus(await postSegment(app, id, { ...segment, key_frame_count: 2 }), 400)
  expectStatus(await postSegment(app, id, { ...segment, object_timerange: '[0:0_20:0)' }), 400)
})

test('8 whether the bytes must be there at registration is configurable, off by default [client.8] [14.7]', async () => {
  const { id } = await createFlow(app)
  const { object_id } = await allocateOne(app, id)
  expectStatus(await postSegment(app, id, { object_id, timerange: '[0:0_1:0)' }), 201)
  await withApp({ settings: { requireUploadedObjects: true } }, async (own) => {
    const flow = await createFlow(own)
    const allocated = await allocateOne(own, flow.id)
    const segment = { object_id: allocated.object_id, timerange: '[0:0_1:0)' }
    expectInvalid(await postSegment(own, flow.id, segment), 'object_id')
    const put = await own.fetch(allocated.put_url.url, { method: 'PUT', body: 'x', headers: { 'content-type': 'video/mp2t' } })
    expect(put.status).toBeLessThan(300)
    expectStatus(await postSegment(own, flow.id, segment), 201)
  })
})

test('9 the content type is exactly application/json, and 204 has no body [client.9] [1.1] [1.1-M1] [1.1-M3]', async () => {
  const { id } = await createFlow(app)
  for (const path of ['/', '/service', '/flows', `/flows/${id}`, `/flows/${id}/label`, `/flows/${id}/read_only`, `/flows/${uuid()}`])
    expect((await app.get(path)).headers.get('content-type')).toBe('application/json')
  const answer = expectStatus(await app.put(`/flows/${id}/label`, 'x'), 204)
  expect([answer.text, answer.headers.get('content-type')]).toEqual(['', null])
})

test('10 deleting a whole flow tells flows/segments_deleted too, before flows/deleted [client.10] [10.2] [13-13]', async () => {
  const { id } = await createFlow(app)
  await register(app, id, '[0:0_1:0)')
  expectStatus(await app.delete(`/flows/${id}`), 204)
  expect((await app.events(id)).slice(-2)).toEqual(['flows/segments_deleted', 'flows/deleted'])
})

describe('11 collections and times', () => {
  test('a cycle of collections cannot be made [client.11] [5.8]', async () => {
    const a = await createFlow(app, multiFlow())
    const b = await createFlow(app, multiFlow({ flow_collection: [{ id: a.id }] }))
    expectStatus(await app.put(`/flows/${a.id}/flow_collection`, [{ id: b.id }]), 400)
  })

  test('timestamps are exact over the whole 64-bit range [client.11] [2.1] [2.1-S2]', async () => {
    const { id } = await createFlow(app)
    const ranges = [
      '[-9223372036:854775808_-9223372036:854775807)',
      '[0:1_0:2)',
      '[1700000000:123456789_1700000000:123456790)',
      '[9223372036:854775806]',
    ]
    await register(app, id, ...ranges)
    expect(await timerangesOf(app, id)).toEqual(ranges)
    expect(await timerangesOf(app, id, '?timerange=[1700000000:123456789]')).toEqual([ranges[2]])
    expect(await timerangesOf(app, id, '?timerange=[1700000000:123456790]')).toEqual([])
    expect((await readFlow(app, id, '?include_timerange=true')).timerange).toBe('[-9223372036:854775808_9223372036:854775806]')
  })

  test.each([
    ['[0:0_9223372036:854775808)'],
    ['[9223372036:854775807]'],
    ['[9223372037:0_9223372038:0)'],
    ['[-9223372036:854775809_0:0)'],
    ['[0:0_281474976710655:0)'],
  ])('the body %s is refused with the reason; as a query it is clamped [client.11] [2.1]', async (timerange) => {
    const { id } = await createFlow(app)
    const answer = await postSegment(app, id, external(timerange))
    expectInvalid(answer, 'timerange')
    expect(object(answer).summary).toMatch(/292 years|2\^63|64-bit/)
    await register(app, id, '[0:0_1:0)')
    expectStatus(await app.get(`/flows/${id}/segments?timerange=${timerange}`), 200)
  })
})

describe('12 base path, compression, checksums', () => {
  test('the API also answers below BASE_PATH, and links stay there [client.12] [14.23]', () =>
    withApp({ http: { basePath: '/x-tams/v8.2' } }, async (own) => {
      const id = await long(own)
      expectStatus(await own.get('/x-tams/v8.2/service'), 200)
      expectStatus(await own.get('/service'), 200)
      expectStatus(await own.get('/x-tams/v8.2/'), 200)
      expectStatus(await own.get(`/x-tams/v8.2/flows/${id}`), 200)
      expectStatus(await own.get(`/x-tams/v8.2/flows/${uuid()}`), 404)
      expectStatus(await own.request('PATCH', '/x-tams/v8.2/flows'), 405)
      const path = `/x-tams/v8.2/flows/${id}/segments?limit=1`
      expect(await linkOf(own, path)).toStartWith(`http://localhost/x-tams/v8.2/flows/${id}/segments?`)
      expect(await walk(own, path)).toHaveLength(3)
      expect(await linkOf(own, `/flows/${id}/segments?limit=1`)).toStartWith(`http://localhost/flows/${id}/segments?`)
      const tag = `/x-tams/v8.2/flows/${id}/tags/${encodeURIComponent('a/b')}`
      expectStatus(await own.put(tag, 'c'), 204)
      expect((await own.get(tag)).body).toBe('c')
    }))

  test('JSON above 1 KB is compressed when the client asks for it, smaller and unasked not [client.12]', async () => {
    const { id } = await createFlow(app, videoFlow({ description: 'compressible '.repeat(500) }))
    const plain = await app.fetch(`/flows/${id}`)
    expect(plain.headers.get('content-encoding')).toBeNull()
    const packed = await app.fetch(`/flows/${id}`, { headers: { 'accept-encoding': 'gzip, br' } })
    expect(packed.headers.get('content-encoding')).toBe('gzip')
    expect(packed.headers.get('content-type')).toBe('application/json')
    const bytes = new Uint8Array(await packed.arrayBuffer())
    expect(bytes.length).toBeLessThan(2000)
    expect(new TextDecoder().decode(Bun.gunzipSync(bytes))).toBe(await plain.text())
    const small = await app.fetch(`/flows/${id}/read_only`, { headers: { 'accept-encoding': 'gzip' } })
    expect([small.headers.get('content-encoding'), await small.text()]).toEqual([null, 'false'])
    const refused = await app.fetch(`/flows/${id}`, { headers: { 'accept-encoding': 'gzip;q=0, identity' } })
    expect(refused.headers.get('content-encoding')).toBeNull()
  })

  test('Content-MD5 is checked by the embedded media store [client.12] [7] [7-S2]', async () => {
    const { id } = await createFlow(app)
    const { put_url, object_id } = await allocateOne(app, id)
    const md5 = (text: string) => createHash('md5').update(text).digest('base64')
    const upload = (sum: string) =>
      app.fetch(put_url.url, { method: 'PUT', body: 'the bytes', headers: { 'content-type': 'video/mp2t', 'content-md5': sum } })
    expect((await upload(md5('other bytes'))).status).toBe(400)
    expect((await upload('nonsense')).status).toBe(400)
    await expectNoBytes(object_id, id)
    const { put_url: second } = await allocateOne(app, id)
    const good = await app.fetch(second.url, {
      method: 'PUT',
      body: 'the bytes',
      headers: { 'content-type': 'video/mp2t', 'content-md5': md5('the bytes') },
    })
    expect(good.status).toBeLessThan(300)
  })
})

/** A refused upload left nothing: the object's URL has no bytes. */
const expectNoBytes = async (object_id: string, flowId: string): Promise<void> => {
  expectStatus(await postSegment(app, flowId, { object_id, timerange: '[0:0_1:0)' }), 201)
  const [segment] = await segmentsOf(app, flowId)
  expect((await app.fetch(Object(segment?.get_urls)[0].url)).status).toBe(404)
}
