import { type Static, Type } from '@sinclair/typebox'
import { ErrorDocument } from './deletion-request.ts'
import { Url } from './segment-schema.ts'
import { TagSet, Uuid } from './validate.ts'

/** The event types of the specification, the only ones that webhooks carry (tams-behaviour.md 10.1). */
export const EVENT_TYPES = [
  'flows/created',
  'flows/updated',
  'flows/deleted',
  'flows/segments_added',
  'flows/segments_deleted',
  'sources/created',
  'sources/updated',
  'sources/deleted',
] as const
export type EventType = (typeof EVENT_TYPES)[number]

const EventTypeText = Type.Unsafe<EventType>(
  Type.String({ enum: [...EVENT_TYPES], pattern: `^(${EVENT_TYPES.join('|')})$`, title: `one of ${EVENT_TYPES.join(', ')}` }),
)
const Ids = Type.Optional(Type.Array(Uuid, { maxItems: 1000, title: 'a list of at most 1000 UUIDs' }))

/** Names of HTTP header fields, RFC 9110 5.1; those that say how the request itself is to be read cannot be given. */
const HeaderName = Type.String({
  pattern:
    "^(?!(?:[Hh][Oo][Ss][Tt]|[Cc][Oo][Nn][Tt][Ee][Nn][Tt]-.*|[Tt][Rr][Aa][Nn][Ss][Ff][Ee][Rr]-.*|[Cc][Oo][Nn][Nn][Ee][Cc][Tt][Ii][Oo][Nn]|[Ww][Ee][Bb][Hh][Oo][Oo][Kk]-.*)$)[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$",
  title: 'the name of a header that may be set',
})
const HeaderValue = Type.String({ pattern: '^[\\x20-\\x7e]{0,4096}$', title: 'printable ASCII of at most 4096 characters' })

/** What selects events and shapes them; kept as one JSON text. */
const settings = {
  events: Type.Array(EventTypeText),
  flow_ids: Ids,
  source_ids: Ids,
  flow_collected_by_ids: Ids,
  source_collected_by_ids: Ids,
  accept_get_urls: Type.Optional(Type.Array(Type.String())),
  accept_storage_ids: Ids,
  presigned: Type.Optional(Type.Boolean()),
  verbose_storage: Type.Optional(Type.Boolean()),
  include_object_timerange: Type.Optional(Type.Boolean()),
}
export const WebhookSettings = Type.Object(settings)
export type WebhookSettings = Static<typeof WebhookSettings>
export const SETTINGS_MEMBERS = Object.keys(settings) as (keyof WebhookSettings)[]

const members = { url: Url, api_key_name: Type.Optional(HeaderName), tags: Type.Optional(TagSet), ...settings }
const secret = { api_key_value: Type.Optional(HeaderValue) }
const Settable = Type.Unsafe<'created' | 'disabled'>(
  Type.String({ enum: ['created', 'disabled'], pattern: '^(created|disabled)$', title: 'created or disabled' }),
)

export const WebhookPost = Type.Object({ ...members, ...secret, status: Type.Optional(Settable) })
export type WebhookPost = Static<typeof WebhookPost>
export const WebhookPut = Type.Object({ ...members, ...secret, id: Uuid, status: Settable })
export type WebhookPut = Static<typeof WebhookPut>

const WEBHOOK_STATUSES = ['created', 'started', 'disabled', 'error'] as const
export type WebhookStatus = (typeof WEBHOOK_STATUSES)[number]
/** As read: the secret is never among the members. */
export const Webhook = Type.Object({
  id: Uuid,
  ...members,
  status: Type.Unsafe<WebhookStatus>(Type.String({ enum: [...WEBHOOK_STATUSES] })),
  error: Type.Optional(ErrorDocument),
})
export type Webhook = Static<typeof Webhook>
