import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { S3Store, S3StoreOptions } from '../../../src/storage/s3/index.ts'
import { guardBody } from '../../../src/storage/s3/read.ts'
import { brokenStream, streamOf } from '../../contract/media.ts'
import { type StubS3, stubS3 } from './stub-server.ts'
import { always, key, long, once, openOn, text, type } from './stub-store.ts'

let stub: StubS3
beforeEach(async () => {
  stub = await stubS3()
})
afterEach(() => stub.close())

const open = (options: Partial<S3StoreOptions> = {}): Promise<S3Store> => openOn(stub, options)

describe('when the answer is lost', () => {
  test.each([
    ['PutObject', 'a put', 'new', false],
    ['PutObject', 'a put if absent', 'new', true],
    ['CompleteMultipartUpload', 'a long put', '0123456789'.repeat(2), false],
    ['CompleteMultipartUpload', 'a long put if absent', '0123456789'.repeat(2), true],
  ])('to %s, %s has succeeded', async (operation, _name, content, ifAbsent) => {
    for (const maxAttempts of [1, 2]) {
      stub.objects.clear()
      const store = await open({ maxAttempts })
      await store.uploadUrl(key, { baseUrl: '', expiresInSeconds: 60, ...type })
      stub.fault = once(operation, 'lost')
      expect(await store.put(key, streamOf(content), { ...type, ifAbsent })).toMatchObject({ size: content.length })
      expect(await text(store)).toBe(content)
    }
  })

  test('to a look-up after the put, the put has succeeded', async () => {
    const store = await open()
    stub.fault = always('HeadObject', 'lost')
    expect(await store.put(key, streamOf('new'), type)).toMatchObject({ size: 3, contentType: 'video/mp2t' })
  })
})

describe('the body of an object', () => {
  test.each(['cut', 'stall'] as const)('that is %s in its middle becomes an error', async (fault) => {
    const store = await open()
    await store.put(key, streamOf('01234'), type)
    stub.fault = always('GetObject', fault)
    const found = await store.get(key)
    await expect(new Response(found?.body).text()).rejects.toMatchObject({ code: 'unavailable' })
  })

  test.each([
    [6, 'ended the body after 5 of 6 bytes'],
    [4, 'sent more than it announced after 5 of 4 bytes'],
  ])('of 5 bytes where %d were announced is an error, although it ends in order', async (length, message) => {
    const body = guardBody(streamOf('01', '234'), { length, idleTimeoutMs: 1000, signal: undefined })
    await expect(new Response(body).text()).rejects.toThrow(message)
  })

  test('ends with the reason of the reader who gave up', async () => {
    const store = await open({ idleTimeoutMs: 60_000 })
    await store.put(key, streamOf('01234'), type)
    stub.fault = always('GetObject', 'stall')
    const abort = new AbortController()
    const found = await store.get(key, { signal: abort.signal })
    const reading = new Response(found?.body).text()
    abort.abort(new Error('enough'))
    await expect(reading).rejects.toThrow('enough')
  })
})

describe('a long put', () => {
  test('is sent in parts and comes out whole', async () => {
    const store = await open()
    await store.put(key, long(), type)
    expect(stub.calls.filter((called) => called === 'UploadPart')).toHaveLength(3)
    expect(await text(store)).toBe('0123456789012345678901234')
    expect((await store.head(key))?.contentType).toBe('video/mp2t')
  })

  test('whose body breaks leaves no parts', async () => {
    const store = await open({ partBytes: 2 })
    const body = brokenStream('half of it', (controller) => controller.error(new Error('the client went away')))
    await expect(store.put(key, body, type)).rejects.toMatchObject({ code: 'invalid' })
    expect([stub.uploads.size, stub.objects.size]).toEqual([0, 0])
    expect(stub.calls).toContain('AbortMultipartUpload')
  })

  test('that is aborted rejects with the reason and leaves no parts', async () => {
    const store = await open({ partBytes: 2 })
    const abort = new AbortController()
    const body = brokenStream('half of it', () => abort.abort(new Error('enough')))
    await expect(store.put(key, body, { ...type, signal: abort.signal })).rejects.toThrow('enough')
    expect([stub.uploads.size, stub.objects.size]).toEqual([0, 0])
  })

  test('with the md5 of something else leaves no parts', async () => {
    const store = await open()
    await expect(store.put(key, long(), { ...type, md5: 'XrY7u+Ae7tCTyyK7j1rNww==' })).rejects.toMatchObject({ code: 'invalid' })
    expect([stub.uploads.size, stub.objects.size]).toEqual([0, 0])
  })

  test('does not replace an object that must be absent', async () => {
    const store = await open()
    await store.put(key, streamOf('former'), type)
    await expect(store.put(key, long(), { ...type, ifAbsent: true })).rejects.toMatchObject({ code: 'exists' })
    expect([await text(store), stub.uploads.size]).toEqual(['former', 0])
  })

  test('names the upload that it could not clean up', async () => {
    const store = await open()
    stub.fault = (operation) => (operation === 'UploadPart' || operation === 'AbortMultipartUpload' ? 'internal_error' : undefined)
    const [left] = await Promise.allSettled([store.put(key, long(), type)])
    expect(left).toMatchObject({ reason: { code: 'unavailable', detail: { multipart_upload_left: [...stub.uploads.keys()][0] } } })
  })
})

