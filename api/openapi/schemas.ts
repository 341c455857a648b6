import { type TSchema, Type } from '@sinclair/typebox'
import { DeletionRequest, ErrorDocument } from '../../src/domain/deletion-request.ts'
import {
  CollectionItem,
  ContainerMapping,
  FlowCollection,
  FlowDocument,
  FlowPut,
  FORMATS,
  FormatText,
  StatusText,
  Technical,
} from '../../src/domain/flow-schema.ts'
import { StorageAnswer, StoragePost } from '../../src/domain/flow-storage.ts'
import { GetUrl } from '../../src/domain/get-urls.ts'
import { MediaObject } from '../../src/domain/object.ts'
import { InstancePost } from '../../src/domain/object-instances.ts'
import { Profile } from '../../src/domain/profile.ts'
import { FlowSegment } from '../../src/domain/segment-list.ts'
import { SegmentPost } from '../../src/domain/segment-schema.ts'
import { Service, ServicePost } from '../../src/domain/service.ts'
import { SourceDocument } from '../../src/domain/source.ts'
import { Count, MediaType, MimeType, TagSet, TagValue, TimeRangeText, TimestampText, Uuid } from '../../src/domain/validate.ts'
import { Webhook, WebhookPost, WebhookPut } from '../../src/domain/webhook-schema.ts'

/** What an answer has that is not 2xx: the specification's `error` with `message`, which many clients show. */
export const ErrorAnswer = Type.Composite([ErrorDocument, Type.Object({ message: Type.String() })])

export const StorageBackend = Type.Object({
  id: Uuid,
  label: Type.Optional(Type.String()),
  store_type: Type.Literal('http_object_store'),
  provider: Type.String(),
  region: Type.Optional(Type.String()),
  availability_zone: Type.Optional(Type.String()),
  store_product: Type.String(),
  default_storage: Type.Optional(Type.Boolean()),
  tags: Type.Optional(TagSet),
})

export const SegmentFailures = Type.Object({
  failed_segments: Type.Array(Type.Object({ object_id: Type.String(), timerange: TimeRangeText, error: ErrorDocument })),
})

const state = { status: Type.Union([Type.Literal('healthy'), Type.Literal('unhealthy')]), reason: Type.Optional(Type.String()) }

const EndpointHealth = Type.Object({
  url: Type.String(),
  state: Type.Union([Type.Literal('up'), Type.Literal('down')]),
  read_ms: Type.Optional(Type.Number({ description: 'Moving average of the time to an answer.' })),
  write_ms: Type.Optional(Type.Number()),
  requests: Count,
  failures: Count,
})

export const Health = Type.Object({
  status: state.status,
  timestamp: Type.String({ format: 'date-time' }),
  version: Type.String(),
  system: Type.Object({ host: Type.String(), uptime_seconds: Count, memory_bytes: Count }),
  dependencies: Type.Object({
    database: Type.Object({ ...state, endpoints: Type.Optional(Type.Array(EndpointHealth)) }),
    storage: Type.Array(Type.Object({ id: Uuid, label: Type.Optional(Type.String()), ...state })),
  }),
})

/** What every JSON answer of a report says of its query. */
export const QueryInfo = Type.Object({
  name: Type.String(),
  parameters: Type.Record(Type.String(), Type.Unknown()),
  rows_scanned: Count,
  rows_returned: Count,
  truncated: Type.Boolean(),
  cache: Type.Union([Type.Literal('result'), Type.Literal('tables'), Type.Literal('none')]),
  elapsed_ms: Type.Number(),
})

const texts = Type.Record(Type.String(), Type.String())
const schemasByName = Type.Record(Type.String(), Type.Object({}))

export const AnalyticsCatalog = Type.Object({
  reports: Type.Array(
    Type.Object({
      name: Type.String(),
      path: Type.String(),
      summary: Type.String(),
      filters: Type.Array(Type.String()),
      parameters: schemasByName,
      shape: Type.Union([Type.Literal('object'), Type.Literal('table')]),
      result: schemasByName,
    }),
  ),
  metrics: Type.Array(Type.Object({ name: Type.String(), of: Type.String(), unit: Type.String(), meaning: Type.String() })),
  filters: texts,
  formats: Type.Array(Type.String()),
  views: Type.Record(Type.String(), Type.Array(Type.String())),
})

