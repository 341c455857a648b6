import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { object } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { allocate, createFlow, external, postSegment, readFlow, segmentsOf } from '../support/fixtures.ts'

let app: TestApp
beforeAll(async () => {
  app = await openApp()
})
afterAll(() => app.close())

const callers = Array.from({ length: 64 }, (_, index) => index)

describe('64 callers at once', () => {
  test.each([
    ['the same range', () => '[0:0_10:0)'],
    ['ranges that only share an instant', (index: number) => `[${index}:0_100:0)`],
    ['ranges that each overlap the next ones', (index: number) => `[0:0_${index + 1}:0)`],
  ])('with %s and 64 different objects: exactly one 201 [6.2] [14.9]', async (_, timerange) => {
    const { id } = await createFlow(app)
    const objects = await allocate(app, id, { limit: 64 })
    const answers = await Promise.all(
      callers.map((index) => postSegment(app, id, { object_id: objects[index]?.object_id, timerange: timerange(index) })),
    )
    const refused = answers.filter((answer) => answer.status === 400)
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(1)
    expect(refused).toHaveLength(63)
    for (const answer of refused) expect(object(answer).summary).toContain('already exist')
    expect(await segmentsOf(app, id)).toHaveLength(1)
    expect((await app.events(id)).filter((type) => type === 'flows/segments_added')).toHaveLength(1)
  })

  test('over a socket: exactly one 201 [6.2] [14.9]', async () => {
    const base = `http://127.0.0.1:${app.listen()}`
    const { id } = await createFlow(app)
    const answers = await Promise.all(
      callers.map(() =>
        fetch(`${base}/flows/${id}/segments`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(external('[0:0_10:0)')),
        }),
      ),
    )
    expect(answers.map((answer) => answer.status).filter((status) => status === 201)).toHaveLength(1)
    expect(answers.map((answer) => answer.status).filter((status) => status === 400)).toHaveLength(63)
  })

  test('with neighbouring ranges: all are registered [6.2]', async () => {
    const { id } = await createFlow(app)
    const answers = await Promise.all(callers.map((index) => postSegment(app, id, external(`[${index}:0_${index + 1}:0)`))))
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(64)
    expect((await readFlow(app, id, '?include_timerange=true')).timerange).toBe('[0:0_64:0)')
    expect(await segmentsOf(app, id, '?limit=100')).toHaveLength(64)
  })

  test('with the identical segment: all 201, one segment, one event [6.2] [14.5]', async () => {
    const { id } = await createFlow(app)
    const segment = external('[0:0_1:0)')
    const answers = await Promise.all(callers.map(() => postSegment(app, id, segment)))
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(64)
    expect(await segmentsOf(app, id)).toHaveLength(1)
    expect((await app.events(id)).filter((type) => type === 'flows/segments_added')).toHaveLength(1)
  })

  test('with overlapping lists: what is registered never overlaps, and the rest is named [6.2] [14.6]', async () => {
    const { id } = await createFlow(app)
    const answers = await Promise.all(
      callers.map((index) =>
        postSegment(app, id, [external(`[${index}:0_${index + 2}:0)`), external(`[${100 + index}:0_${101 + index}:0)`)]),
      ),
    )
    const segments = await segmentsOf(app, id, '?limit=1000')
    const failed = answers.flatMap((answer) => (answer.status === 200 ? Object(answer.body).failed_segments : []))
    expect(segments.length + failed.length).toBe(128)
    const starts = segments.map((segment) => Number(/\[(\d+):/.exec(String(segment.timerange))?.[1])).filter((start) => start < 100)
    for (const [index, start] of starts.entries()) expect(start).toBeGreaterThanOrEqual(index === 0 ? 0 : (starts[index - 1] ?? 0) + 2)
    expect(segments.filter((segment) => Number(/\[(\d+):/.exec(String(segment.timerange))?.[1]) >= 100)).toHaveLength(64)
  })
})

test('a delete and a re-use of the same object at once leave it either whole or gone [11.7]', async () => {
  for (let round = 0; round < 10; round++) {
    const [first, second] = [await createFlow(app), await createFlow(app)]
    const segment = external('[0:0_1:0)')
    await postSegment(app, first.id, segment)
    const reuse = { object_id: segment.object_id, timerange: '[0:0_1:0)' }
    const remove = () => app.delete(`/flows/${first.id}/segments`)
    const add = () => postSegment(app, second.id, reuse)
    const [one, two] = await Promise.all(round % 2 === 0 ? [remove(), add()] : [add(), remove()])
    const added = [one, two].some((answer) => answer?.status === 201)
    expect((await app.get(`/objects/${segment.object_id}`)).status).toBe(added ? 200 : 404)
    expect(await segmentsOf(app, second.id)).toHaveLength(added ? 1 : 0)
  }
})
