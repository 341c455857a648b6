import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Answer, list, object } from '../support/answers.ts'
import { openApp, strictByDefault, type TestApp } from '../support/app.ts'
import {
  createFlow,
  expectInvalid,
  expectStatus,
  external,
  ids,
  postSegment,
  readFlow,
  register,
  seconds,
  segmentsOf,
  timerangesOf,
  uuid,
  videoFlow,
  walk,
} from '../support/fixtures.ts'

let app: TestApp
beforeAll(async () => {
  app = await openApp({ settings: { asyncDeletionThreshold: 10 } })
})
afterAll(() => app.close())

const filled = async (count = 25) => {
  const flow = await createFlow(app, videoFlow())
  const objects = await register(app, flow.id, ...seconds(count))
  return { flow, id: flow.id, objects }
}

/** The record that a 202 leads to. */
const follow = async (answer: Answer) => {
  expectStatus(answer, 202)
  const location = answer.headers.get('location') ?? ''
  const record = object(answer)
  expect(new URL(location, 'http://localhost').pathname).toBe(`/flow-delete-requests/${record.id}`)
  expect(expectStatus(await app.get(location), 200).body).toMatchObject({ id: record.id })
  return record
}

describe('a large deletion', () => {
  test('of a flow is 202 with Location and the request as body, and hides the flow at once [5.5] [9] [5.5-M1] [5.5-M3] [9-M1] [9-M3] [9-M6]', async () => {
    const { id, objects } = await filled()
    const record = await follow(await app.delete(`/flows/${id}`))
    expect(record).toMatchObject({
      flow_id: id,
      delete_flow: true,
      timerange_to_delete: expect.any(String),
      status: expect.stringMatching(/^(created|started|done)$/),
    })
    expectStatus(await app.get(`/flows/${id}`), 404)
    expectStatus(await app.put(`/flows/${id}/label`, 'x'), 404)
    expectStatus(await postSegment(app, id, external('[100:0_101:0)')), 404)
    expect(await segmentsOf(app, id)).toEqual([])
    expect(list(await app.get('/flows?limit=1000')).some((flow) => flow.id === id)).toBe(false)
    expect((await app.events(id)).filter((type) => type === 'flows/deleted')).toHaveLength(1)
    // The object goes with the last of the work; the hidden flow is no longer among those that refer to it.
    const left = await app.get(`/objects/${objects[0]}`)
    if (left.status !== 404) expect(object(left).referenced_by_flows).toEqual([])
  })

  test('of segments is 202, hides exactly those, and leaves the flow [6.3] [9] [6.3-M2] [9-M1] [9-M3] [9-M6]', async () => {
    const { id } = await filled()
    const record = await follow(await app.delete(`/flows/${id}/segments?timerange=[0:0_20:0)`))
    expect(record).toMatchObject({ flow_id: id, delete_flow: false, timerange_to_delete: '[0:0_20:0)' })
    expect(await timerangesOf(app, id)).toEqual(seconds(5, 20))
    expect((await readFlow(app, id, '?include_timerange=true')).timerange).toBe('[20:0_25:0)')
    expectStatus(await postSegment(app, id, external('[5:0_6:0)')), 201)
    expect(await timerangesOf(app, id)).toEqual(['[5:0_6:0)', ...seconds(5, 20)])
  })

  test('a small one is done at once: 204 [14.12] [5.5-M1] [6.3-M2]', async () => {
    const { id } = await filled(3)
    expectStatus(await app.delete(`/flows/${id}/segments`), 204)
    expectStatus(await app.delete(`/flows/${id}`), 204)
  })

  test('of a read-only flow is 403, of an unknown one 404 [5.5] [11.5] [5.5-M1] [6.3-M2]', async () => {
    const { id } = await filled()
    await app.put(`/flows/${id}/read_only`, true)
    expectStatus(await app.delete(`/flows/${id}`), 403)
    expectStatus(await app.delete(`/flows/${id}/segments`), 403)
    expect(await segmentsOf(app, id)).toHaveLength(25)
    expectStatus(await app.delete(`/flows/${uuid()}`), 404)
  })

  test('the id can be created again at once, and keeps its new segments [5.5] [14.11]', async () => {
    const { id, flow } = await filled()
    expectStatus(await app.delete(`/flows/${id}`), 202)
    expectStatus(await app.put(`/flows/${id}`, flow), 201)
    const [kept = ''] = await register(app, id, '[3:0_4:0)')
    expect(await timerangesOf(app, id)).toEqual(['[3:0_4:0)'])
    expectStatus(await app.get(`/objects/${kept}`), 200)
  })

  test('keeps objects that others use [5.5] [11.7] [5.5-M2]', async () => {
    const { id, objects } = await filled()
    const other = await createFlow(app)
    expectStatus(await postSegment(app, other.id, { object_id: objects[3], timerange: '[3:0_4:0)' }), 201)
    expectStatus(await app.delete(`/flows/${id}`), 202)
    expect(object(expectStatus(await app.get(`/objects/${objects[3]}`), 200)).referenced_by_flows).toEqual([other.id])
  })
})

describe('GET /flow-delete-requests', () => {
  test('lists requests, newest first, with sorting, paging and five headers [9] [1.6] [A] [9-M5] [1.6-M1]', async () => {
    const own = await openApp({ settings: { asyncDeletionThreshold: 1 } })
    try {
      const made: unknown[] = []
      for (let index = 0; index < 4; index++) {
        const { id } = await createFlow(own)
        await register(own, id, ...seconds(3))
        made.push(object(expectStatus(await own.delete(`/flows/${id}`), 202)).id)
      }
      expect(ids(list(await own.get('/flow-delete-requests')))).toEqual([...made].reverse())
      expect(ids(list(await own.get('/flow-delete-requests?sort_by=created&reverse_order=true')))).toEqual(made)
      expect(ids(await walk(own, '/flow-delete-requests?limit=1&reverse_order=true'))).toEqual(made)
      expect(ids(await walk(own, '/flow-delete-requests?limit=3&sort_by=expiry')).sort()).toEqual([...made].sort())
      const answer = await own.get('/flow-delete-requests?limit=2')
      expect(Object.fromEntries(answer.headers)).toMatchObject({
        'x-paging-limit': '2',
        'x-paging-count': '2',
        'x-paging-reverse-order': 'false',
      })
    } finally {
      await own.close()
    }
  })

  test.each([
    ['sort_by=id', 'sort_by'],
    ['limit=0', 'limit'],
    ['page=x', 'page'],
    ['reverse_order=x', 'reverse_order'],
  ])('refuses %s [9] [1.6]', async (query, field) => {
    expectInvalid(await app.get(`/flow-delete-requests?${query}`), field)
  })

  test.each([[uuid()], ['nonsense']])('the unknown request %s is 404 [9]', async (id) => {
    expectStatus(await app.get(`/flow-delete-requests/${id}`), 404)
  })

  test.each(strictByDefault ? [['POST'], ['PUT'], ['DELETE']] : [['PUT'], ['DELETE']])('has no %s [9]', async (method) => {
    expectStatus(await app.request(method, '/flow-delete-requests', { body: { flow_id: uuid(), timerange: '_' } }), 405)
    expectStatus(await app.request(method, `/flow-delete-requests/${uuid()}`, { body: {} }), 405)
  })
})
