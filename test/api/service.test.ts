import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { TimeRange } from '../../src/core/time-range.ts'
import { object } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { expectInvalid, expectStatus } from '../support/fixtures.ts'
import { example } from '../support/schemas.ts'

let app: TestApp
beforeAll(async () => {
  app = await openApp()
})
afterAll(() => app.close())

const service = async () => object(expectStatus(await app.get('/service'), 200))
const duration = (timestamp: unknown): bigint => TimeRange.parse(`[${timestamp}]`).startNs ?? -1n

describe('GET /', () => {
  test('lists the names of the paths as a bare JSON array [3.1] [1.1] [1.1-M2] [3.1-M1]', async () => {
    const answer = expectStatus(await app.get('/'), 200)
    expect(answer.body).toEqual(expect.arrayContaining(['service', 'flows', 'sources', 'objects', 'flow-delete-requests']))
  })

  test('HEAD / has no body and the status and headers of GET [1.3] [3.1]', async () => {
    const answer = await app.request('HEAD', '/')
    expect(answer.status).toBe(200)
    expect(answer.text).toBe('')
    expect(answer.headers.get('content-type')).toBe('application/json')
  })
})

describe('GET /service', () => {
  test('says which API it speaks [3.2] [3.2-M1]', async () => {
    const body = await service()
    expect(body.type).toStartWith('urn:x-tams:service')
    expect(body.api_version).toBe('8.2')
    expect(body).not.toHaveProperty('media_store')
  })

  test('its object timeout is at least 300 s and its URL timeout between 30 s and that [3.2] [3.2-M2] [3.2-M3] [13-14]', async () => {
    const body = await service()
    const objects = duration(body.min_object_timeout)
    const urls = duration(body.min_presigned_url_timeout)
    expect(objects).toBeGreaterThanOrEqual(300_000_000_000n)
    expect(urls).toBeGreaterThanOrEqual(30_000_000_000n)
    expect(urls).toBeLessThanOrEqual(objects)
  })

  test('the configured object timeout is the one it tells [3.2]', async () => {
    expect((await service()).min_object_timeout).toBe('3600:0')
  })

  test('it lists webhooks exactly when the webhook resources are there [3.2] [10.3] [3.2-M4]', async () => {
    const { event_stream_mechanisms: mechanisms } = await service()
    const listed = Array.isArray(mechanisms) && mechanisms.some((mechanism) => mechanism.name === 'webhooks')
    expect((await app.get('/service/webhooks')).status).toBe(listed ? 200 : 404)
  })

  test('HEAD /service has no body [1.3] [3.2]', async () => {
    const answer = await app.request('HEAD', '/service')
    expect([answer.status, answer.text]).toEqual([200, ''])
  })
})

describe('POST /service', () => {
  test('sets name and description, and is read back [3.2] [3.2-M5]', async () => {
    expectStatus(await app.post('/service', { name: 'OB store', description: 'truck 7' }), 200)
    expect(await service()).toMatchObject({ name: 'OB store', description: 'truck 7' })
  })

  test('leaves members unchanged that are absent from the body [3.2]', async () => {
    await app.post('/service', { name: 'first', description: 'kept' })
    await app.post('/service', { name: 'second' })
    expect(await service()).toMatchObject({ name: 'second', description: 'kept' })
  })

  test('an empty text clears a value [3.2]', async () => {
    await app.post('/service', { name: 'kept', description: 'gone soon' })
    expectStatus(await app.post('/service', { description: '' }), 200)
    const body = await service()
    expect(body.name).toBe('kept')
    expect(body.description ?? '').toBe('')
  })

  test('ignores members that are not its own [3.2] [1.4] [1.4-M2]', async () => {
    expectStatus(await app.post('/service', { api_version: '1.0', type: 'urn:x-other', min_object_timeout: '1:0' }), 200)
    expect(await service()).toMatchObject({ api_version: '8.2', min_object_timeout: '3600:0' })
  })

  test.if(example('service-post') !== undefined)('accepts the example of the specification [3.2]', async () => {
    const body = example('service-post')
    expectStatus(await app.post('/service', body), 200)
    expect(await service()).toMatchObject(body ?? {})
  })

  test.each([
    ['a number', { name: 5 }, 'name'],
    ['null', { description: null }, 'description'],
    ['a list', { name: ['a'] }, 'name'],
  ])('refuses %s as a text, naming the member [3.2] [1.4] [3.2-M5]', async (_, body, field) => {
    expectInvalid(await app.post('/service', body), field)
  })

  test.each([['[]'], ['"name"'], ['null'], ['{"name":'], ['']])('refuses the body %p [3.2] [1.4] [3.2-M5]', async (raw) => {
    expectStatus(await app.request('POST', '/service', { raw }), 400)
  })
})
