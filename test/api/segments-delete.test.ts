import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { openApp, type TestApp } from '../support/app.ts'
import {
  createFlow,
  expectInvalid,
  expectStatus,
  external,
  postSegment,
  readFlow,
  register,
  seconds,
  timerangesOf,
  uuid,
  videoFlow,
} from '../support/fixtures.ts'

let app: TestApp
beforeAll(async () => {
  app = await openApp()
})
afterAll(() => app.close())

const newFlow = async (...timeranges: readonly string[]): Promise<{ id: string; objects: string[] }> => {
  const { id } = await createFlow(app, videoFlow())
  return { id, objects: timeranges.length === 0 ? [] : await register(app, id, ...timeranges) }
}
/** The ranges of the recorded `flows/segments_deleted`, oldest first. */
const deletedRanges = async (id: string): Promise<unknown[]> => {
  const rows = await app.deps.tables.read((tx) => tx.readLog(0n, 100_000))
  const ours = rows.filter((row) => row.flow_id === id && row.type === 'flows/segments_deleted')
  return ours.map((row) => JSON.parse(row.body).event.timerange)
}
const remove = (id: string, query = '') => app.delete(`/flows/${id}/segments${query}`)

describe('DELETE /flows/{id}/segments', () => {
  test.each([
    ['[1:0_2:0)', '[2:0]', false],
    ['[1:0_2:0)', '[2:0_3:0)', false],
    ['[1:0_2:0)', '[2:0_', false],
    ['[1:0_2:0)', '[0:0_1:0)', false],
    ['[1:0_2:0)', '[0:0_1:0]', false],
    ['[1:0_2:0)', '[1:0]', false],
    ['[1:0_2:0)', '[1:500000000]', false],
    ['[1:0_2:0)', '[1:0_1:999999999)', false],
    ['[1:0_2:0)', '[1:0_2:0)', true],
    ['[1:0_2:0)', '[1:0_2:0]', true],
    ['[1:0_2:0)', '_', true],
    ['[1:0_2:0)', '_2:0)', true],
    ['[1:0_2:0)', '(1:0_2:0)', false],
    ['[1:0_2:0)', '()', false],
    ['[1:0_2:0)', '[5:0_1:0)', false],
    ['[0:0_10:0)', '[0:0_10:0)', true],
    ['[0:0_10:0)', '(0:0_10:0)', false],
    ['[0:0_10:0]', '[0:0_10:0)', false],
    ['[2:0]', '[1:0_2:0)', false],
    ['[2:0]', '[2:0]', true],
    ['[2:0]', '[2:0_3:0)', true],
    ['[2:0]', '[1:0_2:0]', true],
  ])(
    'of %s by timerange=%s deletes it: %p – coverage, not overlap [6.3] [2.2] [C] [6.3-M1] [2.2-M9] [2.2-M10]',
    async (stored, query, deleted) => {
      const { id } = await newFlow(stored)
      expectStatus(await remove(id, `?timerange=${query}`), 204)
      expect(await timerangesOf(app, id)).toEqual(deleted ? [] : [stored])
    },
  )

  test('without parameters deletes all [6.3] [6.3-M2] [6.3-M3]', async () => {
    const { id, objects } = await newFlow(...seconds(5))
    expectStatus(await remove(id), 204)
    expect(await timerangesOf(app, id)).toEqual([])
    for (const object of objects) expectStatus(await app.get(`/objects/${object}`), 404)
  })

  test('deletes only what the range covers, at both edges [6.3] [6.3-M1]', async () => {
    const { id } = await newFlow(...seconds(10))
    expectStatus(await remove(id, '?timerange=[2:500000000_6:500000000)'), 204)
    expect(await timerangesOf(app, id)).toEqual([...seconds(3), ...seconds(4, 6)])
    expect((await readFlow(app, id, '?include_timerange=true')).timerange).toBe('[0:0_10:0)')
  })

  test('object_id and timerange must both match [6.3]', async () => {
    const { id, objects } = await newFlow('[0:0_1:0)', '[1:0_2:0)')
    const [first = ''] = objects
    expectStatus(await postSegment(app, id, { object_id: first, timerange: '[10:0_11:0)', ts_offset: '10:0' }), 201)
    expectStatus(await remove(id, `?object_id=${first}&timerange=[5:0_`), 204)
    expect(await timerangesOf(app, id)).toEqual(['[0:0_1:0)', '[1:0_2:0)'])
    expectStatus(await remove(id, `?object_id=${first}`), 204)
    expect(await timerangesOf(app, id)).toEqual(['[1:0_2:0)'])
    expectStatus(await app.get(`/objects/${first}`), 404)
  })

  test('an empty object_id is no segment’s: it never means all of them [6.3] [1.4]', async () => {
    const { id } = await newFlow('[0:0_1:0)')
    expect((await remove(id, '?object_id=')).status).toBeOneOf([204, 400])
    expect(await timerangesOf(app, id)).toEqual(['[0:0_1:0)'])
  })

  test('keeps an object while another segment or flow uses it [6.3] [11.7] [6.3-M3]', async () => {
    const { id, objects } = await newFlow('[0:0_1:0)')
    const [object_id = ''] = objects
    const other = await newFlow()
    await postSegment(app, other.id, { object_id, timerange: '[0:0_1:0)' })
    await postSegment(app, id, { object_id, timerange: '[5:0_6:0)', ts_offset: '5:0' })
    await remove(id, '?timerange=[0:0_1:0)')
    expect((await app.get(`/objects/${object_id}`)).body).toMatchObject({ referenced_by_flows: expect.arrayContaining([id, other.id]) })
    await remove(id)
    expect((await app.get(`/objects/${object_id}`)).body).toMatchObject({ referenced_by_flows: [other.id] })
    await remove(other.id)
    expectStatus(await app.get(`/objects/${object_id}`), 404)
  })

  test('nothing that matches: 204, no event, segments_updated as it was [6.3] [10.1]', async () => {
    const { id } = await newFlow('[0:0_1:0)')
    const [before, told] = [await readFlow(app, id), await app.events(id)]
    app.clock.advance(5)
    for (const query of ['?timerange=()', '?timerange=[5:0_6:0)', `?object_id=${uuid()}`]) expectStatus(await remove(id, query), 204)
    expect([await readFlow(app, id), await app.events(id)]).toEqual([before, told])
  })

  test('tells of what was deleted, one event for each contiguous run [6.3] [10.1] [10.1-M2]', async () => {
    const { id } = await newFlow(...seconds(3), ...seconds(3, 10))
    await remove(id)
    expect(await deletedRanges(id)).toEqual(['[0:0_3:0)', '[10:0_13:0)'])
  })

  test('tells of the segments that are gone, not of the range that was asked for [10.1-M2]', async () => {
    const { id } = await newFlow(...seconds(4), '[20:0]')
    await remove(id, '?timerange=[0:500000000_3:500000000)')
    await remove(id, '?timerange=[10:0_')
    expect(await deletedRanges(id)).toEqual(['[1:0_3:0)', '[20:0]'])
  })

  test('what was deleted can be registered again [6.2] [6.3]', async () => {
    const { id } = await newFlow('[0:0_1:0)')
    await remove(id)
    expectStatus(await postSegment(app, id, external('[0:0_1:0)')), 201)
  })

  test.each([[uuid()], ['nonsense']])('of the unknown flow %s is 404, also with a bad query [6.3] [1.4] [6.3-M2]', async (id) => {
    expectStatus(await remove(id), 404)
    expectStatus(await remove(id, '?timerange=nonsense'), 404)
  })

  test.each([['nonsense'], ['[00:0_1:0)'], ['[1:0_2:0)x'], ['[1.5:0_2:0)']])(
    'timerange=%s is 400 and deletes nothing [6.3] [2.2] [C] [6.3-M2] [2.2-M8]',
    async (query) => {
      const { id } = await newFlow('[0:0_1:0)')
      expectInvalid(await remove(id, `?timerange=${query}`), 'timerange')
      expect(await timerangesOf(app, id)).toHaveLength(1)
    },
  )

  test('the loop-recorder call deletes what ended before a moment [6.3]', async () => {
    const { id } = await newFlow(...seconds(10))
    expectStatus(await remove(id, '?timerange=_4:0)'), 204)
    expect(await timerangesOf(app, id)).toEqual(seconds(6, 4))
  })
})
