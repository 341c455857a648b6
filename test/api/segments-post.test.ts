import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { object } from '../support/answers.ts'
import { openApp, primaryStorage, type TestApp } from '../support/app.ts'
import {
  allocate,
  allocateOne,
  createFlow,
  expectInvalid,
  expectStatus,
  external,
  postSegment,
  readFlow,
  register,
  seconds,
  segmentsOf,
  timerangesOf,
  uuid,
  videoFlow,
} from '../support/fixtures.ts'

let app: TestApp
beforeAll(async () => {
  app = await openApp()
})
afterAll(() => app.close())

const newFlow = async (over: Record<string, unknown> = {}): Promise<string> => (await createFlow(app, videoFlow(over))).id
const failures = (answer: Awaited<ReturnType<typeof postSegment>>): Record<string, unknown>[] => Object(answer.body).failed_segments

describe('POST /flows/{id}/segments with one segment', () => {
  test('registers an allocated object: 201, and it is listed at once [6.2] [14.8] [6.2-M2]', async () => {
    const id = await newFlow()
    const { object_id } = await allocateOne(app, id)
    expectStatus(await postSegment(app, id, { object_id, timerange: '[0:0_10:0)' }), 201)
    expect(await segmentsOf(app, id)).toMatchObject([{ object_id, timerange: '[0:0_10:0)' }])
    expect(await app.events(id)).toEqual(['flows/created', 'flows/segments_added'])
  })

  test('keeps and returns every member [6.2] [6.2-M1] [6.2-S1] [13-8]', async () => {
    const id = await newFlow()
    const segment = external('[10:0_20:0)', {
      ts_offset: '-5:500000000',
      object_timerange: '[15:0_30:0)',
      last_duration: '0:40000000',
      key_frame_count: 3,
      sample_offset: 12,
      sample_count: 250,
    })
    expectStatus(await postSegment(app, id, segment), 201)
    const { get_urls, ...rest } = segment
    expect(await segmentsOf(app, id, '?include_object_timerange=true')).toMatchObject([{ ...rest, get_urls: get_urls as unknown[] }])
  })

  test('the object’s range is object_timerange, else timerange − ts_offset [6.2] [8.1] [6.2-M9]', async () => {
    const id = await newFlow()
    const plain = external('[10:0_20:0)', { ts_offset: '10:0' })
    const stated = external('[20:0_30:0)', { ts_offset: '0:0', object_timerange: '[20:0_40:0)' })
    expectStatus(await postSegment(app, id, plain), 201)
    expectStatus(await postSegment(app, id, stated), 201)
    expect((await app.get(`/objects/${plain.object_id}`)).body).toMatchObject({ timerange: '[0:0_10:0)' })
    expect((await app.get(`/objects/${stated.object_id}`)).body).toMatchObject({ timerange: '[20:0_40:0)' })
  })

  test.each([
    ['no object_id', { timerange: '[0:0_1:0)' }, 'object_id'],
    ['an object_id that is no text', { object_id: 5, timerange: '[0:0_1:0)' }, 'object_id'],
    ['no timerange', external('[0:0_1:0)', { timerange: undefined }), 'timerange'],
    ['an exclusive start', external('(0:0_1:0)'), 'timerange'],
    ['eternity', external('_'), 'timerange'],
    ['an unbounded end', external('[0:0_'), 'timerange'],
    ['an unbounded start', external('_1:0)'), 'timerange'],
    ['an empty range', external('()'), 'timerange'],
    ['an end before its start', external('[5:0_1:0)'), 'timerange'],
    ['a range of no length', external('[1:0_1:0)'), 'timerange'],
    ['one timestamp with an exclusive marker', external('[10:0)'), 'timerange'],
    ['leading zeros', external('[00:0_1:0)'), 'timerange'],
    ['a decimal fraction', external('[0:0_1.5:0)'), 'timerange'],
    ['too many nanoseconds', external('[0:0_0:1000000000)'), 'timerange'],
    ['an empty text', external(''), 'timerange'],
    ['a newline behind the range', external('[0:0_1:0)\n'), 'timerange'],
    ['an ISO 8601 time', external('2026-01-01T00:00:00Z'), 'timerange'],
    ['a broken ts_offset', external('[0:0_1:0)', { ts_offset: '1' }), 'ts_offset'],
    ['a negative last_duration', external('[0:0_1:0)', { last_duration: '-0:1' }), 'last_duration'],
    ['a key_frame_count that is no integer', external('[0:0_1:0)', { key_frame_count: 1.5 }), 'key_frame_count'],
    ['a get_url without label', external('[0:0_1:0)', { get_urls: [{ url: 'https://example.com' }] }), 'label'],
    ['a get_url without url', external('[0:0_1:0)', { get_urls: [{ label: 'x' }] }), 'url'],
    [
      'a label twice',
      external('[0:0_1:0)', {
        get_urls: [
          { url: 'https://a.example.com', label: 'x' },
          { url: 'https://b.example.com', label: 'x' },
        ],
      }),
      'label',
    ],
    ['a label of a storage backend', external('[0:0_1:0)', { get_urls: [{ url: 'https://a.example.com', label: 'primary' }] }), 'label'],
    ['an unknown object without get_urls', { object_id: uuid(), timerange: '[0:0_1:0)' }, 'object_id'],
    ['an object range that does not hold the segment', external('[0:0_10:0)', { object_timerange: '[0:0_5:0)' }), 'timerange'],
    ['an object range elsewhere', external('[0:0_1:0)', { ts_offset: '5:0', object_timerange: '[0:0_1:0)' }), 'timerange'],
    ['an init object in a flow without init segments', external('[0:0_1:0)', { init_object_id: uuid() }), 'init'],
  ])(
    'refuses %s with 400, naming the member, and registers nothing [6.2] [2.1] [2.2] [6.2-M1] [6.2-M4] [6.2-M7] [6.2-M10] [6.2-S5] [2.1-M2] [2.1-M3] [2.2-M7]',
    async (_, segment, field) => {
      const id = await newFlow()
      expectInvalid(await postSegment(app, id, segment), field)
      expect(await segmentsOf(app, id)).toEqual([])
      expect(await app.events(id)).not.toContain('flows/segments_added')
    },
  )

  test('needs a container on the flow [6.2] [5.1] [6.2-M5]', async () => {
    expectInvalid(await postSegment(app, await newFlow({ container: undefined }), external('[0:0_1:0)')), 'container')
  })

  test.each([[uuid()], ['nonsense']])('of the unknown flow %s is 404, before the body is looked at [6.2] [1.4] [6.2-M5]', async (id) => {
    expectStatus(await postSegment(app, id, external('[0:0_1:0)')), 404)
    expectStatus(await postSegment(app, id, { wrong: true }), 404)
  })

  test.each([['{'], ['"x"'], ['5'], ['null'], ['[5]'], ['[null]'], ['']])('refuses the body %p [6.2] [6.2-M5]', async (raw) => {
    const id = await newFlow()
    const answer = await app.request('POST', `/flows/${id}/segments`, { raw })
    expect(await segmentsOf(app, id)).toEqual([])
    expect(answer.status).toBeOneOf(raw.startsWith('[') ? [200, 400] : [400])
  })

  test('accepts members it does not know [1.4] [1.4-M2]', async () => {
    expectStatus(await postSegment(app, await newFlow(), external('[0:0_1:0)', { colour: 'red' })), 201)
  })
})

