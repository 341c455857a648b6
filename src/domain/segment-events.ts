import type { Row } from '../storage/schema.ts'
import type { FlowRow } from './flow.ts'
import type { DomainEvent } from './record.ts'

/** Segments that came to a flow, or came back. */
export const segmentsAdded = (flow: Pick<FlowRow, 'id' | 'source_id'>, rows: readonly Row<'segments'>[]): DomainEvent => ({
  type: 'flows/segments_added',
  flowId: flow.id,
  sourceId: flow.source_id,
  event: { flow_id: flow.id, segments: rows.map(eventSegment) },
})

/** A segment in the log: what the listing shows but its URLs and its object's members, which are looked up at delivery. */
const eventSegment = (row: Row<'segments'>) => ({
  object_id: row.object_id,
  timerange: row.timerange,
  ...(row.ts_offset !== null && { ts_offset: row.ts_offset }),
  ...(row.last_duration !== null && { last_duration: row.last_duration }),
  ...(row.sample_offset !== null && { sample_offset: Number(row.sample_offset) }),
  ...(row.sample_count !== null && { sample_count: Number(row.sample_count) }),
})
