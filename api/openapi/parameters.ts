import { type TSchema, Type } from '@sinclair/typebox'
import { FormatText } from '../../src/domain/flow-schema.ts'
import { MimeType, TimeRangeText, Uuid } from '../../src/domain/validate.ts'
import * as example from './examples.ts'
import type { Parameter } from './model.ts'

export const inPath = (name: string, description: string, schema: TSchema, value: unknown): Parameter => ({
  name,
  in: 'path',
  description,
  required: true,
  schema,
  example: value,
})

export const inQuery = (name: string, description: string, schema: TSchema, value: unknown): Parameter => ({
  name,
  in: 'query',
  description,
  schema,
  example: value,
})

/** A comma-separated list, for which an empty value has a meaning of its own. */
const list = (name: string, description: string, items: TSchema, value: readonly string[]): Parameter => ({
  name,
  in: 'query',
  description,
  allowEmptyValue: true,
  explode: false,
  schema: Type.Array(items),
  example: value,
})

export const sortBy = (values: readonly string[], description: string): Parameter =>
  inQuery('sort_by', description, Type.String({ enum: [...values], default: 'created' }), values.at(-1))

const flag = (name: string, description: string): Parameter => inQuery(name, description, Type.Boolean({ default: false }), true)

export const sourceId = inPath('sourceId', 'Id of the source.', Uuid, example.SOURCE_ID)
export const flowId = inPath('flowId', 'Id of the flow.', Uuid, example.VIDEO_ID)
export const profileId = inPath('profileId', 'Id of the profile.', Uuid, example.PROFILE_ID)
export const webhookId = inPath('webhookId', 'Id of the webhook.', Uuid, example.WEBHOOK_ID)
export const requestId = inPath('request-id', 'Id of the delete request.', Uuid, example.REQUEST_ID)
export const objectId = inPath(
  'objectId',
  'Id of the media object, percent-encoded: it may hold slashes and anything else.',
  Type.String(),
  example.OBJECT_ID,
)
export const tagName = inPath('name', 'Name of the tag, percent-encoded.', Type.String(), 'venue')

export const page = inQuery(
  'page',
  'Where the page starts: `X-Paging-NextKey` of the page before it. Only a key of the same listing and order is accepted.',
  Type.String(),
  example.PAGE_KEY,
)
export const limit = inQuery(
  'limit',
  'Most items on the page. The service has a limit of its own; `X-Paging-Limit` says what was used.',
  Type.Integer({ minimum: 1 }),
  50,
)
export const reverseOrder = flag('reverse_order', 'Turn the whole order round.')

export const label = inQuery('label', 'Only those with exactly this label.', Type.String(), 'Stage, camera 1')
export const format = inQuery('format', 'Only this format.', FormatText, 'urn:x-nmos:format:video')
export const codec = inQuery('codec', 'Only this codec.', MimeType, 'video/h264')
export const timerange = (description: string): Parameter =>
  inQuery('timerange', description, Type.Unsafe<string>({ allOf: [TimeRangeText], default: '_' }), example.TIMERANGE)
export const objectIdFilter = inQuery('object_id', 'Only segments of this media object.', Type.String(), example.OBJECT_ID)

export const collectedByIds = (kind: string, id: string): Parameter =>
  list('collected_by_ids', `Only ${kind} that one of these ${kind} collects; an empty value: only those that none collects.`, Uuid, [id])

/** `{prefix}.{name}` and `{prefix}_exists.{name}`: one parameter for each tag, its name behind the first dot. */
export const tagFilters = (prefix: string, what: string, value: string): readonly Parameter[] => [
  inQuery(
    `${prefix}.{name}`,
    `Only ${what} whose tag \`{name}\` has one of these comma-separated values. In place of \`{name}\` stands the percent-encoded name; the parameter may come for several tags, which must then all match.`,
    Type.String(),
    value,
  ),
  inQuery(`${prefix}_exists.{name}`, `Only ${what} that have (\`true\`) or lack (\`false\`) the tag \`{name}\`.`, Type.Boolean(), true),
]

const extension = (parameter: Parameter): Parameter => ({ ...parameter, extension: true })

/** Of deletions that may be soft. */
export const deletionOptions: readonly Parameter[] = [
  inQuery(
    'soft_delete',
    '`true`: into the trash, from where it can be restored; `false`: for good, with the bytes that nothing else refers to. The default is the service’s setting.',
    Type.Boolean(),
    false,
  ),
  inQuery(
    'cascade',
    '`false`: 409 where something would have to go with it, with its kind and number. Of segments it says nothing.',
    Type.Boolean({ default: true }),
    false,
  ),
  inQuery(
    'deleted_by',
    'Who is shown to have deleted it; by default the caller.',
    Type.String({ minLength: 1, maxLength: 256 }),
    'housekeeping',
  ),
].map(extension)

/** Which of live and soft-deleted records to show. */
export const deletedViews: readonly Parameter[] = [
  inQuery(
    'deleted_state',
    'Show live records, soft-deleted ones, or both. Each then carries `deleted`, and a deleted one `deleted_at`, `deleted_by` and `deletion_id`.',
    Type.String({ enum: ['active', 'deleted', 'all'] }),
    'all',
  ),
  flag('include_deleted', '`true` is short for `deleted_state=all`.'),
  flag('deleted_only', '`true` is short for `deleted_state=deleted`.'),
].map(extension)
/** Of the segments themselves. */
export const segmentTagFilters: readonly Parameter[] = tagFilters('tag', 'segments', 'goal').map(extension)
export const headUrls: Parameter = extension(
  flag(
    'head_urls',
    'Show behind each pre-signed URL a second one that is signed for HEAD, where S3 does not take the first; its label ends with ` HEAD`. `accept_get_urls` goes by the label without that.',
  ),
)
export const ofDeletion = extension(
  inQuery('deletion_id', 'Of deleted segments only those that this deletion took.', Uuid, example.DELETION_ID),
)

/** Which URLs of media objects to show, and how much of them. */
export const urlOptions: readonly Parameter[] = [
  flag('verbose_storage', 'Show with each URL the storage backend that it leads to.'),
  list('accept_get_urls', 'Only URLs with one of these labels; an empty value: no URLs at all, which is fastest.', Type.String(), [
    'embedded',
  ]),
  list('accept_storage_ids', 'Only URLs of these storage backends; an empty value does not filter.', Uuid, [example.STORAGE_ID]),
  inQuery('presigned', '`true`: only pre-signed URLs; `false`: only others.', Type.Boolean(), true),
  ...tagFilters('storage_backend_tag', 'URLs of storage backends', 'Leeds'),
]

export const includeObjectTimerange = flag('include_object_timerange', "Show each object's own time range with its segment.")
export const includeTimerange = flag('include_timerange', 'Show `timerange`, the stretch from the first to the last segment.')

/** Parameters of several operations, placed once in the document. */
export const sharedParameters: Readonly<Record<string, Parameter>> = Object.fromEntries(
  [
    ...[sourceId, flowId, profileId, webhookId, requestId, objectId, tagName],
    ...[page, limit, reverseOrder, label, format, codec, objectIdFilter, ...urlOptions],
  ].map((parameter) => [parameter.name.replace(/\.\{name\}$/, '_name'), parameter]),
)
