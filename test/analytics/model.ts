import * as fc from 'fast-check'
import { MAX_NS, MIN_NS } from '../../src/core/timestamp.ts'
import type { Row } from '../../src/storage/schema.ts'

export interface Rows {
  readonly sources: Row<'sources'>[]
  readonly flows: Row<'flows'>[]
  readonly segments: Row<'segments'>[]
  readonly objects: Row<'objects'>[]
  readonly object_refs: Row<'object_refs'>[]
  readonly object_instances: Row<'object_instances'>[]
  readonly object_access: Row<'object_access'>[]
  readonly tags: Row<'tags'>[]
  readonly storage_backends: Row<'storage_backends'>[]
  readonly profiles: Row<'profiles'>[]
  readonly deletions: Row<'deletions'>[]
}

export interface ModelFlow {
  readonly row: Row<'flows'>
  /** Tag values by name. */
  readonly tags: Readonly<Record<string, readonly string[]>>
}

/** A small store: its rows, and beside them what a reader may see, worked out from the drawing and not from the rows. */
export interface Model {
  readonly rows: Rows
  readonly flows: readonly ModelFlow[]
  readonly segments: readonly Row<'segments'>[]
  readonly objects: readonly Row<'objects'>[]
  /** Object ids by flow id, of everything that a live flow's timeline uses. */
  readonly uses: ReadonlyMap<string, ReadonlySet<string>>
}

const SECOND = 1_000_000_000n
const HOUR_US = 3_600_000_000n
export const BASE_US = BigInt(Date.UTC(2026, 10, 2)) * 1000n
export const FORMATS = ['video', 'audio', 'data', 'multi'].map((name) => `urn:x-nmos:format:${name}`)
export const id = (kind: number, n: number): string => `${kind.toString(16).padStart(8, '0')}-0000-4000-8000-${String(n).padStart(12, '0')}`
export const BACKENDS = [id(9, 1), id(9, 2)] as const

const hours = fc.integer({ min: 0, max: 24 * 12 }).map((h) => BASE_US + BigInt(h) * HOUR_US)
const flowDrawing = fc.record({
  source: fc.integer({ min: 0, max: 1 }),
  format: fc.integer({ min: 0, max: 3 }),
  codec: fc.option(fc.constantFrom('video/h264', 'audio/aac'), { nil: null }),
  container: fc.option(fc.constantFrom('video/mp2t', 'video/mp4'), { nil: null }),
  rate: fc.option(fc.integer({ min: 1, max: 50_000 }), { nil: null }),
  created: hours,
  trashed: fc.constantFrom(false, false, false, true),
  site: fc.option(fc.constantFrom(['london'], ['salford', 'london'], []), { nil: undefined }),
  flowRetention: fc.option(fc.constantFrom('3600:0', '864000:500000000', 'never'), { nil: undefined }),
  // The timelines are no time of day: one offset bridges the difference so that, looking two weeks ahead, some are due.
  segmentRetention: fc.option(fc.constantFrom('0:0', '-5:0', `${Date.UTC(2026, 11, 5, 8) / 1000 + 37 - 3}:0`), { nil: undefined }),
  start: fc.constantFrom(MIN_NS, -7n * SECOND, 0n, 1_700_000_000n * SECOND),
  toTheEnd: fc.constantFrom(false, false, true),
  segments: fc.array(
    fc.record({
      gap: fc.constantFrom(0n, 0n, 1n, SECOND / 2n, 3n * SECOND),
      length: fc.constantFrom(1n, SECOND, 2n * SECOND, 2_500_000_000n, 10n * SECOND),
      object: fc.integer({ min: 0, max: 5 }),
      hidden: fc.constantFrom(false, false, false, true),
      created: hours,
    }),
    { maxLength: 6 },
  ),
  dead: fc.constantFrom(0, 0, 0, 1, 2),
})
const objectDrawing = fc.record({
  size: fc.option(fc.constantFrom(0n, 999_999n, 1_000_000n, 50_000_000n, 100_000_000n, 999_999_999n, 1_000_000_000n, 2n ** 61n), {
    nil: null,
  }),
  length: fc.option(fc.constantFrom(1n, SECOND, 4n * SECOND), { nil: null }),
  state: fc.constantFrom('registered', 'registered', 'registered', 'allocated'),
  trashed: fc.constantFrom(false, false, false, true),
  created: hours,
  latency: fc.integer({ min: 0, max: 5_000_000 }),
  backends: fc.subarray([0, 1]),
  reads: fc.option(fc.integer({ min: 0, max: 20 }), { nil: undefined }),
})

