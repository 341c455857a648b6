import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { list } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { inconsistencies } from '../support/consistency.ts'
import {
  createFlow,
  expectInvalid,
  expectStatus,
  external,
  postSegment,
  register,
  seconds,
  segmentsOf,
  timerangesOf,
  uuid,
  walk,
} from '../support/fixtures.ts'
import { call } from '../support/trash.ts'

let app: TestApp
let flowId: string
beforeEach(async () => {
  app = await openApp({ settings: { strict: false } })
  flowId = (await createFlow(app)).id
})
afterEach(async () => {
  expect(await inconsistencies(app.deps.tables)).toEqual([])
  expect(app.errors).toEqual([])
  await app.close()
})

const tagged = async (timerange: string, tags: unknown, over = {}): Promise<string> => {
  const segment = external(timerange, { tags, ...over })
  expectStatus(await postSegment(app, flowId, segment), 201)
  return segment.object_id
}
const path = (objectId: string, rest = '') => `/flows/${flowId}/segments/${encodeURIComponent(objectId)}/tags${rest}`
const tagRows = () => app.deps.tables.read((tx) => tx.count('tags', { kind: 'compare', column: 'entity_type', op: '=', value: 'segment' }))
const audited = async () =>
  list(await call(app, 'GET', `/audit?entity_id=${flowId}&reverse_order=true`, 200)).map((row) => String(row.action))

test('tags come with a segment, one by one or in a list, and the listing shows them', async () => {
  const first = external('[0:0_1:0)', { tags: { goal: 'home', players: ['7', '9'], none: [] } })
  expectStatus(await postSegment(app, flowId, [first, external('[1:0_2:0)'), external('[2:0_3:0)', { tags: {} })]), 201)
  await tagged('[3:0_4:0)', { ['__proto__']: 'x', '': 'empty name' })
  const shown = (await segmentsOf(app, flowId)).map((segment) => segment.tags)
  expect(shown).toEqual([
    { goal: 'home', players: ['7', '9'], none: [] },
    undefined,
    undefined,
    JSON.parse('{"__proto__":"x","":"empty name"}'),
  ])
})

test('a retried registration leaves the tags as they are', async () => {
  const segment = external('[0:0_1:0)', { tags: { goal: 'home' } })
  expectStatus(await postSegment(app, flowId, segment), 201)
  await call(app, 'PUT', path(segment.object_id, '/goal'), 204, 'away')
  expectStatus(await postSegment(app, flowId, segment), 201)
  expect((await segmentsOf(app, flowId))[0]?.tags).toEqual({ goal: 'away' })
})

test.each([
  [5, 'tags'],
  [null, 'tags'],
  [{ goal: 7 }, 'goal'],
  [{ goal: [['x']] }, 'goal'],
])('%p is no set of tags', async (tags, member) => {
  expectInvalid(await postSegment(app, flowId, external('[0:0_1:0)', { tags })), member)
  const id = await tagged('[0:0_1:0)', { a: 'b' })
  expectInvalid(await call(app, 'PUT', path(id), 400, tags), member)
})

test('are read, replaced and removed, all at once or by name', async () => {
  const id = await tagged('[0:0_1:0)', { goal: 'home' }, { object_id: 'a/b c?' })
  const get = async (rest = '') => (await call(app, 'GET', path(id, rest), 200)).body
  expect(await get()).toEqual({ goal: 'home' })
  await call(app, 'PUT', path(id, '/a%2Fb'), 204, ['x', 'y'])
  expect(await get('/a%2Fb')).toEqual(['x', 'y'])
  await call(app, 'PUT', path(id, '/goal'), 204, 'away')
  expect(await get()).toEqual({ goal: 'away', 'a/b': ['x', 'y'] })
  await call(app, 'DELETE', path(id, '/goal'), 204)
  await call(app, 'GET', path(id, '/goal'), 404)
  await call(app, 'DELETE', path(id, '/goal'), 404)
  await call(app, 'PUT', path(id), 204, { only: 'this' })
  expect(await get()).toEqual({ only: 'this' })
  await call(app, 'DELETE', path(id), 204)
  expect(await get()).toEqual({})
  await call(app, 'DELETE', path(id), 204)
  expect(await tagRows()).toBe(0)
  expect('tags' in ((await segmentsOf(app, flowId))[0] ?? {})).toBe(false)
  expect(await audited()).toEqual([
    'flow.create',
    'flow.segments.add',
    'flow.segment.tag.set',
    'flow.segment.tag.set',
    'flow.segment.tag.delete',
    'flow.segment.tags.set',
    'flow.segment.tags.set',
  ])
  // Neither metadata nor segments of the flow have changed.
  expect(await app.events(flowId)).toEqual(['flows/created', 'flows/segments_added'])
})

describe('an object that is on the timeline twice', () => {
  test('needs a timerange that picks one of its segments', async () => {
    const id = await tagged('[0:0_1:0)', { take: '1' }, { object_timerange: '[0:0_1:0)' })
    expectStatus(await postSegment(app, flowId, { object_id: id, timerange: '[5:0_6:0)', ts_offset: '5:0', tags: { take: '2' } }), 201)
    for (const method of ['GET', 'DELETE']) expectInvalid(await call(app, method, path(id), 400), 'timerange')
    expectInvalid(await call(app, 'PUT', path(id, '/take?timerange=_'), 400, 'x'), 'timerange')
    expect((await call(app, 'GET', path(id, '?timerange=[0:0_1:0)'), 200)).body).toEqual({ take: '1' })
    expect((await call(app, 'GET', path(id, '/take?timerange=[5:500_6:0)'), 200)).body).toBe('2')
    await call(app, 'PUT', path(id, '/take?timerange=[5:0]'), 204, 'other')
    expect((await segmentsOf(app, flowId)).map((segment) => segment.tags)).toEqual([{ take: '1' }, { take: 'other' }])
    await call(app, 'GET', path(id, '?timerange=[2:0_3:0)'), 404)
    expectInvalid(await call(app, 'GET', path(id, '?timerange=x'), 400), 'timerange')
  })
})

