import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { TamsError } from '../../src/core/errors.ts'
import { object } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { allocateOne, createFlow, expectStatus, external, postSegment, register, seconds, uuid, videoFlow } from '../support/fixtures.ts'
import { call } from '../support/trash.ts'

let app: TestApp
let isFull = false
let flow: { id: string; source_id: string }
beforeAll(async () => {
  const checkSpace = async () => {
    if (isFull) throw new TamsError('storage_full', 'The store takes no more changes')
  }
  app = await openApp({ checkSpace, settings: { strict: false, softDeleteDefault: true } })
  flow = await createFlow(app, videoFlow({ tags: { kind: 'x' } }))
  await register(app, flow.id, ...seconds(4))
  isFull = true
})
afterAll(() => app.close())

const full = (method: string, target: string, body?: unknown) => call(app, method, target, 507, body)

describe('while the disk is nearly full', () => {
  test('what adds to the store is refused with 507, and says so', async () => {
    expect(object(await full('PUT', `/flows/${uuid()}`, videoFlow()))).toMatchObject({ type: 'storage_full' })
    await full('POST', `/flows/${flow.id}/segments`, external('[9:0_10:0)'))
    await full('POST', `/flows/${flow.id}/storage`, { limit: 1 })
    await full('PUT', `/flows/${flow.id}/label`, 'other')
    await full('PUT', `/flows/${flow.id}/tags/kind`, 'y')
    await full('POST', '/flows', videoFlow())
    await full('POST', '/sources/batch', [])
    await full('POST', '/service', { name: 'x' })
  })

  test('nothing of it is kept', async () => {
    expect(object(expectStatus(await app.get(`/flows/${flow.id}`), 200)).tags).toEqual({ kind: 'x' })
    expect((await app.events(flow.id)).filter((type) => type === 'flows/updated')).toEqual([])
  })

  test('reads go on, those that come by POST as well', async () => {
    for (const target of ['/flows', `/flows/${flow.id}/segments`, '/service', '/health/live']) expectStatus(await app.get(target), 200)
    await call(app, 'POST', '/analytics/query', 200, { sql: 'select 1 as one' })
  })

  test('deletions go on, those that come by POST as well', async () => {
    await call(app, 'DELETE', `/flows/${flow.id}/tags/kind`, 204)
    await call(app, 'DELETE', `/flows/${flow.id}/segments?timerange=[0:0_1:0)`, 204)
    await call(app, 'POST', '/flow-delete-requests', 201, { flow_id: flow.id, timerange: '[1:0_2:0)' })
    const { id } = await withRoom(() => createFlow(app))
    await call(app, 'POST', '/deletions', 200, { flow_ids: [id] })
  })

  test('a path that is not there stays 404, and one without the method 405', async () => {
    await call(app, 'POST', '/nothing', 404, {})
    await call(app, 'POST', `/flows/${flow.id}`, 405, {})
  })

  test('when there is room again, all goes on', async () => {
    await withRoom(async () => {
      const { object_id } = await allocateOne(app, flow.id)
      expectStatus(await postSegment(app, flow.id, { object_id, timerange: '[20:0_21:0)' }), 201)
    })
  })
})

const withRoom = async <T>(work: () => Promise<T>): Promise<T> => {
  isFull = false
  try {
    return await work()
  } finally {
    isFull = true
  }
}
