import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { openApp, type TestApp } from '../support/app.ts'
import {
  audioFlow,
  createFlow,
  expectInvalid,
  expectStatus,
  multiFlow,
  readFlow,
  readSource,
  uuid,
  videoFlow,
} from '../support/fixtures.ts'

let app: TestApp
beforeAll(async () => {
  app = await openApp()
})
afterAll(() => app.close())

const collection = async (id: string) => expectStatus(await app.get(`/flows/${id}/flow_collection`), 200).body
const members = async () => [(await createFlow(app)).id, (await createFlow(app, audioFlow())).id, (await createFlow(app)).id] as const

describe('/flows/{id}/flow_collection', () => {
  test('is [] when there is none [5.8] [14.3]', async () => {
    const { id } = await createFlow(app, multiFlow())
    expect(await collection(id)).toEqual([])
  })

  test('keeps order, role and container mapping [5.8] [5.8-M1] [13-24]', async () => {
    const [a, b, c] = await members()
    const { id } = await createFlow(app, multiFlow())
    const items = [
      { id: c, role: 'clean', container_mapping: { track_index: 2, mp2ts_container: { pid: 257 } } },
      { id: a },
      { id: b, role: 'audio', container_mapping: { audio_track: { channel_numbers: [0, 1] } } },
    ]
    expectStatus(await app.put(`/flows/${id}/flow_collection`, items), 204)
    expect(await collection(id)).toEqual(items)
    expect((await readFlow(app, id)).flow_collection).toEqual(items)
    expectStatus(await app.put(`/flows/${id}/flow_collection`, [{ id: b }, { id: a }]), 204)
    expect(await collection(id)).toEqual([{ id: b }, { id: a }])
  })

  test.each([
    ['DELETE', undefined],
    ['PUT', []],
  ])('%s %p empties it [5.8] [5.8-M2]', async (method, body) => {
    const [a] = await members()
    const { id } = await createFlow(app, multiFlow({ flow_collection: [{ id: a }] }))
    expectStatus(await app.request(method, `/flows/${id}/flow_collection`, body ? { body } : {}), 204)
    expect(await collection(id)).toEqual([])
    expect(await readFlow(app, a)).not.toHaveProperty('collected_by')
  })

  test.each([
    ['an unknown flow', () => [{ id: uuid() }]],
    ['an id that is no UUID', () => [{ id: 'nonsense' }]],
    ['an item without id', () => [{ role: 'audio' }]],
    ['a role that is no text', () => [{ id: uuid(), role: 5 }]],
    ['an object instead of a list', () => ({ id: uuid() })],
    ['null', () => null],
    ['a bad container mapping', () => [{ id: uuid(), container_mapping: { track_index: -1 } }]],
  ])('refuses %s and stays as it was [5.8] [5.8-M2] [5.4-M5]', async (_, wrong) => {
    const [a] = await members()
    const { id } = await createFlow(app, multiFlow({ flow_collection: [{ id: a }] }))
    expectStatus(await app.put(`/flows/${id}/flow_collection`, wrong()), 400)
    expect(await collection(id)).toEqual([{ id: a }])
  })

  test('refuses the flow itself and the same flow twice [5.8] [14.18]', async () => {
    const [a] = await members()
    const { id } = await createFlow(app, multiFlow())
    expectInvalid(await app.put(`/flows/${id}/flow_collection`, [{ id }]), 'flow_collection')
    expectInvalid(await app.put(`/flows/${id}/flow_collection`, [{ id: a }, { id: a, role: 'again' }]), 'flow_collection')
  })

  test('refuses cycles of any length, also through PUT of the flow [5.8] [14.18]', async () => {
    const third = await createFlow(app, multiFlow())
    const second = await createFlow(app, multiFlow({ flow_collection: [{ id: third.id }] }))
    const first = await createFlow(app, multiFlow({ flow_collection: [{ id: second.id }] }))
    expectInvalid(await app.put(`/flows/${third.id}/flow_collection`, [{ id: first.id }]), 'flow_collection')
    expectInvalid(await app.put(`/flows/${third.id}`, { ...third, flow_collection: [{ id: second.id }] }), 'flow_collection')
    expect(await collection(third.id)).toEqual([])
  })

  test('of two flows that would collect each other at once, one is refused [5.8] [14.9]', async () => {
    const [a, b] = [await createFlow(app, multiFlow()), await createFlow(app, multiFlow())]
    const answers = await Promise.all([
      app.put(`/flows/${a.id}/flow_collection`, [{ id: b.id }]),
      app.put(`/flows/${b.id}/flow_collection`, [{ id: a.id }]),
    ])
    expect(answers.map((answer) => answer.status).sort()).toEqual([204, 400])
  })

  test('of an unknown flow is 404 [5.8] [5.8-M2]', async () => {
    const path = `/flows/${uuid()}/flow_collection`
    expectStatus(await app.get(path), 404)
    expectStatus(await app.put(path, 'wrong'), 404)
    expectStatus(await app.delete(path), 404)
  })
})

