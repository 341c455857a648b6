import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { deletionWorker } from '../../src/workers/deletion-requests.ts'
import { list, object } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import {
  createFlow,
  expectInvalid,
  expectStatus,
  readFlow,
  register,
  seconds,
  segmentsOf,
  timerangesOf,
  uuid,
  videoFlow,
} from '../support/fixtures.ts'
import { runUntilIdle } from '../support/workers.ts'

describe('a delete request by hand', () => {
  let app: TestApp
  beforeAll(async () => {
    app = await openApp({ settings: { strict: false, softDeleteDefault: false } })
  })
  afterAll(() => app.close())

  const filled = async (count = 5): Promise<string> => {
    const { id } = await createFlow(app, videoFlow())
    await register(app, id, ...seconds(count))
    return id
  }
  const ask = (flow_id: string, timerange: string, query = '') => app.post(`/flow-delete-requests${query}`, { flow_id, timerange })
  const work = () => runUntilIdle(app.deps, deletionWorker(app.deps))
  const deletionsOf = async (id: string) => list(await app.get(`/deletions?flow_id=${id}`))

  test('is 201 with its place, however few the segments; they are hidden at once and worked off behind', async () => {
    const id = await filled()
    const answer = expectStatus(await ask(id, '[1:0_3:500000000)'), 201)
    const request = object(answer)
    expect(request).toMatchObject({ flow_id: id, timerange_to_delete: '[1:0_3:500000000)', delete_flow: false, status: 'created' })
    expect(answer.headers.get('location')).toBe(`http://localhost/flow-delete-requests/${request.id}`)
    expect(await timerangesOf(app, id)).toEqual(['[0:0_1:0)', '[3:0_4:0)', '[4:0_5:0)'])
    expect(await app.events(id)).not.toContain('flows/segments_deleted')
    await work()
    expect(object(await app.get(`/flow-delete-requests/${request.id}`))).toMatchObject({ status: 'done', timerange_remaining: '()' })
    expect((await app.events(id)).filter((type) => type === 'flows/segments_deleted')).toHaveLength(1)
    expect(await timerangesOf(app, id)).toEqual(['[0:0_1:0)', '[3:0_4:0)', '[4:0_5:0)'])
    expect(await deletionsOf(id)).toEqual([])
  })

  test('goes to the trash where that is asked for, and comes back from it', async () => {
    const id = await filled()
    expectStatus(await ask(id, '_', '?soft_delete=true&deleted_by=housekeeping'), 201)
    expect(await segmentsOf(app, id)).toEqual([])
    expect((await readFlow(app, id, '?include_timerange=true')).timerange).toBe('()')
    await work()
    const [deletion] = await deletionsOf(id)
    expect(deletion).toMatchObject({ entity_type: 'segments', deleted_by: 'housekeeping', counts: { segments: 5 } })
    expectStatus(await app.post(`/flows/${id}/segments/restore`), 200)
    expect(await timerangesOf(app, id)).toEqual(seconds(5))
  })

  test.each(['()', '[100:0_200:0)', '[0:0_0:500000000)'])(
    'of %s, where no segment lies inside, takes nothing and is done',
    async (range) => {
      const id = await filled(2)
      const { id: request } = object(expectStatus(await ask(id, range, '?soft_delete=true'), 201))
      expect(await timerangesOf(app, id)).toEqual(seconds(2))
      await work()
      expect(object(await app.get(`/flow-delete-requests/${request}`))).toMatchObject({ status: 'done' })
      expect(await timerangesOf(app, id)).toEqual(seconds(2))
      expect(await deletionsOf(id)).toEqual([])
    },
  )

  test('has the checks of DELETE, in their order', async () => {
    const locked = await createFlow(app, videoFlow({ read_only: true }))
    expectStatus(await ask(uuid(), '_', '?soft_delete=x'), 404)
    expectStatus(await ask(locked.id, '_', '?soft_delete=x'), 403)
    const id = await filled(1)
    expectInvalid(await ask(id, '_', '?soft_delete=x'), 'soft_delete')
    expectInvalid(await ask(id, '[5:0)'), 'timerange')
    expectInvalid(await ask(id, 'tomorrow'), 'timerange')
    expectInvalid(await ask('x', '_'), 'flow_id')
    expectInvalid(await app.post('/flow-delete-requests', { flow_id: id }), 'timerange')
    expectInvalid(await app.post('/flow-delete-requests', []), 'body')
    expectInvalid(await app.post('/flow-delete-requests'), 'body')
    expect(await timerangesOf(app, id)).toEqual(seconds(1))
  })
})

test('in strict mode nobody makes delete requests by hand', async () => {
  const app = await openApp({ settings: { strict: true } })
  try {
    const { id } = await createFlow(app)
    const answer = await app.fetch('/flow-delete-requests', { method: 'POST', body: JSON.stringify({ flow_id: id, timerange: '_' }) })
    expect(answer.status).toBe(405)
  } finally {
    await app.close()
  }
})
