import { Type } from '@sinclair/typebox'
import { CreatedToken, Token, TokenPost } from '../../../src/domain/token.ts'
import { User, UserPatch, UserPost } from '../../../src/domain/user.ts'
import type { Operations } from '../model.ts'
import { inPath, limit, page, reverseOrder } from '../parameters.ts'
import { answer, body, failing, failingWithBody, listing, noContent } from '../responses.ts'

const TOKEN_ID = '00064c02d1a9f3e85b0c7a4c1d9e2f60'
const userName = inPath('name', 'Name of the user.', Type.String(), 'ann')
const tokenId = inPath('id', 'Id of the token, which is not its secret.', Type.String(), TOKEN_ID)

const user = {
  name: 'ann',
  scopes: ['read', 'write'],
  disabled: false,
  created: '2026-03-02T09:15:00.000000Z',
  updated: '2026-03-02T09:15:00.000000Z',
}
const tokenPost = { name: 'nightly ingest', scopes: ['read', 'write'], expires: '2027-03-02T09:15:00Z' }
const token = { id: TOKEN_ID, ...tokenPost, created: '2026-03-02T09:15:00.000000Z', revoked: false }
const NOT_TAMS = 'Not part of the TAMS specification.'

export const adminOperations: Operations = {
  'GET_admin-users': {
    method: 'get',
    path: '/admin/users',
    tag: 'Administration',
    extension: true,
    summary: 'List the users',
    description: `Who may log in with a name and a password, by name. ${NOT_TAMS}`,
    parameters: [reverseOrder, page, limit],
    responses: { 200: listing('full', 'The users.', Type.Array(User), [user]), ...failing(400) },
  },
  'POST_admin-users': {
    method: 'post',
    path: '/admin/users',
    tag: 'Administration',
    extension: true,
    summary: 'Register a user',
    description: `The password has 12 characters at least; only its argon2id hash is stored. ${NOT_TAMS}`,
    requestBody: body('The user.', UserPost, { name: 'ann', password: 'correct horse battery staple', scopes: ['read', 'write'] }),
    responses: { 201: answer('The user as registered.', User, user), ...failingWithBody(400, 409) },
  },
  'PATCH_admin-users-name': {
    method: 'patch',
    path: '/admin/users/{name}',
    tag: 'Administration',
    extension: true,
    summary: 'Change a user',
    description: `Changes what the body has: password, scopes, or whether the user may log in. It counts from the next request on. The webhooks of a user who is disabled, or may not read any more, are disabled too. ${NOT_TAMS}`,
    parameters: [userName],
    requestBody: body('What to change.', UserPatch, { scopes: ['read'], disabled: false }),
    responses: { 200: answer('The user as it is now.', User, { ...user, scopes: ['read'] }), ...failingWithBody(400, 404) },
  },
  'DELETE_admin-users-name': {
    method: 'delete',
    path: '/admin/users/{name}',
    tag: 'Administration',
    extension: true,
    summary: 'Remove a user',
    description: `Removes the user and all tokens that stand for the user, and disables the user’s webhooks. ${NOT_TAMS}`,
    parameters: [userName],
    responses: { 204: noContent, ...failing(404) },
  },
  'GET_admin-tokens': {
    method: 'get',
    path: '/admin/tokens',
    tag: 'Administration',
    extension: true,
    summary: 'List the tokens',
    description: `All tokens, also those that are expired or revoked, oldest first; never their secrets. ${NOT_TAMS}`,
    parameters: [reverseOrder, page, limit],
    responses: { 200: listing('full', 'The tokens.', Type.Array(Token), [token]), ...failing(400) },
  },
  'POST_admin-tokens': {
    method: 'post',
    path: '/admin/tokens',
    tag: 'Administration',
    extension: true,
    summary: 'Make a token',
    description: `The answer has the secret, which is never shown again. It is sent as \`Authorization: Bearer\` or as \`access_token\`. With \`user_name\` it stands for that user and has no scope that the user has not. ${NOT_TAMS}`,
    requestBody: body('The token.', TokenPost, tokenPost),
    responses: {
      201: answer('The token with its secret.', CreatedToken, { ...token, token: 'tams_5Zw0b1JmZp1mYV9uZXZlcl9hX3JlYWxfdG9rZW5fMTIzNDU' }),
      ...failingWithBody(400),
    },
  },
  'DELETE_admin-tokens-id': {
    method: 'delete',
    path: '/admin/tokens/{id}',
    tag: 'Administration',
    extension: true,
    summary: 'Revoke a token',
    description: `It is refused from the next request on. ${NOT_TAMS}`,
    parameters: [tokenId],
    responses: { 204: noContent, ...failing(404) },
  },
}
