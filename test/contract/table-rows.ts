import type { Row } from '../../src/storage/schema.ts'
import type { LogEntry } from '../../src/storage/tables.ts'

// Whole rows with unremarkable values, for tests that care about two or three columns.

export const deliveryRow = (id: string, columns: Partial<Row<'deliveries'>> = {}): Row<'deliveries'> => ({
  id,
  webhook_id: 'webhook',
  seq: 1n,
  flow_id: null,
  status: 'pending',
  attempts: 0,
  next_attempt: 0n,
  response_status: null,
  duration_ms: null,
  error: null,
  created: 0n,
  updated: 0n,
  ...columns,
})

export const segmentRow = (flowId: string, startNs: bigint, columns: Partial<Row<'segments'>> = {}): Row<'segments'> => ({
  flow_id: flowId,
  timeline_id: 'timeline',
  start_ns: startNs,
  end_ns: startNs + 1n,
  timerange: `[0:${startNs}]`,
  object_id: `object-${startNs}`,
  ts_offset: null,
  last_duration: null,
  sample_offset: null,
  sample_count: null,
  tags: null,
  tag_id: null,
  created: 0n,
  ...columns,
})

export const flowRow = (id: string, columns: Partial<Row<'flows'>> = {}): Row<'flows'> => ({
  id,
  deletion_id: '',
  trashed: null,
  timeline_id: `timeline-${id}`,
  source_id: 'source',
  format: 'urn:x-nmos:format:video',
  codec: 'video/h264',
  container: null,
  label: null,
  label_sort: '1',
  description: null,
  status: null,
  profile_id: null,
  read_only: false,
  generation: null,
  max_bit_rate: null,
  avg_bit_rate: null,
  frame_width: null,
  frame_height: null,
  init_segments: null,
  tags: '{}',
  essence_parameters: null,
  segment_duration: null,
  container_mapping: null,
  flow_collection: null,
  metadata_version: 'v1',
  created: 0n,
  created_by: null,
  metadata_updated: 0n,
  updated_by: null,
  segments_updated: null,
  start_ns: null,
  end_ns: null,
  timerange: null,
  segment_count: 0n,
  hidden: null,
  ...columns,
})

export const tagRow = (entityId: string, name: string, value: string, entityType = 'flow'): Row<'tags'> => ({
  entity_type: entityType,
  entity_id: entityId,
  deletion_id: '',
  name,
  position: 0,
  value_prefix: value,
  value,
  empty_list: false,
})

export const logEntry = (type: string): LogEntry => ({ time: 0n, type, flow_id: null, source_id: null, body: '{}' })
