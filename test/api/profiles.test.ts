import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { list, object } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import {
  audioFlow,
  createFlow,
  expectInvalid,
  expectStatus,
  format,
  ids,
  multiFlow,
  readFlow,
  uuid,
  videoFlow,
  walk,
} from '../support/fixtures.ts'

let app: TestApp
beforeAll(async () => {
  app = await openApp()
})
afterAll(() => app.close())

const metadata = (over: Record<string, unknown> = {}) => {
  const {
    id: _,
    source_id: __,
    ...technical
  } = videoFlow({ avg_bit_rate: 5000, segment_duration: { numerator: 2, denominator: 1 }, ...over })
  return technical
}

const createProfile = async (over: Record<string, unknown> = {}) => {
  const profile = { id: uuid(), flow_metadata: metadata(), ...over }
  expectStatus(await app.post(`/service/profiles/${profile.id}`, profile), 201)
  return profile
}

const linked = (profile_id: string, over: Record<string, unknown> = {}) => ({ id: uuid(), source_id: uuid(), profile_id, ...over })

describe('POST /service/profiles/{id}', () => {
  test('stores a profile: 201 with it, and it is read back [3.4] [3.4-M2] [3.4-M4] [3.4-S1]', async () => {
    const profile = { id: uuid(), label: 'HD', description: 'x', tags: { a: ['b'] }, flow_metadata: metadata() }
    const answer = expectStatus(await app.post(`/service/profiles/${profile.id}`, profile), 201)
    expect(answer.body).toMatchObject(profile)
    expect((await app.get(`/service/profiles/${profile.id}`)).body).toEqual(answer.body)
    expect(typeof object(answer).created_by).toBe('string')
  })

  test('a `created` of the client is ignored [3.4] [3.4-S1]', async () => {
    const profile = await createProfile({ created: '2001-01-01T00:00:00Z' })
    expect(object(await app.get(`/service/profiles/${profile.id}`)).created).not.toBe('2001-01-01T00:00:00Z')
  })

  test('accepts members it does not know [1.4-M2]', async () => {
    await createProfile({ colour: 'red' })
  })

  test('one that exists is 400, even an identical one, and stays as it was [3.4] [3.4-M4] [3.4-M5]', async () => {
    const profile = await createProfile({ label: 'first' })
    expectStatus(await app.post(`/service/profiles/${profile.id}`, profile), 400)
    expectStatus(await app.post(`/service/profiles/${profile.id}`, { ...profile, label: 'second' }), 400)
    expect(object(await app.get(`/service/profiles/${profile.id}`)).label).toBe('first')
  })

  test.each([
    ['no flow_metadata', { flow_metadata: undefined }, 'flow_metadata'],
    ['multi as format', { flow_metadata: { format: format.multi } }, 'format'],
    ['no codec', { flow_metadata: { ...metadata(), codec: undefined } }, 'codec'],
    ['no essence parameters', { flow_metadata: { ...metadata(), essence_parameters: undefined } }, 'essence_parameters'],
    [
      'an unknown essence parameter',
      { flow_metadata: { ...metadata(), essence_parameters: { frame_width: 1, frame_height: 1, vfr: true, x: 1 } } },
      'x',
    ],
    ['a label that is no text', { label: 5 }, 'label'],
    ['another id than the path', { id: uuid() }, 'id'],
    ['no id', { id: undefined }, 'id'],
  ])('refuses %s [3.4] [3.4-M2] [3.4-M3] [3.4-M4]', async (_, over, field) => {
    const id = uuid()
    const answer = await app.post(`/service/profiles/${id}`, { id, flow_metadata: metadata(), ...over })
    // A body for another id than the path's may also be called 404.
    if (!('id' in over) || answer.status !== 404) expectInvalid(answer, field)
    expectStatus(await app.get(`/service/profiles/${id}`), 404)
  })

  test('is the only way to write: no PUT, no DELETE [3.4] [3.4-M5]', async () => {
    const profile = await createProfile()
    for (const method of ['PUT', 'DELETE', 'PATCH'])
      expectStatus(await app.request(method, `/service/profiles/${profile.id}`, { body: profile }), 405)
  })

  test.each([['nonsense'], [uuid().toUpperCase()]])('the id %s is 404 [3.4] [1.2] [3.4-M4]', async (id) => {
    expectStatus(await app.post(`/service/profiles/${id}`, { id, flow_metadata: metadata() }), 404)
    expectStatus(await app.get(`/service/profiles/${id}`), 404)
  })
})

describe('GET /service/profiles', () => {
  test('filters by format, codec and exact label, and pages [3.4] [A] [3.4-M1]', async () => {
    const label = uuid()
    const { id: _, source_id: __, ...audio } = audioFlow()
    const made = [await createProfile({ label }), await createProfile({ label }), await createProfile({ label, flow_metadata: audio })].map(
      (profile) => profile.id,
    )
    const found = async (query: string) => ids(list(expectStatus(await app.get(`/service/profiles?label=${label}${query}`), 200))).sort()
    expect(await found('')).toEqual([...made].sort())
    expect(await found(`&format=${format.audio}`)).toEqual(made.slice(2))
    expect(await found('&codec=video/h264')).toEqual(made.slice(0, 2).sort())
    expect(await found('&codec=audio/mpeg')).toEqual([])
    expect(ids(await walk(app, `/service/profiles?label=${label}&limit=1`)).sort()).toEqual([...made].sort())
    expect(list(await app.get(`/service/profiles?label=${label.slice(1)}`))).toEqual([])
  })

  test('HEAD treats `format` like GET [1.3] [3.4]', async () => {
    const path = `/service/profiles?format=${format.multi}`
    expect((await app.request('HEAD', path)).status).toBe((await app.get(path)).status)
  })

  test.each([
    ['format=video', 'format'],
    ['codec=h264', 'codec'],
    ['limit=0', 'limit'],
    ['page=x', 'page'],
  ])('refuses %s [3.4] [1.4] [3.4-M1]', async (query, field) => {
    expectInvalid(await app.get(`/service/profiles?${query}`), field)
  })
})

