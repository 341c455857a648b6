import { GetObjectCommand, HeadObjectCommand } from '@aws-sdk/client-s3'
import { TamsError } from '../../core/errors.ts'
import type { GetOptions, MediaBody, StoredObject } from '../media.ts'
import type { Bucket } from './client.ts'
import { isMissing } from './errors.ts'
import { isStorable } from './keys.ts'

interface Facts {
  readonly ETag?: string | undefined
  readonly ContentType?: string | undefined
  readonly LastModified?: Date | undefined
}

export const toStoredObject = (facts: Facts, size: number): StoredObject => ({
  size,
  etag: facts.ETag ?? '""',
  contentType: facts.ContentType ?? 'application/octet-stream',
  modifiedUs: toModifiedUs(facts.LastModified),
})

/** To the second: listings say more than the headers do, and one object should have one time. */
export const toModifiedUs = (modified: Date | undefined): bigint => BigInt(Math.floor((modified?.getTime() ?? 0) / 1000)) * 1_000_000n

export interface HeadResult {
  readonly object: StoredObject
  readonly metadata: Readonly<Record<string, string>>
}

export const headObject = async (bucket: Bucket, key: string, signal?: AbortSignal): Promise<HeadResult | undefined> => {
  if (!isStorable(key)) return undefined
  return bucket.attempt('The object could not be looked up', signal, async (options) => {
    try {
      const found = await bucket.client.send(new HeadObjectCommand({ Bucket: bucket.name, Key: key }), options)
      return { object: toStoredObject(found, found.ContentLength ?? 0), metadata: found.Metadata ?? {} }
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  })
}

export const getObject = async (bucket: Bucket, key: string, { range, signal }: GetOptions): Promise<MediaBody | undefined> => {
  if (!isStorable(key)) return undefined
  return bucket.attempt('The object could not be read', signal, async (options) => {
    const Range = range && `bytes=${range.start}-${range.end - 1}`
    try {
      const found = await bucket.client.send(new GetObjectCommand({ Bucket: bucket.name, Key: key, Range }), options)
      const length = found.ContentLength ?? 0
      const whole = /\/(\d+)$/.exec(found.ContentRange ?? '')?.[1]
      const body = found.Body ? found.Body.transformToWebStream() : new Blob([]).stream()
      const guarded = guardBody(body as ReadableStream<Uint8Array>, { length, idleTimeoutMs: bucket.idleTimeoutMs, signal })
      return { ...toStoredObject(found, whole === undefined ? length : Number(whole)), body: guarded }
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  })
}

interface Guard {
  /** Bytes that have to come. */
  readonly length: number
  readonly idleTimeoutMs: number
  readonly signal: AbortSignal | undefined
}

/** A body that breaks, stalls or ends too early becomes an error: nobody may take half an object for the whole. */
export const guardBody = (source: ReadableStream<Uint8Array>, { length, idleTimeoutMs, signal }: Guard): ReadableStream<Uint8Array> => {
  const reader = source.getReader()
  let received = 0
  const broken = (reason: string, cause?: unknown) =>
    new TamsError('unavailable', `The object could not be read: the S3 service ${reason} after ${received} of ${length} bytes`, { cause })
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await inTime(reader.read(), idleTimeoutMs, signal, () => broken('sent nothing more'))
          if (!done) {
            received += value.length
            if (received > length) throw broken('sent more than it announced')
            controller.enqueue(value)
          } else if (received < length) {
            throw broken('ended the body')
          } else {
            controller.close()
          }
        } catch (error) {
          const reason = signal?.aborted ? signal.reason : error instanceof TamsError ? error : broken('broke off', error)
          controller.error(reason)
          // It may be broken already; what counts is that the connection is let go.
          void reader.cancel(reason).catch(() => undefined)
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

const inTime = async <T>(work: Promise<T>, limitMs: number, signal: AbortSignal | undefined, late: () => Error): Promise<T> => {
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal?.reason)
  const timer = setTimeout(() => reject(late()), limitMs)
  if (signal?.aborted) onAbort()
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}
