import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { systemClock } from '../../../src/core/clock.ts'
import type { MediaStore } from '../../../src/storage/media.ts'
import { createS3Store, type S3StoreOptions } from '../../../src/storage/s3/index.ts'
import { CopyDiffers, copyMedia } from '../../../src/workers/copy-media.ts'
import { type StubS3, stubS3 } from './stub-server.ts'

const MIB = 1024 * 1024
const metadata = { 'tams-flow-id': 'f' }
const type = { contentType: 'video/mp2t' }

let here: StubS3
let there: StubS3
beforeEach(async () => {
  ;[here, there] = [await stubS3(), await stubS3()]
})
afterEach(() => {
  here.close()
  there.close()
})

const open = (stub: StubS3, options: Partial<S3StoreOptions> = {}) =>
  createS3Store({
    ...{ endpoint: stub.endpoint, bucket: 'media', region: 'us-east-1', pathStyle: true, accessKeyId: 'key', secretAccessKey: 'secret' },
    ...{ storageId: 's', clock: systemClock(), maxAttempts: 1, partBytes: 1000, copyBytes: 10_000, sleep: async () => {} },
    ...options,
  })
const bytes = (count: number) => Buffer.from(Array.from({ length: count }, (_, index) => (index * 7 + (index >> 8)) & 255))
const put = (store: MediaStore, key: string, body: Buffer) => store.put(key, new Blob([new Uint8Array(body)]).stream(), type)
const calls = (stub: StubS3, from: number) => stub.calls.slice(from).filter((call) => !call.startsWith('Head'))
const stored = (stub: StubS3, key: string) => stub.objects.get(key)
/** The nth and further requests of this kind fail, until `stub.fault` is set again. */
const failFrom = (stub: StubS3, operation: string, nth: number) => {
  let seen = 0
  stub.fault = (each) => (each === operation && ++seen >= nth ? 'internal_error' : undefined)
}
const heal = (stub: StubS3) => {
  stub.fault = () => undefined
}

