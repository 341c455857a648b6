import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { list } from '../support/answers.ts'
import { openApp, primaryStorage, secondaryStorage, type TestApp } from '../support/app.ts'
import {
  allocateOne,
  createFlow,
  expectInvalid,
  expectStatus,
  external,
  nextLink,
  postSegment,
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
  app = await openApp()
})
afterAll(() => app.close())

const newFlow = async (): Promise<string> => (await createFlow(app, videoFlow())).id

describe('GET /flows/{id}/segments', () => {
  test('of a flow that does not exist is 200 with [], of an id that is none 404 [6.1] [1.2] [6.1-M1] [6.1-M2]', async () => {
    const answer = expectStatus(await app.get(`/flows/${uuid()}/segments`), 200)
    expect(answer.body).toEqual([])
    expect(answer.headers.get('x-paging-count')).toBe('0')
    expect(answer.headers.get('x-paging-timerange')).toBe('()')
    for (const id of ['nonsense', uuid().toUpperCase(), '00000000-0000-0000-0000-000000000000'])
      expectStatus(await app.get(`/flows/${id}/segments`), 404)
  })

  test('sorts by time, latest first when reversed, markers taken into account [6.1] [1.6] [2.2] [6.1-M3] [2.2-M9] [1.1-M2]', async () => {
    const id = await newFlow()
    await register(app, id, '[2:0]', '[5:0_6:0)', '[1:0_2:0)', '[-1:0_1:0)')
    const sorted = ['[-1:0_1:0)', '[1:0_2:0)', '[2:0]', '[5:0_6:0)']
    expect(await timerangesOf(app, id)).toEqual(sorted)
    expect(await timerangesOf(app, id, '?reverse_order=true')).toEqual([...sorted].reverse())
  })

  test.each([
    ['[1:0_2:0)', '[2:0]', false],
    ['[1:0_2:0)', '[2:0_3:0)', false],
    ['[1:0_2:0)', '[2:0_', false],
    ['[1:0_2:0)', '[0:0_1:0)', false],
    ['[1:0_2:0)', '[0:0_1:0]', true],
    ['[1:0_2:0)', '[1:0]', true],
    ['[1:0_2:0)', '[1:0_1:0]', true],
    ['[1:0_2:0)', '1:0', true],
    ['[1:0_2:0)', '[1:500000000]', true],
    ['[1:0_2:0)', '[1:0_2:0)', true],
    ['[1:0_2:0)', '[1:0_2:0]', true],
    ['[1:0_2:0)', '_', true],
    ['[1:0_2:0)', '(_)', true],
    ['[1:0_2:0)', '_2:0)', true],
    ['[1:0_2:0)', '[_2:0)', true],
    ['[1:0_2:0)', '(1:0_2:0)', true],
    ['[1:0_2:0)', '()', false],
    ['[1:0_2:0)', '[5:0_1:0)', false],
    ['[1:0_2:0)', '[1:0)', false],
    ['[1:0_2:0)', '(1:0)', false],
    ['[1:0_2:0)', '[1:0_1:0)', false],
    ['[1:0_2:0)', '(1:0_1:0]', false],
    ['[1:0_2:0)', '0:0_1:0', true],
    ['[1:0_2:0)', '(2:0_', false],
    ['[2:0]', '[1:0_2:0)', false],
    ['[2:0]', '[2:0]', true],
    ['[2:0]', '[2:0_2:0]', true],
    ['[2:0]', '(2:0_3:0)', false],
    ['[2:0]', '[2:0_3:0)', true],
    ['[2:0]', '[1:0_2:0]', true],
    ['[-1:500000000_0:0)', '[-1:0]', true],
    ['[-1:500000000_0:0)', '[0:0_1:0)', false],
    ['[-1:500000000_0:0)', '[-0:0_1:0)', false],
    ['[1:0_2:0)', '[0:0_99999999999999999999:0)', true],
    ['[1:0_2:0)', '[-99999999999999999999:0_99999999999999999999:0)', true],
  ])(
    'has %s; timerange=%s lists it: %p [6.1] [2.2] [C] [2.2-M1] [2.2-M2] [2.2-M3] [2.2-M4] [2.2-M5] [2.2-M6] [2.2-M9] [2.2-M10]',
    async (stored, query, listed) => {
      const id = await newFlow()
      await register(app, id, stored)
      expect(await timerangesOf(app, id, `?timerange=${query}`)).toEqual(listed ? [stored] : [])
      expect(await timerangesOf(app, id, `?timerange=${encodeURIComponent(query)}`)).toEqual(listed ? [stored] : [])
    },
  )

  test.each([
    ['[00:0_1:0)'],
    ['[0:0_0:1000000000)'],
    ['[0:0_1:05)'],
    ['[%2B1:0_2:0)'],
    ['[1_2)'],
    ['[1.5:0_2:0)'],
    ['[1:0_2:0)x'],
    ['[1:0_2:0)%0A'],
    ['2026-01-01T00:00:00Z'],
    ['[1:0-2:0)'],
  ])('timerange=%s is 400 [6.1] [2.2] [C] [2.1-M2] [2.1-M3] [2.2-M8] [6.1-M1]', async (query) => {
    expectInvalid(await app.get(`/flows/${await newFlow()}/segments?timerange=${query}`), 'timerange')
  })

  test.each([['['], [')'], ['[)'], ['[]'], ['']])(
    'timerange=%s is empty, 400, or for the empty value like none – never 500 [2.2] [C]',
    async (query) => {
      const id = await newFlow()
      await register(app, id, '[1:0_2:0)')
      const answer = await app.get(`/flows/${id}/segments?timerange=${query}`)
      expect(answer.status).toBeOneOf([200, 400])
      if (answer.status === 200 && query !== '') expect(answer.body).toEqual([])
    },
  )

  test('in the middle of a long flow finds the one that covers the start [6.1]', async () => {
    const id = await newFlow()
    await register(app, id, ...seconds(100))
    expect(await timerangesOf(app, id, '?timerange=[50:500000000_52:500000000)')).toEqual(['[50:0_51:0)', '[51:0_52:0)', '[52:0_53:0)'])
    expect(await timerangesOf(app, id, '?timerange=[50:500000000_52:500000000)&reverse_order=true&limit=2')).toEqual([
      '[52:0_53:0)',
      '[51:0_52:0)',
    ])
    expect(await timerangesOf(app, id, '?timerange=[98:0_')).toEqual(['[98:0_99:0)', '[99:0_100:0)'])
  })

  test('finds a long segment that began far before the range, behind short ones [6.1]', async () => {
    const id = await newFlow()
    await register(app, id, '[0:0_1:0)', '[1:0_1000:0)', '[1000:0_1001:0)')
    expect(await timerangesOf(app, id, '?timerange=[999:0_999:1)')).toEqual(['[1:0_1000:0)'])
  })

  test('object_id is an exact filter, together with the others [6.1]', async () => {
    const id = await newFlow()
    const [first = '', second = ''] = await register(app, id, '[0:0_1:0)', '[1:0_2:0)')
    expect(await timerangesOf(app, id, `?object_id=${second}`)).toEqual(['[1:0_2:0)'])
    expect(await timerangesOf(app, id, `?object_id=${second.slice(0, -1)}`)).toEqual([])
    expect(await timerangesOf(app, id, `?object_id=${first}&timerange=[1:0_2:0)`)).toEqual([])
  })

  test.each([
    ['reverse_order=maybe', 'reverse_order'],
    ['verbose_storage=2', 'verbose_storage'],
    ['accept_storage_ids=nonsense', 'accept_storage_ids'],
    ['presigned=perhaps', 'presigned'],
    ['include_object_timerange=x', 'include_object_timerange'],
    ['limit=0', 'limit'],
    ['limit=abc', 'limit'],
    ['page=abc', 'page'],
    ['storage_backend_tag_exists.site=x', 'storage_backend_tag_exists'],
  ])('refuses %s, naming the parameter [6.1] [1.4] [6.1-M1] [1.4-M4]', async (query, field) => {
    expectInvalid(await app.get(`/flows/${await newFlow()}/segments?${query}`), field)
  })
})

