import { type TSchema, Type } from '@sinclair/typebox'
import { CollectionBody, FlowCollectionDocument, MembershipBody } from '../../../src/domain/flow-collections.ts'
import { FlowDocument } from '../../../src/domain/flow-schema.ts'
import { SourceDocument } from '../../../src/domain/source.ts'
import { SourceCollectionDocument } from '../../../src/domain/source-collections.ts'
import { Uuid } from '../../../src/domain/validate.ts'
import * as example from '../examples.ts'
import type { Operation, Operations, Parameter } from '../model.ts'
import { flowId, inPath, limit, page, reverseOrder, sourceId } from '../parameters.ts'
import { answer, body, empty, failing, failingWithBody, listing, made, noContent } from '../responses.ts'

interface Kind {
  readonly path: 'collections' | 'source-collections'
  readonly member: 'flow' | 'source'
  readonly memberId: Parameter
  readonly schema: TSchema
  readonly example: { readonly id: string; readonly members: readonly object[] }
  readonly memberSchema: TSchema
  readonly memberExample: object
  readonly effect: string
}

const kinds: readonly Kind[] = [
  {
    path: 'collections',
    member: 'flow',
    memberId: flowId,
    schema: FlowCollectionDocument,
    example: {
      id: example.MULTI_ID,
      source_id: example.MULTI_SOURCE_ID,
      format: 'urn:x-nmos:format:multi',
      created: '2026-03-02T09:15:00Z',
      updated: '2026-03-02T09:15:00Z',
      members: [{ id: example.VIDEO_ID, role: 'video' }],
    } as Kind['example'],
    memberSchema: FlowDocument,
    memberExample: example.flow,
    effect: 'A view of `flow_collection`, with its rules and events.',
  },
  {
    path: 'source-collections',
    member: 'source',
    memberId: sourceId,
    schema: SourceCollectionDocument,
    example: {
      id: example.MULTI_SOURCE_ID,
      format: 'urn:x-nmos:format:multi',
      created: '2026-03-02T09:15:00Z',
      updated: '2026-03-02T09:15:00Z',
      members: [{ id: example.SOURCE_ID, role: 'video', inferred: false }],
    } as Kind['example'],
    memberSchema: SourceDocument,
    memberExample: example.source,
    effect: 'Memberships named here are united with those that follow from flows.',
  },
]

const collectionId = (value: string) => inPath('collectionId', 'Id of the collection.', Uuid, value)

const ofKind = (kind: Kind): Operations => {
  const { path, member, memberId, schema, effect } = kind
  const parameter = collectionId(kind.example.id)
  const about = { tag: 'Extensions', extension: true } as const
  const members: Pick<Operation, 'path' | 'parameters'> = {
    path: `/${path}/{collectionId}/${member}s/{${memberId.name}}`,
    parameters: [parameter, memberId],
  }
  const writable = member === 'flow' ? ([403] as const) : []
  return {
    [`GET_${path}`]: {
      ...about,
      method: 'get',
      path: `/${path}`,
      summary: `List collections of ${member}s`,
      description: `${effect} Newest first.`,
      parameters: [reverseOrder, page, limit],
      responses: { 200: listing('full', 'The collections.', Type.Array(schema), [kind.example]), ...failing(400) },
    },
    [`POST_${path}`]: {
      ...about,
      method: 'post',
      path: `/${path}`,
      summary: `Make or extend a collection of ${member}s`,
      description: `With the \`id\` of a ${member} that is there, its collection gets these members as well; else a ${member} of format multi is made. ${effect}`,
      requestBody: body('The collection.', CollectionBody, {
        label: 'Programme',
        members: [{ id: member === 'flow' ? example.VIDEO_ID : example.SOURCE_ID, role: 'video' }],
      }),
      responses: {
        200: answer('The collection that was there, extended.', schema, kind.example),
        201: made('The new collection.', schema, kind.example, `/${path}/${kind.example.id}`),
        ...failingWithBody(400, ...writable),
      },
    },
    [`GET_${path}-collectionId`]: {
      ...about,
      method: 'get',
      path: `/${path}/{collectionId}`,
      summary: `Get a collection of ${member}s`,
      description: effect,
      parameters: [parameter],
      responses: { 200: answer('The collection.', schema, kind.example), ...failing(404) },
    },
    [`DELETE_${path}-collectionId`]: {
      ...about,
      method: 'delete',
      path: `/${path}/{collectionId}`,
      summary: `Dissolve a collection of ${member}s`,
      description: `The ${member} collects nothing any more; it stays itself, and so do its members.${member === 'source' ? ' Memberships that follow from flows stay.' : ''}`,
      parameters: [parameter],
      responses: { 204: noContent, ...failing(...writable, 404) },
    },
    [`GET_${path}-collectionId-${member}s`]: {
      ...about,
      method: 'get',
      path: `/${path}/{collectionId}/${member}s`,
      summary: `List the ${member}s of a collection`,
      description: `The ${member}s themselves, in the order of the collection.`,
      parameters: [parameter, page, limit],
      responses: { 200: listing('full', 'The members.', Type.Array(kind.memberSchema), [kind.memberExample]), ...failing(400, 404) },
    },
    [`PUT_${path}-collectionId-${member}s-${memberId.name}`]: {
      ...about,
      ...members,
      method: 'put',
      summary: `Put a ${member} into a collection`,
      description: 'Behind the others, or, where it is a member already, with another role. The body may be absent.',
      requestBody: { ...body('The role.', MembershipBody, { role: 'video' }), required: false },
      responses: { 201: empty('It is a member now.'), 204: empty('It was one.'), ...failingWithBody(400, ...writable, 404) },
    },
    [`DELETE_${path}-collectionId-${member}s-${memberId.name}`]: {
      ...about,
      ...members,
      method: 'delete',
      summary: `Take a ${member} out of a collection`,
      description: `The ${member} itself stays.`,
      responses: { 204: noContent, ...failing(...writable, 404, ...(member === 'source' ? ([409] as const) : [])) },
    },
  }
}

export const collectionOperations: Operations = Object.assign({}, ...kinds.map(ofKind))
