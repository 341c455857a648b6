import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { readdir, readlink } from 'node:fs/promises'
import { connect } from 'node:net'
import { multipartRanges } from '../../api/media/multipart.ts'
import { parseRanges } from '../../api/media/ranges.ts'
import { nodeFs } from '../../src/storage/disk/index.ts'
import { day, streamOf } from '../contract/media.ts'
import { type MediaServer, mediaServer, storageId } from '../storage/disk/media-server.ts'

const key = `${day}/object`
const ten = '0123456789'
const put = { contentType: 'video/mp2t', expiresInSeconds: 3600 }

let server: MediaServer
let registered: Set<string>
let reads: [string, string, number][]
beforeEach(async () => {
  registered = new Set()
  reads = []
  server = await mediaServer(
    {},
    {
      mayUpload: async (object, storage) => storage === storageId && !registered.has(object),
      onRead: (...read) => reads.push(read),
    },
  )
})
afterEach(() => server.close())

const readUrl = (of = key) => server.store.downloadUrl(of, { baseUrl: server.baseUrl, contentType: undefined, expiresInSeconds: 3600 })
const writeTarget = (of = key, contentType = put.contentType) =>
  server.store.uploadUrl(of, { ...put, contentType, baseUrl: server.baseUrl })
const store = (body: string, contentType = 'video/mp2t', of = key) => server.store.put(of, streamOf(body), { contentType })
const get = (headers: Record<string, string> = {}, method = 'GET') => fetch(readUrl(), { method, headers })

/** The request exactly as written; everything that the server sent until it closed. */
const raw = (request: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(server.port, '127.0.0.1', () => socket.write(request))
    socket.on('data', (data) => {
      answer += data.toString('latin1')
    })
    socket.on('close', () => resolve(answer))
    socket.on('error', reject)
  })
const rawRequest = (method: string, target: string, headers = '') =>
  raw(`${method} ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n${headers}\r\n`)