describe('paging through segments', () => {
  test('X-Paging-Timerange is the extent of the page, forward also when reversed [1.5] [6.1] [1.5-M7] [6.1-M1]', async () => {
    const id = await newFlow()
    await register(app, id, '[0:0_1:0)', '[2:0_3:0)', '[5:0_6:0]')
    const header = async (query: string) => (await app.get(`/flows/${id}/segments${query}`)).headers.get('x-paging-timerange')
    expect(await header('')).toBe('[0:0_6:0]')
    expect(await header('?limit=2')).toBe('[0:0_3:0)')
    expect(await header('?limit=2&reverse_order=true')).toBe('[2:0_6:0]')
    expect(await header('?timerange=[10:0_11:0)')).toBe('()')
  })

  test.each([[''], ['&reverse_order=true'], ['&timerange=[10:500000000_80:0)'], ['&timerange=[10:500000000_80:0)&reverse_order=true']])(
    'pages of 7 give every segment once, in order%s [1.5] [6.1] [1.5-M1] [1.5-S1]',
    async (query) => {
      const id = await newFlow()
      await register(app, id, ...seconds(100))
      const all = await timerangesOf(app, id, `?limit=1000${query}`)
      expect((await walk(app, `/flows/${id}/segments?limit=7${query}`)).map((segment) => segment.timerange)).toEqual(all)
    },
  )

  test('a walk skips nothing that stays when segments come and go in between [1.5] [1.5-S1]', async () => {
    const id = await newFlow()
    await register(app, id, ...seconds(20))
    let step = 0
    const seen = await walk(app, `/flows/${id}/segments?limit=4`, async (page) => {
      step += 1
      const last = String(page.at(-1)?.timerange ?? '')
      if (last !== '') await app.delete(`/flows/${id}/segments?timerange=${last}`)
      if (step === 1) await register(app, id, '[-5:0_-4:0)', '[30:0_31:0)')
    })
    const ranges = seen.map((segment) => segment.timerange)
    expect(ranges).toEqual([...seconds(20), '[30:0_31:0)'])
  })

  test('Link keeps every other parameter of the request [1.5]', async () => {
    const id = await newFlow()
    await register(app, id, ...seconds(5))
    const answer = await app.get(
      `/flows/${id}/segments?limit=2&reverse_order=true&timerange=[0:0_5:0)&verbose_storage=true&accept_get_urls=example&unknown=x`,
    )
    const parameters = new URL(nextLink(answer) ?? '').searchParams
    expect(Object.fromEntries(parameters)).toMatchObject({
      limit: '2',
      reverse_order: 'true',
      timerange: '[0:0_5:0)',
      verbose_storage: 'true',
      accept_get_urls: 'example',
    })
    expect(answer.headers.get('x-paging-reverse-order')).toBe('true')
  })

  test('Link keeps accept_get_urls= empty [1.5] [6.1]', async () => {
    const id = await newFlow()
    await register(app, id, ...seconds(3))
    for (const segment of await walk(app, `/flows/${id}/segments?limit=1&accept_get_urls=`)) expect(segment.get_urls ?? []).toEqual([])
  })
})

