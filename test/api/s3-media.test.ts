import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { systemClock } from '../../src/core/clock.ts'
import { everything } from '../../src/core/predicate.ts'
import { createS3Store } from '../../src/storage/s3/index.ts'
import { type StubS3, stubS3 } from '../storage/s3/stub-server.ts'
import { object } from '../support/answers.ts'
import { openApp, primaryStorage, secondaryStorage, type TestApp } from '../support/app.ts'
import { allocate, allocateOne, createFlow, expectInvalid, expectStatus, postSegment, readFlow } from '../support/fixtures.ts'

let app: TestApp
let s3: StubS3
beforeEach(async () => {
  s3 = await stubS3()
  const store = await createS3Store({
    ...{ endpoint: s3.endpoint, bucket: 'media', region: 'us-east-1', pathStyle: true, accessKeyId: 'key', secretAccessKey: 'secret' },
    ...{ storageId: primaryStorage, clock: systemClock(), maxAttempts: 1, sleep: async () => {} },
  })
  app = await openApp({ media: { [primaryStorage]: store }, settings: { requireUploadedObjects: true } })
})
afterEach(async () => {
  s3.close()
  await app.close()
})

const allocated = () => app.deps.tables.read((tx) => tx.count('objects', everything))
const upload = async (put_url: Awaited<ReturnType<typeof allocateOne>>['put_url']) =>
  fetch(put_url.url, { method: 'PUT', body: 'bytes', headers: { 'content-type': 'video/mp2t', ...put_url.headers } })
/** 503 is not among the answers that the specification lists. */
const refused = async (path: string, body: unknown) => {
  const answer = await app.fetch(path, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } })
  expect(answer.status).toBe(503)
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
}
const goAway = () => {
  s3.fault = () => 'reset'
}

describe('object ids that S3 cannot hold', () => {
  test.each([
    ['with a segment ..', '../up'],
    ['with a segment .', 'a/./b'],
    ['that are too long', 'é'.repeat(600)],
  ])('%s are refused before anything is allocated, naming the member', async (_, id) => {
    const { id: flow } = await createFlow(app)
    expectInvalid(await app.post(`/flows/${flow}/storage`, { object_ids: ['fine', id] }), 'object_ids')
    expect(await allocated()).toBe(0)
    expect(await allocate(app, flow, { object_ids: ['fine'] })).toHaveLength(1)
  })

  test('are taken where the backend is a disk, and refused as copies to S3', async () => {
    const { id: flow } = await createFlow(app)
    const { put_url } = await allocateOne(app, flow, { object_ids: ['a/../b'], storage_id: secondaryStorage })
    const headers = { 'content-type': 'video/mp2t', ...put_url.headers }
    expect((await app.fetch(put_url.url, { method: 'PUT', body: 'bytes', headers })).status).toBe(200)
    expectStatus(await postSegment(app, flow, { object_id: 'a/../b', timerange: '[0:0_1:0)' }), 201)
    const path = `/objects/${encodeURIComponent('a/../b')}/instances`
    expectInvalid(await app.post(path, { storage_id: primaryStorage }), 'storage_id')
  })
})

describe('while S3 is away', () => {
  test('metadata is read and written, and registered media keep their URLs', async () => {
    const { id: flow } = await createFlow(app)
    const { object_id, put_url } = await allocateOne(app, flow)
    expect((await upload(put_url)).status).toBe(200)
    expectStatus(await postSegment(app, flow, { object_id, timerange: '[0:0_1:0)' }), 201)
    goAway()
    expect(await readFlow(app, flow)).toMatchObject({ id: flow })
    const [segment] = (await app.get(`/flows/${flow}/segments`)).body as { get_urls: unknown[] }[]
    expect(segment?.get_urls).toHaveLength(1)
    expectStatus(await app.get(`/objects/${object_id}`), 200)
    expectStatus(await app.put(`/flows/${flow}/label`, 'still here'), 204)
    const url = [{ url: 'https://media.example.com/x', label: 'elsewhere' }]
    expectStatus(await postSegment(app, flow, { object_id: 'afar', timerange: '[1:0_2:0)', get_urls: url }), 201)
  })

  test('health says which backend it is and answers 503', async () => {
    expectStatus(await app.get('/health'), 200)
    goAway()
    const health = object(expectStatus(await app.request('GET', '/health', { head: false }), 503))
    expect(health).toMatchObject({
      status: 'unhealthy',
      dependencies: {
        database: { status: 'healthy' },
        storage: [
          { id: primaryStorage, status: 'unhealthy' },
          { id: secondaryStorage, status: 'healthy' },
        ],
      },
    })
    expectStatus(await app.get('/health/live'), 200)
  })

  test('an allocation is 503 with Retry-After, keeps no ids, and succeeds with the same ids later', async () => {
    const { id: flow } = await createFlow(app)
    goAway()
    await refused(`/flows/${flow}/storage`, { object_ids: ['mine'] })
    expect(await allocated()).toBe(0)
    expectStatus(await app.post('/flows/00000000-0000-4000-8000-000000000000/storage', {}), 404)
    expectInvalid(await app.post(`/flows/${flow}/storage`, { object_ids: 'mine' }), 'object_ids')
    expectStatus(await app.post(`/flows/${flow}/storage`, { storage_id: secondaryStorage }), 201)
    s3.fault = () => undefined
    expect(await allocate(app, flow, { object_ids: ['mine'] })).toHaveLength(1)
  })

  test('a segment whose bytes have to be looked at is 503 with Retry-After, and is registered later', async () => {
    const { id: flow } = await createFlow(app)
    const { object_id, put_url } = await allocateOne(app, flow)
    expect((await upload(put_url)).status).toBe(200)
    goAway()
    await refused(`/flows/${flow}/segments`, { object_id, timerange: '[0:0_1:0)' })
    s3.fault = () => undefined
    expectStatus(await postSegment(app, flow, { object_id, timerange: '[0:0_1:0)' }), 201)
  })
})

test('an upload keeps the flow it was made for with its bytes', async () => {
  const { id: flow } = await createFlow(app)
  const { put_url } = await allocateOne(app, flow)
  expect((await upload(put_url)).status).toBe(200)
  expect([...s3.objects.values()].map(({ headers }) => headers['x-amz-meta-tams-flow-id'])).toContain(flow)
})

test('no more than GET_URLS_MAX_COUNT URLs are shown for an object after filtering, those of the default backend first', async () => {
  const limited = await openApp({ settings: { getUrlsMaxCount: 2 } })
  const { id: flow } = await createFlow(limited)
  const { object_id } = await allocateOne(limited, flow, { storage_id: primaryStorage })
  const get_urls = ['a', 'b', 'c'].map((label) => ({ url: `https://media.example.com/${label}`, label }))
  expectStatus(await postSegment(limited, flow, { object_id, timerange: '[0:0_1:0)', get_urls }), 201)
  const labels = async (query: string) => {
    const shown = object(expectStatus(await limited.get(`/objects/${object_id}${query}`), 200)).get_urls
    return (shown as { label: string }[]).map(({ label }) => label)
  }
  expect(await labels('')).toEqual(['primary', 'a'])
  expect(await labels('?accept_get_urls=b,c')).toEqual(['b', 'c'])
  await limited.close()
})
