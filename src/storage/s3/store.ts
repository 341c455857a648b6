import type { Clock } from '../../core/clock.ts'
import type { MediaStore } from '../media.ts'
import { createBucket, type S3ClientOptions } from './client.ts'
import { BUCKET, copyObject, type InBucket } from './copy.ts'
import { findRefusedPreflight, setBucketCors } from './cors.ts'
import { keepCredentials } from './credentials.ts'
import { deleteObjects } from './delete.ts'
import { type Finding, headBucket, inspectBucket, probeConditionalWrites } from './inspect.ts'
import { discardUploads } from './kept-upload.ts'
import { checkKey } from './keys.ts'
import { listObjects } from './list.ts'
import { getObject, headObject } from './read.ts'
import { bucketUrlOf, createUrls } from './urls.ts'
import { putObject } from './write.ts'

export interface S3StoreOptions extends S3ClientOptions {
  readonly storageId: string
  readonly clock: Clock
  /** Where unsigned URLs begin (a public bucket, a gateway); the key follows. Unset: there are none. */
  readonly publicBaseUrl?: string | undefined
  /** Whether upload URLs ask for `If-None-Match: *`, which clients then have to send. Default: where the server heeds it. */
  readonly conditionalUploads?: boolean | undefined
  /** Bytes of the first parts of a multipart upload. Default: 8 MiB. */
  readonly partBytes?: number | undefined
  /** Bytes; larger objects are copied inside the S3 service in pieces of this size. S3 takes at most 5 GiB. Default: 512 MiB. */
  readonly copyBytes?: number | undefined
  readonly sleep?: (ms: number) => Promise<void>
  readonly random?: () => number
}

export interface S3Store extends MediaStore, InBucket {
  /** Looks at the bucket as the service will use it, for the operator. `origins`: whose pages use media directly. */
  inspect(origins: '*' | readonly string[], signal?: AbortSignal): Promise<readonly Finding[]>
  /** Replaces the CORS rules of the bucket. Throws `unavailable`, also where the server has no such rules (MinIO). */
  setCors(origins: '*' | readonly string[], signal?: AbortSignal): Promise<void>
  /** The first pair of method and origin that the bucket refuses to browsers. */
  findRefusedPreflight(origins: '*' | readonly string[], signal?: AbortSignal): Promise<string | undefined>
}

const MIB = 1024 * 1024
const PREFLIGHT_TIMEOUT_MS = 10_000

/** No request is made: a service starts while S3 is away. Rejects with `unavailable` when there are no credentials. */
export const createS3Store = async (options: S3StoreOptions): Promise<S3Store> => {
  const {
    storageId,
    clock,
    region,
    publicBaseUrl,
    partBytes = 8 * MIB,
    copyBytes = 512 * MIB,
    sleep = Bun.sleep,
    random = Math.random,
  } = options
  const bucket = createBucket(options)
  const credentials = await keepCredentials(bucket.client)
  const bucketUrl = await bucketUrlOf(bucket)
  const urls = createUrls({ bucket, bucketUrl, region, credentials, clock, publicBaseUrl })

  let probed: Promise<boolean> | undefined
  const conditionalWrites = (): Promise<boolean> => {
    probed ??= probeConditionalWrites(bucket).catch((error: unknown) => {
      probed = undefined
      throw error
    })
    return probed
  }
  const writing = { bucket, partBytes, conditionalWrites, sleep }

  return {
    storageId,
    [BUCKET]: bucket,
    checkKey,
    prepareUploads: async () => {
      if (options.conditionalUploads ?? true) await conditionalWrites()
    },
    uploadUrl: async (key, uploadOptions) => {
      const ifAbsent = (options.conditionalUploads ?? true) && (await conditionalWrites())
      return urls.upload(key, { ...uploadOptions, ifAbsent })
    },
    downloadUrl: urls.download,
    plainUrl: (key) => urls.plain(key),
    put: (key, body, putOptions) => putObject(writing, key, body, putOptions),
    get: (key, getOptions = {}) => getObject(bucket, key, getOptions),
    head: async (key, signal) => (await headObject(bucket, key, signal))?.object,
    copyFrom: (key, source, putOptions) => copyObject({ ...writing, copyBytes }, key, source, putOptions),
    discardCopy: (key, signal) => discardUploads(bucket, key, signal),
    delete: (keys, signal) => deleteObjects({ bucket, sleep, random }, keys, signal),
    list: ({ after, signal }) => listObjects(bucket, after, signal),
    check: (signal) => headBucket(bucket, signal),
    inspect: (origins, signal) => inspectBucket({ bucket, bucketUrl, clock, origins, conditionalWrites }, signal),
    setCors: (origins, signal) => setBucketCors(bucket, origins, signal),
    findRefusedPreflight: (origins, signal) =>
      findRefusedPreflight(bucketUrl, origins, signal ?? AbortSignal.timeout(PREFLIGHT_TIMEOUT_MS)),
  }
}