describe('flows of a profile', () => {
  test('read like any other flow, with profile_id [5.3] [11.6] [5.3-M4] [11.6-M2]', async () => {
    const profile = await createProfile()
    const body = linked(profile.id, { label: 'x', tags: { a: 'b' }, max_bit_rate: 9 })
    const made = expectStatus(await app.put(`/flows/${body.id}`, body), 201)
    expect(made.body).toMatchObject({ ...body, ...profile.flow_metadata })
    expect((await app.get(`/flows/${body.id}/avg_bit_rate`)).body).toBe(5000)
    expect(ids(list(await app.get(`/flows?profile_id=${profile.id}`)))).toEqual([body.id])
    expect(ids(list(await app.get(`/flows?profile_id=${profile.id}&codec=video/h264&frame_width=1920`)))).toEqual([body.id])
  })

  test('an unknown profile is 400 [11.6] [11.6-S2]', async () => {
    const body = linked(uuid())
    expectInvalid(await app.put(`/flows/${body.id}`, body), 'profile_id')
    expectStatus(await app.get(`/flows/${body.id}`), 404)
  })

  test.each([
    ['format', { format: format.video }],
    ['codec', { codec: 'video/h264' }],
    ['container', { container: 'video/mp2t' }],
    ['avg_bit_rate', { avg_bit_rate: 5 }],
    ['segment_duration', { segment_duration: { numerator: 1 } }],
    ['container_mapping', { container_mapping: { track_index: 0 } }],
    ['essence_parameters', { essence_parameters: {} }],
    ['a complete variant', metadata()],
  ])('profile_id together with %s is 400 [11.6] [5.4-M1] [11.6-M1] [11.6-S1]', async (_, technical) => {
    const body = linked((await createProfile()).id, technical)
    expectInvalid(await app.put(`/flows/${body.id}`, body), 'profile_id')
    expectStatus(await app.get(`/flows/${body.id}`), 404)
  })

  test('a GET → PUT round trip of the whole body is 400 and the text says why [11.6] [14.26] [13-22]', async () => {
    const body = linked((await createProfile()).id)
    await createFlow(app, body)
    expectInvalid(await app.put(`/flows/${body.id}`, { ...(await readFlow(app, body.id)), label: 'y' }), 'profile_id')
  })

  test('common members change normally, the link stays [11.6] [11.6-M3]', async () => {
    const profile = await createProfile()
    const body = linked(profile.id)
    await createFlow(app, body)
    expectStatus(await app.put(`/flows/${body.id}`, { ...body, label: 'new', status: 'ingesting' }), 204)
    expectStatus(await app.put(`/flows/${body.id}/max_bit_rate`, 7), 204)
    expect(await readFlow(app, body.id)).toMatchObject({ label: 'new', status: 'ingesting', max_bit_rate: 7, profile_id: profile.id })
  })

  test('avg_bit_rate of a linked flow is fixed [5.9] [11.6] [5.9-S1]', async () => {
    const body = linked((await createProfile()).id)
    await createFlow(app, body)
    expectStatus(await app.put(`/flows/${body.id}/avg_bit_rate`, 7), 400)
    expectStatus(await app.delete(`/flows/${body.id}/avg_bit_rate`), 400)
    expect((await app.get(`/flows/${body.id}/avg_bit_rate`)).body).toBe(5000)
  })

  test('profile_id "" with complete metadata unlinks [11.6] [11.6-S3]', async () => {
    const profile = await createProfile()
    const body = linked(profile.id)
    await createFlow(app, body)
    expectStatus(await app.put(`/flows/${body.id}`, { ...body, ...metadata({ avg_bit_rate: 1 }), profile_id: '' }), 204)
    const read = await readFlow(app, body.id)
    expect(read).not.toHaveProperty('profile_id')
    expect(read.avg_bit_rate).toBe(1)
    expect(list(await app.get(`/flows?profile_id=${profile.id}`))).toEqual([])
    expectStatus(await app.put(`/flows/${body.id}/avg_bit_rate`, 2), 204)
  })

  test('technical metadata without profile_id: refused when it differs, accepted with the link kept when identical [11.6]', async () => {
    const profile = await createProfile()
    const body = linked(profile.id)
    await createFlow(app, body)
    const { profile_id: _, ...common } = body
    expectStatus(await app.put(`/flows/${body.id}`, { ...common, ...metadata({ avg_bit_rate: 6 }) }), 400)
    expectStatus(await app.put(`/flows/${body.id}`, { ...common, ...profile.flow_metadata, label: 'kept' }), 204)
    expect(await readFlow(app, body.id)).toMatchObject({ profile_id: profile.id, label: 'kept' })
  })

  test('a source of another format refuses the profile [11.1] [11.6]', async () => {
    const other = await createFlow(app, multiFlow())
    const body = linked((await createProfile()).id, { source_id: other.source_id })
    expectStatus(await app.put(`/flows/${body.id}`, body), 400)
  })
})
