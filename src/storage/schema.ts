import { Bool, type DataType, Float64, Int32, Int64, TimestampMicrosecond, Utf8 } from 'apache-arrow'

/**
 * Every table of the product, defined once. An engine creates its tables from these definitions (SQLite: `create table`;
 * VAST: sorted tables or projections with the same Arrow types).
 *
 * JavaScript values of a column: Utf8 → string, Int64 → bigint, Int32 and Float64 → number, Bool → boolean,
 * TimestampMicrosecond → bigint (microseconds since the Unix epoch, UTC). Nullable columns also hold `null`.
 * Nested values are JSON text in one column. Members keep the specification's names.
 */
export interface Column<T> {
  readonly arrow: DataType
  readonly nullable: boolean
  /** Never set: carries the JavaScript type of the column for `Row`. */
  readonly type?: T
}

const text: Column<string> = { arrow: new Utf8(), nullable: false }
const int64: Column<bigint> = { arrow: new Int64(), nullable: false }
const int32: Column<number> = { arrow: new Int32(), nullable: false }
const float64: Column<number> = { arrow: new Float64(), nullable: false }
const bool: Column<boolean> = { arrow: new Bool(), nullable: false }
const time: Column<bigint> = { arrow: new TimestampMicrosecond(), nullable: false }
const optional = <T>(column: Column<T>): Column<T | null> => ({ arrow: column.arrow, nullable: true })

export interface Projection {
  readonly name: string
  /** Columns it is sorted by; the key's columns are carried along, and all others when `whole`. */
  readonly sorted: readonly string[]
  readonly whole: boolean
}

export interface Table {
  /** Columns that identify a row; the table is sorted by them. Key columns never change and are never null. */
  readonly key: readonly string[]
  readonly columns: Readonly<Record<string, Column<unknown>>>
  /**
   * Further orders in which rows are looked up or listed: secondary indexes on SQLite. Rows whose first column is null are in
   * none of them.
   */
  readonly indexes: readonly (readonly string[])[]
  /** The same wish on a column store, where it is worth its space. */
  readonly projections: readonly Projection[]
  /**
   * The lock a writer of this row must hold: `'flow:' + flow_id`. Absent where rows have keys nobody else can make.
   * Engines opened with `checkLocks` throw on an insert without it.
   */
  readonly lock?: (row: Readonly<Record<string, unknown>>) => string
}

type LooseTable = Partial<Pick<Table, 'indexes' | 'projections' | 'lock'>> & Pick<Table, 'key'>

const table = <C extends Record<string, Column<unknown>>>(columns: C, rest: LooseTable): Table & { readonly columns: C } => ({
  indexes: [],
  projections: [],
  ...rest,
  columns,
})

/** JSON text in a cell; also the limit of every other text cell, in UTF-8 bytes (a VAST cell holds 128 KiB). */
export const CELL_LIMIT = 120 * 1024

/**
 * While `meta` has a row of this name, the embedded engine refuses writes with `unavailable` and its value as the reason, but for
 * programs that open the store to look after it.
 */
export const FROZEN_META = 'frozen'