describe('GET', () => {
  test('gives the bytes with all that a player and a cache need [6.1-S2]', async () => {
    await store(ten)
    const answer = await get()
    expect(answer.status).toBe(200)
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'video/mp2t',
      'content-length': '10',
      'accept-ranges': 'bytes',
      etag: `"${createHash('md5').update(ten).digest('hex')}"`,
      'last-modified': 'Fri, 15 Jan 2027 08:00:00 GMT',
      'cache-control': 'private, max-age=3600, immutable',
      'x-content-type-options': 'nosniff',
      'access-control-allow-origin': '*',
    })
    for (const name of ['ETag', 'Content-Range', 'Content-Length', 'Accept-Ranges']) {
      expect(answer.headers.get('access-control-expose-headers')).toContain(name)
    }
    expect(answer.headers.has('content-disposition')).toBe(false)
    expect(await answer.text()).toBe(ten)
  })

  test('of an empty object is an empty 200', async () => {
    await store('')
    const answer = await get()
    expect([answer.status, answer.headers.get('content-length'), await answer.text()]).toEqual([200, '0', ''])
  })

  test.each([
    ['bytes=0-0', 'bytes 0-0/10', '0'],
    ['bytes=2-5', 'bytes 2-5/10', '2345'],
    ['bytes=7-', 'bytes 7-9/10', '789'],
    ['bytes=-3', 'bytes 7-9/10', '789'],
    ['bytes=-99', 'bytes 0-9/10', ten],
    ['bytes=0-99999999999999999999999999', 'bytes 0-9/10', ten],
    ['bytes=0-', 'bytes 0-9/10', ten],
    ['bytes=4-4,50-60', 'bytes 4-4/10', '4'],
    ['BYTES= 1-2 ', 'bytes 1-2/10', '12'],
  ])('of Range %s is 206 with %s', async (range, contentRange, body) => {
    await store(ten)
    const answer = await get({ range })
    expect([answer.status, answer.headers.get('content-range'), answer.headers.get('content-length')]).toEqual([
      206,
      contentRange,
      String(body.length),
    ])
    expect(answer.headers.get('content-type')).toBe('video/mp2t')
    expect(await answer.text()).toBe(body)
  })

  test.each([
    ['behind the end', 'bytes=10-'],
    ['far behind the end', 'bytes=99999999999999999999999999-'],
    ['of no bytes', 'bytes=-0'],
    ['more than the object', 'bytes=0-9,0-9'],
    ['in too many pieces', `bytes=${Array.from({ length: 17 }, () => '0-0').join(',')}`],
  ])('of a range %s is 416 with the size, for browsers too', async (_, range) => {
    await store(ten)
    const answer = await get({ range })
    expect([answer.status, answer.headers.get('content-range')]).toEqual([416, 'bytes */10'])
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
  })

  test.each(['bytes=5-2', 'bytes=a-b', 'bytes=-', 'bytes=', 'bytes=,', 'lines=1-2', 'bytes 0-1', 'bytes=0-1,x'])(
    'ignores the malformed Range %s',
    async (range) => {
      await store(ten)
      const answer = await get({ range })
      expect([answer.status, answer.headers.get('content-length'), await answer.text()]).toEqual([200, '10', ten])
    },
  )

  test('of several ranges is multipart/byteranges with a part for each, in the order asked for', async () => {
    await store(ten)
    const answer = await get({ range: 'bytes=8-9, 0-1, -1' })
    const boundary = /^multipart\/byteranges; boundary=(.+)$/.exec(answer.headers.get('content-type') ?? '')?.[1]
    expect(answer.status).toBe(206)
    const part = (range: string, body: string) =>
      `\r\n--${boundary}\r\nContent-Type: video/mp2t\r\nContent-Range: bytes ${range}/10\r\n\r\n${body}`
    expect(await answer.text()).toBe(`${part('8-9', '89')}${part('0-1', '01')}${part('9-9', '9')}\r\n--${boundary}--\r\n`)
  })

  test('with If-Range gives the range of this version only, and the whole of another', async () => {
    const { etag } = await store(ten)
    const ask = async (ifRange: string) => {
      const answer = await get({ range: 'bytes=1-2', 'if-range': ifRange })
      return [answer.status, await answer.text()]
    }
    expect(await ask(etag)).toEqual([206, '12'])
    expect(await ask('Fri, 15 Jan 2027 08:00:00 GMT')).toEqual([206, '12'])
    for (const other of ['"another"', `W/${etag}`, 'Fri, 15 Jan 2027 08:00:01 GMT']) expect(await ask(other)).toEqual([200, ten])
  })

  test('answers 304 to a client that has this version', async () => {
    const { etag } = await store(ten)
    for (const tags of [etag, '*', `"x", W/${etag}`]) {
      const answer = await get({ 'if-none-match': tags })
      expect([answer.status, answer.headers.get('etag'), await answer.text()]).toEqual([304, etag, ''])
      expect(answer.headers.get('access-control-allow-origin')).toBe('*')
    }
    expect((await get({ 'if-modified-since': 'Fri, 15 Jan 2027 08:00:00 GMT' })).status).toBe(304)
  })

  test('answers 200 to a client that has another version', async () => {
    await store(ten)
    expect((await get({ 'if-none-match': '"x"' })).status).toBe(200)
    expect((await get({ 'if-modified-since': 'Fri, 15 Jan 2027 07:59:59 GMT' })).status).toBe(200)
    expect((await get({ 'if-modified-since': 'yesterday' })).status).toBe(200)
    // The entity tag decides where both are given.
    expect((await get({ 'if-none-match': '"x"', 'if-modified-since': 'Fri, 15 Jan 2027 08:00:00 GMT' })).status).toBe(200)
  })

  test('of a missing object is 404', async () => {
    expect((await get()).status).toBe(404)
  })

  test('counts the bytes that were asked for', async () => {
    await store(ten)
    await (await get()).text()
    await (await get({ range: 'bytes=1-2' })).text()
    await (await get({ range: 'bytes=1-2,4-6' })).text()
    await get({}, 'HEAD')
    await get({ 'if-none-match': '*' })
    expect(reads).toEqual([10, 2, 5].map((bytes) => [key, storageId, bytes]))
  })

  test.each([
    'text/html',
    'TEXT/HTML; charset=utf-8',
    'image/svg+xml',
    'application/xhtml+xml',
    'video/x+xml',
    'text/javascript',
    'application/pdf',
    'x',
  ])('sends %s as a download that can run nothing on this origin', async (contentType) => {
    await store('<script>', contentType)
    const answer = await get()
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-disposition': 'attachment',
      'content-security-policy': "sandbox; default-src 'none'",
      'x-content-type-options': 'nosniff',
    })
  })
})