describe('the timeline', () => {
  test.each([
    ['[0:0_10:0)', '[10:0_20:0)', true],
    ['[10:0_20:0)', '[0:0_10:0)', true],
    ['[0:0_10:0]', '[10:0_20:0)', false],
    ['[0:0_10:0)', '[9:999999999_20:0)', false],
    ['[0:0_10:0)', '[0:0_10:0)', false],
    ['[0:0_10:0)', '[3:0_4:0)', false],
    ['[3:0_4:0)', '[0:0_10:0)', false],
    ['[1:0_2:0)', '[2:0]', true],
    ['[2:0]', '[1:0_2:0)', true],
    ['[2:0]', '[1:0_2:0]', false],
    ['[2:0]', '[2:0_3:0)', false],
    ['[2:0]', '[2:1]', true],
    ['[-2:0_-1:0)', '[-1:0_0:0)', true],
    ['[-2:0_-1:0]', '[-1:0_0:0)', false],
  ])('has %s; then %s fits: %p [6.2] [2.2] [2.2-M7] [2.2-M9] [6.2-M6]', async (first, second, fits) => {
    const id = await newFlow()
    await register(app, id, first)
    const answer = await postSegment(app, id, external(second))
    if (fits) expectStatus(answer, 201)
    else {
      expectStatus(answer, 400)
      expect(object(answer).summary).toContain('already exist')
    }
    expect(await timerangesOf(app, id)).toHaveLength(fits ? 2 : 1)
  })

  test('may have gaps, filled later in any order [6.2]', async () => {
    const id = await newFlow()
    await register(app, id, '[20:0_30:0)', '[0:0_10:0)')
    await register(app, id, '[10:0_20:0)')
    expect(await timerangesOf(app, id)).toEqual(['[0:0_10:0)', '[10:0_20:0)', '[20:0_30:0)'])
  })

  test('is exact to the nanosecond at both ends of 64 bits [2.1] [6.2] [2.1-S2]', async () => {
    const id = await newFlow()
    const [low, high] = ['[-9223372036:854775808_-9223372036:854775807)', '[9223372036:854775806_9223372036:854775807)']
    await register(app, id, low, high)
    expect(await timerangesOf(app, id)).toEqual([low, high])
    expect((await readFlow(app, id, '?include_timerange=true')).timerange).toBe('[-9223372036:854775808_9223372036:854775807)')
  })
})

