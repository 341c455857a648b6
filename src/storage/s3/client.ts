import { S3Client, type ServerSideEncryption } from '@aws-sdk/client-s3'
import { TamsError } from '../../core/errors.ts'
import { s3Error } from './errors.ts'

export interface S3ClientOptions {
  /** With a scheme. */
  readonly endpoint: string
  readonly region: string
  readonly bucket: string
  /** Keys in the path instead of the host: what most servers other than AWS need. */
  readonly pathStyle: boolean
  /** Without keys: the SDK's default chain (environment, shared files, role of the machine or container). */
  readonly accessKeyId?: string | undefined
  readonly secretAccessKey?: string | undefined
  readonly serverSideEncryption?: ServerSideEncryption | undefined
  /** Attempts of one request in all. Default: 4. */
  readonly maxAttempts?: number | undefined
  /** Milliseconds until an attempt without an answer, or a body without bytes, is given up. Default: 30 s. */
  readonly idleTimeoutMs?: number | undefined
  /** Told of every operation with all its attempts, `GetObject` …: until the head of its answer, or its failure. Must not throw. */
  readonly onOperation?: ((operation: string, seconds: number, succeeded: boolean) => void) | undefined
}

const CONNECT_TIMEOUT_MS = 5000
/** The longest pause of the SDK between two attempts. */
const PAUSE_MS = 20_000
const MAX_SOCKETS = 256

/** One bucket, and how it is spoken to. */
export interface Bucket {
  readonly client: S3Client
  readonly name: string
  /** Equal where two buckets are reached at the same place by the same keys. */
  readonly account: string
  readonly serverSideEncryption: ServerSideEncryption | undefined
  readonly idleTimeoutMs: number
  /** One operation with its retries. Throws a TamsError that begins with `what`, or the signal's reason. */
  attempt<T>(
    what: string,
    signal: AbortSignal | undefined,
    work: (options: { readonly abortSignal: AbortSignal }) => Promise<T>,
  ): Promise<T>
}

export const createBucket = (options: S3ClientOptions): Bucket => {
  const { endpoint, region, pathStyle, accessKeyId, secretAccessKey, maxAttempts = 4, idleTimeoutMs = 30_000 } = options
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: pathStyle,
    maxAttempts,
    ...(accessKeyId !== undefined && secretAccessKey !== undefined && { credentials: { accessKeyId, secretAccessKey } }),
    // Content-MD5 goes with every body instead: every server knows it, the CRC trailers of newer SDKs only some do.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: idleTimeoutMs,
      throwOnRequestTimeout: true,
      httpAgent: { maxSockets: MAX_SOCKETS },
      httpsAgent: { maxSockets: MAX_SOCKETS },
    },
  })
  addContentMd5(client)
  if (options.onOperation) watch(client, options.onOperation)
  return {
    client,
    name: options.bucket,
    account: `${endpoint} ${region} ${accessKeyId ?? ''}`,
    serverSideEncryption: options.serverSideEncryption,
    idleTimeoutMs,
    async attempt(what, signal, work) {
      signal?.throwIfAborted()
      // The SDK's own limits cover one attempt; this one ends an operation that hangs in spite of them.
      const limit = new AbortController()
      const timer = setTimeout(() => limit.abort(), (idleTimeoutMs + PAUSE_MS) * maxAttempts)
      try {
        return await work({ abortSignal: signal ? AbortSignal.any([signal, limit.signal]) : limit.signal })
      } catch (error) {
        signal?.throwIfAborted()
        if (limit.signal.aborted) throw new TamsError('unavailable', `${what}: the S3 service did not answer in time`, { cause: error })
        throw s3Error(error, what)
      } finally {
        clearTimeout(timer)
      }
    },
  }
}

const watch = (client: S3Client, onOperation: NonNullable<S3ClientOptions['onOperation']>): void => {
  client.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        const started = performance.now()
        let succeeded = false
        try {
          const result = await next(args)
          succeeded = true
          return result
        } finally {
          onOperation((commandName ?? 'unknown').replace(/Command$/, ''), (performance.now() - started) / 1000, succeeded)
        }
      },
    { step: 'initialize', name: 'watch' },
  )
}

/** Servers older than 2025 ask for Content-MD5 where the SDK sends only a CRC32 (DeleteObjects, PutBucketCors). */
const addContentMd5 = (client: S3Client): void => {
  client.middlewareStack.add(
    (next) => (args) => {
      const { request } = args
      if (isXmlRequest(request) && request.headers['content-md5'] === undefined) {
        request.headers['content-md5'] = new Bun.CryptoHasher('md5').update(request.body).digest('base64')
      }
      return next(args)
    },
    { step: 'build', priority: 'low', name: 'contentMd5' },
  )
}

interface XmlRequest {
  readonly body: string
  readonly headers: Record<string, string>
}

const isXmlRequest = (request: unknown): request is XmlRequest =>
  typeof request === 'object' && request !== null && 'body' in request && typeof request.body === 'string' && 'headers' in request