/** Stores with negative times, both ends of time, instants, nulls, trash, dead timelines and hidden segments. */
export const models: fc.Arbitrary<Model> = fc
  .record({ flows: fc.array(flowDrawing, { maxLength: 4 }), objects: fc.array(objectDrawing, { minLength: 6, maxLength: 6 }) })
  .map(({ flows, objects }) => build(flows, objects))

type FlowDrawing = typeof flowDrawing extends fc.Arbitrary<infer T> ? T : never
type ObjectDrawing = typeof objectDrawing extends fc.Arbitrary<infer T> ? T : never

const emptyRows = (): Rows => ({
  sources: [],
  flows: [],
  segments: [],
  objects: [],
  object_refs: [],
  object_instances: [],
  object_access: [],
  tags: [],
  storage_backends: BACKENDS.map((each, i) => ({
    id: each,
    label: i === 0 ? 'primary' : null,
    store_type: 'http_object_store',
    provider: 'example',
    region: null,
    availability_zone: null,
    store_product: 'disk',
    default_storage: i === 0,
    tags: '{}',
  })),
  profiles: [],
  deletions: [],
})

export const emptyModel = (): Model => ({ rows: emptyRows(), flows: [], segments: [], objects: [], uses: new Map() })

const build = (flows: readonly FlowDrawing[], objects: readonly ObjectDrawing[]): Model => {
  const rows = emptyRows()
  for (const n of [0, 1]) rows.sources.push(sourceRow(n))
  for (const [n, drawing] of objects.entries()) {
    const row = objectRow(drawing, n)
    rows.objects.push(row)
    for (const backend of drawing.backends)
      rows.object_instances.push({
        storage_id: BACKENDS[backend] ?? '',
        media_key: `k${n}`,
        object_id: row.id,
        size: null,
        created: drawing.created,
      })
    if (drawing.reads !== undefined) {
      const access = {
        object_id: row.id,
        signed_count: BigInt(drawing.reads),
        read_count: 2n,
        read_bytes: 0n,
        last_access: drawing.created,
      }
      rows.object_access.push({ ...access, flow_id: 'a' }, { ...access, flow_id: 'b', signed_count: 1n })
    }
  }
  const uses = new Map<string, Set<string>>()
  const seen: Row<'segments'>[] = []
  const liveFlows = flows.flatMap((drawing, n) => {
    const added = addFlow(rows, drawing, n)
    if (drawing.trashed) return []
    seen.push(...added.visible)
    uses.set(added.row.id, new Set(added.timeline.map(({ object_id }) => object_id)))
    return [{ row: added.row, tags: added.tags }]
  })
  // Rows of dead timelines are there only as long as something deletes them.
  const trash = [...flows, ...objects].some(({ trashed }) => trashed) || flows.some(({ dead }) => dead > 0)
  if (trash) rows.deletions.push(deletionRow)
  const used = new Set([...uses.values()].flatMap((ids) => [...ids]))
  // Nor does an object stay that nothing refers to, unless it was made so.
  if (!trash) for (const row of rows.objects) row.explicit ||= !used.has(row.id)
  const live = rows.objects.filter(
    (row) => row.state === 'registered' && (!trash || (row.explicit && row.trash_id === null) || used.has(row.id)),
  )
  return { rows, flows: liveFlows, segments: seen, objects: live, uses }
}