test('what is missing is 404 before anything is said of the body; a read-only flow is 403', async () => {
  const id = await tagged('[0:0_1:0)', { a: 'b' })
  await call(app, 'GET', path('nobody'), 404)
  await call(app, 'PUT', path('nobody', '/x'), 404, 5)
  await call(app, 'GET', `/flows/${uuid()}/segments/${id}/tags`, 404)
  await call(app, 'GET', `/flows/no-uuid/segments/${id}/tags`, 404)
  expectStatus(await app.put(`/flows/${flowId}/read_only`, true), 204)
  await call(app, 'PUT', path(id), 403, 5)
  await call(app, 'DELETE', path(id, '/a'), 403)
  await call(app, 'GET', path(id), 200)
})

describe('filters of the listing', () => {
  beforeEach(async () => {
    await tagged('[0:0_1:0)', { goal: 'home', half: '1' })
    await tagged('[1:0_2:0)', { goal: ['home', 'away'], half: '2' })
    await tagged('[2:0_3:0)', { goal: [] })
    await register(app, flowId, '[3:0_4:0)')
  })

  test.each([
    ['tag.goal=home', [0, 1]],
    ['tag.goal=away,nobody', [1]],
    ['tag.goal=home&tag.half=2', [1]],
    ['tag.goal=', []],
    ['tag_exists.goal=true', [0, 1, 2]],
    ['tag_exists.goal=false', [3]],
    ['tag_exists.half=false&tag_exists.goal=true', [2]],
    ['tag.goal=home&timerange=[1:0_9:0)', [1]],
    ['tag.goal=home&reverse_order=true', [1, 0]],
    ['tag.goal=home&deleted_state=all', [0, 1]],
  ])('%s', async (query, expected) => {
    const starts = expected.map((start) => `[${start}:0_${start + 1}:0)`)
    expect(await timerangesOf(app, flowId, `?${query}`)).toEqual(starts)
  })

  test('hold over pages, and do not find tags of other things', async () => {
    const path = `/flows/${flowId}/segments?tag.goal=home&limit=1`
    expect((await walk(app, path)).map((segment) => segment.timerange)).toEqual(['[0:0_1:0)', '[1:0_2:0)'])
    expectStatus(await app.put(`/flows/${flowId}/tags/venue`, 'Leeds'), 204)
    expect(await timerangesOf(app, flowId, '?tag.venue=Leeds')).toEqual([])
    expectInvalid(await app.get(`/flows/${flowId}/segments?tag_exists.goal=perhaps`), 'tag_exists.goal')
  })

  test('find segments again that were in the trash; for good, their tags go with them', async () => {
    expectStatus(await app.delete(`/flows/${flowId}/segments?timerange=[0:0_2:0)`), 204)
    expect(await timerangesOf(app, flowId, '?tag.goal=home')).toEqual([])
    expect(await timerangesOf(app, flowId, '?tag.goal=away&deleted_only=true')).toEqual(['[1:0_2:0)'])
    await call(app, 'POST', `/flows/${flowId}/segments/restore`, 200)
    expect(await timerangesOf(app, flowId, '?tag.goal=home')).toEqual(['[0:0_1:0)', '[1:0_2:0)'])
    await call(app, 'DELETE', `/flows/${flowId}/segments?timerange=[0:0_2:0)&soft_delete=false`, 204)
    expect(await tagRows()).toBe(1)
    await call(app, 'DELETE', `/flows/${flowId}?soft_delete=false`, 204)
    expect(await tagRows()).toBe(0)
  })
})

test('a page without a filter takes no look-up for tags', async () => {
  await tagged('[0:0_1:0)', { goal: 'home' })
  await register(app, flowId, ...seconds(5, 1))
  const asked: unknown[] = []
  const { tables } = app.deps
  const read = tables.read.bind(tables)
  tables.read = (work) =>
    read((tx) => {
      const note =
        (method: 'list' | 'find' | 'count') =>
        (...args: Parameters<typeof tx.find>) => {
          asked.push(args[0])
          return Reflect.apply(tx[method], tx, args)
        }
      return work(Object.assign(Object.create(tx), { list: note('list'), find: note('find'), count: note('count') }))
    })
  await app.request('GET', `/flows/${flowId}/segments`, { head: false })
  expect(asked).toEqual(['flows', 'segments', 'objects'])
})

test('strict mode knows no tags of segments', async () => {
  const strict = await openApp({ settings: { strict: true } })
  const { id } = await createFlow(strict)
  const segment = external('[0:0_1:0)', { tags: 5 })
  expectStatus(await postSegment(strict, id, segment), 201)
  expect('tags' in ((await segmentsOf(strict, id, '?tag.goal=home'))[0] ?? {})).toBe(false)
  expectStatus(await strict.request('GET', `/flows/${id}/segments/${segment.object_id}/tags`, { head: false }), 404)
  await strict.close()
})