describe('a copy inside one service', () => {
  test('is made by the service: no bytes come through here, and type and metadata are its own', async () => {
    const [from, to] = [await open(here), await open(here)]
    await put(from, 'a', bytes(900))
    const before = here.calls.length
    expect(await copyMedia(from, 'a', to, 'b', { metadata })).toMatchObject({ size: 900, contentType: 'video/mp2t' })
    expect(calls(here, before)).toEqual(['CopyObject'])
    expect(stored(here, 'b')?.bytes.equals(bytes(900))).toBe(true)
    expect(stored(here, 'b')?.headers).toMatchObject({ 'x-amz-meta-tams-flow-id': 'f', 'content-type': 'video/mp2t' })
  })

  test('goes on behind its pieces after it failed, and is compared by its bytes where the tags differ', async () => {
    const [from, to] = [await open(here, { partBytes: MIB }), await open(here)]
    await put(from, 'a', bytes(95_000))
    failFrom(here, 'UploadPartCopy', 6)
    await expect(copyMedia(from, 'a', to, 'b', {})).rejects.toMatchObject({ code: 'unavailable' })
    const kept = [...here.uploads.values()][0]?.size ?? 0
    expect(kept).toBe(5)
    heal(here)
    const before = here.calls.length
    await copyMedia(from, 'a', to, 'b', {})
    const made = calls(here, before)
    expect(made.filter((call) => call === 'UploadPartCopy')).toHaveLength(10 - kept)
    expect(made.filter((call) => call === 'CreateMultipartUpload')).toEqual([])
    expect(made.filter((call) => call === 'GetObject')).toHaveLength(2)
    expect(stored(here, 'b')?.bytes.equals(bytes(95_000))).toBe(true)
    expect(here.uploads.size).toBe(0)
  })

  test('of what was uploaded in parts keeps its tag, so that nothing has to be read', async () => {
    const large = Buffer.alloc(12 * MIB, 'x')
    const [from, to] = [await open(here, { partBytes: 5 * MIB }), await open(here, { copyBytes: 512 * MIB })]
    await put(from, 'a', large)
    const before = here.calls.length
    await copyMedia(from, 'a', to, 'b', {})
    expect(calls(here, before).filter((call) => call === 'GetObject')).toEqual([])
    expect(stored(here, 'b')?.headers.etag).toMatch(/-3"$/)
    expect(stored(here, 'b')?.headers.etag).toBe(stored(here, 'a')?.headers.etag ?? '')
  })

  test('is streamed where the keys may not or the service does not', async () => {
    const [from, to] = [await open(here), await open(here)]
    await put(from, 'a', bytes(5500))
    here.fault = (operation) => (operation === 'CopyObject' ? 'forbidden' : undefined)
    await copyMedia(from, 'a', to, 'b', { metadata })
    expect(stored(here, 'b')?.bytes.equals(bytes(5500))).toBe(true)
    expect(stored(here, 'b')?.headers['x-amz-meta-tams-flow-id']).toBe('f')
  })

  test('whose original was replaced meanwhile is no copy', async () => {
    const [from, to] = [await open(here), await open(here)]
    await put(from, 'a', bytes(900))
    const replacing = { ...from, head: async (key: string) => ({ ...(await from.head(key)), etag: '"former"' }) as never }
    await expect(copyMedia(replacing, 'a', to, 'b', {})).rejects.toThrow()
    expect(stored(here, 'b')).toBeUndefined()
  })
})

describe('a copy to another service', () => {
  test('goes on behind its parts after it failed, and reads only what is missing', async () => {
    const [from, to] = [await open(here, { partBytes: MIB }), await open(there)]
    await put(from, 'a', bytes(9500))
    failFrom(there, 'UploadPart', 5)
    await expect(copyMedia(from, 'a', to, 'b', {})).rejects.toMatchObject({ code: 'unavailable' })
    expect([...there.uploads.values()].map((parts) => parts.size)).toEqual([4])
    heal(there)
    const before = there.calls.length
    const read: unknown[] = []
    const watched: MediaStore = {
      ...from,
      get: (key, options) => {
        read.push(options?.range?.start ?? 0)
        return from.get(key, options)
      },
    }
    await copyMedia(watched, 'a', to, 'b', {})
    expect(there.calls.slice(before).filter((call) => call === 'UploadPart')).toHaveLength(6)
    // What is missing, and then all of it to compare: half of the bytes went in an earlier run.
    expect(read).toEqual([4000, 0])
    expect(stored(there, 'b')?.bytes.equals(bytes(9500))).toBe(true)
  })

  test('of one part is one request', async () => {
    const [from, to] = [await open(here), await open(there)]
    await put(from, 'a', bytes(10))
    await copyMedia(from, 'a', to, 'b', { metadata })
    expect(calls(there, 0).filter((call) => call !== 'GetObject')).toEqual(['PutObject'])
    expect(stored(there, 'b')?.headers['x-amz-meta-tams-flow-id']).toBe('f')
  })

  test('is not taken when its bytes differ', async () => {
    const [from, to] = [await open(here), await open(there)]
    await put(from, 'a', bytes(5500))
    const corrupting: MediaStore = {
      ...to,
      copyFrom: async (key, source, options) => {
        const copied = Buffer.from(await new Response(await source.open(0)).arrayBuffer())
        copied[77] = (copied[77] ?? 0) ^ 1
        return to.put(key, new Blob([copied]).stream(), options)
      },
    }
    await expect(copyMedia(from, 'a', corrupting, 'b', {})).rejects.toBeInstanceOf(CopyDiffers)
  })

  test('whose complete answer was lost counts as made', async () => {
    const [from, to] = [await open(here), await open(there, { maxAttempts: 2 })]
    await put(from, 'a', bytes(2500))
    let lost = 0
    there.fault = (operation) => (operation === 'CompleteMultipartUpload' && lost++ === 0 ? 'lost' : undefined)
    expect(await copyMedia(from, 'a', to, 'b', {})).toMatchObject({ size: 2500 })
  })

  test('that is not wanted any more leaves no parts', async () => {
    const [from, to] = [await open(here), await open(there)]
    await put(from, 'a', bytes(2500))
    failFrom(there, 'UploadPart', 2)
    await expect(copyMedia(from, 'a', to, 'b', {})).rejects.toThrow()
    heal(there)
    await to.discardCopy?.('b')
    await to.discardCopy?.('b')
    expect(there.uploads.size).toBe(0)
  })
})

test('an upload URL carries the metadata itself: the client has no header more to send', async () => {
  const store = await open(here)
  const options = { baseUrl: '', contentType: 'video/mp2t', expiresInSeconds: 60, metadata }
  const { url, headers } = await store.uploadUrl('a', options)
  expect(headers).toEqual({ 'content-type': 'video/mp2t', 'if-none-match': '*' })
  expect((await fetch(url, { method: 'PUT', headers, body: 'x' })).status).toBe(200)
  expect(stored(here, 'a')?.headers).toMatchObject({ 'x-amz-meta-tams-flow-id': 'f' })
})

test('an upload URL of a bucket with encryption asks for its header, which the signature covers', async () => {
  const store = await open(here, { serverSideEncryption: 'aws:kms', conditionalUploads: false })
  const { url, headers } = await store.uploadUrl('a', { baseUrl: '', contentType: 'video/mp2t', expiresInSeconds: 60 })
  expect(headers).toEqual({ 'content-type': 'video/mp2t', 'x-amz-server-side-encryption': 'aws:kms' })
  const query = new URL(url).searchParams
  expect(query.get('X-Amz-SignedHeaders')).toContain('x-amz-server-side-encryption')
  expect(query.has('x-amz-server-side-encryption')).toBe(false)
})
