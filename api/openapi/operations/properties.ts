import { type TSchema, Type } from '@sinclair/typebox'
import { TagSet, TagValue } from '../../../src/domain/validate.ts'
import type { Operations, Parameter, Tag } from '../model.ts'
import { tagName } from '../parameters.ts'
import { answer, body, failing, failingWithBody, noContent } from '../responses.ts'
import { unsetOr } from '../schemas.ts'

/** One member of a resource with a path of its own, carrying a bare JSON value. */
export interface Property {
  /** Behind the method in the operation ids: `flows-flowId-max-bit-rate`. */
  readonly id: string
  readonly path: string
  readonly tag: Tag
  /** `maximum bit rate of a flow`, for summaries. */
  readonly name: string
  readonly parameters: readonly Parameter[]
  /** What may be put. */
  readonly schema: TSchema
  /** What is read, where that is more: `null` for a member that is not set. */
  readonly readSchema?: TSchema
  readonly example: unknown
  /** Sentences about reading, setting and clearing; without the last there is no DELETE. */
  readonly get: string
  readonly put: string
  readonly delete?: string
  /** Beside 403 and 404. */
  readonly deleteStatuses?: readonly 400[]
}

export const propertyOperations = (property: Property): Operations => {
  const { id, path, tag, name, parameters, schema, readSchema = schema, example } = property
  const common = { path, tag, parameters }
  const operations: Operations = {
    [`GET_${id}`]: {
      ...common,
      method: 'get',
      summary: `Get the ${name}`,
      description: property.get,
      responses: { 200: answer('The value.', readSchema, example), ...failing(404) },
    },
    [`PUT_${id}`]: {
      ...common,
      method: 'put',
      summary: `Set the ${name}`,
      description: property.put,
      requestBody: body('The bare JSON value.', schema, example),
      responses: { 204: noContent, ...failingWithBody(400, 403, 404) },
    },
  }
  if (property.delete === undefined) return operations
  return {
    ...operations,
    [`DELETE_${id}`]: {
      ...common,
      method: 'delete',
      summary: `Remove the ${name}`,
      description: property.delete,
      responses: { 204: noContent, ...failing(...(property.deleteStatuses ?? []), 403, 404) },
    },
  }
}

interface Owner {
  readonly kind: 'flow' | 'source'
  readonly tag: Tag
  readonly idParameter: Parameter
  /** What every change does besides, as a sentence. */
  readonly effect: string
}

/** Description, label and tags, which sources and flows have alike. */
export const describingOperations = ({ kind, tag, idParameter, effect }: Owner): Operations => {
  const id = `${kind}s-${kind}Id`
  const path = `/${kind}s/{${kind}Id}`
  const text = (member: 'description' | 'label', example: string): Operations =>
    propertyOperations({
      id: `${id}-${member}`,
      path: `${path}/${member}`,
      tag,
      name: `${member} of a ${kind}`,
      parameters: [idParameter],
      schema: Type.String(),
      readSchema: unsetOr(Type.String()),
      example,
      get: `The ${member} as a JSON string; \`null\` when there is none.`,
      put: `Sets the ${member}. ${effect}`,
      delete: `Removes the ${member}; also done when there was none. ${effect}`,
    })
  return {
    [`GET_${id}-tags`]: {
      method: 'get',
      path: `${path}/tags`,
      tag,
      summary: `List the tags of a ${kind}`,
      description: 'All tags as one object of names to values, empty when there are none.',
      parameters: [idParameter],
      responses: { 200: answer('The tags.', TagSet, { venue: 'Leeds', language: ['en', 'cy'] }), ...failing(404) },
    },
    ...propertyOperations({
      id: `${id}-tags-name`,
      path: `${path}/tags/{name}`,
      tag,
      name: `value of a tag of a ${kind}`,
      parameters: [idParameter, tagName],
      schema: TagValue,
      example: 'Leeds',
      get: 'A JSON string or a list of strings, as it was set. 404 also when there is no such tag.',
      put: `Sets one tag, new or not, and leaves the others as they are. A list of one stays a list. ${effect}`,
      delete: `Removes one tag. 404 also when there is no such tag. ${effect}`,
    }),
    ...text('description', 'The wide shot of the stage'),
    ...text('label', 'Stage, camera 1'),
  }
}
