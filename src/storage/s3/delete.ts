import { DeleteObjectCommand, DeleteObjectsCommand } from '@aws-sdk/client-s3'
import { TamsError } from '../../core/errors.ts'
import type { Bucket } from './client.ts'
import { isMissing } from './errors.ts'
import { isStorable } from './keys.ts'

/** DeleteObjects takes no more. */
const BATCH = 1000
const DELAYS_MS = [100, 400, 1600, 6400]
const WHAT = 'Objects could not be deleted'
/** The service was busy with this key; asking again helps. */
const busy = new Set(['SlowDown', 'InternalError', 'ServiceUnavailable', 'OperationAborted', 'RequestTimeout'])

export interface Deleting {
  readonly bucket: Bucket
  sleep(ms: number): Promise<void>
  /** In [0, 1): spreads the repetitions of several programs. */
  random(): number
}

export const deleteObjects = async (deleting: Deleting, keys: readonly string[], signal: AbortSignal | undefined): Promise<void> => {
  const { bucket } = deleting
  // XML cannot carry control characters: NUL not at all, others are changed on the way.
  const present = [...new Set(keys)].filter(isStorable)
  const single = present.filter((key) => /\p{Cc}/u.test(key))
  const batched = present.filter((key) => !/\p{Cc}/u.test(key))
  for (let start = 0; start < batched.length; start += BATCH) await deleteBatch(deleting, batched.slice(start, start + BATCH), signal)
  for (const key of single) {
    await bucket.attempt(WHAT, signal, (options) =>
      bucket.client.send(new DeleteObjectCommand({ Bucket: bucket.name, Key: key }), options).catch((error: unknown) => {
        if (!isMissing(error)) throw error
      }),
    )
  }
}

/** The answer is 200 even when single keys failed: those are asked for again, with growing pauses, as long as the service is busy. */
const deleteBatch = async (
  { bucket, sleep, random }: Deleting,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> => {
  let left = keys
  for (let tried = 0; left.length > 0; tried++) {
    const command = new DeleteObjectsCommand({ Bucket: bucket.name, Delete: { Objects: left.map((Key) => ({ Key })), Quiet: true } })
    const { Errors = [] } = await bucket.attempt(WHAT, signal, (options) => bucket.client.send(command, options))
    const failed = Errors.filter(({ Code }) => Code !== 'NoSuchKey')
    const [first] = failed
    if (!first) return
    const delay = DELAYS_MS[tried]
    if (delay === undefined || failed.some(({ Code }) => !busy.has(Code ?? ''))) {
      const detail = { s3_code: first.Code, s3_message: first.Message, key: first.Key, failed: failed.length }
      throw new TamsError('unavailable', `${WHAT}: the S3 service kept ${failed.length} of ${keys.length} (${first.Code})`, { detail })
    }
    const again = new Set(failed.map(({ Key }) => Key))
    left = left.filter((key) => again.has(key))
    await sleep(delay * (0.5 + random() / 2))
    signal?.throwIfAborted()
  }
}