const work = { rows_scanned: Count, rows_returned: Count, bytes_loaded: Count }

export const AnalyticsPerformance = Type.Object({
  queries: Type.Array(
    Type.Object({
      name: Type.String(),
      queries: Count,
      errors: Count,
      result_cache_hits: Count,
      mean_ms: Type.Number(),
      p50_ms: Type.Number(),
      p95_ms: Type.Number(),
      max_ms: Type.Number(),
      ...work,
    }),
  ),
  slow_queries: Type.Array(
    Type.Object({
      name: Type.String(),
      started: Type.String({ format: 'date-time' }),
      elapsed_ms: Type.Number(),
      load_ms: Type.Number(),
      ...work,
      cache: Type.String(),
      status: Type.String(),
    }),
  ),
  hourly: Type.Array(
    Type.Object({
      name: Type.String(),
      hour: Type.String({ format: 'date-time' }),
      queries: Count,
      mean_ms: Type.Number(),
      max_ms: Type.Number(),
      baseline_ms: Type.Union([Type.Number(), Type.Null()]),
      deviates: Type.Boolean(),
    }),
  ),
})

export const AnalyticsCache = Type.Object({
  results: Type.Object({ results: Count, cells: Count, max_cells: Count, ttl_seconds: Type.Number(), hits: Count, misses: Count }),
  tables: Type.Union([
    Type.Object({
      tables: Count,
      bytes: Count,
      max_bytes: Count,
      hits: Count,
      misses: Count,
      evictions: Count,
      rows_loaded: Count,
      increments: Count,
    }),
    Type.Null(),
  ]),
  memory_bytes: Count,
  memory_limit_bytes: Count,
})

/** `null` stands for a member that is not set. */
export const unsetOr = (schema: TSchema): TSchema => Type.Union([schema, Type.Null()])

type ByFormat = Readonly<Record<string, TSchema>>

const capital = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1)

/** The variants of a union over formats, named `Video…`, `Audio…` and so on; one without a format takes that from a profile. */
const variants = (union: TSchema, suffix: string): ByFormat =>
  Object.fromEntries(
    (union.anyOf as TSchema[]).map((variant) => {
      const name = Object.entries(FORMATS).find(([, urn]) => variant.properties.format?.const === urn)?.[0]
      return [`${name === undefined ? 'Linked' : capital(name)}${suffix}`, variant] as const
    }),
  )

const essences: ByFormat = Object.fromEntries(
  Object.entries(FORMATS).map(([name, urn]) => [`${capital(name)}Essence`, Technical[urn].properties.essence_parameters]),
)

/** Every schema that has a name in the document. Equal schemas elsewhere become references to these. */
export const schemas: Readonly<Record<string, TSchema>> = {
  Uuid,
  Timestamp: TimestampText,
  TimeRange: TimeRangeText,
  MediaType,
  MimeType,
  TagValue,
  TagSet,
  Format: FormatText,
  FlowStatus: StatusText,
  Service,
  ServicePost,
  StorageBackend,
  Profile,
  Webhook,
  WebhookPost,
  WebhookPut,
  Source: SourceDocument,
  ContainerMapping,
  CollectionItem,
  FlowCollection,
  ...essences,
  ...variants(Profile.properties.flow_metadata, 'Metadata'),
  ...variants(FlowDocument, 'Flow'),
  Flow: FlowDocument,
  ...variants(FlowPut, 'FlowPut'),
  FlowPut,
  GetUrl,
  FlowSegment,
  SegmentPost,
  SegmentFailures,
  StoragePost,
  StorageAnswer,
  MediaObject,
  InstancePost,
  DeletionRequest,
  ErrorSummary: ErrorDocument,
  Error: ErrorAnswer,
  Health,
  QueryInfo,
}
