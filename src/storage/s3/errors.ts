import { S3ServiceException } from '@aws-sdk/client-s3'
import { type ErrorCode, isTamsError, TamsError } from '../../core/errors.ts'

/** The status that the S3 service, or something in front of it, answered with. */
export const statusOf = (error: unknown): number | undefined => metadataOf(error)?.httpStatusCode

interface Metadata {
  readonly httpStatusCode?: number
  readonly requestId?: string
  readonly attempts?: number
}

// Also on errors that are no S3ServiceException: an answer that is not S3's XML.
const metadataOf = (error: unknown): Metadata | undefined =>
  error instanceof Error && '$metadata' in error && typeof error.$metadata === 'object' && error.$metadata !== null
    ? error.$metadata
    : undefined

/** An answer to HEAD has no body that says more than 404. */
const missingNames = new Set(['NoSuchKey', 'NotFound', 'NoSuchVersion'])

/** By name: Versity answers 404 to keys it does not know, and a wrong endpoint or a proxy may to anything. */
export const isMissing = (error: unknown): boolean =>
  error instanceof S3ServiceException && statusOf(error) === 404 && missingNames.has(error.name)

/** HEAD has no body that could say more. */
export const isPreconditionFailed = (error: unknown): boolean => statusOf(error) === 412

/** Another conditional write of the same key was under way: neither outcome is known, the request may be made again. */
export const isConditionalConflict = (error: unknown): boolean =>
  statusOf(error) === 409 && error instanceof Error && error.name === 'ConditionalRequestConflict'

const fullNames = new Set([
  'XMinioStorageFull',
  'QuotaExceeded',
  'InsufficientCapacity',
  'InsufficientStorage',
  'XMinioAdminBucketQuotaExceeded',
])
const digestNames = new Set(['BadDigest', 'InvalidDigest', 'XAmzContentChecksumMismatch', 'XAmzContentSHA256Mismatch'])
const refusedNames = new Set([
  'AccessDenied',
  'Forbidden',
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'ExpiredToken',
  'InvalidToken',
  'AllAccessDisabled',
  'AccountProblem',
])

/**
 * The failure in our words. Everything that is not the request's own fault is `unavailable`: S3 that is away, busy, or refuses our
 * credentials looks the same to a client, and the message and `detail` tell the operator which of them it is.
 */
export const s3Error = (error: unknown, what: string): unknown => {
  if (isTamsError(error)) return error
  const metadata = metadataOf(error)
  const status = metadata?.httpStatusCode
  if (!(error instanceof Error) || status === undefined)
    return new TamsError('unavailable', `${what}: the S3 service did not answer${reasonOf(error)}`, { cause: error })
  const { name } = error
  const detail = { s3_code: name, status, request_id: metadata?.requestId, attempts: metadata?.attempts }
  const make = (code: ErrorCode, reason: string) => new TamsError(code, `${what}: ${reason}`, { cause: error, detail })
  if (status === 416) return make('range_not_satisfiable', 'the range lies outside the object')
  if (status === 412) return make('exists', 'there is an object already')
  if (status === 507 || fullNames.has(name)) return make('storage_full', `the S3 service has no room left (${name})`)
  if (digestNames.has(name)) return make('invalid', `the bytes do not match their checksum (${name})`)
  if (name === 'KeyTooLongError') return make('invalid', 'the key is longer than S3 takes')
  if (name === 'EntityTooLarge') return make('too_large', 'the object is larger than the S3 service takes')
  if (name === 'NoSuchBucket') return make('unavailable', 'the bucket does not exist')
  if (name === 'RequestTimeTooSkewed') return make('unavailable', "this machine's clock and that of the S3 service differ too much")
  if (refusedNames.has(name) || status === 403) return make('unavailable', `the S3 service refuses these credentials (${name})`)
  return make('unavailable', `the S3 service failed (${name}, ${status})`)
}

const reasonOf = (error: unknown): string => {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
  const name = code ?? (error instanceof Error ? error.name : undefined)
  return name === undefined ? '' : ` (${name})`
}
