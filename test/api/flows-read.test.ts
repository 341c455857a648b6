import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { list } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import {
  audioFlow,
  type Body,
  createFlow,
  dataFlow,
  expectInvalid,
  expectStatus,
  format,
  ids,
  imageFlow,
  multiFlow,
  readFlow,
  register,
  uuid,
  videoFlow,
} from '../support/fixtures.ts'

let app: TestApp
beforeAll(async () => {
  app = await openApp()
})
afterAll(() => app.close())

const found = async (query: string) => ids(list(expectStatus(await app.get(`/flows?${query}`), 200)))
const rate = { numerator: 25, denominator: 1 }

describe('GET /flows/{id}', () => {
  test('tells the timerange only when asked for [5.3] [11.3] [5.3-M1] [11.3-M1]', async () => {
    const { id } = await createFlow(app)
    await register(app, id, '[0:0_10:0)', '[20:0_30:0)')
    expect(await readFlow(app, id)).not.toHaveProperty('timerange')
    expect((await readFlow(app, id, '?include_timerange=true')).timerange).toBe('[0:0_30:0)')
    expect(await readFlow(app, id, '?include_timerange=false')).not.toHaveProperty('timerange')
  })

  test.each([
    ['[5:0_12:0)', '[0:0_20:0)'],
    ['[10:0_20:0)', '[10:0_20:0)'],
    ['[10:0]', '[10:0_20:0)'],
    ['_', '[0:0_30:0)'],
    ['_5:0)', '[0:0_10:0)'],
    ['[25:0_', '[20:0_30:0)'],
    ['[30:0_40:0)', '()'],
    ['()', '()'],
    ['[40:0_30:0)', '()'],
  ])('timerange=%s limits it to the extent of the segments that overlap: %s [5.3] [5.3-M2] [13-16]', async (query, expected) => {
    const { id } = await createFlow(app)
    await register(app, id, '[0:0_10:0)', '[10:0_20:0)', '[20:0_30:0)')
    expect((await readFlow(app, id, `?include_timerange=true&timerange=${query}`)).timerange).toBe(expected)
  })

  test('the timerange keeps the markers of the segments, and follows deletions [11.3] [6.3] [11.3-M1]', async () => {
    const { id } = await createFlow(app, dataFlow())
    await register(app, id, '[-1:500000000_0:0)', '[2:0]')
    expect((await readFlow(app, id, '?include_timerange=true')).timerange).toBe('[-1:500000000_2:0]')
    await app.delete(`/flows/${id}/segments?timerange=[2:0]`)
    expect((await readFlow(app, id, '?include_timerange=true')).timerange).toBe('[-1:500000000_0:0)')
    await app.delete(`/flows/${id}/segments`)
    expect((await readFlow(app, id, '?include_timerange=true')).timerange).toBe('()')
  })

  test.each([
    ['timerange=nonsense', 'timerange'],
    ['timerange=[00:0_1:0)', 'timerange'],
    ['timerange=[1.5:0_2:0)', 'timerange'],
    ['timerange=[0:0_1:0)%0A', 'timerange'],
    ['include_timerange=maybe', 'include_timerange'],
    ['include_timerange=1', 'include_timerange'],
  ])('refuses %s, also when the parameter has no effect [5.3] [2.2] [5.3-M3] [2.2-M8]', async (query, field) => {
    const { id } = await createFlow(app)
    expectInvalid(await app.get(`/flows/${id}?${query}`), field)
  })
})