describe('HEAD', () => {
  test('gives the headers of GET, also when a Range is asked for', async () => {
    await store(ten)
    const [whole, head, ranged] = [await get(), await get({}, 'HEAD'), await get({ range: 'bytes=1-2' }, 'HEAD')]
    await whole.text()
    const headersOf = (answer: Response) => Object.fromEntries([...answer.headers].filter(([name]) => name !== 'date'))
    expect([head.status, headersOf(head)]).toEqual([200, headersOf(whole)])
    expect([ranged.status, ranged.headers.get('content-length')]).toEqual([200, '10'])
  })

  test('of a missing object is 404', async () => {
    expect((await get({}, 'HEAD')).status).toBe(404)
  })
})

describe('OPTIONS', () => {
  test('lets a browser upload and seek, without a signature [6.1-S2] [7-S2]', async () => {
    const answer = await fetch(`${server.baseUrl}/media/${storageId}/${key}`, {
      method: 'OPTIONS',
      headers: { origin: 'https://example.com', 'access-control-request-method': 'PUT' },
    })
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([204, '*'])
    expect(answer.headers.get('access-control-allow-methods')?.split(', ')).toEqual(['GET', 'HEAD', 'PUT'])
    for (const name of ['Content-Type', 'Content-MD5', 'Range', 'Authorization', 'x-amz-checksum-crc32', 'x-amz-checksum-sha256']) {
      expect(answer.headers.get('access-control-allow-headers')?.split(', ')).toContain(name)
    }
  })
})

