import { TimeRange } from '../../core/time-range.ts'
import { formatTimestamp } from '../../core/timestamp.ts'
import { labelSort } from '../../domain/paging.ts'
import type { Tags } from '../../domain/storage-backend.ts'
import type { Row } from '../../storage/schema.ts'
import { FORMAT_URN } from './essences.ts'
import type { PlannedFlow, PlannedSource, SeedOptions } from './plan.ts'
import { type Placed, placedObjects } from './timeline.ts'

/** Rows that belong into one transaction. */
export interface SeedBatch {
  readonly segments: Row<'segments'>[]
  readonly objects: Row<'objects'>[]
  readonly object_refs: Row<'object_refs'>[]
  readonly object_instances: Row<'object_instances'>[]
  readonly object_access: Row<'object_access'>[]
  readonly sources: Row<'sources'>[]
  readonly flows: Row<'flows'>[]
  readonly collections: Row<'collections'>[]
  readonly tags: { readonly entity: 'flow' | 'source'; readonly id: string; readonly tags: Tags }[]
}

export interface RowOptions extends Pick<SeedOptions, 'seed' | 'untilUs' | 'segmentsPerObject'> {
  /** The storage backend that the objects are said to lie in, and the beginning of their keys. */
  readonly storageId: string
  readonly storagePath: string
  /** Segments in each batch, at most. */
  readonly batchSize: number
}

type DayPath = (us: bigint) => string
type RangeTexts = (startNs: bigint, endNs: bigint) => string

const CREATOR = 'seed'

/** Rows of flows, as planned. A flow comes with the last of its segments, so that its extent is that of what is there. */
export function* seedRows(flows: Iterable<PlannedFlow>, options: RowOptions): Generator<SeedBatch> {
  const ranges = rangeTexts()
  const addObject = objectAdder(options, dayPaths(), ranges)
  let batch = emptyBatch()
  for (const flow of flows) {
    let extent: Extent | undefined
    for (const use of usesOf(flow, options)) {
      if (batch.segments.length >= options.batchSize) {
        yield batch
        batch = emptyBatch()
      }
      if (!flow.donor) addObject(batch, flow, use.placed)
      addSegments(batch, flow, use, ranges)
      extent = { startNs: extent?.startNs ?? use.startNs, endNs: endOf(use), lastUs: use.placed.createdUs }
    }
    addFlow(batch, flow, extent)
    if (batch.flows.length >= options.batchSize) {
      yield batch
      batch = emptyBatch()
    }
  }
  yield batch
}

/** The first `segments` segments of an object, on the timeline of the flow that uses it. */
interface Use {
  readonly placed: Placed
  readonly startNs: bigint
  readonly segments: number
}

const segmentNs = ({ placed }: Use): bigint => (placed.endNs - placed.startNs) / BigInt(placed.segments)

const endOf = (use: Use): bigint => use.startNs + segmentNs(use) * BigInt(use.segments)

interface Extent {
  readonly startNs: bigint
  readonly endNs: bigint
  readonly lastUs: bigint
}

const emptyBatch = (): SeedBatch => ({
  segments: [],
  objects: [],
  object_refs: [],
  object_instances: [],
  object_access: [],
  sources: [],
  flows: [],
  collections: [],
  tags: [],
})

/** An edit has the objects of its donor one behind the other, from 0 on. */
function* usesOf(flow: PlannedFlow, options: RowOptions): Generator<Use> {
  if (!flow.donor) {
    for (const placed of placedObjects(flow, options)) yield { placed, startNs: placed.startNs, segments: placed.segments }
    return
  }
  let startNs = 0n
  let left = flow.segments
  for (const placed of placedObjects(flow.donor, options)) {
    if (left <= 0) return
    const use = { placed, startNs, segments: Math.min(left, placed.segments) }
    yield use
    startNs = endOf(use)
    left -= use.segments
  }
}

const addSegments = (batch: SeedBatch, flow: PlannedFlow, use: Use, rangeText: RangeTexts): void => {
  const { placed, segments } = use
  const length = segmentNs(use)
  const offsetNs = use.startNs - placed.startNs
  const common = {
    flow_id: flow.id,
    timeline_id: flow.timelineId,
    object_id: placed.objectId,
    ts_offset: offsetNs === 0n ? null : formatTimestamp(offsetNs),
    last_duration: null,
    sample_offset: null,
    sample_count: null,
    tags: null,
    tag_id: null,
    created: flow.donor ? flow.createdUs : placed.createdUs,
  }
  for (let i = 0; i < segments; i++) {
    const startNs = use.startNs + length * BigInt(i)
    const endNs = startNs + length
    batch.segments.push({ ...common, start_ns: startNs, end_ns: endNs, timerange: rangeText(startNs, endNs) })
  }
  const count = BigInt(segments)
  batch.object_refs.push({ object_id: placed.objectId, flow_id: flow.id, timeline_id: flow.timelineId, count })
}