export const tables = {
  /** Key: (`id`, `deletion_id`), with `deletion_id = ''` while live, so that live and trashed rows never collide. */
  sources: table(
    {
      id: text,
      deletion_id: text,
      /** true in the trash and null while live: the orders of what lies in the trash begin with it. */
      trashed: optional(bool),
      format: text,
      label: optional(text),
      /** `'0'` + the first 64 bytes of the label, or `'1'` without one: unlabelled items come last, and first when reversed. */
      label_sort: text,
      description: optional(text),
      tags: text,
      /** Made directly, not by a flow: outlives its last flow. */
      explicit: bool,
      created: time,
      created_by: optional(text),
      updated: time,
      updated_by: optional(text),
    },
    {
      key: ['id', 'deletion_id'],
      indexes: [
        ['deletion_id', 'created', 'id'],
        ['deletion_id', 'updated', 'id'],
        ['deletion_id', 'label_sort', 'id'],
        ['trashed', 'created', 'id'],
        ['trashed', 'updated', 'id'],
        ['trashed', 'label_sort', 'id'],
      ],
      lock: (row) => `source:${row.id}`,
    },
  ),

  flows: table(
    {
      id: text,
      deletion_id: text,
      /** As in `sources`. */
      trashed: optional(bool),
      /** Which rows of `segments` belong to this flow. Made anew with each flow and never used again, so that the rows of a deleted
       * flow, worked off behind it, are never taken for those of a flow made again with its id. */
      timeline_id: text,
      source_id: text,
      format: text,
      codec: optional(text),
      container: optional(text),
      label: optional(text),
      label_sort: text,
      description: optional(text),
      status: optional(text),
      profile_id: optional(text),
      read_only: bool,
      generation: optional(int64),
      max_bit_rate: optional(int64),
      avg_bit_rate: optional(int64),
      frame_width: optional(int64),
      frame_height: optional(int64),
      init_segments: optional(bool),
      tags: text,
      essence_parameters: optional(text),
      segment_duration: optional(text),
      container_mapping: optional(text),
      flow_collection: optional(text),
      metadata_version: text,
      created: time,
      created_by: optional(text),
      metadata_updated: time,
      updated_by: optional(text),
      segments_updated: optional(time),
      /** Extent of the segments: half-open nanoseconds, and the text with the markers as written. Null without segments. */
      start_ns: optional(int64),
      end_ns: optional(int64),
      timerange: optional(text),
      segment_count: int64,
      /** JSON: stretches of `start_ns` whose segments are deleted already and only still to be worked off (`domain/hidden.ts`). */
      hidden: optional(text),
    },
    {
      key: ['id', 'deletion_id'],
      indexes: [
        ['deletion_id', 'created', 'id'],
        ['deletion_id', 'metadata_updated', 'id'],
        ['deletion_id', 'label_sort', 'id'],
        ['trashed', 'created', 'id'],
        ['trashed', 'metadata_updated', 'id'],
        ['trashed', 'label_sort', 'id'],
        ['source_id', 'deletion_id'],
        ['profile_id', 'deletion_id'],
      ],
      lock: (row) => `flow:${row.id}`,
    },
  ),

  /** Live segments of a flow are those with the flow's `timeline_id`; they never overlap. */
  segments: table(
    {
      flow_id: text,
      timeline_id: text,
      start_ns: int64,
      end_ns: int64,
      /** As the client wrote it. */
      timerange: text,
      object_id: text,
      ts_offset: optional(text),
      last_duration: optional(text),
      sample_offset: optional(int64),
      sample_count: optional(int64),
      tags: optional(text),
      /** `entity_id` of its rows in `tags`; null without tags. */
      tag_id: optional(text),
      created: time,
    },
    {
      key: ['flow_id', 'timeline_id', 'start_ns'],
      indexes: [['object_id', 'flow_id']],
      projections: [{ name: 'by_object', sorted: ['object_id'], whole: false }],
      lock: (row) => `flow:${row.flow_id}`,
    },
  ),

  objects: table(
    {
      id: text,
      /** Always `''`: an id names one media object for as long as anything refers to it, also from the trash. */
      deletion_id: text,
      /** The deletion that put an explicit object into the trash; null while it is not there. */
      trash_id: optional(text),
      /** `allocated` until a first segment (or `POST /objects`) makes it `registered`. */
      state: text,
      /** `media` or `init`; null while allocated. */
      kind: optional(text),
      /** The flow whose storage request allocated it; null for external objects. */
      allocated_for: optional(text),
      first_referenced_by_flow: optional(text),
      start_ns: optional(int64),
      end_ns: optional(int64),
      timerange: optional(text),
      key_frame_count: optional(int64),
      init_object_id: optional(text),
      /** JSON: `ObjectInstance[]` of `domain/media-object.ts`. */
      instances: text,
      content_type: optional(text),
      size: optional(int64),
      created: time,
      registered: optional(time),
      /** Made directly, not by a segment: outlives its last reference. */
      explicit: bool,
      /** An allocation that is not registered by then may be swept. */
      expires: optional(time),
      /** When to look next how large the bytes are; null once every controlled instance tells, or nobody looks any more. */
      size_due: optional(time),
    },
    {
      key: ['id', 'deletion_id'],
      indexes: [['expires'], ['size_due']],
      lock: (row) => `object:${row.id}`,
    },
  ),

  /** How many segments of a flow's timeline use an object (for an init object: through its media objects). */
  object_refs: table(
    { object_id: text, flow_id: text, timeline_id: text, count: int64 },
    { key: ['object_id', 'flow_id', 'timeline_id'], lock: (row) => `object:${row.object_id}` },
  ),

  /**
   * The controlled instances of objects once more, one row each: what lies in a backend, in key order. Written with the object's row;
   * readers of single objects use `objects.instances`.
   */
  object_instances: table(
    { storage_id: text, media_key: text, object_id: text, size: optional(int64), created: time },
    { key: ['storage_id', 'media_key'] },
  ),

  /** Bytes to delete once their last reference is durably gone; worked off by a worker that is safe to repeat. */
  media_removals: table(
    { id: text, storage_id: text, media_key: text, object_id: text, created: time },
    { key: ['id'], indexes: [['object_id']] },
  ),

  /** Controlled copies still to be made. */
  media_copies: table(
    {
      id: text,
      object_id: text,
      storage_id: text,
      media_key: text,
      status: text,
      error: optional(text),
      attempts: int32,
      created: time,
      updated: time,
    },
    { key: ['id'], indexes: [['object_id'], ['status', 'created']] },
  ),

  object_access: table(
    { object_id: text, flow_id: text, signed_count: int64, read_count: int64, read_bytes: int64, last_access: time },
    { key: ['object_id', 'flow_id'] },
  ),

  /** One row per tag value. An empty list is one row with `empty_list` and `value = ''`. */
  tags: table(
    {
      entity_type: text,
      entity_id: text,
      deletion_id: text,
      name: text,
      position: int32,
      /** The first 64 bytes of the value: what is looked up by. */
      value_prefix: text,
      value: text,
      empty_list: bool,
    },
    {
      key: ['entity_type', 'entity_id', 'deletion_id', 'name', 'position'],
      indexes: [['entity_type', 'name', 'value_prefix', 'entity_id']],
      projections: [{ name: 'by_value', sorted: ['entity_type', 'name', 'value_prefix'], whole: true }],
    },
  ),

  /**
   * Membership of flows (`entity_type = 'flow'`, `via = parent_id`) and of sources (`'source'`): inferred through the flow
   * `via`, or explicit with `via = ''`.
   */
  collections: table(
    { entity_type: text, parent_id: text, deletion_id: text, via: text, position: int32, child_id: text, role: optional(text) },
    {
      key: ['entity_type', 'parent_id', 'deletion_id', 'via', 'position'],
      indexes: [
        ['entity_type', 'child_id', 'parent_id'],
        ['entity_type', 'via'],
      ],
      projections: [{ name: 'by_child', sorted: ['entity_type', 'child_id'], whole: true }],
    },
  ),

  profiles: table(
    {
      id: text,
      label: optional(text),
      description: optional(text),
      format: text,
      codec: text,
      tags: text,
      flow_metadata: text,
      created: time,
      created_by: optional(text),
    },
    { key: ['id'], indexes: [['created', 'id']], lock: (row) => `profile:${row.id}` },
  ),

  storage_backends: table(
    {
      id: text,
      label: optional(text),
      store_type: text,
      provider: text,
      region: optional(text),
      availability_zone: optional(text),
      store_product: text,
      default_storage: bool,
      tags: text,
    },
    { key: ['id'] },
  ),

  webhooks: table(
    {
      id: text,
      url: text,
      /** The first 64 bytes of the URL: what webhooks are listed by. */
      url_sort: text,
      status: text,
      owner: optional(text),
      /** JSON of the webhook's other members; secrets have their own columns. */
      settings: text,
      tags: text,
      api_key_name: optional(text),
      api_key_value: optional(text),
      signing_secrets: optional(text),
      error: optional(text),
      created: time,
      updated: time,
    },
    { key: ['id'], indexes: [['url_sort', 'id']], lock: (row) => `webhook:${row.id}` },
  ),

  /** How far each webhook's events are delivered: `position` is the last number of the log that is settled for it. */
  webhook_cursors: table({ webhook_id: text, position: int64, attempts: int32, next_attempt: time }, { key: ['webhook_id'] }),

  deliveries: table(
    {
      id: text,
      webhook_id: text,
      seq: int64,
      flow_id: optional(text),
      status: text,
      attempts: int32,
      next_attempt: time,
      response_status: optional(int32),
      duration_ms: optional(float64),
      error: optional(text),
      created: time,
      updated: time,
    },
    {
      key: ['id'],
      indexes: [
        ['webhook_id', 'seq'],
        ['status', 'next_attempt'],
      ],
    },
  ),

  deletion_requests: table(
    {
      id: text,
      flow_id: text,
      timeline_id: text,
      /** Of a flow that is gone with the request, for the events of its segments: its source, and JSON of who collected both. */
      source_id: optional(text),
      collected_by: optional(text),
      delete_flow: bool,
      /** Members of the specification, as text. */
      timerange_to_delete: text,
      timerange_remaining: text,
      start_ns: optional(int64),
      end_ns: optional(int64),
      object_id: optional(text),
      /** The soft deletion that this is the rest of; null: what is deleted is gone for good. */
      deletion_id: optional(text),
      status: text,
      error: optional(text),
      created: time,
      created_by: optional(text),
      updated: time,
      expiry: optional(time),
      /** `expiry`, or −1 without one: items without it come last in the default (descending) order. */
      expiry_sort: int64,
    },
    {
      key: ['id'],
      indexes: [['created', 'id'], ['expiry_sort', 'id'], ['flow_id', 'timeline_id'], ['status', 'created'], ['deletion_id']],
    },
  ),

  /** What one soft deletion took. Its rows carry its id as `deletion_id`, segments of a range as `timeline_id`. */
  deletions: table(
    {
      id: text,
      /** Items of one call share it. */
      group_id: text,
      entity_type: text,
      entity_id: text,
      /** Where deleted segments came from. */
      flow_id: optional(text),
      timeline_id: optional(text),
      start_ns: optional(int64),
      end_ns: optional(int64),
      timerange: optional(text),
      cascade: bool,
      counts: text,
      deleted_by: text,
      principal: text,
      created: time,
      restored: optional(time),
      status: text,
      /** JSON: segments that stayed behind when their flow alone was restored (`LeftSegments[]` of `domain/deletion.ts`). */
      left_segments: optional(text),
      /** JSON: what a worker has still to do for a restore (`RestoreTask[]` of `domain/deletion.ts`). */
      tasks: optional(text),
    },
    {
      key: ['id'],
      indexes: [
        ['created', 'id'],
        ['entity_type', 'entity_id'],
        ['flow_id', 'created', 'id'],
        ['group_id', 'id'],
        ['status', 'created', 'id'],
      ],
    },
  ),

  audit: table(
    {
      /** Time-ordered and unique: rows of one transaction keep their order. */
      id: text,
      time: time,
      principal: text,
      action: text,
      entity_type: text,
      entity_id: text,
      request_id: text,
      /** JSON: what changed, never a secret. */
      detail: optional(text),
    },
    {
      key: ['id'],
      indexes: [
        ['entity_type', 'entity_id', 'id'],
        ['principal', 'id'],
      ],
    },
  ),

  /** The ordered log: a reader that remembers `seq` never has a row appear behind it. */
  event_log: table(
    {
      seq: int64,
      time: time,
      /** An event type of the specification, or one of ours. */
      type: text,
      flow_id: optional(text),
      source_id: optional(text),
      /** JSON with references; URLs are made at delivery. */
      body: text,
    },
    { key: ['seq'], indexes: [['time']] },
  ),
  /** Log rows of engines that cannot number at insertion. */
  outbox: table({ id: text, time: time, type: text, flow_id: optional(text), source_id: optional(text), body: text }, { key: ['id'] }),

  users: table(
    { name: text, password_hash: text, scopes: text, classes: text, disabled: bool, created: time, updated: time },
    { key: ['name'], lock: (row) => `user:${row.name}` },
  ),
  tokens: table(
    {
      id: text,
      hash: text,
      name: text,
      user_name: text,
      scopes: text,
      classes: text,
      created: time,
      expires: optional(time),
      last_used: optional(time),
      revoked: bool,
    },
    { key: ['id'], indexes: [['hash']] },
  ),
  auth_log: table(
    { id: text, time: time, principal: text, outcome: text, method: text, address: text, detail: optional(text) },
    { key: ['id'] },
  ),

  /** `fence` grows with each new holder: a write of a former holder is recognised. */
  leases: table({ name: text, holder: text, expires: time, fence: int64 }, { key: ['name'] }),
  /** Rows that writers of one key collide on, where the store has no row lock. */
  locks: table({ slot: int32, version: int64 }, { key: ['slot'] }),
  /** Insert-only marks of committed writes, where writers of one row would collide. */
  changes: table(
    {
      id: text,
      table_name: text,
      time: time,
      /** How many commits the row stands for: 1, or more where marks were put together. */
      commits: int64,
    },
    { key: ['id'] },
  ),
  meta: table({ name: text, value: text }, { key: ['name'], lock: (row) => `meta:${row.name}` }),
} as const satisfies Record<string, Table>

export type TableName = keyof typeof tables
type ColumnsOf<N extends TableName> = (typeof tables)[N]['columns']
type ValueOf<C> = C extends Column<infer T> ? T : never

/** A row with every column; `null` where a nullable one is unset. */
export type Row<N extends TableName> = { -readonly [K in keyof ColumnsOf<N>]: ValueOf<ColumnsOf<N>[K]> }
export type ColumnName<N extends TableName> = keyof ColumnsOf<N> & string
export type { Column as ColumnDefinition }