/** What makes analytics look at which objects are only used from the trash. */
const deletionRow: Row<'deletions'> = {
  id: 'd',
  group_id: 'd',
  entity_type: 'flow',
  entity_id: 'any',
  flow_id: null,
  timeline_id: null,
  start_ns: null,
  end_ns: null,
  timerange: null,
  cascade: true,
  counts: '{}',
  deleted_by: 'anonymous',
  principal: 'anonymous',
  created: BASE_US,
  restored: null,
  status: 'deleted',
  left_segments: null,
  tasks: null,
}

const sourceRow = (n: number): Row<'sources'> => ({
  id: id(2, n),
  deletion_id: '',
  trashed: null,
  format: FORMATS[0] ?? '',
  label: null,
  label_sort: '1',
  description: null,
  tags: '{}',
  explicit: false,
  created: BASE_US,
  created_by: null,
  updated: BASE_US,
  updated_by: null,
})

const objectRow = (drawing: ObjectDrawing, n: number): Row<'objects'> => ({
  id: `object ${n}`,
  deletion_id: '',
  trash_id: drawing.trashed ? 'd' : null,
  state: drawing.state,
  kind: 'media',
  allocated_for: null,
  first_referenced_by_flow: null,
  start_ns: drawing.length === null ? null : -SECOND,
  end_ns: drawing.length === null ? null : drawing.length - SECOND,
  timerange: null,
  key_frame_count: null,
  init_object_id: null,
  instances: '[]',
  content_type: n % 2 === 0 ? 'video/mp2t' : null,
  size: drawing.size,
  created: drawing.created,
  registered: drawing.state === 'registered' ? drawing.created + BigInt(drawing.latency) : null,
  explicit: n === 0 || drawing.trashed,
  expires: drawing.state === 'allocated' ? drawing.created : null,
  size_due: null,
})

// No timeline is ever used again, by whichever store.
let timelines = 0

const addFlow = (rows: Rows, drawing: FlowDrawing, n: number) => {
  const flowId = id(1, n)
  const timelineId = `t${++timelines}`
  const timeline: Row<'segments'>[] = []
  const hidden: [string, string, string][] = []
  let at = drawing.start
  for (const [i, segment] of drawing.segments.entries()) {
    const last = drawing.toTheEnd && i === drawing.segments.length - 1
    const start = at + segment.gap
    const end = last ? MAX_NS : start + segment.length
    timeline.push(segmentRow(flowId, timelineId, start, end, segment))
    if (segment.hidden) hidden.push([String(start), String(start + 1n), 'r'])
    at = end
  }
  const visible = timeline.filter((_, i) => !drawing.segments[i]?.hidden)
  rows.segments.push(...timeline)
  for (let i = 0; i < drawing.dead; i++)
    rows.segments.push(segmentRow(flowId, 'gone', BigInt(i) * SECOND, BigInt(i + 1) * SECOND, { object: i, created: drawing.created }))
  for (const [timeline_id, segments] of [
    [timelineId, timeline],
    ['gone', rows.segments.filter((row) => row.flow_id === flowId && row.timeline_id === 'gone')],
  ] as const)
    for (const object_id of new Set(segments.map((row) => row.object_id)))
      rows.object_refs.push({
        object_id,
        flow_id: flowId,
        timeline_id,
        count: BigInt(segments.filter((row) => row.object_id === object_id).length),
      })
  const tags: Record<string, readonly string[]> = {
    ...(drawing.site && { site: drawing.site }),
    ...(drawing.flowRetention !== undefined && { flow_retention_offset: [drawing.flowRetention] }),
    ...(drawing.segmentRetention !== undefined && { segment_retention_offset: [drawing.segmentRetention] }),
  }
  if (!drawing.trashed) rows.tags.push(...tagRows(flowId, tags))
  const row = flowRow(drawing, flowId, timelineId, n, visible, hidden)
  rows.flows.push(row)
  return { row, tags, visible, timeline }
}

