import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Json } from '../support/answers.ts'
import { openApp, secondaryStorage, type TestApp } from '../support/app.ts'
import {
  allocateOne,
  createFlow,
  expectInvalid,
  expectStatus,
  format,
  postSegment,
  readFlow,
  register,
  videoFlow,
} from '../support/fixtures.ts'
import { example, exampleNames, hasSpecification } from '../support/schemas.ts'

/*
 * Every example of the specification that is a request, and every flow and profile that it shows as an answer, sent as a request.
 * The storage id in the example of a controlled instance is that of the second standard backend.
 */
const onlyWithSpecification = describe.skipIf(!hasSpecification)

const named = (name: string): Json => Object(example(name))

const withApp = async (work: (app: TestApp) => Promise<void>): Promise<void> => {
  const app = await openApp()
  try {
    await work(app)
  } finally {
    await app.close()
  }
}

const collects = (flow: Json): string[] => (Array.isArray(flow.flow_collection) ? flow.flow_collection.map((item) => String(item.id)) : [])

/** Registers flows with these ids, so that they can be collected. */
const makeMembers = async (app: TestApp, ids: readonly string[]): Promise<void> => {
  for (const id of ids) await createFlow(app, videoFlow({ id }))
}

onlyWithSpecification('requests of the specification', () => {
  test('none is forgotten here [15]', () => {
    const requests = exampleNames().filter((name) => /-(post|put)(-|$)/.test(name) && !/-20\d/.test(name))
    expect(requests.sort()).toEqual(
      [
        'flow-collection-put',
        'flow-put',
        'flow-put-multi',
        'flow-put-profile',
        'flow-segment-post',
        'flow-storage-post',
        'flow-storage-post-object_ids',
        'objects-instances-controlled-post',
        'objects-instances-uncontrolled-post',
        'profile-put',
        'service-post',
        'webhook-post',
        'webhook-put',
      ].sort(),
    )
  })

  test('flow-put makes a flow, a second time updates it [5.4]', () =>
    withApp(async (app) => {
      const body = named('flow-put')
      expect(expectStatus(await app.put(`/flows/${body.id}`, body), 201).body).toMatchObject(body)
      expectStatus(await app.put(`/flows/${body.id}`, body), 204)
    }))

  test('flow-put-multi collects itself: refused as it is, accepted without that item [15] [5.8]', () =>
    withApp(async (app) => {
      const body = named('flow-put-multi')
      await makeMembers(
        app,
        collects(body).filter((id) => id !== body.id),
      )
      expectInvalid(await app.put(`/flows/${body.id}`, body), 'flow_collection')
      const flow_collection = Object(body.flow_collection).filter((item: Json) => item.id !== body.id)
      expectStatus(await app.put(`/flows/${body.id}`, { ...body, flow_collection }), 201)
    }))

  test('flow-put-profile takes the metadata of profile-put [3.4] [11.6]', () =>
    withApp(async (app) => {
      const [profile, body] = [named('profile-put'), named('flow-put-profile')]
      expectInvalid(await app.put(`/flows/${body.id}`, body), 'profile_id')
      expectStatus(await app.post(`/service/profiles/${profile.id}`, profile), 201)
      expectStatus(await app.put(`/flows/${body.id}`, body), 201)
      expect(await readFlow(app, String(body.id))).toMatchObject({ ...body, ...Object(profile.flow_metadata) })
    }))

  test('flow-segment-post registers its object [6.2]', () =>
    withApp(async (app) => {
      const body = named('flow-segment-post')
      const { id } = await createFlow(app)
      await allocateOne(app, id, { object_ids: [body.object_id] })
      expectStatus(await postSegment(app, id, body), 201)
    }))

  test.each([
    ['flow-storage-post', 50],
    ['flow-storage-post-object_ids', 2],
  ])('%s allocates %i objects [7]', (name, count) =>
    withApp(async (app) => {
      const { id } = await createFlow(app)
      const answer = expectStatus(await app.post(`/flows/${id}/storage`, named(name)), 201)
      expect(Object(answer.body).media_objects).toHaveLength(count)
    }),
  )

  test('flow-collection-put is kept in its order [5.8]', () =>
    withApp(async (app) => {
      const items = Object(example('flow-collection-put'))
      await makeMembers(
        app,
        items.map((item: Json) => String(item.id)),
      )
      const { id } = await createFlow(app, { ...videoFlow(), format: format.multi, essence_parameters: undefined, codec: undefined })
      expectStatus(await app.put(`/flows/${id}/flow_collection`, items), 204)
      expect((await app.get(`/flows/${id}/flow_collection`)).body).toEqual(items)
    }))

  test('the two instances are registered [8.2]', () =>
    withApp(async (app) => {
      const { id } = await createFlow(app)
      const { object_id } = await allocateOne(app, id)
      await postSegment(app, id, { object_id, timerange: '[0:0_1:0)' })
      expect(named('objects-instances-controlled-post').storage_id).toBe(secondaryStorage)
      expectStatus(await app.post(`/objects/${object_id}/instances`, example('objects-instances-controlled-post')), 201)
      expectStatus(await app.post(`/objects/${object_id}/instances`, example('objects-instances-uncontrolled-post')), 201)
    }))

  test('service-post renames the service [3.2]', () =>
    withApp(async (app) => {
      expectStatus(await app.post('/service', example('service-post')), 200)
      expect((await app.get('/service')).body).toMatchObject(named('service-post'))
    }))

  test('webhook-post is accepted where the service lists webhooks, and 404 where not [10.3]', () =>
    withApp(async (app) => {
      const listed = JSON.stringify((await app.get('/service')).body).includes('"webhooks"')
      expectStatus(await app.post('/service/webhooks', example('webhook-post')), listed ? 201 : 404)
    }))
})

