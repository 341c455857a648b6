import { Type } from '@sinclair/typebox'
import { Profile } from '../../../src/domain/profile.ts'
import * as example from '../examples.ts'
import type { Operations } from '../model.ts'
import { codec, format, label, limit, page, profileId } from '../parameters.ts'
import { answer, body, failing, failingWithBody, listing } from '../responses.ts'

export const profileOperations: Operations = {
  GET_profiles: {
    method: 'get',
    path: '/service/profiles',
    tag: 'Profiles',
    summary: 'List profiles',
    description: 'All profiles, newest first. Filters combine with AND.',
    parameters: [format, codec, label, page, limit],
    responses: { 200: listing('short', 'The profiles.', Type.Array(Profile), [example.profile]), ...failing(400) },
  },
  'GET_profiles-profileId': {
    method: 'get',
    path: '/service/profiles/{profileId}',
    tag: 'Profiles',
    summary: 'Get a profile',
    description: 'One profile.',
    parameters: [profileId],
    responses: { 200: answer('The profile.', Profile, example.profile), ...failing(404) },
  },
  'POST_profiles-profileId': {
    method: 'post',
    path: '/service/profiles/{profileId}',
    tag: 'Profiles',
    summary: 'Register a profile',
    description:
      'Registers technical metadata of one essence (not `multi`) for flows to be made from. A profile can neither be changed nor deleted: an id that is taken is refused, even with the same content. `created` in the body is ignored.',
    parameters: [profileId],
    requestBody: body('The profile; its `id` is the one in the path.', Profile, example.profilePost),
    responses: { 201: answer('The profile as registered.', Profile, example.profile), ...failingWithBody(400, 403, 404) },
  },
}
