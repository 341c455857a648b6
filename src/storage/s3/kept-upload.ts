import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type CreateMultipartUploadCommandInput,
  ListMultipartUploadsCommand,
  ListPartsCommand,
} from '@aws-sdk/client-s3'
import { TamsError } from '../../core/errors.ts'
import type { Bucket } from './client.ts'
import { isMissing, statusOf } from './errors.ts'
import { headObject } from './read.ts'

const WHAT = 'The object could not be copied'

/** A multipart upload that outlives the failure of the work on it. */
export interface KeptUpload {
  readonly target: { readonly Bucket: string; readonly Key: string; readonly UploadId: string }
  /** Those that have arrived, by number from 1. */
  readonly parts: Map<number, KeptPart>
}

export interface KeptPart {
  readonly ETag: string
  readonly size: number
}

/** The unfinished upload to this key with its parts, or a new one. */
export const openUpload = async (
  bucket: Bucket,
  creation: CreateMultipartUploadCommandInput & { readonly Bucket: string; readonly Key: string },
  signal: AbortSignal | undefined,
): Promise<KeptUpload> => {
  const place = { Bucket: creation.Bucket, Key: creation.Key }
  for (const UploadId of await findUploads(bucket, creation.Key, signal)) {
    const target = { ...place, UploadId }
    const parts = await listParts(bucket, target, signal)
    if (parts) return { target, parts }
  }
  const { UploadId } = await bucket.attempt(WHAT, signal, (options) =>
    bucket.client.send(new CreateMultipartUploadCommand(creation), options),
  )
  if (UploadId === undefined) throw new TamsError('unavailable', `${WHAT}: the S3 service gave the upload no id`)
  return { target: { ...place, UploadId }, parts: new Map() }
}

/** Makes the object of its parts 1 to `count`. */
export const completeUpload = async (
  bucket: Bucket,
  { target, parts }: KeptUpload,
  count: number,
  size: number,
  signal: AbortSignal | undefined,
): Promise<void> => {
  const Parts = Array.from({ length: count }, (_, index) => ({ PartNumber: index + 1, ETag: parts.get(index + 1)?.ETag }))
  const command = new CompleteMultipartUploadCommand({ ...target, MultipartUpload: { Parts } })
  try {
    await bucket.attempt(WHAT, signal, (options) => bucket.client.send(command, options))
  } catch (error) {
    // Only the answer was lost: the upload is gone, and the object is there. Its bytes are compared by the caller.
    const gone = error instanceof Error && statusOf(error.cause) === 404
    if (!gone || (await headObject(bucket, target.Key, signal))?.object.size !== size) throw error
  }
}

/** Aborts every unfinished upload to this key. */
export const discardUploads = async (bucket: Bucket, key: string, signal?: AbortSignal): Promise<void> => {
  for (const UploadId of await findUploads(bucket, key, signal)) {
    const command = new AbortMultipartUploadCommand({ Bucket: bucket.name, Key: key, UploadId })
    await bucket.attempt(WHAT, signal, (options) =>
      bucket.client.send(command, options).catch((error: unknown) => {
        if (!isGone(error)) throw error
      }),
    )
  }
}

/** The latest first. */
const findUploads = async (bucket: Bucket, key: string, signal: AbortSignal | undefined): Promise<readonly string[]> => {
  const command = new ListMultipartUploadsCommand({ Bucket: bucket.name, Prefix: key })
  const { Uploads = [] } = await bucket.attempt(WHAT, signal, (options) => bucket.client.send(command, options))
  return Uploads.filter(({ Key }) => Key === key)
    .sort((a, b) => (b.Initiated?.getTime() ?? 0) - (a.Initiated?.getTime() ?? 0))
    .flatMap(({ UploadId }) => UploadId ?? [])
}

/** undefined: the upload has gone meanwhile. */
const listParts = async (
  bucket: Bucket,
  target: KeptUpload['target'],
  signal: AbortSignal | undefined,
): Promise<KeptUpload['parts'] | undefined> => {
  const parts = new Map<number, KeptPart>()
  let PartNumberMarker: string | undefined
  do {
    const command = new ListPartsCommand({ ...target, PartNumberMarker })
    const page = await bucket.attempt(WHAT, signal, (options) =>
      bucket.client.send(command, options).catch((error: unknown) => {
        if (!isGone(error)) throw error
      }),
    )
    if (!page) return undefined
    for (const { PartNumber, ETag, Size } of page.Parts ?? [])
      if (PartNumber !== undefined && ETag !== undefined) parts.set(PartNumber, { ETag, size: Size ?? 0 })
    PartNumberMarker = page.IsTruncated ? page.NextPartNumberMarker : undefined
  } while (PartNumberMarker !== undefined)
  return parts
}

const isGone = (error: unknown): boolean => isMissing(error) || (error instanceof Error && error.name === 'NoSuchUpload')