onlyWithSpecification('answers of the specification, sent back as requests', () => {
  let app: TestApp
  beforeAll(async () => {
    app = await openApp()
  })
  afterAll(() => app.close())

  const flows = exampleNames().filter((name) => /^flow-get-200-/.test(name) || name === 'flow-put-201')
  test.each(flows.map((name) => [name]))('%s is accepted and read back with all that clients manage [5.1] [5.4]', async (name) => {
    const {
      flow_collection: _,
      timerange,
      created,
      metadata_updated,
      segments_updated,
      collected_by,
      created_by,
      updated_by,
      ...body
    } = named(name)
    const answer = await app.put(`/flows/${body.id}`, {
      ...body,
      timerange,
      created,
      metadata_updated,
      segments_updated,
      collected_by,
      created_by,
      updated_by,
    })
    expect(answer.status).toBeOneOf([201, 204])
    const read = await readFlow(app, String(body.id))
    expect(read).toMatchObject({ ...body, ...(answer.status === 204 && { metadata_version: read.metadata_version }) })
    expectStatus(await app.delete(`/flows/${body.id}`), 204)
  })

  test.each([['profile-get-200-video-h264'], ['profile-get-200-video-h264-mxf'], ['profile-get-200-image'], ['profile-post-201']])(
    '%s is accepted as a profile [3.4]',
    (name) =>
      withApp(async (own) => {
        const body = named(name)
        const { created, ...rest } = body
        expect(expectStatus(await own.post(`/service/profiles/${body.id}`, body), 201).body).toMatchObject(rest)
        expect(created === undefined || typeof created === 'string').toBe(true)
      }),
  )

  test('a flow as the specification shows it takes segments [6.2]', async () => {
    const body = named('flow-get-200-video-h264')
    await app.put(`/flows/${body.id}`, { ...body, flow_collection: undefined, read_only: false })
    expect(await register(app, String(body.id), '[0:0_1:0)')).toHaveLength(1)
  })
})
