import { Type } from '@sinclair/typebox'
import { FlowDocument, FlowPut, StatusText } from '../../../src/domain/flow-schema.ts'
import { Uuid } from '../../../src/domain/validate.ts'
import * as example from '../examples.ts'
import type { Operations } from '../model.ts'
import {
  codec,
  collectedByIds,
  deletedViews,
  deletionOptions,
  flowId,
  format,
  includeTimerange,
  inQuery,
  label,
  limit,
  page,
  reverseOrder,
  sortBy,
  tagFilters,
  timerange,
} from '../parameters.ts'
import { accepted, answer, answerWithExamples, bodyWithExamples, failing, failingWithBody, listing, noContent } from '../responses.ts'

export const flowOperations: Operations = {
  GET_flows: {
    method: 'get',
    path: '/flows',
    tag: 'Flows',
    summary: 'List flows',
    description:
      'Flows that match all filters, newest first unless `sort_by` says otherwise; ties and missing keys by id. The items carry no `timerange`.',
    parameters: [
      inQuery('source_id', 'Only flows of this source.', Uuid, example.SOURCE_ID),
      timerange(
        'Only flows whose extent, from their first to their last segment, overlaps this; `()` gives exactly the flows without segments.',
      ),
      format,
      codec,
      label,
      inQuery('status', 'Only this status.', StatusText, 'closed_complete'),
      inQuery('profile_id', 'Only flows that are linked to this profile.', Uuid, example.PROFILE_ID),
      ...tagFilters('tag', 'flows', 'Leeds'),
      inQuery('frame_width', 'Only video of this width in pixels.', Type.Integer(), 1920),
      inQuery('frame_height', 'Only video of this height in pixels.', Type.Integer(), 1080),
      inQuery('init_segments', 'Only flows with init objects; `false` also gives flows that do not say.', Type.Boolean(), true),
      collectedByIds('flows', example.MULTI_ID),
      ...deletedViews,
      sortBy(['created', 'metadata_updated', 'label'], 'What to sort by: times newest first, labels ascending by code point.'),
      reverseOrder,
      page,
      limit,
    ],
    responses: { 200: listing('full', 'The flows.', Type.Array(FlowDocument), [example.flow]), ...failing(400) },
  },
  'GET_flows-flowId': {
    method: 'get',
    path: '/flows/{flowId}',
    tag: 'Flows',
    summary: 'Get a flow',
    description: 'One flow. What it has from a profile is shown like its own members, beside `profile_id`.',
    parameters: [
      flowId,
      includeTimerange,
      timerange(
        'With `include_timerange`: the stretch from the first to the last segment that overlaps this. Segments count whole, so it may reach beyond what was asked for.',
      ),
      ...deletedViews,
    ],
    responses: {
      200: answerWithExamples('The flow.', FlowDocument, {
        plain: { summary: 'As it is', value: example.flow },
        timerange: { summary: 'With include_timerange', value: example.flowWithTimerange },
      }),
      ...failing(400, 404),
    },
  },
  'PUT_flows-flowId': {
    method: 'put',
    path: '/flows/{flowId}',
    tag: 'Flows',
    summary: 'Create or replace a flow',
    description:
      'Stores the whole flow: members that are absent become unset, tags are never merged, and what the service manages itself (times, `collected_by`, `timerange`) is ignored. A new `source_id` makes that source. Technical metadata comes either with the body or from the profile that `profile_id` names; `profile_id: ""` unlinks a flow from its profile. While a flow has segments its source, format, codec and container stay.',
    parameters: [flowId],
    requestBody: bodyWithExamples('The flow; its `id` is the one in the path.', FlowPut, {
      video: { summary: 'Video with segments of its own', value: example.videoPut },
      audio: { summary: 'Audio', value: example.audioPut },
      multi: { summary: 'A collection of both', value: example.multiPut },
      profile: { summary: 'Technical metadata from a profile', value: example.profilePut },
    }),
    responses: { 201: answer('Created.', FlowDocument, example.flow), 204: noContent, ...failingWithBody(400, 403, 404) },
  },
  'DELETE_flows-flowId': {
    method: 'delete',
    path: '/flows/{flowId}',
    tag: 'Flows',
    summary: 'Delete a flow',
    description:
      'Deletes a flow with its segments, takes it out of all collections, and deletes the media objects that nothing else refers to; its source goes with its last flow. The flow is gone at once, even where many segments are still to be worked off.',
    parameters: [flowId, ...deletionOptions],
    responses: { 202: accepted, 204: noContent, ...failing(400, 403, 404, 409) },
  },
}
