import { invalid } from '../../core/errors.ts'

/** UTF-8 bytes; "Object key naming guidelines" of the S3 user guide. */
const MAX_KEY_BYTES = 1024

/**
 * Whether S3 can hold an object of this key. URL parsers resolve the path segments `.` and `..`, escaped or not, so that a signed
 * URL of such a key would not arrive as it was signed; several servers refuse them for the same reason.
 */
export const isStorable = (key: string): boolean => {
  if (key === '' || Buffer.byteLength(key) > MAX_KEY_BYTES) return false
  return !key.includes('.') || !key.split('/').some((segment) => segment === '.' || segment === '..')
}

export const checkKey = (key: string): void => {
  if (!isStorable(key))
    throw invalid('object_id', `makes a key that S3 cannot hold: at most ${MAX_KEY_BYTES} bytes, and no path segment "." or ".."`)
}

/** Throws `invalid` for what could not be sent in a header. */
export const checkContentType = (contentType: string): void => {
  if (!/^[!-~](?:[ -~]{0,253}[!-~])?$/.test(contentType))
    throw invalid('content_type', 'is not a media type of 1 to 255 printable ASCII characters')
}