const tagRows = (flowId: string, tags: Readonly<Record<string, readonly string[]>>): Row<'tags'>[] =>
  Object.entries(tags).flatMap(([name, values]): Row<'tags'>[] => {
    const row = { entity_type: 'flow', entity_id: flowId, deletion_id: '', name }
    if (values.length === 0) return [{ ...row, position: 0, value_prefix: '', value: '', empty_list: true }]
    return values.map((value, position) => ({ ...row, position, value_prefix: value, value, empty_list: false }))
  })

const segmentRow = (
  flow_id: string,
  timeline_id: string,
  start_ns: bigint,
  end_ns: bigint,
  { object, created }: { readonly object: number; readonly created: bigint },
): Row<'segments'> => ({
  flow_id,
  timeline_id,
  start_ns,
  end_ns,
  timerange: '_',
  object_id: `object ${object}`,
  ts_offset: null,
  last_duration: null,
  sample_offset: null,
  sample_count: null,
  tags: null,
  tag_id: null,
  created,
})

const flowRow = (
  drawing: FlowDrawing,
  flowId: string,
  timeline_id: string,
  n: number,
  visible: readonly Row<'segments'>[],
  hidden: readonly (readonly [string, string, string])[],
): Row<'flows'> => ({
  id: flowId,
  deletion_id: drawing.trashed ? `d${n}` : '',
  trashed: drawing.trashed ? true : null,
  timeline_id,
  source_id: id(2, drawing.source),
  format: FORMATS[drawing.format] ?? '',
  codec: drawing.codec,
  container: drawing.container,
  label: null,
  label_sort: '1',
  description: null,
  status: null,
  profile_id: null,
  read_only: false,
  generation: null,
  max_bit_rate: null,
  avg_bit_rate: drawing.rate === null ? null : BigInt(drawing.rate),
  frame_width: null,
  frame_height: null,
  init_segments: null,
  tags: '{}',
  essence_parameters: null,
  segment_duration: null,
  container_mapping: null,
  flow_collection: null,
  metadata_version: '1',
  created: drawing.created,
  created_by: null,
  metadata_updated: drawing.created,
  updated_by: null,
  segments_updated: visible.length === 0 ? null : drawing.created + HOUR_US,
  start_ns: visible[0]?.start_ns ?? null,
  end_ns: visible.at(-1)?.end_ns ?? null,
  timerange: null,
  segment_count: BigInt(visible.length),
  hidden: hidden.length === 0 ? null : JSON.stringify(hidden),
})

/** A live segment, and a live flow of such, for tests that need certain ones. */
export const segmentOf = (flowId: string, timelineId: string, startNs: bigint, lengthNs: bigint, objectId: string): Row<'segments'> => ({
  ...segmentRow(flowId, timelineId, startNs, startNs + lengthNs, { object: 0, created: BASE_US }),
  object_id: objectId,
})

/** A registered object that was made explicitly. */
export const objectOf = (n: number, size: bigint, lengthNs: bigint): Row<'objects'> => ({
  ...objectRow(
    { size, length: lengthNs, state: 'registered', trashed: false, created: BASE_US, latency: 0, backends: [], reads: undefined },
    n,
  ),
  explicit: true,
})

export const flowOf = (flowId: string, timelineId: string, segments: readonly Row<'segments'>[]): Row<'flows'> =>
  flowRow(PLAIN, flowId, timelineId, 0, segments, [])

const PLAIN: FlowDrawing = {
  source: 0,
  format: 0,
  codec: null,
  container: null,
  rate: null,
  created: BASE_US,
  trashed: false,
  site: undefined,
  flowRetention: undefined,
  segmentRetention: undefined,
  start: 0n,
  toTheEnd: false,
  segments: [],
  dead: 0,
}