describe('get_urls', () => {
  /** One segment whose object has a controlled instance and one external, and one with only an external URL. */
  const mixed = async () => {
    const id = await newFlow()
    const { object_id } = await allocateOne(app, id)
    expectStatus(await postSegment(app, id, { object_id, timerange: '[0:0_1:0)' }), 201)
    expectStatus(await app.post(`/objects/${object_id}/instances`, { url: 'https://cdn.example.com/a', label: 'cdn' }), 201)
    const second = await allocateOne(app, id, { limit: 1, storage_id: secondaryStorage })
    expectStatus(await postSegment(app, id, { object_id: second.object_id, timerange: '[1:0_2:0)' }), 201)
    expectStatus(await postSegment(app, id, external('[2:0_3:0)')), 201)
    return id
  }
  const labels = async (id: string, query: string) =>
    (await segmentsOf(app, id, `?${query}`)).map((segment) =>
      Array.isArray(segment.get_urls) ? segment.get_urls.map((url) => url.label) : [],
    )

  test.each([
    ['', [['primary', 'cdn'], ['secondary'], ['example']]],
    ['accept_get_urls=cdn', [['cdn'], [], []]],
    ['accept_get_urls=cdn,example', [['cdn'], [], ['example']]],
    ['accept_get_urls=cdn%2Cexample', [['cdn'], [], ['example']]],
    ['accept_get_urls=', [[], [], []]],
    [`accept_storage_ids=${secondaryStorage}`, [[], ['secondary'], []]],
    [`accept_storage_ids=${secondaryStorage},${primaryStorage}`, [['primary'], ['secondary'], []]],
    ['accept_storage_ids=', [['primary', 'cdn'], ['secondary'], ['example']]],
    ['presigned=true', [['primary'], ['secondary'], []]],
    ['presigned=false', [['cdn'], [], ['example']]],
    ['storage_backend_tag.site=london', [[], ['secondary'], []]],
    ['storage_backend_tag.tier=online', [['primary'], [], []]],
    ['storage_backend_tag_exists.tier=true', [['primary'], [], []]],
    ['storage_backend_tag_exists.tier=false', [['cdn'], ['secondary'], ['example']]],
    ['storage_backend_tag.site=london,salford&presigned=true', [['primary'], ['secondary'], []]],
    [`accept_storage_ids=${primaryStorage}&accept_get_urls=cdn`, [[], [], []]],
  ])('%s: filters combine with AND, and a segment without URLs is still listed [6.1] [6.1-M4]', async (query, expected) => {
    expect(await labels(await mixed(), query)).toEqual(expected)
  })

  test('have url, presigned and label only; verbose_storage adds the backend [6.1] [6.1-M5] [6.1-M7] [13-25]', async () => {
    const id = await mixed()
    const brief = await segmentsOf(app, id)
    for (const segment of brief)
      for (const url of segment.get_urls as object[])
        expect(Object.keys(url).filter((name) => !['url', 'presigned', 'label'].includes(name))).toEqual([])
    const [first] = await segmentsOf(app, id, '?verbose_storage=true')
    expect(first?.get_urls).toMatchObject([
      {
        storage_id: primaryStorage,
        controlled: true,
        presigned: true,
        store_type: 'http_object_store',
        provider: 'example',
        region: 'north',
        availability_zone: 'north-a',
        store_product: 'disk',
        tags: { site: 'salford', tier: ['hot', 'online'] },
      },
      { url: 'https://cdn.example.com/a', label: 'cdn', controlled: false },
    ])
  })

  test('object_timerange is there for every segment when asked for, also when equal; otherwise not [6.1] [6.1-M6] [13-11]', async () => {
    const id = await newFlow()
    await postSegment(app, id, [
      external('[0:0_1:0)'),
      external('[1:0_2:0)', { object_timerange: '[0:0_5:0)' }),
      external('[10:0_11:0)', { ts_offset: '10:0' }),
    ])
    const asked = await segmentsOf(app, id, '?include_object_timerange=true')
    expect(asked.map((segment) => segment.object_timerange)).toEqual(['[0:0_1:0)', '[0:0_5:0)', '[0:0_1:0)'])
    for (const segment of await segmentsOf(app, id)) expect(segment).not.toHaveProperty('object_timerange')
  })

  test('ts_offset comes back when it was given [6.1]', async () => {
    const id = await newFlow()
    await postSegment(app, id, external('[10:0_11:0)', { ts_offset: '-0:800000000', object_timerange: '[10:0_20:0)' }))
    expect(await segmentsOf(app, id)).toMatchObject([{ ts_offset: '-0:800000000' }])
  })

  test('a page does not grow over the limit when URLs are filtered, and counts segments [6.1] [1.5] [1.5-M5]', async () => {
    const id = await mixed()
    const answer = await app.get(`/flows/${id}/segments?limit=2&accept_get_urls=example`)
    expect(list(answer)).toHaveLength(2)
    expect(answer.headers.get('x-paging-count')).toBe('2')
    expect(nextLink(answer)).toBeDefined()
  })
})
