import { expect } from 'bun:test'
import fc from 'fast-check'
import { compareFlow, compareObject, compareRange, compareSource, compareTagFilter, timerange } from './compare.ts'
import { FLOWS, type Model, type NewRow, SOURCES } from './model.ts'
import type { Real } from './real.ts'

/** Names of the objects that the commands use. */
export const OBJECTS = ['a', 'b', 'c', 'd', 'e'] as const

type Run = (model: Model, real: Real) => Promise<void>
export type Command = fc.AsyncCommand<Model, Real>

const command = <T>(name: string, input: fc.Arbitrary<T>, run: (input: T) => Run): fc.Arbitrary<Command> =>
  input.map((value) => ({
    check: () => true,
    run: run(value),
    toString: () => `${name} ${JSON.stringify(value)}`,
  }))

const flow = fc.nat(FLOWS - 1)
/** Mostly one of those that can have segments. */
const timeline = fc.oneof({ weight: 9, arbitrary: fc.nat(2) }, flow)
const object = fc.constantFrom(...OBJECTS)
const tagName = fc.constantFrom('kind', 'a/b %')
const tagText = fc.constantFrom('x', 'y', '')
const tagValue = fc.oneof(tagText, fc.array(tagText, { maxLength: 2 }))
const tags = fc.dictionary(fc.constantFrom('kind', 'other'), tagValue, { maxKeys: 2, noNullPrototype: true })
const label = fc.option(fc.constantFrom('one', 'two'), { nil: undefined })
const collection: fc.Arbitrary<number[]> = fc.oneof(
  fc.constant<number[]>([]),
  fc.array(flow, { maxLength: 3 }),
  fc.shuffledSubarray([0, 1, 2]),
)
/** Mostly one that is no media itself. */
const collector = fc.oneof({ weight: 4, arbitrary: fc.constantFrom(3, 4) }, flow)
const range = fc.tuple(fc.nat(8), fc.integer({ min: 1, max: 16 })).map(([start, length]) => ({ start, end: start + length }))

const segment = fc.record({ start: fc.nat(20), length: fc.integer({ min: 1, max: 3 }), object, urls: fc.boolean() })
type Segment = { start: number; length: number; object: string; urls: boolean }

/** An object that is known is used from its start on. */
const placed = (model: Model, segments: readonly Segment[]): NewRow[] =>
  segments.map(({ start, length, object: name, urls }) => {
    const known = model.objects.get(name)
    const offset = known && known.allocatedFor === undefined ? start - known.start : 0
    return { start, end: start + length, object: name, urls, offset }
  })

const body = (real: Real, { start, end, object: name, urls, offset }: NewRow) => ({
  object_id: real.object(name),
  timerange: timerange(start, end),
  ...(offset !== 0 && { ts_offset: `${offset}:0` }),
  ...(urls && { get_urls: [{ url: `https://media.example.com/${name}`, label: 'example' }] }),
})

const post =
  (index: number, segments: readonly Segment[], single: boolean): Run =>
  async (model, real) => {
    const rows = placed(model, segments)
    const bodies = rows.map((row) => body(real, row))
    const answer = await real.call('POST', `/flows/${real.flow(index)}/segments`, single ? bodies[0] : bodies)
    const { status, failed } = model.post(index, rows, single)
    expect(answer.status).toBe(status)
    if (status !== 200) return
    const named = (answer.body as { failed_segments: { object_id: string; timerange: string }[] }).failed_segments
    expect(named.map((item) => [item.object_id, item.timerange])).toEqual(
      failed.map((at) => [bodies[at]?.object_id ?? '', bodies[at]?.timerange ?? '']),
    )
  }

const soft = fc.boolean()

const remove =
  (index: number, filter: { start?: number; end?: number; object?: string }, isSoft = false): Run =>
  async (model, real) => {
    const query = [
      `soft_delete=${isSoft}`,
      ...(filter.start === undefined || filter.end === undefined ? [] : [`timerange=${timerange(filter.start, filter.end)}`]),
      ...(filter.object === undefined ? [] : [`object_id=${encodeURIComponent(real.object(filter.object))}`]),
    ]
    const answer = await real.call('DELETE', `/flows/${real.flow(index)}/segments?${query.join('&')}`)
    expect(answer.status).toBe(model.deleteSegments(index, filter, isSoft))
  }

const deleteFlow =
  (index: number, isSoft: boolean): Run =>
  async (model, real) => {
    expect((await real.call('DELETE', `/flows/${real.flow(index)}?soft_delete=${isSoft}`)).status).toBe(model.deleteFlow(index, isSoft))
  }

