import { type TSchema, Type } from '@sinclair/typebox'
import { Uuid } from '../../../src/domain/validate.ts'
import * as example from '../examples.ts'
import type { Content, Header, Operations, Parameter } from '../model.ts'
import { inPath, inQuery } from '../parameters.ts'
import { empty, onlyFailing } from '../responses.ts'

const bytes: Content = { '*/*': { schema: Type.Unsafe<Uint8Array>({}) } }
const etag: Header = { description: 'Changes whenever the bytes do.', schema: Type.String(), example: '"4a5d-19f0c3"' }

const signed: readonly Parameter[] = [
  inPath('storageId', 'Id of the storage backend.', Uuid, example.STORAGE_ID),
  inPath('key', 'Where the object lies in it; the rest of the path, slashes included.', Type.String(), example.MEDIA_KEY),
  inQuery('expires', 'Until when the URL is good, in seconds since the Unix epoch.', Type.Integer(), 1772445600),
  inQuery('signature', 'Made by this service.', Type.String(), 'Zm9ydHktdHdv'),
]

const inHeader = (name: string, description: string, schema: TSchema, value: unknown): Parameter => ({
  name,
  in: 'header',
  description,
  schema,
  example: value,
})

/** The URLs come from `get_urls` and `put_url` and are used as they are: nobody puts them together from this. */
export const mediaOperations: Operations = {
  GET_media: {
    method: 'get',
    path: '/media/{storageId}/{key}',
    tag: 'Media',
    summary: 'Read a media object',
    description:
      'Take the URL from `get_urls`; it carries its own permission. One or several ranges of bytes can be asked for, and `If-None-Match`, `If-Modified-Since` and `If-Range` are understood.',
    parameters: [...signed, inHeader('Range', 'Ranges of bytes (RFC 9110, section 14).', Type.String(), 'bytes=0-1048575')],
    responses: {
      200: { description: 'The whole object.', headers: { ETag: etag }, content: bytes },
      206: { description: 'The ranges asked for; several as `multipart/byteranges`.', headers: { ETag: etag }, content: bytes },
      304: empty('The copy that the client has is current.'),
      ...onlyFailing(403, 404, 416, 500, 503),
    },
  },
  PUT_media: {
    method: 'put',
    path: '/media/{storageId}/{key}',
    tag: 'Media',
    summary: 'Upload a media object',
    description:
      'Take the URL from `put_url` and send the whole object with the content type that came with it. `Content-MD5` is checked where it is sent. An object can be uploaded again until a segment refers to it.',
    parameters: [
      ...signed,
      inQuery('content-type', 'The content type that the URL was made for.', Type.String(), 'video/mp2t'),
      inHeader('Content-MD5', 'Base64 text of the MD5 of the bytes.', Type.String(), 'rL0Y20zC+Fzt72VPzMSk2A=='),
    ],
    requestBody: { description: 'The bytes.', required: true, content: bytes },
    responses: {
      200: { description: 'Stored durably.', headers: { ETag: etag } },
      ...onlyFailing(400, 403, 404, 409, 500, 503, 507),
    },
  },
}
