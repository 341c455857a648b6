import { randomUUID } from 'node:crypto'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { invalid, isTamsError, TamsError } from '../../core/errors.ts'
import type { PutOptions, StoredObject } from '../media.ts'
import type { Bucket } from './client.ts'
import { isConditionalConflict } from './errors.ts'
import { checkContentType, checkKey } from './keys.ts'
import { createPartReader, type PartReader } from './part-reader.ts'
import { headObject } from './read.ts'

export interface Writing {
  readonly bucket: Bucket
  /** Bytes; what is no longer is sent in one request. S3 takes no part below 5 MiB but the last. */
  readonly partBytes: number
  /** Whether the server heeds `If-None-Match: *`. */
  conditionalWrites(): Promise<boolean>
  sleep(ms: number): Promise<void>
}

/** Metadata of every object: which upload it came from. Tells whether a request whose answer was lost had been carried out. */
export const UPLOAD_ID = 'tams-upload'
export const PARTS_IN_FLIGHT = 3
/** S3 takes 10,000 parts: sizes double behind each thousand, which from 8 MiB on reaches beyond the largest object there is. */
const PARTS_OF_ONE_SIZE = 1000
const CONFLICT_DELAYS_MS = [50, 200, 800]
const WHAT = 'The object could not be stored'

interface Upload {
  readonly key: string
  readonly id: string
  readonly options: PutOptions
  /** Sent with the request that makes the object. */
  readonly condition: { readonly IfNoneMatch?: '*' }
}

/** One request, or a multipart upload when there is more than one part. The object is there when the last request is answered, or not at all. */
export const putObject = async (
  writing: Writing,
  key: string,
  body: ReadableStream<Uint8Array>,
  options: PutOptions,
): Promise<StoredObject> => {
  const reader = createPartReader(body, options.signal)
  try {
    checkKey(key)
    checkContentType(options.contentType)
    checkMd5(options.md5)
    const conditional = options.ifAbsent === true && (await writing.conditionalWrites())
    const upload = { key, id: randomUUID(), options, condition: conditional ? { IfNoneMatch: '*' as const } : {} }
    const first = await reader.next(writing.partBytes)
    return first.length < writing.partBytes
      ? await putWhole(writing, upload, first, reader)
      : await putParts(writing, upload, first, reader)
  } catch (error) {
    // It may have ended or failed already; the first error is the one to tell.
    await reader.cancel(error).catch(() => undefined)
    throw error
  }
}

const checkMd5 = (base64: string | undefined): void => {
  if (base64 !== undefined && !/^[A-Za-z0-9+/]{22}==$/.test(base64)) throw invalid('Content-MD5', 'is not the base64 text of 16 bytes')
}

const compareMd5 = ({ options }: Upload, md5: string): void => {
  if (options.md5 !== undefined && options.md5 !== md5) throw invalid('Content-MD5', 'does not match the bytes that arrived')
}

const putWhole = async (writing: Writing, upload: Upload, bytes: Uint8Array, reader: PartReader): Promise<StoredObject> => {
  const { bucket } = writing
  const md5 = reader.md5()
  compareMd5(upload, md5)
  await refuseExisting(writing, upload)
  const command = { ...creation(bucket, upload), ...upload.condition, Body: bytes, ContentLength: bytes.length, ContentMD5: md5 }
  const answer = await decisive(writing, upload, (options) => bucket.client.send(new PutObjectCommand(command), options))
  return describe(writing, upload, bytes.length, answer?.ETag)
}

