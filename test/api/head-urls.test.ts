import { afterEach, beforeEach, expect, test } from 'bun:test'
import { systemClock } from '../../src/core/clock.ts'
import { createS3Store } from '../../src/storage/s3/index.ts'
import { stubS3 } from '../storage/s3/stub-server.ts'
import { type Json, object } from '../support/answers.ts'
import { openApp, primaryStorage, secondaryStorage, type TestApp } from '../support/app.ts'
import { allocateOne, createFlow, expectInvalid, expectStatus, postSegment, segmentsOf } from '../support/fixtures.ts'

let app: TestApp
beforeEach(async () => {
  app = await openApp({ settings: { strict: false } })
})
afterEach(() => app.close())

interface Url {
  readonly url: string
  readonly label?: string
  readonly presigned?: boolean
}
const urlsIn = (value: Json | undefined): Url[] => (Array.isArray(value?.get_urls) ? value.get_urls : [])
const labels = (urls: readonly Url[]) => urls.map(({ label }) => label)

/** A flow with one uploaded object that is also elsewhere; gives its path and the object's. */
const uploaded = async (on: TestApp): Promise<{ segments: string; object: string; flowId: string }> => {
  const { id } = await createFlow(on)
  const { object_id, put_url } = await allocateOne(on, id)
  const headers = { 'content-type': 'video/mp2t', ...put_url.headers }
  const send = put_url.url.startsWith('http://localhost/') ? on.fetch : fetch
  expect((await send(put_url.url, { method: 'PUT', body: '0123456789', headers })).status).toBe(200)
  const get_urls = [{ url: 'https://archive.example.com/1.ts', label: 'archive' }]
  expectStatus(await postSegment(on, id, { object_id, timerange: '[0:0_1:0)', get_urls }), 201)
  return { segments: `/flows/${id}/segments`, object: `/objects/${object_id}`, flowId: id }
}

test('stand behind the signed URLs of segments and objects where they are asked for, and never else', async () => {
  const { flowId, object: path } = await uploaded(app)
  for (const [query, expected] of [
    ['', ['primary', 'archive']],
    ['?head_urls=false', ['primary', 'archive']],
    ['?head_urls=true', ['primary', 'primary HEAD', 'archive']],
    ['?head_urls=true&accept_get_urls=primary', ['primary', 'primary HEAD']],
    ['?head_urls=true&accept_get_urls=primary%20HEAD', []],
    ['?head_urls=true&accept_get_urls=archive', ['archive']],
    ['?head_urls=true&accept_get_urls=', []],
    ['?head_urls=true&presigned=false', ['archive']],
    ['?head_urls=true&presigned=true', ['primary', 'primary HEAD']],
  ] as const) {
    expect([query, labels(urlsIn((await segmentsOf(app, flowId, query))[0]))]).toEqual([query, [...expected]])
    expect([query, labels(urlsIn(object(await app.get(`${path}${query}`))))]).toEqual([query, [...expected]])
  }
  expectInvalid(await app.get(`${path}?head_urls=perhaps`), 'head_urls')
})

test('answer HEAD and nothing else', async () => {
  const { flowId } = await uploaded(app)
  const [get, head] = urlsIn((await segmentsOf(app, flowId, '?head_urls=true&verbose_storage=true'))[0])
  if (!get || !head) throw new Error('there are no URLs')
  expect(head).toEqual({ ...get, url: head.url, label: 'primary HEAD' })
  const answer = await app.fetch(head.url, { method: 'HEAD' })
  expect([answer.status, answer.headers.get('content-length'), answer.headers.get('content-type')]).toEqual([200, '10', 'video/mp2t'])
  expect((await app.fetch(head.url)).status).toBe(403)
  expect(await (await app.fetch(get.url)).text()).toBe('0123456789')
})

test('take no place among the URLs that an object shows at most', async () => {
  const small = await openApp({ settings: { strict: false, getUrlsMaxCount: 1 } })
  const { flowId } = await uploaded(small)
  expect(labels(urlsIn((await segmentsOf(small, flowId, '?head_urls=true'))[0]))).toEqual(['primary', 'primary HEAD'])
  await small.close()
})

test('of S3 are signed for HEAD; a backend without a label has them as HEAD', async () => {
  const s3 = await stubS3()
  const store = await createS3Store({
    ...{ endpoint: s3.endpoint, bucket: 'media', region: 'us-east-1', pathStyle: true, accessKeyId: 'key', secretAccessKey: 'secret' },
    ...{ storageId: primaryStorage, clock: systemClock() },
  })
  const backend = { store_type: 'http_object_store', provider: 'example', store_product: 'S3' } as const
  const on = await openApp({
    settings: { strict: false },
    backends: [
      { id: primaryStorage, ...backend, default_storage: true },
      { id: secondaryStorage, ...backend },
    ],
    media: { [primaryStorage]: store },
  })
  const { flowId } = await uploaded(on)
  const [get, head] = urlsIn((await segmentsOf(on, flowId, '?head_urls=true'))[0])
  expect([get?.label, head?.label]).toEqual([undefined, 'HEAD'])
  expect(get?.url).toContain('x-id=GetObject')
  expect(head?.url).not.toContain('x-id=')
  expect((await fetch(head?.url ?? '', { method: 'HEAD' })).headers.get('content-length')).toBe('10')
  s3.close()
  await on.close()
})

test('strict mode knows none', async () => {
  const strict = await openApp({ settings: { strict: true } })
  const { flowId, object: path } = await uploaded(strict)
  expect(labels(urlsIn((await segmentsOf(strict, flowId, '?head_urls=true'))[0]))).toEqual(['primary', 'archive'])
  expectStatus(await strict.get(`${path}?head_urls=perhaps`), 200)
  await strict.close()
})
