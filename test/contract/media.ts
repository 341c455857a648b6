import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { compareText } from '../../src/core/text-order.ts'
import type { MediaStore } from '../../src/storage/media.ts'

export interface MediaHarness {
  /** Empty. */
  readonly store: MediaStore
  /** For the URLs of engines that this program serves. */
  readonly baseUrl: string
  /** For servers that do not take every key. Default: all. */
  readonly takesKey?: (key: string) => boolean
  close(): Promise<void>
}

export const day = 'tams/2026/11/21'

/** Each differs from the others, and each was a trap for some file system, URL parser or proxy. */
export const oddKeys: readonly string[] = [
  `${day}/plain`,
  `${day}/Plain`,
  `${day}/with/slash`,
  `${day}/with%2Fslash`,
  `${day}/with%252Fslash`,
  `${day}/a b+c=1&2?(3)#'*!~;,`,
  `${day}/../../../../../../../../etc/passwd`,
  `${day}/..`,
  `${day}/.`,
  `${day}/.hidden`,
  `${day}/dot.`,
  `${day}/dot`,
  `${day}//`,
  `${day}/trailing/`,
  `${day}/trailing`,
  `${day}/nul\u0000byte`,
  `${day}/line\nfeed`,
  `${day}/back\\slash`,
  `${day}/caf\u00e9`,
  `${day}/cafe\u0301`,
  `${day}/\u{1f3ac} \uff5e \u{10000}`,
  `${day}/${'long'.repeat(1000)}`,
  `${day}/${'long'.repeat(1000)}er`,
  `${day}/${'\u00e9'.repeat(120)}`,
  `${day}/2027/01/01/nested date`,
  'deep/prefix/2026/11/21/x',
  '2026/11/21/no prefix',
  '/2026/11/21/leading slash',
  '../2026/11/21/x',
  '..',
  'no date at all',
  '~tmp/x',
  'x~meta',
]

const encode = (text: string) => new TextEncoder().encode(text)

export const streamOf = (...chunks: readonly (string | Uint8Array)[]): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(typeof chunk === 'string' ? encode(chunk) : chunk)
      controller.close()
    },
  })

/** Gives one chunk, then calls `then`, which may break the stream. */
export const brokenStream = (
  chunk: string,
  then: (controller: ReadableStreamDefaultController<Uint8Array>) => void,
): ReadableStream<Uint8Array> => {
  let given = false
  return new ReadableStream(
    {
      pull(controller) {
        if (given) return then(controller)
        given = true
        controller.enqueue(encode(chunk))
      },
    },
    { highWaterMark: 0 },
  )
}

const type = { contentType: 'video/mp2t' }
const key = `${day}/0d6f9a3e-1111-4222-8333-444455556666`

export interface MediaContractOptions {
  /** false: a server that takes every signature. Default: true. */
  readonly checksSignatures?: boolean
}