describe('PUT', () => {
  const send = async (headers: Record<string, string>, body: BodyInit = ten) => {
    const target = await writeTarget()
    const answer = await fetch(target.url, { method: 'PUT', headers: { ...target.headers, ...headers }, body })
    return {
      status: answer.status,
      etag: answer.headers.get('etag'),
      cors: answer.headers.get('access-control-allow-origin'),
      text: await answer.text(),
    }
  }
  const stored = async () => {
    const found = await server.store.get(key)
    return found && new Response(found.body).text()
  }

  test('stores the body and gives its entity tag', async () => {
    const answer = await send({})
    expect(answer).toMatchObject({ status: 200, text: '', cors: '*', etag: (await server.store.head(key))?.etag })
    expect(await stored()).toBe(ten)
    expect(await server.store.head(key)).toMatchObject({ contentType: 'video/mp2t' })
  })

  test('takes a body without a length and an empty one', async () => {
    expect(await send({}, streamOf('abc', 'def') as unknown as BodyInit)).toMatchObject({ status: 200 })
    expect(await stored()).toBe('abcdef')
    expect(await send({}, '')).toMatchObject({ status: 200 })
    expect(await stored()).toBe('')
  })

  test('replaces what was uploaded before, until it is registered', async () => {
    await send({}, 'first')
    expect(await send({}, 'second')).toMatchObject({ status: 200 })
    registered.add(key)
    expect(await send({}, 'third')).toMatchObject({ status: 409, cors: '*' })
    expect(await stored()).toBe('second')
  })

  test('is refused for a registered object before its body is read', async () => {
    registered.add(key)
    Object.assign(server.store, { put: () => Promise.reject(new Error('must not be called')) })
    expect(await send({})).toMatchObject({ status: 409 })
  })

  test('that is still running when another upload is registered changes nothing', async () => {
    let asked = 0
    const own = await mediaServer({}, { mayUpload: async () => ++asked === 1 })
    const { url, headers } = await own.store.uploadUrl(key, { ...put, baseUrl: own.baseUrl })
    expect((await fetch(url, { method: 'PUT', headers, body: ten })).status).toBe(409)
    expect(asked).toBe(2)
    expect(await own.files()).toEqual([])
    await own.close()
  })

  test('of more than there is room for is 507', async () => {
    const fs = { ...nodeFs, statfs: async () => ({ bavail: 1005, bsize: 1 }) }
    const own = await mediaServer({ fs, lowWaterBytes: 1000 })
    const { url, headers } = await own.store.uploadUrl(key, { ...put, baseUrl: own.baseUrl })
    expect((await fetch(url, { method: 'PUT', headers, body: ten })).status).toBe(507)
    expect((await fetch(url, { method: 'PUT', headers, body: 'small' })).status).toBe(200)
    await own.close()
  })

  test('with another content type is 400 and says which was signed', async () => {
    for (const contentType of ['text/html', 'video/mp2t; x=1', '']) {
      const answer = await send({ 'content-type': contentType })
      expect(answer).toMatchObject({ status: 400, text: expect.stringContaining('video/mp2t') })
    }
    expect(await stored()).toBeUndefined()
  })

  test('with the same content type in other letters is accepted', async () => {
    expect(await send({ 'content-type': 'Video/MP2T' })).toMatchObject({ status: 200 })
  })

  test('checks Content-MD5', async () => {
    expect(await send({ 'content-md5': createHash('md5').update('else').digest('base64') })).toMatchObject({ status: 400 })
    expect(await stored()).toBeUndefined()
    expect(await send({ 'content-md5': createHash('md5').update(ten).digest('base64') })).toMatchObject({ status: 200 })
  })

  test('of a part is 400', async () => {
    expect(await send({ 'content-range': 'bytes 0-9/20' })).toMatchObject({ status: 400 })
  })

  test.each([
    ['a length', 'Content-Length: 100\r\n\r\nhalf'],
    ['chunks', 'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
  ])('that breaks off, sent with %s, leaves nothing', async (_, rest) => {
    let noted: ((error: unknown) => void) | undefined
    const failed = new Promise<unknown>((resolve) => {
      noted = resolve
    })
    const original = server.store.put
    Object.assign(server.store, {
      put: async (...args: Parameters<typeof original>) => {
        try {
          return await original(...args)
        } catch (error) {
          noted?.(error)
          throw error
        }
      },
    })
    const { pathname, search } = new URL((await writeTarget()).url)
    const socket = connect(server.port, '127.0.0.1', () =>
      socket.write(`PUT ${pathname}${search} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: video/mp2t\r\n${rest}`, () => socket.end()),
    )
    expect(await failed).toMatchObject({ code: 'invalid' })
    socket.destroy()
    expect(await server.files()).toEqual([])
  })

  test('of a large body that is refused at once gets its answer', async () => {
    const { url } = await writeTarget()
    const answer = await fetch(url.replace('signature=', 'signature=x'), { method: 'PUT', body: new Uint8Array(20_000_000) })
    expect(answer.status).toBe(403)
  })
})

describe('a signature', () => {
  test('is needed, and 403 is readable for browsers', async () => {
    await store(ten)
    for (const method of ['GET', 'HEAD', 'PUT']) {
      const answer = await fetch(`${server.baseUrl}/media/${storageId}/${key}`, { method })
      expect([method, answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([method, 403, '*'])
    }
  })

  test('is asked for before anything is said about the object', async () => {
    expect((await fetch(`${server.baseUrl}/media/${storageId}/no/such/object`)).status).toBe(403)
  })

  test('for reading does not write, and the other way round', async () => {
    await store(ten)
    expect((await fetch(readUrl(), { method: 'PUT', headers: { 'content-type': 'video/mp2t' }, body: 'x' })).status).toBe(403)
    expect((await fetch((await writeTarget()).url)).status).toBe(403)
  })

  test('ends', async () => {
    await store(ten)
    const [reading, writing] = [readUrl(), await writeTarget()]
    server.clock.seconds += 3600 + 901
    expect((await fetch(reading)).status).toBe(403)
    expect((await fetch(writing.url, { method: 'PUT', headers: writing.headers, body: 'x' })).status).toBe(403)
  })

  test('limits how long the answer may be kept', async () => {
    await store(ten)
    const url = readUrl()
    server.clock.seconds += 3000
    expect((await fetch(url)).headers.get('cache-control')).toBe('private, max-age=600, immutable')
  })
})

test('an unsigned GET is answered where the store has public URLs', async () => {
  const open = await mediaServer({ publicBaseUrl: 'https://media.example' })
  await open.store.put(key, streamOf(ten), { contentType: 'video/mp2t' })
  const { pathname } = new URL(open.store.plainUrl(key, { contentType: undefined }) ?? '')
  expect(await (await fetch(`${open.baseUrl}${pathname}`)).text()).toBe(ten)
  expect((await fetch(`${open.baseUrl}${pathname}`, { method: 'PUT', body: 'x' })).status).toBe(403)
  expect((await fetch(`${open.baseUrl}${pathname}?expires=1&signature=x`)).status).toBe(403)
  await open.close()
})

test('an unsigned GET is answered where the request is authorised for this object', async () => {
  const asked: unknown[] = []
  const own = await mediaServer(
    {},
    {
      authorise: async (request, ...object) => {
        asked.push(object)
        return request.headers.get('authorization') === 'Bearer right'
      },
    },
  )
  await own.store.put(key, streamOf(ten), { contentType: 'video/mp2t' })
  const ask = async (authorization: string) =>
    (await fetch(`${own.baseUrl}/media/${storageId}/${key}`, { headers: { authorization } })).status
  expect(await ask('Bearer right')).toBe(200)
  expect(await ask('Bearer wrong')).toBe(403)
  expect(asked).toEqual([
    [key, storageId],
    [key, storageId],
  ])
  await own.close()
})

describe('a path as it comes over the wire', () => {
  test.each([
    [`${day}/a/b`, `${day}/a%2Fb`],
    [`${day}/a%2Fb`, `${day}/a%252Fb`],
    [`${day}/a b`, `${day}/a%20b`],
    [`${day}/a+b`, `${day}/a+b`],
    [`${day}/plain`, `%74ams/2026/11/21/pl%61in`],
    [`${day}/é`, `${day}/%C3%A9`],
    [`${day}/x/..`, `${day}/x%2F..`],
    [`${day}/../x`, `${day}/..%2Fx`],
    [`${day}/nul\0`, `${day}/nul%00`],
    [`${day}/tail/`, `${day}/tail/`],
    [`${day}//x`, `${day}//x`],
  ])('means the key %j when it is %s', async (expected, path) => {
    await store('found', 'video/mp2t', expected)
    const { search } = new URL(readUrl(expected))
    const answer = await rawRequest('GET', `/media/${storageId}/${path}${search}`)
    expect(answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\n\r\nfound$/)
  })

  test.each([
    [`/media/${storageId}/%zz`, 404],
    [`/media/${storageId}/%ff%fe`, 404],
    [`/media/${storageId}/%ed%a0%80`, 404],
    [`/media/${storageId}/`, 404],
    [`/media/${storageId}`, 404],
    ['/media/', 404],
    ['/media//x', 404],
    ['/media/another-store/x', 404],
    [`/media/${storageId}/../../../etc/passwd`, 404],
    [`/media/${storageId}/..%2F..%2F..%2Fetc%2Fpasswd`, 403],
    [`/media/${storageId}/x?expires=%zz&signature=%zz`, 403],
    [`/media/${storageId}/x?signature=${'s'.repeat(3000)}&expires=1`, 403],
  ])('%s is refused', async (target, status) => {
    expect(await rawRequest('GET', target)).toStartWith(`HTTP/1.1 ${status} `)
  })

  test('of another method is 405 with what is allowed', async () => {
    expect(await rawRequest('DELETE', `/media/${storageId}/x`)).toMatch(/^HTTP\/1\.1 405 [\s\S]*\r\nAllow: GET, HEAD, OPTIONS, PUT\r\n/i)
  })
})

test('several ranges that nobody begins to read close their object', async () => {
  await store(ten)
  const opened = await server.store.open(key)
  let closed = false
  if (opened === undefined) throw new Error('the object is missing')
  const source = {
    ...opened,
    close: async () => {
      closed = true
      await opened.close()
    },
  }
  await multipartRanges(source, [{ start: 0, end: 1 }], 'boundary').cancel()
  expect(closed).toBe(true)
})

test.skipIf(process.platform !== 'linux')('a client that goes away in the middle leaves no file open', async () => {
  await server.store.put(key, streamOf(new Uint8Array(30_000_000)), { contentType: 'video/mp2t' })
  const openMediaFiles = async () => {
    const targets = (await readdir('/proc/self/fd')).map((descriptor) => readlink(`/proc/self/fd/${descriptor}`).catch(() => ''))
    return (await Promise.all(targets)).filter((target) => target.startsWith(server.root)).length
  }
  const readers = await Promise.all(
    ['', 'bytes=5-', 'bytes=0-9999999,10000000-20000000'].map(async (range) => {
      const reader = (await get({ range })).body?.getReader()
      await reader?.read()
      return reader
    }),
  )
  expect(await openMediaFiles()).toBeGreaterThanOrEqual(readers.length)
  await Promise.all(readers.map((reader) => reader?.cancel()))
  // The server learns of it with the events of later requests.
  for (let round = 0; round < 500 && (await openMediaFiles()) > 0; round++) await get({}, 'HEAD')
  expect(await openMediaFiles()).toBe(0)
})

test.each([
  [
    'bytes=0-0,2-2',
    10,
    [
      { start: 0, end: 1 },
      { start: 2, end: 3 },
    ],
  ],
  ['bytes=-5', 0, []],
  ['bytes=0-', 0, []],
] as const)('%s of %d bytes', (header, size, ranges) => {
  expect(parseRanges(header, size)).toEqual([...ranges])
})
