import { Type } from '@sinclair/typebox'
import { MediaObject } from '../../../src/domain/object.ts'
import { InstancePost } from '../../../src/domain/object-instances.ts'
import { Uuid } from '../../../src/domain/validate.ts'
import * as example from '../examples.ts'
import type { Operations } from '../model.ts'
import { deletedViews, headUrls, inQuery, limit, objectId, page, tagFilters, urlOptions } from '../parameters.ts'
import { bodyWithExamples, empty, failing, failingWithBody, listing, noContent } from '../responses.ts'

export const objectOperations: Operations = {
  GET_objects: {
    method: 'get',
    path: '/objects/{objectId}',
    tag: 'Objects',
    summary: 'Get a media object',
    description:
      'Where a media object can be read from and which flows use it. Pages go through `referenced_by_flows`. An object that is allocated and not yet registered is 404.',
    parameters: [
      objectId,
      ...urlOptions,
      headUrls,
      ...tagFilters('flow_tag', 'flows in `referenced_by_flows`', 'Leeds'),
      ...deletedViews,
      page,
      limit,
    ],
    responses: { 200: listing('short', 'The media object.', MediaObject, example.mediaObject), ...failing(400, 404) },
  },
  'POST_objects-instances': {
    method: 'post',
    path: '/objects/{objectId}/instances',
    tag: 'Objects',
    summary: 'Add an instance of a media object',
    description:
      'Adds a place where the same bytes can be read: with `storage_id` this service copies the object to that backend and shows the copy once it is complete; with `url` and `label` the bytes are there already and stay in your care.',
    parameters: [objectId],
    requestBody: bodyWithExamples('Exactly one of the two forms.', InstancePost, {
      controlled: { summary: 'A copy made by this service', value: { storage_id: example.STORAGE_ID } },
      uncontrolled: { summary: 'A place elsewhere', value: { url: 'https://archive.example.com/stage-0001.ts', label: 'archive' } },
    }),
    responses: { 201: empty('Registered.'), ...failingWithBody(400, 403, 404) },
  },
  'DELETE_objects-instances': {
    method: 'delete',
    path: '/objects/{objectId}/instances',
    tag: 'Objects',
    summary: 'Remove an instance of a media object',
    description:
      'Removes the instance that matches all given parameters, of which there is at least one. Bytes in a backend of this service are deleted. The last readable instance stays: 400. 404 also when there is no such instance.',
    parameters: [
      objectId,
      inQuery('storage_id', 'The storage backend of the instance.', Uuid, example.STORAGE_ID),
      inQuery('label', 'The label of its URL.', Type.String(), 'archive'),
    ],
    responses: { 204: noContent, ...failing(400, 403, 404) },
  },
}