describe('where the server ignores If-None-Match', () => {
  test('an object that is there is found by looking, and upload URLs do not ask for the header', async () => {
    stub.conditional = false
    const store = await open()
    await store.put(key, streamOf('former'), type)
    await expect(store.put(key, streamOf('new'), { ...type, ifAbsent: true })).rejects.toMatchObject({ code: 'exists' })
    const { url, headers } = await store.uploadUrl(key, { baseUrl: '', expiresInSeconds: 60, ...type })
    expect(headers).toEqual({ 'content-type': 'video/mp2t' })
    expect(new URL(url).searchParams.get('X-Amz-SignedHeaders')).toBe('content-type;host')
    expect([...stub.objects.keys()]).toEqual([key])
  })
})

describe('a deletion in batches', () => {
  test('asks again for the keys that the service was too busy for', async () => {
    const pauses: number[] = []
    const store = await open({ sleep: async (ms) => void pauses.push(ms), random: () => 0 })
    for (const name of ['a', 'b', 'c']) await store.put(name, streamOf(name), type)
    let left = 2
    stub.deleteFault = (name) => (name === 'b' && left-- > 0 ? 'SlowDown' : undefined)
    await store.delete(['a', 'b', 'c'])
    expect(stub.objects.size).toBe(0)
    expect(pauses).toEqual([50, 200])
  })

  test('gives up on a key that stays refused, and has deleted the others', async () => {
    const store = await open()
    for (const name of ['a', 'b', 'c']) await store.put(name, streamOf(name), type)
    stub.deleteFault = (name) => (name === 'b' ? 'AccessDenied' : undefined)
    await expect(store.delete(['a', 'b', 'c'])).rejects.toMatchObject({
      code: 'unavailable',
      detail: { s3_code: 'AccessDenied', key: 'b' },
    })
    expect([...stub.objects.keys()]).toEqual(['b'])
  })

  test('has no more than a thousand keys in one request', async () => {
    const store = await open()
    await store.delete(Array.from({ length: 2001 }, (_, index) => `key-${index}`))
    expect(stub.calls.filter((called) => called === 'DeleteObjects')).toHaveLength(3)
  })
})

describe('a listing', () => {
  test('goes on over pages', async () => {
    const store = await open()
    const names = ['a', 'b+c d', 'c%20', 'd', 'e', 'f', 'g']
    for (const name of names) await store.put(name, streamOf(name), type)
    expect(await Array.fromAsync(store.list({}), (object) => object.key)).toEqual(names)
    expect(await Array.fromAsync(store.list({ after: 'c%20' }), (object) => object.key)).toEqual(names.slice(3))
  })

  test('that comes out of order is an error and no short list', async () => {
    const store = await open()
    for (const name of ['a', 'b', 'c']) await store.put(name, streamOf(name), type)
    stub.sort = (keys) => keys.toSorted().reverse()
    await expect(Array.fromAsync(store.list({}))).rejects.toMatchObject({ code: 'unavailable' })
  })
})

describe('the look at a bucket', () => {
  const found = async (options: Partial<S3StoreOptions> = {}) =>
    (await (await open(options)).inspect('*')).map(({ check, severity }) => `${check} ${severity}`)

  test('finds nothing where all is well, and leaves nothing', async () => {
    expect(await found()).toEqual([])
    expect(stub.objects.size).toBe(0)
  })

  test('says that the bucket is not there', async () => {
    stub.bucketExists = false
    expect(await found()).toEqual(['bucket error'])
  })

  test('says that the keys are refused', async () => {
    stub.fault = always('HeadBucket', 'forbidden')
    expect(await found()).toEqual(['bucket error'])
  })

  test('only warns where S3 is away', async () => {
    stub.fault = always('HeadBucket', 'reset')
    expect(await found()).toEqual(['bucket warning'])
  })

  test('says that nothing can be written', async () => {
    stub.fault = always('PutObject', 'forbidden')
    expect(await found()).toEqual(['write error'])
  })

  test('says that If-None-Match is ignored', async () => {
    stub.conditional = false
    expect(await found()).toEqual(['conditional_writes info'])
  })

  test('says that browsers are refused, until the rules are set', async () => {
    stub.cors = false
    const store = await open()
    const [finding] = await store.inspect('*')
    expect(finding).toMatchObject({ check: 'cors', severity: 'warning', message: expect.stringContaining('tams storage cors') })
    await store.setCors('*')
    expect(await store.inspect('*')).toEqual([])
  })

  test.each([
    [10, []],
    [60, ['clock warning']],
    [-3600, ['clock error']],
  ])('a clock that is off by %d s gives %p', async (seconds, findings) => {
    const now = Date.UTC(2026, 10, 21, 3, 4, 5)
    stub.date = new Date(now).toUTCString()
    expect(await found({ clock: { nowUs: () => BigInt(now + seconds * 1000) * 1000n } })).toEqual(findings)
  })
})

test.each(['..', 'a/../b', 'a/.', '', 'long'.repeat(257)])('the key %p, which S3 cannot hold, is refused and never there', async (odd) => {
  const store = await open()
  await expect(store.put(odd, streamOf('x'), type)).rejects.toMatchObject({ code: 'invalid' })
  await expect(store.uploadUrl(odd, { baseUrl: '', expiresInSeconds: 60, ...type })).rejects.toMatchObject({ code: 'invalid' })
  expect([await store.head(odd), await store.get(odd)]).toEqual([undefined, undefined])
  await store.delete([odd])
  expect(stub.calls.filter((called) => called === 'DeleteObjects')).toEqual([])
})
