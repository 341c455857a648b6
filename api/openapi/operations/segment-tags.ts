import { TagSet, TagValue } from '../../../src/domain/validate.ts'
import type { Operation, Operations } from '../model.ts'
import { flowId, objectId, tagName, timerange } from '../parameters.ts'
import { answer, body, failing, failingWithBody, noContent } from '../responses.ts'
import { propertyOperations } from './properties.ts'

const PATH = '/flows/{flowId}/segments/{objectId}/tags'
const ID = 'flows-flowId-segments-objectId-tags'
const tags = { goal: 'home', players: ['7', '9'] }

const which = [
  flowId,
  objectId,
  timerange('Which segment is meant, where the object is on the timeline more than once: one that overlaps this.'),
]
const AMBIGUOUS = 'Several matching segments without a `timerange` that picks one of them: 400.'
const common = { path: PATH, tag: 'Extensions', extension: true, parameters: which } as const

/** A GET may fail by its `timerange` too. */
const extended = (operation: Operation): Operation => ({
  ...operation,
  extension: true,
  description: `${operation.description} ${AMBIGUOUS}`,
  responses: { ...operation.responses, ...(operation.method === 'put' ? failingWithBody(400) : failing(400)) },
})

export const segmentTagOperations: Operations = {
  [`GET_${ID}`]: {
    ...common,
    method: 'get',
    summary: 'List the tags of a segment',
    description: `All tags as one object of names to values, empty when there are none. ${AMBIGUOUS}`,
    responses: { 200: answer('The tags.', TagSet, tags), ...failing(400, 404) },
  },
  [`PUT_${ID}`]: {
    ...common,
    method: 'put',
    summary: 'Replace all tags of a segment',
    description: `Tags that are not in the body are removed. They are no metadata of the flow, and no event tells of them. ${AMBIGUOUS}`,
    requestBody: body('All tags.', TagSet, tags),
    responses: { 204: noContent, ...failingWithBody(400, 403, 404) },
  },
  [`DELETE_${ID}`]: {
    ...common,
    method: 'delete',
    summary: 'Remove all tags of a segment',
    description: `Done as well when there are none. ${AMBIGUOUS}`,
    responses: { 204: noContent, ...failing(400, 403, 404) },
  },
  ...Object.fromEntries(
    Object.entries(
      propertyOperations({
        id: `${ID}-name`,
        path: `${PATH}/{name}`,
        tag: 'Extensions',
        name: 'value of a tag of a segment',
        parameters: [...which, tagName],
        schema: TagValue,
        example: 'home',
        get: 'A JSON string or a list of strings, as it was set. 404 also when there is no such tag.',
        put: 'Sets one tag, new or not, and leaves the others as they are.',
        delete: 'Removes one tag. 404 also when there is no such tag.',
      }),
    ).map(([id, operation]) => [id, extended(operation)]),
  ),
}