describe('re-posting', () => {
  test('the identical segment is answered 201 again, with no second event and no second segment [6.2] [14.5] [6.2-M8]', async () => {
    const id = await newFlow()
    const segment = external('[0:0_10:0)', { ts_offset: '1:0', key_frame_count: 2 })
    expectStatus(await postSegment(app, id, segment), 201)
    const told = await app.events(id)
    expectStatus(await postSegment(app, id, segment), 201)
    expectStatus(await postSegment(app, id, [segment]), 201)
    expect(await segmentsOf(app, id)).toHaveLength(1)
    expect(await app.events(id)).toEqual(told)
  })

  test('the same place with other properties or another offset is 400 [6.2] [6.2-M8]', async () => {
    const id = await newFlow()
    const { object_id } = await allocateOne(app, id)
    const segment = { object_id, timerange: '[0:0_10:0)', key_frame_count: 2 }
    expectStatus(await postSegment(app, id, segment), 201)
    expectStatus(await postSegment(app, id, { ...segment, key_frame_count: 3 }), 400)
    expectStatus(await postSegment(app, id, { ...segment, ts_offset: '5:0' }), 400)
    expectStatus(await postSegment(app, id, { ...segment, object_id: uuid() }), 400)
  })
})

describe('objects in segments', () => {
  test('an allocation is first registered on the flow it was made for; then any flow may use it [6.2] [6.2-S2] [6.2-S3]', async () => {
    const [own, other] = [await newFlow(), await newFlow()]
    const { object_id } = await allocateOne(app, own)
    expectInvalid(await postSegment(app, other, { object_id, timerange: '[0:0_1:0)' }), 'object_id')
    expectStatus(await postSegment(app, own, { object_id, timerange: '[0:0_1:0)' }), 201)
    expectStatus(await postSegment(app, other, { object_id, timerange: '[0:0_1:0)' }), 201)
  })

  test('re-use must stay inside the object’s range, with the offset taken away [6.2] [2.2] [6.2-M10]', async () => {
    const id = await newFlow()
    const first = external('[0:0_10:0)')
    await postSegment(app, id, first)
    const { object_id } = first
    expectStatus(await postSegment(app, id, { object_id, timerange: '[102:0_104:0)', ts_offset: '100:0' }), 201)
    expectInvalid(await postSegment(app, id, { object_id, timerange: '[208:0_211:0)', ts_offset: '200:0' }), 'timerange')
    expectInvalid(await postSegment(app, id, { object_id, timerange: '[20:0_21:0)' }), 'timerange')
    expect(await segmentsOf(app, id, `?object_id=${object_id}`)).toHaveLength(2)
  })

  test('re-use may not change properties of the object, equal ones are fine [6.2] [6.2-S4]', async () => {
    const id = await newFlow()
    const first = external('[0:0_10:0)', { key_frame_count: 4, object_timerange: '[0:0_20:0)' })
    await postSegment(app, id, first)
    const again = { object_id: first.object_id, ts_offset: '100:0' }
    expectInvalid(await postSegment(app, id, { ...again, timerange: '[100:0_101:0)', key_frame_count: 5 }), 'key_frame_count')
    expectInvalid(await postSegment(app, id, { ...again, timerange: '[100:0_101:0)', object_timerange: '[0:0_10:0)' }), 'object_timerange')
    expectInvalid(await postSegment(app, id, { ...again, timerange: '[100:0_101:0)', get_urls: first.get_urls }), 'get_urls')
    expectStatus(
      await postSegment(app, id, { ...again, timerange: '[100:0_101:0)', key_frame_count: 4, object_timerange: '[0:0_20:0)' }),
      201,
    )
    expect(object(await app.get(`/objects/${first.object_id}`))).toMatchObject({ key_frame_count: 4, timerange: '[0:0_20:0)' })
  })

  test('get_urls add uncontrolled URLs to a new allocation’s own or are refused, never lost [6.2]', async () => {
    const id = await newFlow()
    const { object_id } = await allocateOne(app, id)
    const answer = await postSegment(app, id, external('[0:0_1:0)', { object_id }))
    if (answer.status === 400) return
    expectStatus(answer, 201)
    expect(await segmentsOf(app, id)).toMatchObject([{ get_urls: expect.arrayContaining([expect.objectContaining({ label: 'example' })]) }])
  })

  test('one object may be there several times, with one entry in referenced_by_flows [6.2] [8.1]', async () => {
    const id = await newFlow()
    const first = external('[0:0_1:0)')
    await postSegment(app, id, first)
    expectStatus(await postSegment(app, id, { object_id: first.object_id, timerange: '[1:0_2:0)', ts_offset: '1:0' }), 201)
    expect(object(await app.get(`/objects/${first.object_id}`)).referenced_by_flows).toEqual([id])
  })

  test.each([['a/b/c'], ['100% sure?'], ['ünï ☂ \u{1F3AC}'], ['..dots'], ['dot.ted'], ['%2F']])(
    'the id %p works in paths and filters [1.2] [6.1] [8.1] [1.2-M2]',
    async (name) => {
      const id = await newFlow()
      const object_id = `${name}-${uuid()}`
      expectStatus(await postSegment(app, id, external('[0:0_1:0)', { object_id })), 201)
      expect(await segmentsOf(app, id, `?object_id=${encodeURIComponent(object_id)}`)).toHaveLength(1)
      expect(object(await app.get(`/objects/${encodeURIComponent(object_id)}`)).id).toBe(object_id)
    },
  )
})