describe('GET /flows', () => {
  const run = async (...bodies: Body[]) => {
    const name = uuid()
    for (const body of bodies) await createFlow(app, { ...body, tags: { ...(body.tags ?? {}), run: name } })
    return `tag.run=${name}`
  }

  test('has all five paging headers and no timerange in its items [5.2] [A] [5.2-M1] [1.5-M4] [1.5-M5] [1.5-M6]', async () => {
    const mine = await run(videoFlow(), videoFlow(), videoFlow())
    const answer = await app.get(`/flows?${mine}&limit=2&reverse_order=true`)
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'x-paging-limit': '2',
      'x-paging-count': '2',
      'x-paging-reverse-order': 'true',
    })
    for (const item of list(answer)) expect(item).not.toHaveProperty('timerange')
  })

  test('newest first by default; sort_by metadata_updated follows changes; label ascends, unlabelled last [1.6] [5.2] [1.6-M1] [1.6-M2] [13-18]', async () => {
    const [a, b, c, d] = [videoFlow({ label: 'b' }), videoFlow({ label: 'a' }), videoFlow({ label: 'a' }), videoFlow()] as const
    const mine = await run(a, b, c, d)
    expect(await found(mine)).toEqual([d.id, c.id, b.id, a.id])
    expect(await found(`${mine}&sort_by=label`)).toEqual([...[b.id, c.id].sort(), a.id, d.id])
    expect(await found(`${mine}&sort_by=label&reverse_order=true`)).toEqual([d.id, a.id, ...[b.id, c.id].sort().reverse()])
    await app.put(`/flows/${a.id}/description`, 'touched')
    expect(await found(`${mine}&sort_by=metadata_updated`)).toEqual([a.id, d.id, c.id, b.id])
    expect(await found(`${mine}&sort_by=created&reverse_order=true`)).toEqual([a.id, b.id, c.id, d.id])
  })

  test('labels sort by their first 64 bytes, then by id [1.6]', async () => {
    const long = 'x'.repeat(64)
    const flows = [videoFlow({ label: `${long}b` }), videoFlow({ label: `${long}a` }), videoFlow({ label: long })]
    const mine = await run(...flows)
    expect(await found(`${mine}&sort_by=label`)).toEqual(flows.map((flow) => flow.id).sort())
  })

  test('filters by source, format, codec, label, status and frame size, together with AND [5.2] [5.2-M2] [13-19] [13-20]', async () => {
    const video = videoFlow({ label: 'one', status: 'ingesting' })
    const audio = audioFlow({ label: 'one' })
    const image = imageFlow()
    const mine = await run(video, audio, image)
    expect(await found(`${mine}&source_id=${audio.source_id}`)).toEqual([audio.id])
    expect(await found(`${mine}&format=${encodeURIComponent(format.image)}`)).toEqual([image.id])
    expect(await found(`${mine}&codec=audio/aac`)).toEqual([audio.id])
    expect(await found(`${mine}&label=one`)).toEqual([audio.id, video.id])
    expect(await found(`${mine}&label=one&format=${format.video}`)).toEqual([video.id])
    expect(await found(`${mine}&status=ingesting`)).toEqual([video.id])
    expect(await found(`${mine}&status=closed_complete`)).toEqual([])
    expect(await found(`${mine}&frame_width=1920`)).toEqual([video.id])
    expect(await found(`${mine}&frame_width=1920&frame_height=720`)).toEqual([])
  })

  test('an empty label is a label: label= keeps flows with that one only [5.2]', async () => {
    const [empty, other, none] = [videoFlow({ label: '' }), videoFlow({ label: 'x' }), videoFlow()]
    expect(await found(`${await run(empty, other, none)}&label=`)).toEqual([empty.id])
  })

  test('frame size filters are about video flows, as their text says [5.2] [14.16]', async () => {
    const mine = await run(imageFlow())
    expect(await found(`${mine}&frame_width=640`)).toEqual([])
  })

  test('init_segments=false also matches flows that do not state it [5.2] [13-19]', async () => {
    const yes = videoFlow({
      container: 'video/mp4',
      essence_parameters: { frame_width: 1, frame_height: 1, frame_rate: rate, init_segments: true },
    })
    const no = videoFlow({ essence_parameters: { frame_width: 1, frame_height: 1, frame_rate: rate, init_segments: false } })
    const silent = multiFlow()
    const mine = await run(yes, no, silent)
    expect(await found(`${mine}&init_segments=true`)).toEqual([yes.id])
    expect(await found(`${mine}&init_segments=false`)).toEqual([silent.id, no.id])
  })

  test('timerange keeps flows whose extent overlaps; () exactly those without content; _ all [5.2] [14.10]', async () => {
    const [filled, gapped, empty] = [videoFlow(), videoFlow(), videoFlow()] as const
    const mine = await run(filled, gapped, empty)
    await register(app, filled.id, '[0:0_10:0)')
    await register(app, gapped.id, '[20:0_30:0)', '[40:0_50:0)')
    expect(await found(`${mine}&timerange=[5:0_6:0)`)).toEqual([filled.id])
    expect(await found(`${mine}&timerange=[10:0_20:0)`)).toEqual([])
    expect(await found(`${mine}&timerange=[10:0_20:0]`)).toEqual([gapped.id])
    expect(await found(`${mine}&timerange=[33:0_34:0)`)).toEqual([gapped.id])
    expect(await found(`${mine}&timerange=()`)).toEqual([empty.id])
    expect(await found(`${mine}&timerange=_`)).toEqual([empty.id, gapped.id, filled.id])
    expect(await found(`${mine}&timerange=_5:0)`)).toEqual([filled.id])
  })

  test('collected_by_ids keeps members of one of these; empty, what nobody collects [5.2] [11.2]', async () => {
    const [member, alone] = [videoFlow(), videoFlow()]
    const mine = await run(member, alone)
    const collector = await createFlow(app, multiFlow({ flow_collection: [{ id: member.id }] }))
    expect(await found(`${mine}&collected_by_ids=${collector.id}`)).toEqual([member.id])
    expect(await found(`${mine}&collected_by_ids=${uuid()},${collector.id}`)).toEqual([member.id])
    expect(await found(`${mine}&collected_by_ids=`)).toEqual([alone.id])
  })

  test('tag filters: text, list, existence, comma lists, AND between them [1.7] [5.2] [1.7-M1] [1.7-M3] [1.7-M4] [1.7-M5] [13-6]', async () => {
    const one = videoFlow({ tags: { a: 'x', b: ['y', 'z'], c: '' } })
    const two = videoFlow({ tags: { a: 'y', 'd.e': 'v' } })
    const mine = await run(one, two)
    expect(await found(`${mine}&tag.a=x`)).toEqual([one.id])
    expect(await found(`${mine}&tag.a=x,y`)).toEqual([two.id, one.id])
    expect(await found(`${mine}&tag.a=x&tag.a=y`)).toEqual([two.id, one.id])
    expect(await found(`${mine}&tag.b=z`)).toEqual([one.id])
    expect(await found(`${mine}&tag.b=z&tag.a=y`)).toEqual([])
    expect(await found(`${mine}&tag.c=`)).toEqual([one.id])
    expect(await found(`${mine}&tag_exists.c=true`)).toEqual([one.id])
    expect(await found(`${mine}&tag_exists.b=false`)).toEqual([two.id])
    expect(await found(`${mine}&tag.d.e=v`)).toEqual([two.id])
    expect(await found(`${mine}&tag.A=x`)).toEqual([])
  })

  test.each([
    ['source_id=nonsense', 'source_id'],
    ['source_id=', 'source_id'],
    ['profile_id=nonsense', 'profile_id'],
    ['timerange=nonsense', 'timerange'],
    ['timerange=[0:0_1:0)x', 'timerange'],
    ['format=video', 'format'],
    ['codec=h264', 'codec'],
    ['status=finished', 'status'],
    ['frame_width=wide', 'frame_width'],
    ['frame_height=1.5', 'frame_height'],
    ['init_segments=2', 'init_segments'],
    ['collected_by_ids=a,b', 'collected_by_ids'],
    ['sort_by=updated', 'sort_by'],
    ['reverse_order=no', 'reverse_order'],
    ['limit=0', 'limit'],
    ['limit=-1', 'limit'],
    ['limit=ten', 'limit'],
    ['limit=', 'limit'],
    ['page=zzz', 'page'],
  ])('refuses %s, naming the parameter [5.2] [1.4] [1.5] [1.6] [5.2-M1] [1.4-M4] [1.6-M3] [2.2-M8] [13-29]', async (query, field) => {
    expectInvalid(await app.get(`/flows?${query}`), field)
  })

  test('a limit above the maximum is lowered, and X-Paging-Limit says so [1.5] [1.5-M4]', async () => {
    const answer = expectStatus(await app.get('/flows?limit=100000'), 200)
    expect(answer.headers.get('x-paging-limit')).toBe('1000')
  })
})
