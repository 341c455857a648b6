import { describe, expect, test } from 'bun:test'
import { createHmac } from 'node:crypto'
import { createMediaUrls } from '../../../src/storage/disk/urls.ts'
import { day } from '../../contract/media.ts'
import { fixedClock, storageId } from './media-server.ts'

const key = `${day}/a key/with slash`
const clock = fixedClock()
const urls = createMediaUrls({ storageId, secret: 'a secret of the tests', clock })
const read = { baseUrl: 'http://localhost:8000', contentType: undefined, expiresInSeconds: 3600 }
const write = { baseUrl: 'http://localhost:8000', contentType: 'video/mp2t', expiresInSeconds: 3600 }
const queryOf = (url: string) => new URL(url).searchParams
const changed = (url: string, name: string, value: string) => {
  const query = queryOf(url)
  query.set(name, value)
  return query
}

describe('a signed media URL', () => {
  const download = urls.download(key, read)

  test('begins with the base URL, the storage id and the escaped key', () => {
    expect(download.split('?')[0]).toBe(`http://localhost:8000/media/${storageId}/${day}/a%20key/with%20slash`)
  })

  test('carries an HMAC-SHA-256 that another implementation computes too', () => {
    const derived = createHmac('sha256', 'a secret of the tests').update('vast-tams media url 1').digest()
    const text = `read\n${storageId}\n${queryOf(download).get('expires')}\n\n${key}`
    expect(queryOf(download).get('signature')).toBe(createHmac('sha256', derived).update(text).digest('base64url'))
  })

  test('for reading is good for GET and HEAD and not for PUT', () => {
    expect(urls.verify('GET', key, queryOf(download))).toMatchObject({ state: 'valid' })
    expect(urls.verify('HEAD', key, queryOf(download))).toMatchObject({ state: 'valid' })
    expect(urls.verify('PUT', key, queryOf(download))).toEqual({ state: 'wrong' })
  })

  test('for HEAD is good for that alone', () => {
    const head = urls.download(key, { ...read, method: 'HEAD' })
    expect(urls.verify('HEAD', key, queryOf(head))).toMatchObject({ state: 'valid' })
    for (const method of ['GET', 'PUT'] as const) expect(urls.verify(method, key, queryOf(head))).toEqual({ state: 'wrong' })
  })

  test('for writing is good for PUT with its content type and not for reading', () => {
    const { url, headers } = urls.upload(key, write)
    expect(headers).toEqual({ 'content-type': 'video/mp2t' })
    expect(urls.verify('PUT', key, queryOf(url))).toMatchObject({ state: 'valid', contentType: 'video/mp2t' })
    expect(urls.verify('GET', key, queryOf(url))).toEqual({ state: 'wrong' })
    expect(urls.verify('PUT', key, changed(url, 'content-type', 'text/html'))).toEqual({ state: 'wrong' })
  })

  test('is wrong for another key, storage, expiry, secret or signature', () => {
    const query = queryOf(download)
    expect(urls.verify('GET', `${key}x`, query)).toEqual({ state: 'wrong' })
    expect(createMediaUrls({ storageId: 'other', secret: 'a secret of the tests', clock }).verify('GET', key, query)).toEqual({
      state: 'wrong',
    })
    expect(createMediaUrls({ storageId, secret: 'another', clock }).verify('GET', key, query)).toEqual({ state: 'wrong' })
    for (const expires of ['9999999999', '', '-1', '1e9', ' 1800003600', '018000036000']) {
      expect(urls.verify('GET', key, changed(download, 'expires', expires))).toEqual({ state: 'wrong' })
    }
    const signature = query.get('signature') ?? ''
    for (const forged of ['', signature.slice(1), `${signature}=`, signature.toLowerCase(), `${signature.slice(0, -1)}\u00ff`]) {
      expect(urls.verify('GET', key, changed(download, 'signature', forged))).toEqual({ state: 'wrong' })
    }
  })

  test('cannot move text from the content type into the key', () => {
    const { url } = urls.upload('b\nc', { ...write, contentType: 'a' })
    expect(urls.verify('PUT', 'c', changed(url, 'content-type', 'a\nb'))).toEqual({ state: 'wrong' })
  })

  test('without a signature is unsigned', () => {
    expect(urls.verify('GET', key, new URLSearchParams('expires=1'))).toEqual({ state: 'unsigned' })
  })

  test('is valid for at least what was asked, then expires', () => {
    const moving = fixedClock()
    const own = createMediaUrls({ storageId, secret: 's', clock: moving })
    for (const start of [1_800_000_000, 1_800_000_000.5, 1_800_000_899.999, 1_800_000_900]) {
      moving.seconds = start
      const [reading, writing] = [queryOf(own.download(key, read)), queryOf(own.upload(key, write).url)]
      moving.seconds = start + 3600
      expect(own.verify('GET', key, reading)).toMatchObject({ state: 'valid' })
      expect(own.verify('PUT', key, writing)).toMatchObject({ state: 'valid' })
      moving.seconds = start + 3602
      expect(own.verify('PUT', key, writing)).toEqual({ state: 'expired' })
      moving.seconds = start + 3600 + 901
      expect(own.verify('GET', key, reading)).toEqual({ state: 'expired' })
    }
  })

  test('for reading stays the same for a quarter of its validity', () => {
    const moving = fixedClock(1_800_000_001)
    const own = createMediaUrls({ storageId, secret: 's', clock: moving })
    const first = own.download(key, read)
    moving.seconds += 898
    expect(own.download(key, read)).toBe(first)
    moving.seconds += 2
    expect(own.download(key, read)).not.toBe(first)
  })

  test.each(['', 'a\r\nb', 'caf\u00e9', ' x', 'x'.repeat(256)])('is not made for the content type %j', (contentType) => {
    expect(() => urls.upload(key, { ...write, contentType })).toThrow(/content_type: /)
  })
})

test('there is a plain URL only below a public base URL', () => {
  const own = createMediaUrls({ storageId, secret: 's', clock, publicBaseUrl: 'https://media.example' })
  expect(own.plain(key)).toBe(`https://media.example/media/${storageId}/${day}/a%20key/with%20slash`)
  expect(urls.plain(key)).toBeUndefined()
})