/** The promises of `src/storage/media.ts`, for any engine. */
export const mediaContract = (
  name: string,
  open: () => Promise<MediaHarness>,
  { checksSignatures = true }: MediaContractOptions = {},
): void =>
  describe(`${name} keeps the promises of a MediaStore`, () => {
    let harness: MediaHarness
    let store: MediaStore
    beforeEach(async () => {
      harness = await open()
      store = harness.store
    })
    afterEach(() => harness.close())

    const text = async (of: string, range?: { start: number; end: number }) => {
      const found = await store.get(of, range ? { range } : {})
      return found && new Response(found.body).text()
    }
    const listed = async (after?: string) => Array.fromAsync(store.list(after === undefined ? {} : { after }), (object) => object.key)

    test('a stored object comes back with its bytes, size, type and entity tag', async () => {
      const stored = await store.put(key, streamOf('hello ', 'world'), type)
      expect(stored).toMatchObject({ size: 11, contentType: 'video/mp2t' })
      expect(stored.etag).toMatch(/^"[^"]+"$/)
      expect(await text(key)).toBe('hello world')
      expect(await store.head(key)).toEqual(stored)
      const { body, ...facts } = (await store.get(key)) ?? {}
      expect(facts).toEqual(stored)
      await body?.cancel()
    })

    test('a missing object is undefined', async () => {
      expect(await store.head(key)).toBeUndefined()
      expect(await store.get(key)).toBeUndefined()
    })

    test('an empty object is an object', async () => {
      expect(await store.put(key, streamOf(), type)).toMatchObject({ size: 0 })
      expect(await text(key)).toBe('')
    })

    test.each([
      [0, 1, '0'],
      [3, 7, '3456'],
      [9, 10, '9'],
      [5, 1000, '56789'],
    ])('bytes %d to %d of ten are %s', async (start, end, expected) => {
      await store.put(key, streamOf('0123456789'), type)
      expect(await text(key, { start, end })).toBe(expected)
    })

    test('a range behind the end throws range_not_satisfiable', async () => {
      await store.put(key, streamOf('0123456789'), type)
      await expect(store.get(key, { range: { start: 10, end: 20 } })).rejects.toMatchObject({ code: 'range_not_satisfiable' })
    })

    test('an object of many chunks survives unchanged', async () => {
      const chunks = Array.from({ length: 40 }, (_, index) => new Uint8Array(100_003).fill(index))
      await store.put(key, streamOf(...chunks), type)
      const found = await store.get(key)
      const bytes = await new Response(found?.body).bytes()
      expect(createHash('md5').update(bytes).digest('hex')).toBe(createHash('md5').update(Buffer.concat(chunks)).digest('hex'))
    })

    test('a second put replaces bytes, type and entity tag', async () => {
      const first = await store.put(key, streamOf('one'), type)
      const second = await store.put(key, streamOf('other'), { contentType: 'audio/mp4' })
      expect(second.etag).not.toBe(first.etag)
      expect(await store.head(key)).toMatchObject({ size: 5, contentType: 'audio/mp4', etag: second.etag })
      expect(await text(key)).toBe('other')
    })

    test('ifAbsent stores a new object and refuses to replace one', async () => {
      await store.put(key, streamOf('first'), { ...type, ifAbsent: true })
      await expect(store.put(key, streamOf('second'), { ...type, ifAbsent: true })).rejects.toMatchObject({ code: 'exists' })
      expect(await text(key)).toBe('first')
    })

    test('of many puts with ifAbsent at once exactly one wins', async () => {
      const puts = Array.from({ length: 8 }, (_, index) => store.put(key, streamOf(`body ${index}`), { ...type, ifAbsent: true }))
      const results = await Promise.allSettled(puts)
      const winners = results.flatMap((result, index) => (result.status === 'fulfilled' ? [index] : []))
      expect(winners).toHaveLength(1)
      for (const result of results) if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'exists' })
      expect(await text(key)).toBe(`body ${winners[0]}`)
    })

    test('of many puts at once one complete object remains', async () => {
      await Promise.all(Array.from({ length: 8 }, (_, index) => store.put(key, streamOf(`body ${index}`), type)))
      expect(await text(key)).toMatch(/^body [0-7]$/)
    })

    test('a matching md5 is accepted', async () => {
      const md5 = createHash('md5').update('hello').digest('base64')
      expect(await store.put(key, streamOf('hello'), { ...type, md5 })).toMatchObject({ size: 5 })
    })

    test.each(['XrY7u+Ae7tCTyyK7j1rNww==', 'not base64 of 16 bytes'])(
      'the md5 %s of something else is invalid and leaves nothing',
      async (md5) => {
        await expect(store.put(key, streamOf('hello'), { ...type, md5 })).rejects.toMatchObject({ code: 'invalid' })
        expect(await store.head(key)).toBeUndefined()
        expect(await listed()).toEqual([])
      },
    )

    test('a body that breaks leaves nothing', async () => {
      const body = brokenStream('half', (controller) => controller.error(new Error('the client went away')))
      await expect(store.put(key, body, type)).rejects.toThrow()
      expect(await store.head(key)).toBeUndefined()
      expect(await listed()).toEqual([])
    })

    test('a body that breaks leaves the former object', async () => {
      await store.put(key, streamOf('former'), type)
      const body = brokenStream('half', (controller) => controller.error(new Error('the client went away')))
      await expect(store.put(key, body, type)).rejects.toThrow()
      expect(await text(key)).toBe('former')
    })

    test('an aborted put rejects although its body never ends, and leaves nothing', async () => {
      const abort = new AbortController()
      const body = brokenStream('half', () => abort.abort(new Error('enough')))
      await expect(store.put(key, body, { ...type, signal: abort.signal })).rejects.toThrow()
      expect(await store.head(key)).toBeUndefined()
    })

    test('a deleted object is gone, others stay, and deleting again is no error', async () => {
      await store.put(key, streamOf('a'), type)
      await store.put(`${key}-2`, streamOf('b'), type)
      await store.delete([key, `${day}/never was`])
      await store.delete([key])
      expect(await store.head(key)).toBeUndefined()
      expect(await listed()).toEqual([`${key}-2`])
    })

    test('a deleted object can be stored again, with ifAbsent too', async () => {
      await store.put(key, streamOf('a'), type)
      await store.delete([key])
      await store.put(key, streamOf('b'), { ...type, ifAbsent: true })
      expect(await text(key)).toBe('b')
    })

    test('odd keys do not touch each other, and are listed by code point', async () => {
      const keys = oddKeys.filter((odd) => harness.takesKey?.(odd) ?? true)
      for (const odd of keys) await store.put(odd, streamOf(`bytes of ${odd}`), type)
      for (const odd of keys) expect(await text(odd)).toBe(`bytes of ${odd}`)
      const sorted = keys.toSorted(compareText)
      expect(await listed()).toEqual(sorted)
      for (const after of sorted) expect(await listed(after)).toEqual(sorted.slice(sorted.indexOf(after) + 1))
    })

    test('odd keys are uploaded and downloaded by their URLs', async () => {
      const options = { baseUrl: harness.baseUrl, expiresInSeconds: 300 }
      for (const odd of oddKeys.filter((candidate) => harness.takesKey?.(candidate) ?? true)) {
        const { url, headers } = await store.uploadUrl(odd, { ...options, ...type })
        const put = await fetch(url, { method: 'PUT', headers, body: `sent to ${odd}` })
        expect([odd, put.status]).toEqual([odd, 200])
        expect(await text(odd)).toBe(`sent to ${odd}`)
        const got = await fetch(store.downloadUrl(odd, { ...options, ...type }))
        expect([odd, await got.text()]).toEqual([odd, `sent to ${odd}`])
      }
    })

    test.if(checksSignatures)('an upload with another content type than the signed one is refused', async () => {
      const { url } = await store.uploadUrl(key, { baseUrl: harness.baseUrl, expiresInSeconds: 300, ...type })
      const answer = await fetch(url, { method: 'PUT', headers: { 'content-type': 'text/html' }, body: 'x' })
      expect([400, 403]).toContain(answer.status)
      expect(await store.head(key)).toBeUndefined()
    })

    test.if(checksSignatures)('a download URL is the same a moment later, and good for no other key', async () => {
      await store.put(`${key}-a`, streamOf('a'), type)
      await store.put(`${key}-b`, streamOf('b'), type)
      const options = { baseUrl: harness.baseUrl, expiresInSeconds: 3600, contentType: undefined }
      const url = store.downloadUrl(`${key}-a`, options)
      expect(store.downloadUrl(`${key}-a`, options)).toBe(url)
      expect((await fetch(url.replace(`${key}-a`, `${key}-b`))).status).toBe(403)
    })

    test('a URL for HEAD answers HEAD, and no GET where signatures are checked', async () => {
      await store.put(key, streamOf('0123456789'), type)
      const url = store.downloadUrl(key, { baseUrl: harness.baseUrl, expiresInSeconds: 300, contentType: undefined, method: 'HEAD' })
      const answer = await fetch(url, { method: 'HEAD' })
      expect([answer.status, answer.headers.get('content-length')]).toEqual([200, '10'])
      if (checksSignatures) expect((await fetch(url)).status).toBe(403)
    })

    test('a healthy store passes its check', async () => {
      expect(await store.check()).toBeUndefined()
    })
  })
