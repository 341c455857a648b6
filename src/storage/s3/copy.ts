import { randomUUID } from 'node:crypto'
import { CopyObjectCommand, HeadObjectCommand, UploadPartCommand, UploadPartCopyCommand } from '@aws-sdk/client-s3'
import { TamsError } from '../../core/errors.ts'
import type { CopySource, MediaStore, PutOptions, StoredObject } from '../media.ts'
import type { Bucket } from './client.ts'
import { statusOf } from './errors.ts'
import { completeUpload, type KeptUpload, openUpload } from './kept-upload.ts'
import { checkContentType, checkKey } from './keys.ts'
import { createPartReader } from './part-reader.ts'
import { keyToPath } from './presign.ts'
import { headObject } from './read.ts'
import { creation, PARTS_IN_FLIGHT, partSize, putObject, type Writing } from './write.ts'

/** How one store of this engine knows another. */
export const BUCKET = Symbol('bucket')
export interface InBucket {
  readonly [BUCKET]: Bucket
}

export interface Copying extends Writing {
  /** Bytes; above, a copy inside the service is made in pieces of this size. */
  readonly copyBytes: number
}

const WHAT = 'The object could not be copied'
const COPIES_IN_FLIGHT = 8
/** S3 takes no smaller part but the last, and no more parts. */
const SMALLEST_PART = 5 * 1024 * 1024
const MOST_PARTS = 10_000

/**
 * Between buckets of one service by that service, otherwise streamed. What is longer than one request is a multipart upload whose
 * parts stay when the copy fails: there is one copy to a key at a time, so that an unfinished upload to it is one of the same bytes.
 */
export const copyObject = async (copying: Copying, key: string, source: CopySource, options: PutOptions): Promise<StoredObject> => {
  checkKey(key)
  checkContentType(options.contentType)
  const { bucket } = copying
  const from = bucketOf(source.store)
  const inside = from?.account === bucket.account ? `${from.name}/${keyToPath(source.key)}` : undefined
  if (!from || inside === undefined || !(await copyInside(copying, key, from, inside, source, options)))
    await copyStreamed(copying, key, source, options)
  const found = await headObject(bucket, key, options.signal)
  if (!found) throw new TamsError('unavailable', `${WHAT}: the S3 service does not have it`)
  return found.object
}

const bucketOf = (store: MediaStore): Bucket | undefined => (isInBucket(store) ? store[BUCKET] : undefined)
const isInBucket = (store: object): store is InBucket => BUCKET in store

/** false: the service does not do that, or the keys may not; reading and writing may still be possible. */
const copyInside = async (
  copying: Copying,
  key: string,
  from: Bucket,
  CopySource: string,
  source: CopySource,
  options: PutOptions,
): Promise<boolean> => {
  const { bucket, copyBytes } = copying
  const { size, etag } = source.object
  // Nobody else's bytes may come in between.
  const original = { CopySource, CopySourceIfMatch: etag }
  try {
    const pieces = await piecesOf(from, source, copyBytes)
    if (pieces === undefined) {
      const command = { ...creation(bucket, { key, id: randomUUID(), options }), ...original, MetadataDirective: 'REPLACE' as const }
      await bucket.attempt(WHAT, options.signal, (sending) => bucket.client.send(new CopyObjectCommand(command), sending))
      return true
    }
    const upload = await openUpload(bucket, creation(bucket, { key, id: randomUUID(), options }), options.signal)
    const count = Math.ceil(size / pieces)
    await inParallel(count, async (index) => {
      const start = index * pieces
      const end = Math.min(start + pieces, size)
      if (upload.parts.get(index + 1)?.size === end - start) return
      const part = { ...upload.target, PartNumber: index + 1, ...original, CopySourceRange: `bytes=${start}-${end - 1}` }
      const answer = await bucket.attempt(WHAT, options.signal, (sending) => bucket.client.send(new UploadPartCopyCommand(part), sending))
      upload.parts.set(index + 1, { ETag: answer.CopyPartResult?.ETag ?? '', size: end - start })
    })
    await completeUpload(bucket, upload, count, size, options.signal)
    return true
  } catch (error) {
    const status = error instanceof Error ? statusOf(error.cause) : undefined
    if (status === 403 || status === 405 || status === 501) return false
    throw error
  }
}