const objectAdder =
  (options: RowOptions, dayPath: DayPath, rangeText: RangeTexts) =>
  (batch: SeedBatch, flow: PlannedFlow, placed: Placed): void => {
    const { objectId, createdUs, startNs, endNs } = placed
    if (placed.reads > 0) batch.object_access.push(accessRow(flow, placed, options))
    const key = `${options.storagePath}/${dayPath(createdUs)}/${objectId}`
    const size = BigInt(placed.size)
    batch.object_instances.push({ storage_id: options.storageId, media_key: key, object_id: objectId, size, created: createdUs })
    batch.objects.push({
      id: objectId,
      deletion_id: '',
      trash_id: null,
      state: 'registered',
      kind: 'media',
      allocated_for: flow.id,
      first_referenced_by_flow: flow.id,
      start_ns: startNs,
      end_ns: endNs,
      timerange: rangeText(startNs, endNs),
      key_frame_count: flow.source.format === 'video' ? BigInt(placed.keyFrames) : null,
      init_object_id: null,
      instances: `[{"storage_id":"${options.storageId}","key":${JSON.stringify(key)},"status":"ready","size":${size}}]`,
      content_type: flow.technical.container,
      size,
      created: createdUs,
      registered: createdUs,
      explicit: false,
      expires: null,
      size_due: null,
    })
  }

const accessRow = (flow: PlannedFlow, { objectId, reads, size, createdUs }: Placed, { untilUs }: RowOptions): Row<'object_access'> => ({
  object_id: objectId,
  flow_id: flow.id,
  signed_count: BigInt(reads + (reads >> 2)),
  read_count: BigInt(reads),
  read_bytes: BigInt(reads) * BigInt(size),
  last_access: createdUs + (untilUs - createdUs) / BigInt(1 + (reads % 7)),
})

const addFlow = (batch: SeedBatch, flow: PlannedFlow, extent: Extent | undefined): void => {
  if (flow.makesSource) addSource(batch, flow.source, flow.createdUs)
  const { technical } = flow
  const items = flow.collects.map(({ id, source }) => ({ id, role: source.format }))
  batch.flows.push({
    id: flow.id,
    deletion_id: '',
    trashed: null,
    timeline_id: flow.timelineId,
    source_id: flow.source.id,
    format: FORMAT_URN[flow.source.format],
    codec: technical.codec,
    container: technical.container,
    label: flow.label ?? null,
    label_sort: labelSort(flow.label),
    description: null,
    status: flow.status,
    profile_id: null,
    read_only: false,
    generation: null,
    max_bit_rate: null,
    avg_bit_rate: technical.container === null ? null : BigInt(Math.round(technical.bitRate / 1000)),
    frame_width: whole(technical.essence?.frame_width),
    frame_height: whole(technical.essence?.frame_height),
    init_segments: null,
    tags: JSON.stringify(flow.tags),
    essence_parameters: technical.essence && JSON.stringify(technical.essence),
    segment_duration: technical.container === null ? null : JSON.stringify({ numerator: flow.segmentSeconds }),
    container_mapping: null,
    flow_collection: items.length === 0 ? null : JSON.stringify(items),
    metadata_version: '1',
    created: flow.createdUs,
    created_by: CREATOR,
    metadata_updated: flow.createdUs,
    updated_by: CREATOR,
    segments_updated: extent ? (flow.donor ? flow.createdUs : extent.lastUs) : null,
    start_ns: extent?.startNs ?? null,
    end_ns: extent?.endNs ?? null,
    timerange: extent ? TimeRange.of(extent.startNs, extent.endNs).toString() : null,
    segment_count: BigInt(flow.segments),
    hidden: null,
  })
  batch.tags.push({ entity: 'flow', id: flow.id, tags: flow.tags })
  flow.collects.forEach(({ id, source }, position) => {
    const row = { deletion_id: '', via: flow.id, position, role: source.format }
    batch.collections.push({ ...row, entity_type: 'flow', parent_id: flow.id, child_id: id })
    batch.collections.push({ ...row, entity_type: 'source', parent_id: flow.source.id, child_id: source.id })
  })
}

const addSource = (batch: SeedBatch, source: PlannedSource, createdUs: bigint): void => {
  batch.sources.push({
    id: source.id,
    deletion_id: '',
    trashed: null,
    format: FORMAT_URN[source.format],
    label: source.label ?? null,
    label_sort: labelSort(source.label),
    description: null,
    tags: JSON.stringify(source.tags),
    explicit: false,
    created: createdUs,
    created_by: CREATOR,
    updated: createdUs,
    updated_by: CREATOR,
  })
  batch.tags.push({ entity: 'source', id: source.id, tags: source.tags })
}

const whole = (value: unknown): bigint | null => (typeof value === 'number' ? BigInt(value) : null)

/** Text of a half-open range. Most are those of the call before, or begin where they end. */
const rangeTexts = (): RangeTexts => {
  let [from, to, start, end, text] = [0n, 0n, '', formatTimestamp(0n), '']
  return (startNs, endNs) => {
    if (startNs === from && endNs === to) return text
    start = startNs === to ? end : formatTimestamp(startNs)
    ;[from, to, end] = [startNs, endNs, formatTimestamp(endNs)]
    text = `[${start}_${end})`
    return text
  }
}

const US_PER_DAY = 86_400_000_000n

/** `yyyy/mm/dd` of a time, UTC. Neighbours mostly share a day, and formatting one costs more than the rest of a row. */
const dayPaths = (): DayPath => {
  let [day, path] = [-1n, '']
  return (us) => {
    if (day !== us / US_PER_DAY) {
      day = us / US_PER_DAY
      path = new Date(Number(us / 1000n)).toISOString().slice(0, 10).replaceAll('-', '/')
    }
    return path
  }
}
