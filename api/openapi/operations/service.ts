import { Type } from '@sinclair/typebox'
import { Service, ServicePost } from '../../../src/domain/service.ts'
import * as example from '../examples.ts'
import type { Operations } from '../model.ts'
import { limit, page, reverseOrder, tagFilters } from '../parameters.ts'
import { answer, body, empty, failing, failingWithBody, listing, onlyFailing } from '../responses.ts'
import { StorageBackend } from '../schemas.ts'

export const serviceOperations: Operations = {
  GET_root: {
    method: 'get',
    path: '/',
    tag: 'Service',
    summary: 'List the top-level paths',
    description: 'Names of the resources directly below this path. Profiles and storage backends are below `service`.',
    responses: {
      200: answer('The names.', Type.Array(Type.String()), ['service', 'flows', 'sources', 'objects', 'flow-delete-requests']),
      ...onlyFailing(401, 500),
    },
  },
  GET_service: {
    method: 'get',
    path: '/service',
    tag: 'Service',
    summary: 'Describe the service',
    description:
      'Name, versions and guarantees of this service. `min_object_timeout` is how long storage that was allocated waits for its registration, `min_presigned_url_timeout` how long pre-signed URLs are valid at least.',
    responses: { 200: answer('The service.', Service, example.service), ...failing() },
  },
  POST_service: {
    method: 'post',
    path: '/service',
    tag: 'Service',
    summary: 'Name the service',
    description: 'Sets `name` and `description`. A member that is absent stays as it is; an empty text clears it; others are ignored.',
    requestBody: body('What to change.', ServicePost, { name: 'Studio store', description: 'Programmes of the last thirty days' }),
    responses: { 200: empty('Changed.'), ...failingWithBody(400, 403) },
  },
  'GET_storage-backends': {
    method: 'get',
    path: '/service/storage-backends',
    tag: 'Service',
    summary: 'List storage backends',
    description:
      'The stores that media objects can be put into, by label, those without a label behind them by id. They are part of the configuration and cannot be changed here. At most one is the default.',
    parameters: [...tagFilters('tag', 'storage backends', 'Leeds'), reverseOrder, page, limit],
    responses: {
      200: listing('full', 'The storage backends.', Type.Array(StorageBackend), [example.storageBackend]),
      ...failing(400),
    },
  },
}