describe('POST /flows/{id}/segments with a list', () => {
  test('registers all: 201, one event is enough [6.2] [14.13] [6.2-M2]', async () => {
    const id = await newFlow()
    const objects = await allocate(app, id, { limit: 5 })
    const list = objects.map(({ object_id }, index) => ({ object_id, timerange: `[${index}:0_${index + 1}:0)` }))
    expectStatus(await postSegment(app, id, list), 201)
    expect(await timerangesOf(app, id)).toEqual(list.map((segment) => segment.timerange))
    expect((await app.events(id)).filter((type) => type === 'flows/segments_added')).toHaveLength(1)
  })

  test('with some failures: 200 naming those in order with reasons, the good ones are there [6.2] [14.6] [6.2-M3]', async () => {
    const id = await newFlow()
    await register(app, id, '[100:0_110:0)')
    const list = [
      external('[0:0_1:0)'),
      external('[105:0_106:0)'),
      external('[1:0_2:0)'),
      { object_id: uuid(), timerange: '[2:0_3:0)' },
      external('[0:500000000_3:0)'),
      external('[4:0_5:0)'),
    ]
    const answer = expectStatus(await postSegment(app, id, list), 200)
    expect(failures(answer).map(({ object_id, timerange }) => ({ object_id, timerange }))).toEqual(
      [list[1], list[3], list[4]].map((segment) => ({ object_id: segment?.object_id, timerange: segment?.timerange })),
    )
    for (const { error } of failures(answer))
      expect(error).toMatchObject({ type: expect.any(String), summary: expect.any(String), time: expect.any(String) })
    expect(await timerangesOf(app, id)).toEqual(['[0:0_1:0)', '[1:0_2:0)', '[4:0_5:0)', '[100:0_110:0)'])
  })

  test('with nothing but failures: still 200 [6.2] [14.6]', async () => {
    const id = await newFlow()
    await register(app, id, '[0:0_10:0)')
    const told = await app.events(id)
    const list = [external('[0:0_1:0)'), external('[5:0_6:0)')]
    expect(failures(expectStatus(await postSegment(app, id, list), 200))).toHaveLength(2)
    expect(await segmentsOf(app, id)).toHaveLength(1)
    expect(await app.events(id)).toEqual(told)
  })

  test('an element that overlaps an earlier accepted one of the same list fails [6.2]', async () => {
    const id = await newFlow()
    const list = [external('[0:0_10:0)'), external('[5:0_15:0)'), external('[10:0_20:0)')]
    expect(failures(expectStatus(await postSegment(app, id, list), 200))).toMatchObject([{ object_id: list[1]?.object_id }])
    expect(await timerangesOf(app, id)).toEqual(['[0:0_10:0)', '[10:0_20:0)'])
  })

  test('a later element may use the object that an earlier one registers [6.2]', async () => {
    const id = await newFlow()
    const first = external('[0:0_1:0)')
    expectStatus(await postSegment(app, id, [first, { object_id: first.object_id, timerange: '[1:0_2:0)', ts_offset: '1:0' }]), 201)
    expect(await segmentsOf(app, id)).toHaveLength(2)
  })

  test('an element that breaks the schema refuses all, or fails alone – no mixture [6.2]', async () => {
    const id = await newFlow()
    const answer = await postSegment(app, id, [external('[0:0_1:0)'), { object_id: 'x', timerange: 5 }, external('[1:0_2:0)')])
    if (answer.status === 400) expect(await segmentsOf(app, id)).toEqual([])
    else {
      expect(failures(expectStatus(answer, 200))).toHaveLength(1)
      expect(await segmentsOf(app, id)).toHaveLength(2)
    }
  })

  test('an empty list is 201 or 400 and changes nothing [6.2]', async () => {
    const id = await newFlow()
    const before = await readFlow(app, id)
    expect((await postSegment(app, id, [])).status).toBeOneOf([201, 400])
    expect(await readFlow(app, id)).toEqual(before)
  })

  test('500 segments go in at once and come out in order [6.2] [1.5]', async () => {
    const id = await newFlow()
    const ranges = seconds(500)
    expectStatus(await postSegment(app, id, ranges.map((timerange) => external(timerange)).reverse()), 201)
    expect(await timerangesOf(app, id, '?limit=500&accept_get_urls=')).toEqual(ranges)
  })
})

test('labels of all configured backends are taken: the id of one is in verbose URLs [6.1] [6.2]', async () => {
  const id = await newFlow()
  const { object_id } = await allocateOne(app, id)
  await postSegment(app, id, { object_id, timerange: '[0:0_1:0)' })
  expect(await segmentsOf(app, id, '?verbose_storage=true')).toMatchObject([
    { get_urls: [{ storage_id: primaryStorage, label: 'primary' }] },
  ])
})
