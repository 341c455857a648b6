import { type TSchema, Type } from '@sinclair/typebox'
import { StorageAnswer, StoragePost } from '../../../src/domain/flow-storage.ts'
import { FlowSegment } from '../../../src/domain/segment-list.ts'
import { SegmentPost, SegmentTags } from '../../../src/domain/segment-schema.ts'
import * as example from '../examples.ts'
import type { Operations, RequestBody } from '../model.ts'
import {
  deletedViews,
  deletionOptions,
  flowId,
  headUrls,
  includeObjectTimerange,
  limit,
  objectIdFilter,
  ofDeletion,
  page,
  reverseOrder,
  segmentTagFilters,
  timerange,
  urlOptions,
} from '../parameters.ts'
import { accepted, answer, bodyWithExamples, empty, failing, failingWithBody, listing, noContent, onlyFailing } from '../responses.ts'
import { SegmentFailures } from '../schemas.ts'

const withTags = (schema: TSchema) => Type.Intersect([schema, SegmentTags])

const segmentBody = (schema: TSchema): RequestBody =>
  bodyWithExamples('One segment or a list.', Type.Union([schema, Type.Array(schema)]), {
    one: { summary: 'A segment whose object was uploaded', value: example.segmentPost },
    many: { summary: 'Several, one with an object elsewhere', value: [example.segmentPost, example.externalSegmentPost] },
  })

export const segmentOperations: Operations = {
  'GET_flows-flowId-segments': {
    method: 'get',
    path: '/flows/{flowId}/segments',
    tag: 'FlowSegments',
    summary: 'List segments of a flow',
    description:
      'Segments that overlap `timerange`, wholly or in part, in the order of time. A flow that does not exist gives an empty list; 404 is only for an id that is no UUID. Parameters about URLs also apply to those of init objects; a segment without a URL left is listed all the same.',
    parameters: [
      flowId,
      timerange('Only segments that overlap this, wholly or in part.'),
      objectIdFilter,
      includeObjectTimerange,
      ...urlOptions,
      headUrls,
      ...segmentTagFilters,
      ...deletedViews,
      ofDeletion,
      reverseOrder,
      page,
      limit,
    ],
    responses: {
      200: listing('segments', 'The segments.', Type.Array(FlowSegment), [example.segment, example.verboseSegment]),
      ...failing(400, 404),
    },
    extended: {
      responses: {
        200: listing('segments', 'The segments.', Type.Array(withTags(FlowSegment)), [
          { ...example.segment, tags: { goal: 'home' } },
          example.verboseSegment,
        ]),
      },
    },
  },
  'POST_flows-flowId-segments': {
    method: 'post',
    path: '/flows/{flowId}/segments',
    tag: 'FlowSegments',
    summary: 'Register segments',
    description:
      'Places media objects on the timeline of a flow: one segment, or a list of up to 5000. An object is either uploaded to storage that was allocated here, in use already, or new and elsewhere, with `get_urls`. Segments may not overlap. Of a list the good segments are registered and the others given back; a segment that is there already, identically, counts as good. A list with a malformed segment is refused whole.',
    parameters: [flowId],
    requestBody: segmentBody(SegmentPost),
    responses: {
      200: answer(
        'Some segments of a list were not registered; these, in the order of the request.',
        SegmentFailures,
        example.failedSegments,
      ),
      201: empty('All are registered.'),
      ...failingWithBody(400, 403, 404),
    },
    extended: {
      requestBody: {
        ...segmentBody(withTags(SegmentPost)),
        description: `${segmentBody(SegmentPost).description} As \`multipart/form-data\` one segment together with the bytes of its object: the part \`segment\` first, then the part \`file\`, and no other. The bytes are stored, under an allocation that is made where there is none, and then the segment is registered; when anything fails, neither is left. A flow without \`container\` gets it from the type of the file.`,
        content: {
          ...segmentBody(withTags(SegmentPost)).content,
          'multipart/form-data': {
            schema: Type.Object({ segment: withTags(SegmentPost), file: Type.String({ format: 'binary' }) }),
            example: { segment: { ...example.segmentPost, tags: { goal: 'home' } }, file: 'the bytes' },
          },
        },
      },
      responses: onlyFailing(409, 507),
    },
  },
  'DELETE_flows-flowId-segments': {
    method: 'delete',
    path: '/flows/{flowId}/segments',
    tag: 'FlowSegments',
    summary: 'Delete segments of a flow',
    description:
      'Deletes the segments that lie completely inside `timerange` and match `object_id`, and the media objects that nothing else refers to. Without parameters: all segments. Done as well when nothing matches.',
    parameters: [flowId, timerange('Only segments that lie completely inside this.'), objectIdFilter, ...deletionOptions],
    responses: { 202: accepted, 204: noContent, ...failing(400, 403, 404) },
  },
}

export const storageOperations: Operations = {
  'POST_flows-flowId-storage': {
    method: 'post',
    path: '/flows/{flowId}/storage',
    tag: 'MediaStorage',
    summary: 'Allocate storage for media objects',
    description:
      'Gives ids of new media objects, each with a URL that takes the whole object by PUT. The number is `limit` (at most 1000), the length of `object_ids`, or a default. Objects that are not registered with a segment in time are removed. The flow needs a `container`.',
    parameters: [flowId],
    requestBody: {
      ...bodyWithExamples('What to allocate; without a body, the default number of objects.', StoragePost, {
        number: { summary: 'Five objects', value: { limit: 5 } },
        ids: {
          summary: 'Ids of your own, in a backend of your choice',
          value: { object_ids: ['stage-0001'], storage_id: example.STORAGE_ID },
        },
      }),
      required: false,
    },
    responses: {
      201: answer('The objects and where to upload them.', StorageAnswer, example.storageAnswer),
      ...failingWithBody(400, 403, 404),
    },
  },
}
