import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { CreateMultipartUploadCommand, HeadObjectCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3'
import type { MediaStore } from '../../src/storage/media.ts'
import { BUCKET, type InBucket } from '../../src/storage/s3/copy.ts'
import { copyMedia } from '../../src/workers/copy-media.ts'
import { day, mediaContract, streamOf } from '../contract/media.ts'
import { newBucket, openS3Store, type S3Server, s3Client, s3Servers } from '../support/s3-servers.ts'

const type = { contentType: 'video/mp2t' }
const key = `${day}/object`
const MIB = 1024 * 1024
const minute = { baseUrl: '', contentType: 'video/mp2t', expiresInSeconds: 60 }

/** `count` chunks of one MiB, made as they are asked for; no two are equal. */
const large = (count: number): ReadableStream<Uint8Array> => {
  let made = 0
  return new ReadableStream({
    pull: (controller) => (made < count ? controller.enqueue(chunk(made++)) : controller.close()),
  })
}
const chunk = (index: number) => new Uint8Array(MIB).fill(index + 1)
const digest = async (body: ReadableStream<Uint8Array> | undefined) => {
  const hash = createHash('md5')
  for await (const part of body ?? []) hash.update(part)
  return hash.digest('hex')
}

const facts = (endpoint: string, store: InBucket, Key: string) =>
  s3Client(endpoint).send(new HeadObjectCommand({ Bucket: store[BUCKET].name, Key }))
const metadataOf = async (endpoint: string, store: InBucket, each: string) => (await facts(endpoint, store, each)).Metadata
/** Fails once so many bytes are through. */
const breakBehind = (count: number) => {
  let seen = 0
  return new TransformStream<Uint8Array, Uint8Array>({
    transform(part, controller) {
      seen += part.length
      if (seen > count) throw new Error('broken')
      controller.enqueue(part)
    },
  })
}

for (const kind of s3Servers)
  describe(`on ${kind.name}`, () => {
    let server: S3Server
    beforeAll(async () => {
      server = await kind.start()
    }, 120_000)
    afterAll(() => server.stop())

    const open = async (options: Parameters<typeof openS3Store>[2] = {}) =>
      openS3Store(server.endpoint, await newBucket(server.endpoint), options)

    mediaContract(
      'the S3 engine',
      async () => ({
        store: await open(),
        baseUrl: 'http://unused',
        takesKey: (odd) => kind.takesKey(odd),
        close: async () => {},
      }),
      { checksSignatures: kind.checksSignatures },
    )

    test('an object of many parts comes back whole, with its type and any range of it', async () => {
      const store = await open({ partBytes: 5 * MIB })
      const md5 = createHash('md5')
      for (let index = 0; index < 23; index++) md5.update(chunk(index))
      const sum = md5.copy().digest('hex')
      const stored = await store.put(key, large(23), { ...type, md5: md5.digest('base64') })
      expect(stored).toMatchObject({ size: 23 * MIB, contentType: 'video/mp2t' })
      expect(await store.head(key)).toEqual(stored)
      expect(await digest((await store.get(key))?.body)).toBe(sum)
      const across = await store.get(key, { range: { start: 5 * MIB - 2, end: 5 * MIB + 2 } })
      expect(across?.size).toBe(23 * MIB)
      expect([...(await new Response(across?.body).bytes())]).toEqual([5, 5, 6, 6])
    }, 120_000)

    test('a long put with ifAbsent refuses to replace an object', async () => {
      const store = await open({ partBytes: 5 * MIB })
      await store.put(key, streamOf('former'), type)
      await expect(store.put(key, large(6), { ...type, ifAbsent: true })).rejects.toMatchObject({ code: 'exists' })
      expect(await new Response((await store.get(key))?.body).text()).toBe('former')
      expect(await store.put(`${key}-2`, large(6), { ...type, ifAbsent: true })).toMatchObject({ size: 6 * MIB })
    }, 120_000)

    test.each([
      ['a small object', 1, {}],
      ['an object in parts', 12, {}],
      ['an object in pieces of another size', 12, { copyBytes: 5 * MIB }],
    ] as const)(
      '%s is copied inside the service, and keeps bytes, type and metadata',
      async (_, mebibytes, options) => {
        const [from, to] = [await open({ partBytes: 6 * MIB }), await open(options)]
        await from.put(`${key} +&`, large(mebibytes), type)
        const copy = await copyMedia(from, `${key} +&`, to, key, { metadata: { 'tams-flow-id': 'f' } })
        expect(copy).toMatchObject({ size: mebibytes * MIB, contentType: 'video/mp2t' })
        expect(await digest((await to.get(key))?.body)).toBe(await digest((await from.get(`${key} +&`))?.body))
        expect(await metadataOf(server.endpoint, to, key)).toMatchObject({ 'tams-flow-id': 'f' })
      },
      60_000,
    )

    test('a copy between services goes on behind its parts after it failed', async () => {
      const other = await kind.start()
      try {
        const from = await openS3Store(other.endpoint, await newBucket(other.endpoint))
        const to = await open({ partBytes: 5 * MIB })
        await from.put(key, large(23), type)
        const read: number[] = []
        let breaks = true
        const breaking: MediaStore = {
          ...from,
          get: async (each, options) => {
            const found = await from.get(each, options)
            read.push(options?.range?.start ?? 0)
            return found && breaks ? { ...found, body: found.body.pipeThrough(breakBehind(12 * MIB)) } : found
          },
        }
        await expect(copyMedia(breaking, key, to, key, {})).rejects.toThrow()
        expect(await to.head(key)).toBeUndefined()
        breaks = false
        await copyMedia(breaking, key, to, key, {})
        expect(read).toEqual([0, 10 * MIB, 0])
        expect(await digest((await to.get(key))?.body)).toBe(await digest((await from.get(key))?.body))
      } finally {
        await other.stop()
      }
    }, 120_000)

    test('what is kept of a copy that is not wanted any more goes', async () => {
      const to = await open({ partBytes: 5 * MIB })
      const client = s3Client(server.endpoint)
      const place = { Bucket: to[BUCKET].name, Key: key }
      await client.send(new CreateMultipartUploadCommand(place))
      const kept = async () => (await client.send(new ListMultipartUploadsCommand({ Bucket: place.Bucket, Prefix: key }))).Uploads ?? []
      expect(await kept()).toHaveLength(1)
      await to.discardCopy?.(key)
      expect(await kept()).toEqual([])
    })

    test('an upload by URL keeps the metadata of its URL, and a put its own', async () => {
      const store = await open()
      const metadata = { 'tams-flow-id': '0b6f' }
      const { url, headers } = await store.uploadUrl(key, { ...minute, metadata })
      expect((await fetch(url, { method: 'PUT', headers, body: 'x' })).status).toBe(200)
      await store.put(`${key}-2`, streamOf('x'), { ...type, metadata })
      expect(await metadataOf(server.endpoint, store, key)).toEqual(kind.keepsUrlMetadata ? metadata : {})
      expect(await metadataOf(server.endpoint, store, `${key}-2`)).toMatchObject(metadata)
    })

    test.if(kind.encrypts).each(['AES256', 'aws:kms'] as const)(
      'with %s everything that is stored is encrypted, and an upload without the header is refused',
      async (serverSideEncryption) => {
        const [plain, store] = [await open(), await open({ serverSideEncryption, partBytes: 5 * MIB })]
        await plain.put(`${key}-plain`, large(1), type)
        const { url, headers } = await store.uploadUrl(key, minute)
        expect(headers['x-amz-server-side-encryption']).toBe(serverSideEncryption)
        if (kind.checksSignatures) {
          const { 'x-amz-server-side-encryption': _, ...without } = headers
          expect([400, 403]).toContain((await fetch(url, { method: 'PUT', headers: without, body: 'x' })).status)
        }
        expect((await fetch(url, { method: 'PUT', headers, body: 'x' })).status).toBe(200)
        await store.put(`${key}-long`, large(6), type)
        await copyMedia(plain, `${key}-plain`, store, `${key}-copy`, {})
        await copyMedia(store, `${key}-long`, store, `${key}-long-copy`, {})
        for (const each of [key, `${key}-long`, `${key}-copy`, `${key}-long-copy`])
          expect([each, (await facts(server.endpoint, store, each)).ServerSideEncryption]).toEqual([each, serverSideEncryption])
        expect((await facts(server.endpoint, plain, `${key}-plain`)).ServerSideEncryption).toBeUndefined()
        expect(await digest((await fetch(store.downloadUrl(`${key}-long`, minute))).body ?? undefined)).toBe(await digest(large(6)))
      },
      60_000,
    )

    test('a slow reader of a large object gets all of it', async () => {
      const store = await open({ idleTimeoutMs: 300 })
      await store.put(key, large(12), type)
      const reader = (await store.get(key))?.body.getReader()
      let received = (await reader?.read())?.value?.length ?? 0
      await Bun.sleep(1000)
      for (let part = await reader?.read(); part?.value; part = await reader?.read()) received += part.value.length
      expect(received).toBe(12 * MIB)
    }, 120_000)

    test('more objects than fit into one page or one request are listed and deleted', async () => {
      const store = await open()
      const keys = Array.from({ length: 1003 }, (_, index) => `${day}/${String(index).padStart(4, '0')}`)
      for (let start = 0; start < keys.length; start += 50)
        await Promise.all(keys.slice(start, start + 50).map((each) => store.put(each, streamOf('x'), type)))
      expect(await Array.fromAsync(store.list({}), (object) => object.key)).toEqual(keys)
      await store.delete([...keys, 'never/was'])
      expect(await Array.fromAsync(store.list({}), (object) => object.key)).toEqual([])
    }, 120_000)

    test('a signed GET takes ranges, and a plain URL is refused', async () => {
      const store = await open({ publicBaseUrl: `${server.endpoint}/nobody` })
      await store.put(key, streamOf('0123456789'), type)
      const answer = await fetch(store.downloadUrl(key, minute), { headers: { range: 'bytes=3-5' } })
      expect([answer.status, await answer.text(), answer.headers.get('content-type')]).toEqual([206, '345', 'video/mp2t'])
      expect(store.plainUrl(key, { contentType: undefined })).toBe(`${server.endpoint}/nobody/${key}`)
    })

    test.if(kind.checksSignatures)('a signed GET is refused once it has expired, and when it was changed', async () => {
      const past = { nowUs: () => BigInt(Date.now() - 3600_000) * 1000n }
      const bucket = await newBucket(server.endpoint)
      const [store, old] = [await openS3Store(server.endpoint, bucket), await openS3Store(server.endpoint, bucket, { clock: past })]
      await store.put(key, streamOf('x'), type)
      expect((await fetch(old.downloadUrl(key, minute))).status).toBe(403)
      const url = store.downloadUrl(key, minute)
      expect((await fetch(url.replace(/X-Amz-Expires=\d+/, 'X-Amz-Expires=604800'))).status).toBe(403)
      expect((await fetch(url)).status).toBe(200)
    })

    test('an upload URL stores once: a second upload is refused, and one without the header where signatures are checked', async () => {
      const store = await open()
      const { url, headers } = await store.uploadUrl(key, minute)
      expect(headers).toEqual({ 'content-type': 'video/mp2t', 'if-none-match': '*' })
      if (kind.checksSignatures) {
        const bare = await fetch(url, { method: 'PUT', headers: { 'content-type': 'video/mp2t' }, body: 'x' })
        expect([400, 403]).toContain(bare.status)
      }
      expect((await fetch(url, { method: 'PUT', headers, body: 'first' })).status).toBe(200)
      expect((await fetch(url, { method: 'PUT', headers, body: 'second' })).status).toBe(412)
      expect(await new Response((await store.get(key))?.body).text()).toBe('first')
    })

    test.if(kind.checksMd5)('an upload with the Content-MD5 of something else is refused by the server', async () => {
      const store = await open()
      const { url, headers } = await store.uploadUrl(key, minute)
      const put = (text: string) =>
        fetch(url, { method: 'PUT', headers: { ...headers, 'content-md5': 'XUFAKrxLKna5cZ2REBfFkg==' }, body: text })
      expect((await put('something else')).status).toBe(400)
      expect(await store.head(key)).toBeUndefined()
      expect((await put('hello')).status).toBe(200)
    })

    test('the look at a bucket finds what is wrong with it, and CORS rules are set where the server has them', async () => {
      const store = await open()
      const checks = async () => (await store.inspect('*')).map(({ check }) => check)
      expect((await checks()).filter((check) => check !== 'cors')).toEqual([])
      if (kind.setsCors) await store.setCors('*')
      else await expect(store.setCors('*')).rejects.toMatchObject({ code: 'unavailable', detail: { s3_code: 'NotImplemented' } })
      expect(await checks()).toEqual([])
      const missing = await openS3Store(server.endpoint, 'no-such-bucket')
      expect(await missing.inspect('*')).toMatchObject([{ check: 'bucket', severity: 'error' }])
      await expect(missing.put(key, streamOf('x'), type)).rejects.toMatchObject({ code: 'unavailable' })
    })

    test.if(kind.checksSignatures)('keys that the server does not know are an error that says so', async () => {
      const store = await openS3Store(server.endpoint, await newBucket(server.endpoint), { accessKeyId: 'nobody' })
      expect((await store.inspect('*')).filter(({ check }) => check === 'bucket')).toMatchObject([{ severity: 'error' }])
      await expect(store.get(key)).rejects.toMatchObject({ code: 'unavailable' })
    })
  })
