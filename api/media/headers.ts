import type { StoredObject } from '../../src/storage/media.ts'
import { lastModified } from './conditions.ts'

/** On every answer, errors too: a browser hides the status of an answer without them. */
export const corsHeaders: Readonly<Record<string, string>> = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'ETag, Content-Range, Content-Length, Content-Type, Accept-Ranges, Last-Modified',
  'cross-origin-resource-policy': 'cross-origin',
}

// A `*` does not cover Authorization, and there are no prefixes: the checksums of S3 clients are named one by one.
const allowedHeaders = [
  'Content-Type',
  'Content-MD5',
  'Range',
  'Authorization',
  'If-Range',
  'If-None-Match',
  'If-Modified-Since',
  ...['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'].map((name) => `x-amz-checksum-${name}`),
]

export const preflightHeaders: Readonly<Record<string, string>> = {
  'access-control-allow-methods': 'GET, HEAD, PUT',
  'access-control-allow-headers': allowedHeaders.join(', '),
  'access-control-max-age': '86400',
}

/** Of the object itself; `Content-Type` is left to the caller (several ranges have another). */
export const objectHeaders = (object: StoredObject, maxAgeSeconds: number): Record<string, string> => ({
  etag: object.etag,
  'last-modified': lastModified(object.modifiedUs),
  'accept-ranges': 'bytes',
  // Registered bytes never change, and a URL is good for no longer than this.
  'cache-control': `private, max-age=${maxAgeSeconds}, immutable`,
  'x-content-type-options': 'nosniff',
  ...(isPassive(object.contentType)
    ? {}
    : { 'content-disposition': 'attachment', 'content-security-policy': "sandbox; default-src 'none'" }),
})

/**
 * Whether a browser shows or plays the type without running what is in it. Anybody who may upload chooses the type, and the
 * bytes come from the API's own origin: all other types (HTML, SVG, any XML) are downloads without an origin.
 */
export const isPassive = (contentType: string): boolean => {
  const type = contentType.split(';')[0]?.trim().toLowerCase() ?? ''
  return !type.endsWith('xml') && (/^(?:video|audio)\//.test(type) || passiveTypes.has(type))
}

const passiveTypes = new Set([
  ...['png', 'jpeg', 'gif', 'webp', 'avif', 'bmp', 'tiff', 'jp2', 'jxs', 'jxl'].map((subtype) => `image/${subtype}`),
  ...['octet-stream', 'mp4', 'mxf', 'json', 'vnd.apple.mpegurl'].map((subtype) => `application/${subtype}`),
  'text/plain',
])

/** Equal but for case and spaces where a media type does not care (RFC 9110 8.3.1). */
export const sameMediaType = (a: string, b: string): boolean => normalise(a) === normalise(b)

const normalise = (contentType: string): string => {
  const [type = '', ...parameters] = contentType.split(';')
  return [type.trim().toLowerCase(), ...parameters.map((parameter) => parameter.trim())].join(';')
}
