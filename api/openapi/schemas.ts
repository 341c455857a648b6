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

export const Health = Type.Object({
  status: state.status,
  timestamp: Type.String({ format: 'date-time' }),
  version: Type.String(),
  system: Type.Object({ host: Type.String(), uptime_seconds: Count, memory_bytes: Count }),
  dependencies: Type.Object({
    database: Type.Object(state),
    storage: Type.Array(Type.Object({ id: Uuid, label: Type.Optional(Type.String()), ...state })),
  }),
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
}
