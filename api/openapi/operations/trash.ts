import { Type } from '@sinclair/typebox'
import { DELETED_TYPES, DELETION_STATUSES, Deletion } from '../../../src/domain/deletion.ts'
import { DeletionBatch, DeletionPost } from '../../../src/domain/deletion-batch.ts'
import { DeletionRequest } from '../../../src/domain/deletion-request.ts'
import { Uuid } from '../../../src/domain/validate.ts'
import * as example from '../examples.ts'
import type { Operation, Operations, Parameter, Response } from '../model.ts'
import { deletionOptions, flowId, inPath, inQuery, limit, objectId, page, reverseOrder, sourceId, timerange } from '../parameters.ts'
import { answer, bodyWithExamples, failing, failingWithBody, listing, noContent } from '../responses.ts'

const deletion = {
  id: example.DELETION_ID,
  group_id: example.DELETION_ID,
  status: 'restored',
  entity_type: 'flow',
  entity_id: example.VIDEO_ID,
  flow_id: example.VIDEO_ID,
  cascade: true,
  counts: { flows: 1, segments: 500, sources: 1 },
  deleted_by: 'housekeeping',
  deleted_at: '2026-03-02T09:20:00Z',
  restored_at: '2026-03-02T09:21:00Z',
}

const deletionId = inPath('deletionId', 'Id of the deletion.', Uuid, example.DELETION_ID)
const cascade = inQuery(
  'cascade',
  '`false`: the record alone comes back. What the deletion took along stays restorable by the same deletion.',
  Type.Boolean({ default: true }),
  false,
)
const ofDeletion = inQuery('deletion_id', 'Which of several deletions to undo; without it the last.', Uuid, example.DELETION_ID)

const back: Response = answer('Back, as it was.', Deletion, deletion)
const later: Response = {
  ...answer('Under way: `Location` leads to the deletion, which is `restoring` until all is back and told of.', Deletion, {
    ...deletion,
    status: 'restoring',
  }),
  headers: {
    Location: {
      description: 'URL of the deletion.',
      schema: Type.String({ format: 'uri' }),
      example: `https://tams.example.com/deletions/${example.DELETION_ID}`,
    },
  },
}

const restoring = (
  path: string,
  summary: string,
  description: string,
  parameters: readonly Parameter[],
  is: Partial<Operation> = {},
): Operation => ({
  method: 'post',
  path,
  tag: 'Extensions',
  extension: true,
  summary,
  description,
  parameters,
  responses: { 200: back, 202: later, ...failing(400, 403, 404, 409) },
  ...is,
})

const time = (name: string, description: string) => inQuery(name, description, Type.String({ format: 'date-time' }), '2026-03-02T09:15:00Z')
const texts = (values: readonly string[]) => Type.String({ enum: [...values] })