/**
 * The length of the pieces to copy in; undefined: at once. Copied in the parts it was uploaded in, an object keeps its entity tag,
 * which then shows that the copy is the same.
 */
const piecesOf = async (from: Bucket, source: CopySource, copyBytes: number): Promise<number | undefined> => {
  const { size, etag } = source.object
  const parts = Number(/-(\d+)"$/.exec(etag)?.[1] ?? 0)
  if (parts > 1) {
    const command = new HeadObjectCommand({ Bucket: from.name, Key: source.key, PartNumber: 1 })
    const first = await from.attempt(WHAT, undefined, (sending) => from.client.send(command, sending)).catch(() => undefined)
    const length = first?.ContentLength ?? 0
    if (length >= SMALLEST_PART && length <= copyBytes && Math.ceil(size / length) === parts) return length
  }
  return size > copyBytes ? Math.max(copyBytes, Math.ceil(size / MOST_PARTS)) : undefined
}

const inParallel = async (count: number, work: (index: number) => Promise<void>): Promise<void> => {
  let next = 0
  let failed = false
  const one = async () => {
    while (next < count && !failed) {
      await work(next++).catch((error: unknown) => {
        failed = true
        throw error
      })
    }
  }
  const ended = await Promise.allSettled(Array.from({ length: Math.min(COPIES_IN_FLIGHT, count) }, one))
  for (const each of ended) if (each.status === 'rejected') throw each.reason
}

const copyStreamed = async (copying: Copying, key: string, source: CopySource, options: PutOptions): Promise<void> => {
  const { bucket, partBytes } = copying
  const { signal } = options
  const { size } = source.object
  if (size < partBytes) {
    await putObject(copying, key, await source.open(0, signal), options)
    return
  }
  const upload = await openUpload(bucket, creation(bucket, { key, id: randomUUID(), options }), signal)
  const begun = keptStart(copying, upload, size)
  const reader = createPartReader(begun.start < size ? await source.open(begun.start, signal) : new Blob([]).stream(), signal)
  try {
    const count = await sendParts(copying, upload, begun, reader.next, signal)
    await completeUpload(bucket, upload, count, size, signal)
  } catch (error) {
    await reader.cancel(error).catch(() => undefined)
    throw error
  }
}

interface Begun {
  /** Parts that are there without a gap. */
  readonly index: number
  /** Bytes of them. */
  readonly start: number
}

const keptStart = (writing: Pick<Writing, 'partBytes'>, { parts }: KeptUpload, size: number): Begun => {
  let [index, start] = [0, 0]
  for (; start < size; index++) {
    const wanted = Math.min(partSize(writing, index), size - start)
    if (parts.get(index + 1)?.size !== wanted) break
    start += wanted
  }
  return { index, start }
}

/** Gives the number of parts in the end. */
const sendParts = async (
  writing: Writing,
  upload: KeptUpload,
  begun: Begun,
  next: (bytes: number) => Promise<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<number> => {
  const { bucket } = writing
  const sent: Promise<void>[] = []
  const send = async (bytes: Uint8Array, PartNumber: number) => {
    const md5 = new Bun.CryptoHasher('md5').update(bytes).digest('base64')
    const part = { ...upload.target, PartNumber, Body: bytes, ContentLength: bytes.length, ContentMD5: md5 }
    const { ETag = '' } = await bucket.attempt(WHAT, signal, (sending) => bucket.client.send(new UploadPartCommand(part), sending))
    upload.parts.set(PartNumber, { ETag, size: bytes.length })
  }
  let index = begun.index
  try {
    for (;;) {
      const bytes = await next(partSize(writing, index))
      if (bytes.length === 0) break
      const part = send(bytes, ++index)
      // Looked at below, in order; until then a failure must not count as unhandled.
      part.catch(() => undefined)
      sent.push(part)
      await sent[sent.length - PARTS_IN_FLIGHT]
    }
    await Promise.all(sent)
    return index
  } finally {
    await Promise.allSettled(sent)
  }
}
