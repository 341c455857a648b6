import { Type } from '@sinclair/typebox'
import { DeletionRequest } from '../../../src/domain/deletion-request.ts'
import { DeletionRequestBody } from '../../../src/domain/flow-delete.ts'
import * as example from '../examples.ts'
import type { Operations } from '../model.ts'
import { deletionOptions, limit, page, requestId, reverseOrder, sortBy } from '../parameters.ts'
import { answer, body, failing, failingWithBody, listing, made } from '../responses.ts'

export const deletionRequestOperations: Operations = {
  'GET_flow-delete-requests': {
    method: 'get',
    path: '/flow-delete-requests',
    tag: 'FlowDeleteRequests',
    summary: 'List delete requests',
    description: 'Deletions that were too large to be done at once, newest first, until their `expiry`.',
    parameters: [sortBy(['created', 'expiry'], 'What to sort by, latest first.'), reverseOrder, page, limit],
    responses: {
      200: listing('full', 'The delete requests.', Type.Array(DeletionRequest), [example.deletionRequest]),
      ...failing(400),
    },
  },
  'GET_flow-delete-requests-request-id': {
    method: 'get',
    path: '/flow-delete-requests/{request-id}',
    tag: 'FlowDeleteRequests',
    summary: 'Get a delete request',
    description: 'How far a deletion has come: `timerange_remaining` shrinks to `()`. 404 also after its `expiry`.',
    parameters: [requestId],
    responses: { 200: answer('The delete request.', DeletionRequest, example.deletionRequest), ...failing(404) },
  },
  'POST_flow-delete-requests': {
    method: 'post',
    path: '/flow-delete-requests',
    tag: 'Extensions',
    extension: true,
    summary: 'Make a delete request',
    description:
      'As `DELETE /flows/{flowId}/segments?timerange=`, but worked off behind the answer however few segments there are: they are hidden at once.',
    parameters: deletionOptions,
    requestBody: body('What to delete: segments that lie completely inside `timerange`; `_` for all.', DeletionRequestBody, {
      flow_id: example.VIDEO_ID,
      timerange: example.TIMERANGE,
    }),
    responses: {
      201: made('The delete request.', DeletionRequest, example.deletionRequest, `/flow-delete-requests/${example.REQUEST_ID}`),
      ...failingWithBody(400, 403, 404),
    },
  },
}