export const trashOperations: Operations = {
  'DELETE_sources-sourceId': {
    method: 'delete',
    path: '/sources/{sourceId}',
    tag: 'Extensions',
    extension: true,
    summary: 'Delete a source with its flows',
    description:
      'The source and its flows, at most 1000, go in one transaction, into the trash or for good. 202 with the delete requests where some of it is worked off later.',
    parameters: [sourceId, ...deletionOptions],
    responses: {
      202: {
        ...answer('Gone at once, worked off in the background.', Type.Array(DeletionRequest), [example.deletionRequest]),
        headers: {
          Location: {
            description: 'URL of the delete requests.',
            schema: Type.String({ format: 'uri' }),
            example: 'https://tams.example.com/flow-delete-requests',
          },
        },
      },
      204: noContent,
      ...failing(400, 403, 404, 409),
    },
  },
  'POST_sources-sourceId-restore': restoring(
    '/sources/{sourceId}/restore',
    'Restore a deleted source',
    'Out of the trash, with the flows that went with it. 409 where the source is live.',
    [sourceId, cascade, ofDeletion],
  ),
  'POST_flows-flowId-restore': restoring(
    '/flows/{flowId}/restore',
    'Restore a deleted flow',
    'Out of the trash with its segments, its tags, its place in collections that still live, and its source where that is gone. 409 where the flow is live, or its deletion is still being worked off.',
    [flowId, cascade, ofDeletion],
  ),
  'POST_flows-flowId-segments-restore': restoring(
    '/flows/{flowId}/segments/restore',
    'Restore deleted segments',
    'Those that lie completely inside `timerange`. Where newer segments are in the way: 409 that lists them, and nothing is changed. More than 5000 come back behind a curtain that opens when all are there; until then nothing can be registered there.',
    [flowId, timerange('Only segments that lie completely inside this.'), ofDeletion],
    {
      responses: {
        200: answer('Back; the deletions that had taken them.', Type.Array(Deletion), [deletion]),
        202: {
          ...later,
          ...answer('Under way; the deletions that had taken them.', Type.Array(Deletion), [{ ...deletion, status: 'restoring' }]),
        },
        ...failing(400, 403, 404, 409),
      },
    },
  ),
  DELETE_objects: {
    method: 'delete',
    path: '/objects/{objectId}',
    tag: 'Extensions',
    extension: true,
    summary: 'Delete a media object',
    description:
      'A media object that was registered by itself and that no flow uses, into the trash or for good. 409 while flows use it. Registering a segment with it takes it out of the trash.',
    parameters: [objectId, ...deletionOptions],
    responses: { 204: noContent, ...failing(400, 403, 404, 409) },
  },
  'POST_objects-restore': restoring(
    '/objects/{objectId}/restore',
    'Restore a deleted media object',
    'Out of the trash. 409 where the object is not there by a deletion of its own: it comes back with the flow or the segments that use it.',
    [objectId],
    {
      responses: {
        200: answer('Back.', Deletion, { ...deletion, entity_type: 'object', entity_id: example.OBJECT_ID, counts: { objects: 1 } }),
        ...failing(403, 404, 409),
      },
    },
  ),
  GET_deletions: {
    method: 'get',
    path: '/deletions',
    tag: 'Extensions',
    extension: true,
    summary: 'List soft deletions',
    description: 'What was deleted when and by whom, newest first, until it is purged.',
    parameters: [
      inQuery('entity_type', 'Only deletions of this kind; `segments` are those of a part of a flow.', texts(DELETED_TYPES), 'flow'),
      inQuery('entity_id', 'Only deletions of the record with this id.', Type.String(), example.VIDEO_ID),
      inQuery('flow_id', 'Only deletions of this flow and of its segments.', Uuid, example.VIDEO_ID),
      inQuery('group_id', 'Only deletions of one call of `POST /deletions`.', Uuid, example.DELETION_ID),
      inQuery('status', 'Only deletions in this state.', texts(DELETION_STATUSES), 'deleted'),
      inQuery('deleted_by', 'Only deletions by this name.', Type.String(), 'housekeeping'),
      time('since', 'Only deletions from then on.'),
      time('until', 'Only deletions from before then.'),
      reverseOrder,
      page,
      limit,
    ],
    responses: { 200: listing('full', 'The deletions.', Type.Array(Deletion), [deletion]), ...failing(400) },
  },
  POST_deletions: {
    method: 'post',
    path: '/deletions',
    tag: 'Extensions',
    extension: true,
    summary: 'Delete several flows or sources',
    description:
      'At most 1000 flows, or sources with their flows, each by itself and in the order given; what can be deleted is, whatever becomes of the others.',
    parameters: deletionOptions,
    requestBody: bodyWithExamples('Exactly one of the two lists.', DeletionPost, {
      flows: { summary: 'Flows', value: { flow_ids: [example.VIDEO_ID] } },
      sources: { summary: 'Sources with their flows', value: { source_ids: [example.SOURCE_ID] } },
    }),
    responses: {
      200: answer('What has become of each.', DeletionBatch, {
        group_id: example.DELETION_ID,
        deleted: [{ id: example.VIDEO_ID, deletion_id: example.DELETION_ID }],
        failed: [],
      }),
      ...failingWithBody(400, 403),
    },
  },
  'GET_deletions-deletionId': {
    method: 'get',
    path: '/deletions/{deletionId}',
    tag: 'Extensions',
    extension: true,
    summary: 'Get a soft deletion',
    description: 'One deletion. 404 also once it is purged.',
    parameters: [deletionId],
    responses: { 200: answer('The deletion.', Deletion, deletion), ...failing(404) },
  },
  'POST_deletions-deletionId-restore': restoring(
    '/deletions/{deletionId}/restore',
    'Undo a soft deletion',
    'All that it took comes back, as far as it has not been restored before. 409 where nothing is left, where the state of the store forbids it, or while the deletion is still being worked off.',
    [deletionId, cascade],
  ),
}