const putParts = async (writing: Writing, upload: Upload, first: Uint8Array, reader: PartReader): Promise<StoredObject> => {
  const { bucket } = writing
  const { key, options } = upload
  const place = { Bucket: bucket.name, Key: key }
  const created = await bucket.attempt(WHAT, options.signal, (sending) =>
    bucket.client.send(new CreateMultipartUploadCommand(creation(bucket, upload)), sending),
  )
  const target = { ...place, UploadId: created.UploadId }
  const failed = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal
  const sent: Promise<{ PartNumber: number; ETag: string | undefined }>[] = []
  const send = async (bytes: Uint8Array, PartNumber: number) => {
    const md5 = new Bun.CryptoHasher('md5').update(bytes).digest('base64')
    const part = { ...target, PartNumber, Body: bytes, ContentLength: bytes.length, ContentMD5: md5 }
    const { ETag } = await bucket.attempt(WHAT, signal, (sending) => bucket.client.send(new UploadPartCommand(part), sending))
    return { PartNumber, ETag }
  }
  try {
    let size = 0
    for (let bytes = first; bytes.length > 0; bytes = await reader.next(partSize(writing, sent.length))) {
      size += bytes.length
      const part = send(bytes, sent.length + 1)
      // Looked at below, in order; until then a failure must not count as unhandled.
      part.catch(() => undefined)
      sent.push(part)
      await sent[sent.length - PARTS_IN_FLIGHT]
    }
    compareMd5(upload, reader.md5())
    const Parts = await Promise.all(sent)
    // Not every server that heeds the condition on PutObject does on CompleteMultipartUpload.
    await refuseExisting(writing, upload, true)
    const command = { ...target, ...upload.condition, MultipartUpload: { Parts } }
    const answer = await decisive(writing, upload, (sending) => bucket.client.send(new CompleteMultipartUploadCommand(command), sending))
    return await describe(writing, upload, size, answer?.ETag)
  } catch (error) {
    failed.abort()
    // A part that arrives behind the abort would stay for ever.
    await Promise.allSettled(sent)
    throw await abandon(bucket, target, error)
  }
}

export const partSize = ({ partBytes }: Pick<Writing, 'partBytes'>, index: number): number =>
  partBytes * 2 ** Math.floor(index / PARTS_OF_ONE_SIZE)

/** The members of every request that begins an object. */
export const creation = (bucket: Bucket, { key, id, options }: Pick<Upload, 'key' | 'id' | 'options'>) => ({
  Bucket: bucket.name,
  Key: key,
  ContentType: options.contentType,
  Metadata: { ...options.metadata, [UPLOAD_ID]: id },
  ServerSideEncryption: bucket.serverSideEncryption,
})

/** Where the server does not heed the condition; two writers at the same moment are then not told apart. */
const refuseExisting = async ({ bucket }: Writing, { key, options, condition }: Upload, always = false): Promise<void> => {
  if (!options.ifAbsent || (condition.IfNoneMatch && !always)) return
  if (await headObject(bucket, key, options.signal)) throw new TamsError('exists', `There is an object already: ${key}`)
}

/** The request that makes the object. When it fails and the object is there nevertheless, only the answer was lost. */
const decisive = async <T>(
  { bucket, sleep }: Writing,
  upload: Upload,
  send: (options: { readonly abortSignal: AbortSignal }) => Promise<T>,
): Promise<T | undefined> => {
  for (let tried = 0; ; tried++) {
    try {
      return await bucket.attempt(WHAT, upload.options.signal, send)
    } catch (error) {
      const delay = CONFLICT_DELAYS_MS[tried]
      if (error instanceof Error && isConditionalConflict(error.cause) && delay !== undefined) {
        await sleep(delay)
      } else if (await wasCarriedOut(bucket, upload)) {
        return undefined
      } else {
        throw error
      }
    }
  }
}

const wasCarriedOut = async (bucket: Bucket, { key, id }: Upload): Promise<boolean> => {
  try {
    return (await headObject(bucket, key))?.metadata[UPLOAD_ID] === id
  } catch (error) {
    // No answer to this either: the failure of the request itself is the one to tell.
    if (isTamsError(error, 'unavailable')) return false
    throw error
  }
}

const abandon = async (
  bucket: Bucket,
  target: { readonly Bucket: string; readonly Key: string; readonly UploadId: string | undefined },
  error: unknown,
): Promise<unknown> => {
  try {
    await bucket.attempt(WHAT, undefined, (options) => bucket.client.send(new AbortMultipartUploadCommand(target), options))
    return error
  } catch (cause) {
    if (!isTamsError(error)) return error
    // Its parts are no object, but take room until the bucket's lifecycle rule removes them.
    const detail = { ...error.detail, multipart_upload_left: target.UploadId, abort_failed: String(cause) }
    return new TamsError(error.code, error.message, { ...(error.field && { field: error.field }), cause: error.cause, detail })
  }
}

/** As a later look-up will say it. The object is stored: a look-up that fails now must not make that a failure. */
const describe = async ({ bucket }: Writing, upload: Upload, size: number, etag: string | undefined): Promise<StoredObject> => {
  const { key, options } = upload
  const found = await headObject(bucket, key).catch(() => undefined)
  if (found && found.metadata[UPLOAD_ID] === upload.id) return found.object
  const modifiedUs = found?.object.modifiedUs ?? 0n
  return { size, etag: etag ?? found?.object.etag ?? '""', contentType: options.contentType, modifiedUs }
}
