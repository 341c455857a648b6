import { expect } from 'bun:test'
import { FLOWS, type Model, SOURCES, sourceOf } from './model.ts'
import type { Real } from './real.ts'

type Document = Readonly<Record<string, unknown>>
const idsOf = (items: unknown): string[] => (Array.isArray(items) ? items.map((item: { id: string }) => item.id) : [])
const sorted = (values: unknown): unknown[] => (Array.isArray(values) ? values.toSorted() : [])

export const timerange = (start: number, end: number): string => `[${start}:0_${end}:0)`

export const compareFlow = async (model: Model, real: Real, flow: number): Promise<void> => {
  const expected = model.flows.get(flow)
  const answer = await real.call('GET', `/flows/${real.flow(flow)}?include_timerange=true`)
  expect(answer.status).toBe(expected ? 200 : 404)
  await compareSegments(model, real, flow)
  if (!expected) return
  const found = answer.body as Document
  const segments = model.segments(flow)
  const [first, last] = [segments[0], segments.at(-1)]
  expect({
    source_id: found.source_id,
    label: found.label,
    tags: found.tags,
    read_only: found.read_only,
    flow_collection: idsOf(found.flow_collection),
    collected_by: sorted(found.collected_by),
    timerange: found.timerange,
  }).toEqual({
    source_id: real.sourceIds[sourceOf(flow)],
    label: expected.label,
    tags: expected.tags,
    read_only: expected.readOnly,
    flow_collection: expected.collection.map((member) => real.flow(member)),
    collected_by: sorted(model.collectors(flow).map((other) => real.flow(other))),
    timerange: first && last ? timerange(first.start, last.end) : '()',
  })
}

/** Whole, and by pages from the end. */
export const compareSegments = async (model: Model, real: Real, flow: number): Promise<void> => {
  const expected = model.segments(flow).map((row) => [timerange(row.start, row.end), real.object(row.object)])
  const path = `/flows/${real.flow(flow)}/segments?accept_get_urls=`
  const shown = (body: unknown) => (body as Document[]).map((segment) => [segment.timerange, segment.object_id])
  expect(shown((await real.call('GET', path)).body)).toEqual(expected)
  expect(shown((await real.call('GET', `${path}&reverse_order=true&limit=2`)).body)).toEqual(expected.toReversed().slice(0, 2))
}

export const compareRange = async (model: Model, real: Real, flow: number, start: number, end: number): Promise<void> => {
  const rows = model.segments(flow).filter((row) => row.start < end && start < row.end)
  const answer = await real.call('GET', `/flows/${real.flow(flow)}/segments?timerange=${timerange(start, end)}`)
  expect((answer.body as Document[]).map((segment) => segment.timerange)).toEqual(rows.map((row) => timerange(row.start, row.end)))
}

export const compareObject = async (model: Model, real: Real, object: string): Promise<void> => {
  const flows = model.referencing(object)
  const answer = await real.call('GET', `/objects/${encodeURIComponent(real.object(object))}`)
  expect(answer.status).toBe(flows.length > 0 ? 200 : 404)
  if (flows.length === 0) return
  const { referenced_by_flows, timerange: range } = answer.body as Document
  expect(sorted(referenced_by_flows)).toEqual(sorted(flows.map((flow) => real.flow(flow))))
  const known = model.objects.get(object)
  expect(range).toBe(timerange(known?.start ?? 0, known?.end ?? 0))
}

export const compareSource = async (model: Model, real: Real, source: number): Promise<void> => {
  const id = real.sourceIds[source] ?? ''
  const flows = model.flowsOf(source)
  const answer = await real.call('GET', `/sources/${id}`)
  expect(answer.status).toBe(flows.length > 0 ? 200 : 404)
  expect(sorted(idsOf((await real.call('GET', `/flows?source_id=${id}`)).body))).toEqual(sorted(flows.map((flow) => real.flow(flow))))
  if (flows.length === 0) return
  const { source_collection, collected_by } = answer.body as Document
  const members = new Set(flows.flatMap((flow) => model.collectedSources(flow)))
  expect(sorted(idsOf(source_collection))).toEqual(sorted([...members].map((member) => real.sourceIds[member])))
  const collectors = new Set([...model.flows.keys()].filter((flow) => model.collectedSources(flow).includes(source)).map(sourceOf))
  expect(sorted(collected_by)).toEqual(sorted([...collectors].map((collector) => real.sourceIds[collector])))
}

export const compareTagFilter = async (model: Model, real: Real, name: string, value: string): Promise<void> => {
  const matches = (tag: string | string[] | undefined) => (typeof tag === 'string' ? tag === value : (tag?.includes(value) ?? false))
  for (let source = 0; source < SOURCES; source++) {
    const expected = model.flowsOf(source).filter((flow) => matches(model.flows.get(flow)?.tags[name]))
    const answer = await real.call('GET', `/flows?source_id=${real.sourceIds[source]}&tag.${name}=${value}`)
    expect(sorted(idsOf(answer.body))).toEqual(sorted(expected.map((flow) => real.flow(flow))))
  }
}

export const compareAll = async (model: Model, real: Real, objects: readonly string[]): Promise<void> => {
  for (let flow = 0; flow < FLOWS; flow++) await compareFlow(model, real, flow)
  for (let source = 0; source < SOURCES; source++) await compareSource(model, real, source)
  for (const object of objects) await compareObject(model, real, object)
}
