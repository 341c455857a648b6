import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import type { Clock } from '../../core/clock.ts'
import type { DownloadUrlOptions, UploadTarget, UploadUrlOptions } from '../media.ts'
import type { Bucket } from './client.ts'
import type { CurrentCredentials } from './credentials.ts'
import { checkContentType, checkKey } from './keys.ts'
import { createPresigner, keyToPath, MAX_VALIDITY_SECONDS } from './presign.ts'

export interface S3Urls {
  upload(key: string, options: UploadUrlOptions & { readonly ifAbsent: boolean }): Promise<UploadTarget>
  download(key: string, options: DownloadUrlOptions): string
  plain(key: string): string | undefined
}

export interface S3UrlOptions {
  readonly bucket: Bucket
  /** Where keys begin: {@link bucketUrlOf}. */
  readonly bucketUrl: string
  readonly region: string
  readonly credentials: CurrentCredentials
  readonly clock: Clock
  readonly publicBaseUrl: string | undefined
}

/**
 * The moment of signing and the validity of a GET URL that has to be good for `seconds` from now: one URL for a time window as long
 * as that, so that at its end it still is. No room for a window is left where `seconds` is as long as S3 allows at all.
 */
export const stableWindow = (nowMs: number, seconds: number): { readonly signedAtMs: number; readonly expiresInSeconds: number } => {
  const validity = Math.min(Math.ceil(seconds), MAX_VALIDITY_SECONDS)
  const window = Math.max(1, Math.min(validity, MAX_VALIDITY_SECONDS - validity))
  const signedAtMs = Math.floor(nowMs / 1000 / window) * window * 1000
  return { signedAtMs, expiresInSeconds: Math.min(validity + window, MAX_VALIDITY_SECONDS) }
}

/** Where the SDK puts the keys of the bucket, without the slash in front of them: in the host or in the path, after its own rules. */
export const bucketUrlOf = async ({ client, name }: Bucket): Promise<string> => {
  const url = new URL(await getSignedUrl(client, new GetObjectCommand({ Bucket: name, Key: 'k' })))
  return `${url.origin}${url.pathname.slice(0, -'/k'.length)}`
}

export const createUrls = ({ bucket, bucketUrl, region, credentials, clock, publicBaseUrl }: S3UrlOptions): S3Urls => {
  const presigner = createPresigner(bucketUrl, region)
  const nowMs = () => Number(clock.nowUs() / 1000n)
  const plainStart = publicBaseUrl?.replace(/\/+$/, '')

  return {
    async upload(key, { contentType, expiresInSeconds, ifAbsent, metadata }) {
      checkKey(key)
      checkContentType(contentType)
      const { serverSideEncryption } = bucket
      const command = new PutObjectCommand({
        Bucket: bucket.name,
        Key: key,
        ContentType: contentType,
        ServerSideEncryption: serverSideEncryption,
        // The presigner puts it into the query: S3 keeps it from there, and the client has no header to send for it.
        Metadata: metadata,
        ...(ifAbsent && { IfNoneMatch: '*' }),
      })
      const url = await getSignedUrl(bucket.client, command, {
        expiresIn: Math.min(Math.ceil(expiresInSeconds) + 1, MAX_VALIDITY_SECONDS),
        signingDate: new Date(nowMs()),
        // The presigner leaves it out otherwise, and anything could be uploaded.
        signableHeaders: new Set(['content-type', 'x-amz-server-side-encryption']),
        // In the query S3 does not heed it.
        unhoistableHeaders: new Set(['x-amz-server-side-encryption']),
      })
      const headers = {
        'content-type': contentType,
        ...(ifAbsent && { 'if-none-match': '*' }),
        ...(serverSideEncryption && { 'x-amz-server-side-encryption': serverSideEncryption }),
      }
      return { url, headers }
    },

    download: (key, { expiresInSeconds, method }) =>
      presigner[method === 'HEAD' ? 'head' : 'get'](key, {
        credentials: credentials.current(),
        ...stableWindow(nowMs(), expiresInSeconds),
      }),

    plain: (key) => (plainStart === undefined ? undefined : `${plainStart}/${keyToPath(key)}`),
  }
}
