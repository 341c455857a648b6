import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { day, mediaContract, streamOf } from '../contract/media.ts'
import { newBucket, openS3Store, type S3Server, s3Servers } from '../support/s3-servers.ts'

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

for (const kind of s3Servers)
  describe(`on ${kind.name}`, () => {
    let server: S3Server
    beforeAll(async () => {
      server = await kind.start()
    }, 60_000)
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
    }, 60_000)

    test('a long put with ifAbsent refuses to replace an object', async () => {
      const store = await open({ partBytes: 5 * MIB })
      await store.put(key, streamOf('former'), type)
      await expect(store.put(key, large(6), { ...type, ifAbsent: true })).rejects.toMatchObject({ code: 'exists' })
      expect(await new Response((await store.get(key))?.body).text()).toBe('former')
      expect(await store.put(`${key}-2`, large(6), { ...type, ifAbsent: true })).toMatchObject({ size: 6 * MIB })
    }, 60_000)

    test('a copy from another bucket is streamed and keeps bytes and type', async () => {
      const [from, to] = [await open(), await open()]
      await from.put(key, large(12), type)
      const found = await from.get(key)
      if (found) await to.put(key, found.body, { contentType: found.contentType })
      expect(await digest((await to.get(key))?.body)).toBe(await digest((await from.get(key))?.body))
      expect((await to.head(key))?.contentType).toBe('video/mp2t')
    }, 60_000)

    test('a slow reader of a large object gets all of it', async () => {
      const store = await open({ idleTimeoutMs: 300 })
      await store.put(key, large(12), type)
      const reader = (await store.get(key))?.body.getReader()
      let received = (await reader?.read())?.value?.length ?? 0
      await Bun.sleep(1000)
      for (let part = await reader?.read(); part?.value; part = await reader?.read()) received += part.value.length
      expect(received).toBe(12 * MIB)
    }, 60_000)

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