describe('what follows from collections', () => {
  test('a member names all flows that collect it [11.2] [11.2-S1] [11.2-M1]', async () => {
    const [a] = await members()
    const one = await createFlow(app, multiFlow({ flow_collection: [{ id: a }] }))
    const two = await createFlow(app, multiFlow({ flow_collection: [{ id: a }] }))
    expect([...Object(await readFlow(app, a)).collected_by].sort()).toEqual([one.id, two.id].sort())
  })

  test('the sources follow, with order and role, one entry for each [11.2] [11.2-S2] [11.2-M1]', async () => {
    const video = await createFlow(app)
    const twin = await createFlow(app, videoFlow({ source_id: video.source_id }))
    const audio = await createFlow(app, audioFlow())
    const multi = await createFlow(
      app,
      multiFlow({
        flow_collection: [
          { id: audio.id, role: 'audio' },
          { id: video.id, role: 'video' },
          { id: twin.id, role: 'video' },
        ],
      }),
    )
    expect((await readSource(app, multi.source_id)).source_collection).toEqual([
      { id: audio.source_id, role: 'audio' },
      { id: video.source_id, role: 'video' },
    ])
    expect((await readSource(app, audio.source_id)).collected_by).toEqual([multi.source_id])
    expectStatus(await app.delete(`/flows/${multi.id}/flow_collection`), 204)
    expect(await readSource(app, multi.source_id)).not.toHaveProperty('source_collection')
    expect(await readSource(app, audio.source_id)).not.toHaveProperty('collected_by')
  })

  test('several flows of one source contribute their union [11.2]', async () => {
    const [video, audio] = [await createFlow(app), await createFlow(app, audioFlow())]
    const first = await createFlow(app, multiFlow({ flow_collection: [{ id: video.id, role: 'video' }] }))
    await createFlow(app, multiFlow({ source_id: first.source_id, flow_collection: [{ id: audio.id, role: 'audio' }] }))
    const collected = (await readSource(app, first.source_id)).source_collection
    expect(collected).toEqual(
      expect.arrayContaining([
        { id: video.source_id, role: 'video' },
        { id: audio.source_id, role: 'audio' },
      ]),
    )
    expect(collected).toHaveLength(2)
  })

  test('a contradicting role is refused on the write that causes it [11.2] [5.4] [5.8] [5.8-S1] [5.4-S1]', async () => {
    const video = await createFlow(app)
    const first = await createFlow(app, multiFlow({ flow_collection: [{ id: video.id, role: 'programme' }] }))
    const second = await createFlow(app, multiFlow({ source_id: first.source_id }))
    expectInvalid(await app.put(`/flows/${second.id}/flow_collection`, [{ id: video.id, role: 'clean' }]), 'flow_collection')
    expectInvalid(
      await app.put(`/flows/${second.id}`, { ...second, flow_collection: [{ id: video.id, role: 'clean' }] }),
      'flow_collection',
    )
  })

  test('a contradicting order is refused on the write that causes it [11.2] [5.4] [5.8] [5.8-S1] [5.4-S1]', async () => {
    const [video, audio] = [await createFlow(app), await createFlow(app, audioFlow())]
    const first = await createFlow(app, multiFlow({ flow_collection: [{ id: video.id }, { id: audio.id }] }))
    const second = await createFlow(app, multiFlow({ source_id: first.source_id }))
    expectInvalid(await app.put(`/flows/${second.id}/flow_collection`, [{ id: audio.id }, { id: video.id }]), 'flow_collection')
  })

  test('a PUT of the flow without flow_collection takes its members out [5.4] [11.2]', async () => {
    const [a] = await members()
    const flow = await createFlow(app, multiFlow({ flow_collection: [{ id: a }] }))
    const { flow_collection: _, ...rest } = flow
    expectStatus(await app.put(`/flows/${flow.id}`, rest), 204)
    expect(await collection(flow.id)).toEqual([])
    expect(await readFlow(app, a)).not.toHaveProperty('collected_by')
  })
})