const writes: fc.Arbitrary<Command>[] = [
  command('put flow', fc.record({ flow, label, tags, collection }), (input) => async (model, real) => {
    const { flow: index, label: text, tags: given, collection: members } = input
    const answer = await real.call('PUT', `/flows/${real.flow(index)}`, real.flowBody(index, text, given, members))
    expect(answer.status).toBe(model.putFlow(index, { label: text, tags: { ...given }, collection: members }))
  }),
  command('delete flow', flow, (index) => deleteFlow(index, false)),
  command('tag', fc.record({ flow, name: tagName, value: tagValue }), ({ flow: index, name, value }) => async (model, real) => {
    const path = `/flows/${real.flow(index)}/tags/${encodeURIComponent(name)}`
    const status = model.change(index, (known) => {
      known.tags[name] = value
      return 204
    })
    expect((await real.call('PUT', path, value)).status).toBe(status)
  }),
  command('untag', fc.record({ flow, name: tagName }), ({ flow: index, name }) => async (model, real) => {
    const status = model.change(index, (known) => {
      const had = name in known.tags
      delete known.tags[name]
      return had ? 204 : 404
    })
    expect((await real.call('DELETE', `/flows/${real.flow(index)}/tags/${encodeURIComponent(name)}`)).status).toBe(status)
  }),
  command(
    'read only',
    fc.record({ flow, on: fc.integer({ min: 0, max: 3 }).map((n) => n === 0) }),
    ({ flow: index, on }) =>
      async (model, real) => {
        expect((await real.call('PUT', `/flows/${real.flow(index)}/read_only`, on)).status).toBe(model.setReadOnly(index, on))
      },
  ),
  command(
    'allocate',
    fc.record({ flow: timeline, ids: fc.uniqueArray(object, { minLength: 1, maxLength: 2 }) }),
    (input) => async (model, real) => {
      const object_ids = input.ids.map((id) => real.object(id))
      const answer = await real.call('POST', `/flows/${real.flow(input.flow)}/storage`, { object_ids })
      expect(answer.status).toBe(model.allocate(input.flow, input.ids))
    },
  ),
  command('sweep', fc.constant(undefined), () => async (model, real) => {
    await real.sweep()
    model.sweepAllocations()
  }),
]

const collecting: fc.Arbitrary<Command>[] = [
  command('collect', fc.record({ flow: collector, collection }), ({ flow: index, collection: members }) => async (model, real) => {
    const answer = await real.call('PUT', `/flows/${real.flow(index)}/flow_collection`, real.members(members))
    expect(answer.status).toBe(model.setCollection(index, members))
  }),
]

const posts: fc.Arbitrary<Command>[] = [
  command('post one', fc.record({ flow: timeline, segment }), (input) => post(input.flow, [input.segment], true)),
  command('post', fc.record({ flow: timeline, segments: fc.array(segment, { minLength: 1, maxLength: 6 }) }), (input) =>
    post(input.flow, input.segments, false),
  ),
]

const deletions: fc.Arbitrary<Command>[] = [
  command('delete segments', fc.record({ flow: timeline, range }), (input) => remove(input.flow, input.range)),
  command('delete all segments', timeline, (index) => remove(index, {})),
  command('delete object', fc.record({ flow: timeline, object }), (input) => remove(input.flow, { object: input.object })),
  command('work one step', fc.constant(undefined), () => (model, real) => real.workOneStep(model)),
  command('work off', fc.constant(undefined), () => async (model, real) => {
    await real.workOff()
    model.workOff()
  }),
]

/** Deletions that can be undone, and what undoes them. Beside steps of a worker a model would have to be the worker. */
const trash: fc.Arbitrary<Command>[] = [
  command('trash or delete flow', fc.record({ flow, soft }), (input) => deleteFlow(input.flow, input.soft)),
  command('trash flow', flow, (index) => deleteFlow(index, true)),
  command('trash or delete source', fc.record({ source: fc.nat(SOURCES - 1), soft }), (input) => async (model, real) => {
    const answer = await real.call('DELETE', `/sources/${real.sourceIds[input.source]}?soft_delete=${input.soft}`)
    expect(answer.status).toBe(model.deleteSource(input.source, input.soft))
  }),
  command('trash segments', fc.record({ flow: timeline, range, soft }), (input) => remove(input.flow, input.range, input.soft)),
  command('trash all segments', timeline, (index) => remove(index, {}, true)),
  command('trash object', fc.record({ flow: timeline, object }), (input) => remove(input.flow, { object: input.object }, true)),
  command('restore flow', flow, (index) => async (model, real) => {
    expect((await real.call('POST', `/flows/${real.flow(index)}/restore`)).status).toBe(model.restoreFlow(index))
  }),
  command('restore source', fc.nat(SOURCES - 1), (source) => async (model, real) => {
    expect((await real.call('POST', `/sources/${real.sourceIds[source]}/restore`)).status).toBe(model.restoreSource(source))
  }),
  command(
    'restore segments',
    fc.record({ flow: timeline, range: fc.option(range, { nil: undefined }) }),
    (input) => async (model, real) => {
      const query = input.range ? `?timerange=${timerange(input.range.start, input.range.end)}` : ''
      const answer = await real.call('POST', `/flows/${real.flow(input.flow)}/segments/restore${query}`)
      expect(answer.status).toBe(model.restoreSegments(input.flow, input.range ?? {}))
    },
  ),
  command('finish', fc.constant(undefined), () => async (model, real) => {
    await real.workOff()
    model.workOff()
  }),
  command('purge', fc.constant(undefined), () => async (model, real) => {
    await real.purge()
    model.purge()
    model.sweepAllocations()
  }),
]

const reads: fc.Arbitrary<Command>[] = [
  command('read flow', flow, (index) => (model, real) => compareFlow(model, real, index)),
  command(
    'read range',
    fc.record({ flow: timeline, range }),
    (input) => (model, real) => compareRange(model, real, input.flow, input.range.start, input.range.end),
  ),
  command('read object', object, (name) => (model, real) => compareObject(model, real, name)),
  command('read source', fc.nat(SOURCES - 1), (index) => (model, real) => compareSource(model, real, index)),
  command('filter by tag', tagText, (value) => (model, real) => compareTagFilter(model, real, 'kind', value)),
]

export const sequences = (maxCommands: number, withTrash = false): fc.Arbitrary<Iterable<Command>> =>
  fc.commands(
    // Weighted by repetition.
    [
      ...writes,
      ...collecting,
      ...collecting,
      ...collecting,
      ...posts,
      ...posts,
      ...posts,
      ...posts,
      ...(withTrash ? [...trash, ...trash] : [...deletions, ...deletions]),
      ...reads,
    ],
    { maxCommands, size: 'max' },
  )
