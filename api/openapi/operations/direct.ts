import { type TSchema, Type } from '@sinclair/typebox'
import { BatchResult, MAX_BATCH } from '../../../src/domain/batch.ts'
import { FlowCommon, FlowDocument, FormatText } from '../../../src/domain/flow-schema.ts'
import { ObjectBody, ObjectDetails } from '../../../src/domain/object-direct.ts'
import { SourceDocument } from '../../../src/domain/source.ts'
import { SourceBody } from '../../../src/domain/source-direct.ts'
import { TagSet, Uuid } from '../../../src/domain/validate.ts'
import * as example from '../examples.ts'
import type { Operation, Operations } from '../model.ts'
import { flowId, objectId, sourceId } from '../parameters.ts'
import { answer, body, failing, failingWithBody, made, noContent } from '../responses.ts'

const sourceBody = { id: example.SOURCE_ID, format: 'urn:x-nmos:format:video', label: 'Stage, camera 1' }
const objectBody = {
  id: 'archive-0042',
  get_urls: [{ url: 'https://archive.example.com/0042.ts', label: 'archive' }],
  timerange: example.TIMERANGE,
}
const flatFlow = {
  id: example.VIDEO_ID,
  source_id: example.SOURCE_ID,
  format: 'urn:x-nmos:format:video',
  codec: 'video/h264',
  frame_width: 1920,
  frame_height: 1080,
  frame_rate: '25/1',
}

/** Without an `id` one is made up. */
const SourcePost = Type.Composite([Type.Omit(SourceBody, ['id']), Type.Object({ id: Type.Optional(Uuid) })])
/** What every flow has, besides the members of its format, in their place or at the top. */
const FlowPost = Type.Composite([Type.Omit(FlowCommon, ['id']), Type.Object({ id: Type.Optional(Uuid), format: FormatText })])

/** The same for all three kinds. */
const batch = (kind: string, schema: TSchema, item: { readonly id: string }): Operation => ({
  method: 'post',
  path: `/${kind}/batch`,
  tag: 'Extensions',
  extension: true,
  summary: `Make many ${kind}`,
  description: `Each item as in \`POST /${kind}\`, at most ${MAX_BATCH}. Those that are good are kept whatever becomes of the others: 201 when all are in, else 200.`,
  requestBody: body('The items.', Type.Array(schema, { maxItems: MAX_BATCH }), [item]),
  responses: {
    200: answer('Some failed.', BatchResult, {
      created: [],
      failed: [{ index: 0, id: item.id, error: example.error('exists', `id: ${item.id} is there already`) }],
    }),
    201: answer('All are in.', BatchResult, { created: [item.id], failed: [] }),
    ...failingWithBody(400),
  },
})

const replaceTags = (kind: 'source' | 'flow', parameter: typeof sourceId): Operation => ({
  method: 'put',
  path: `/${kind}s/{${kind}Id}/tags`,
  tag: 'Extensions',
  extension: true,
  summary: `Replace all tags of a ${kind}`,
  description: 'Tags that are not in the body are removed. Equal tags are no change and no event.',
  parameters: [parameter],
  requestBody: body('All tags.', TagSet, { venue: 'Leeds', language: ['en', 'cy'] }),
  responses: { 204: noContent, ...failingWithBody(400, ...(kind === 'flow' ? ([403] as const) : []), 404) },
})

export const directOperations: Operations = {
  POST_sources: {
    method: 'post',
    path: '/sources',
    tag: 'Extensions',
    extension: true,
    summary: 'Make a source',
    description: 'A source made so outlives its last flow. Without an `id` one is made up.',
    requestBody: body('The source.', SourcePost, sourceBody),
    responses: {
      201: made('The source.', SourceDocument, example.source, `/sources/${example.SOURCE_ID}`),
      ...failingWithBody(400, 409),
    },
  },
  'POST_sources-batch': batch('sources', SourcePost, sourceBody),
  'PUT_sources-sourceId': {
    method: 'put',
    path: '/sources/{sourceId}',
    tag: 'Extensions',
    extension: true,
    summary: 'Make or replace a source',
    description: 'Label, description and tags that are absent become unset. The format is fixed once the source has flows.',
    parameters: [sourceId],
    requestBody: body('The source; its `id` is the one in the path.', SourceBody, sourceBody),
    responses: { 201: answer('The new source.', SourceDocument, example.source), 204: noContent, ...failingWithBody(400, 404) },
  },
  'PUT_sources-sourceId-tags': replaceTags('source', sourceId),
  POST_flows: {
    method: 'post',
    path: '/flows',
    tag: 'Extensions',
    extension: true,
    summary: 'Make a flow',
    description:
      'As `PUT /flows/{flowId}`, but never replaces one. Members of `essence_parameters` may also stand at the top, with rates and ratios as `"25/1"`. Without an `id` one is made up.',
    requestBody: body('The flow.', FlowPost, flatFlow),
    responses: {
      201: made('The flow.', FlowDocument, example.flow, `/flows/${example.VIDEO_ID}`),
      ...failingWithBody(400, 409),
    },
  },
  'POST_flows-batch': batch('flows', FlowPost, flatFlow),
  'PUT_flows-flowId-tags': replaceTags('flow', flowId),
  POST_objects: {
    method: 'post',
    path: '/objects',
    tag: 'Extensions',
    extension: true,
    summary: 'Register an external object',
    description:
      'The bytes lie where `get_urls` say. The object can be read before a first segment uses it and stays when the last one goes; segments re-use it without `get_urls` of their own.',
    requestBody: body('The object.', ObjectBody, objectBody),
    responses: {
      201: made('Registered.', Type.Object({ id: Type.String() }), { id: objectBody.id }, `/objects/${objectBody.id}`),
      ...failingWithBody(400, 409),
    },
  },
  'POST_objects-batch': batch('objects', ObjectBody, objectBody),
  'GET_objects-details': {
    method: 'get',
    path: '/objects/{objectId}/details',
    tag: 'Extensions',
    extension: true,
    summary: 'What is known of the bytes of an object',
    description:
      'Size, type and checksum as the storage backends tell them now, where the bytes lie, and how often the object was read or its URLs were asked for. Reads that go to another server are not seen.',
    parameters: [objectId],
    responses: {
      200: answer('The details.', ObjectDetails, {
        id: example.OBJECT_ID,
        created: '2026-03-02T09:15:00Z',
        content_type: 'video/mp2t',
        size: 1_250_000,
        access_count: 12,
        last_access: '2026-03-03T11:00:00Z',
        instances: [
          {
            storage_id: example.STORAGE_ID,
            path: example.MEDIA_KEY,
            status: 'ready',
            size: 1_250_000,
            checksum: '5d41402abc4b2a76b9719d911017c592',
          },
        ],
      }),
      ...failing(404),
    },
  },
}
