import { randomUUID } from 'node:crypto'
import { DeleteObjectCommand, HeadBucketCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import type { Clock } from '../../core/clock.ts'
import { isTamsError, TamsError } from '../../core/errors.ts'
import type { Bucket } from './client.ts'
import { findRefusedPreflight } from './cors.ts'
import { isMissing, isPreconditionFailed, statusOf } from './errors.ts'

/** What was found out about a bucket that somebody should know. */
export interface Finding {
  readonly check: 'bucket' | 'write' | 'conditional_writes' | 'clock' | 'cors'
  /** `error`: nothing works until it is changed. `warning`: something does not, or not now. */
  readonly severity: 'error' | 'warning' | 'info'
  /** What is so, and what to do about it. */
  readonly message: string
}

export interface Inspection {
  readonly bucket: Bucket
  readonly bucketUrl: string
  readonly clock: Clock
  /** Pages of these origins use media directly. */
  readonly origins: '*' | readonly string[]
  readonly conditionalWrites: () => Promise<boolean>
}

/** Signatures are refused at 15 minutes of difference; a URL loses the difference from its validity long before. */
const SKEW_WARNING_S = 30
const SKEW_ERROR_S = 15 * 60
const REQUEST_TIMEOUT_MS = 5000

/** Looks at the bucket as the service will use it. Finding nothing gives an empty list; never throws but for `signal`. */
export const inspectBucket = async (inspection: Inspection, signal?: AbortSignal): Promise<readonly Finding[]> => {
  const findings = await checkBucket(inspection, signal)
  // The rest would only say the same again.
  if (findings.length > 0) return findings
  return [...(await checkClock(inspection, signal)), ...(await checkWrites(inspection, signal)), ...(await checkCors(inspection, signal))]
}

/** Answers soon: it is asked while somebody waits. */
export const headBucket = (bucket: Bucket, signal?: AbortSignal): Promise<void> => {
  const what = `Bucket ${bucket.name} cannot be used`
  const limit = AbortSignal.timeout(REQUEST_TIMEOUT_MS)
  return bucket.attempt(what, signal, async ({ abortSignal }) => {
    try {
      await bucket.client.send(new HeadBucketCommand({ Bucket: bucket.name }), { abortSignal: AbortSignal.any([abortSignal, limit]) })
    } catch (error) {
      // HEAD has no body to tell it.
      if (statusOf(error) === 404) throw new TamsError('unavailable', `Bucket ${bucket.name} does not exist`, { cause: error })
      if (limit.aborted) throw new TamsError('unavailable', `${what}: the S3 service did not answer in time`, { cause: error })
      throw error
    }
  })
}

const checkBucket = async ({ bucket, clock, bucketUrl }: Inspection, signal?: AbortSignal): Promise<readonly Finding[]> => {
  try {
    await headBucket(bucket, signal)
    return []
  } catch (error) {
    signal?.throwIfAborted()
    const cause = error instanceof Error ? error.cause : undefined
    const status = statusOf(cause)
    const message = messageOf(error)
    if (status === 404) return [{ check: 'bucket', severity: 'error', message: `${message}: create it, or name another one` }]
    if (status === 400 || status === 401 || status === 403) {
      const skew = await checkClock({ bucket, clock, bucketUrl }, signal)
      const advice = 'check the keys, the region, and that they may list the bucket and read, write and delete its objects'
      return [{ check: 'bucket', severity: 'error', message: `${message}: ${advice}` }, ...skew]
    }
    return [{ check: 'bucket', severity: 'warning', message: `${message}. Metadata can be read; media cannot until it answers` }]
  }
}

const checkClock = async (
  { bucketUrl, clock }: Pick<Inspection, 'bucket' | 'bucketUrl' | 'clock'>,
  signal?: AbortSignal,
): Promise<readonly Finding[]> => {
  const date = await ask(signal, (limit) => fetch(bucketUrl, { method: 'HEAD', signal: limit })).then(
    (answer) => answer?.headers.get('date') ?? '',
  )
  const theirs = Date.parse(date) / 1000
  if (Number.isNaN(theirs)) return []
  const skew = Math.round(Number(clock.nowUs() / 1_000_000n) - theirs)
  if (Math.abs(skew) < SKEW_WARNING_S) return []
  const severity = Math.abs(skew) < SKEW_ERROR_S ? 'warning' : 'error'
  const order = skew > 0 ? 'ahead of' : 'behind'
  return [
    {
      check: 'clock',
      severity,
      message: `This machine's clock is ${Math.abs(skew)} s ${order} the S3 service's: set it, signed URLs depend on it`,
    },
  ]
}

const checkWrites = async ({ bucket, conditionalWrites }: Inspection, signal?: AbortSignal): Promise<readonly Finding[]> => {
  try {
    if (await conditionalWrites()) return []
    const message = `Bucket ${bucket.name} ignores If-None-Match: the holder of an upload URL can replace the object until the URL expires`
    return [{ check: 'conditional_writes', severity: 'info', message }]
  } catch (error) {
    signal?.throwIfAborted()
    const status = error instanceof Error ? statusOf(error.cause) : undefined
    const severity = status === 401 || status === 403 ? 'error' : 'warning'
    return [{ check: 'write', severity, message: `${messageOf(error)}: check that the keys may write and delete objects` }]
  }
}

const checkCors = async ({ bucket, bucketUrl, origins }: Inspection, signal?: AbortSignal): Promise<readonly Finding[]> => {
  const refused = await ask(signal, (limit) => findRefusedPreflight(bucketUrl, origins, limit))
  if (refused === undefined) return []
  const message = `Bucket ${bucket.name} does not let browsers ${refused}: run "tams storage cors" to set its CORS rules`
  return [{ check: 'cors', severity: 'warning', message }]
}

/** undefined where there is no answer: the checks that go through the SDK have said so by then. */
const ask = async <T>(signal: AbortSignal | undefined, work: (limit: AbortSignal) => Promise<T>): Promise<T | undefined> => {
  const limit = AbortSignal.timeout(REQUEST_TIMEOUT_MS)
  try {
    return await work(signal ? AbortSignal.any([signal, limit]) : limit)
  } catch {
    signal?.throwIfAborted()
    return undefined
  }
}

const messageOf = (error: unknown): string => (isTamsError(error) ? error.message : String(error))

/**
 * Whether the server heeds `If-None-Match: *` on PutObject, found out with an object that exists for a moment: servers that do not
 * know it say nothing of it. Throws when nothing can be written.
 */
export const probeConditionalWrites = async (bucket: Bucket): Promise<boolean> => {
  const place = { Bucket: bucket.name, Key: `tams-probe-${randomUUID()}` }
  const put = (IfNoneMatch?: '*') =>
    bucket.attempt(`Bucket ${bucket.name} cannot be written`, undefined, (options) =>
      bucket.client.send(new PutObjectCommand({ ...place, Body: 'probe', ContentLength: 5, IfNoneMatch }), options),
    )
  const remove = () =>
    bucket.attempt(`Bucket ${bucket.name} cannot be cleaned up`, undefined, (options) =>
      bucket.client.send(new DeleteObjectCommand(place), options).catch((error: unknown) => {
        if (!isMissing(error)) throw error
      }),
    )
  const heeded = async () => {
    await put()
    return put('*').then(
      () => false,
      (error: unknown) => {
        const cause = error instanceof Error ? error.cause : undefined
        if (isPreconditionFailed(cause)) return true
        // Says that it does not know the header.
        if (statusOf(cause) === 501) return false
        throw error
      },
    )
  }
  const result = await heeded().catch(async (error: unknown) => {
    // Perhaps only the answer was lost; the first error is the one to tell.
    await remove().catch(() => undefined)
    throw error
  })
  await remove()
  return result
}
