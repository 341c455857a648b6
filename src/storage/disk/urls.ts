import type { Clock } from '../../core/clock.ts'
import { invalid } from '../../core/errors.ts'
import type { DownloadUrlOptions, UploadTarget, UploadUrlOptions } from '../media.ts'
import { type Access, createSigner } from './signing.ts'
import { keyToUrlPath } from './url-path.ts'

export type MediaMethod = 'GET' | 'HEAD' | 'PUT'

/** What a request's URL allows. `unsigned`: it carries no signature. Times in seconds since the Unix epoch. */
export type Verification =
  | { readonly state: 'valid'; readonly expires: number; readonly secondsLeft: number; readonly contentType: string }
  | { readonly state: 'unsigned' | 'expired' | 'wrong' }

export interface MediaUrls {
  upload(key: string, options: UploadUrlOptions): UploadTarget
  download(key: string, options: DownloadUrlOptions): string
  plain(key: string): string | undefined
  verify(method: MediaMethod, key: string, query: URLSearchParams): Verification
}

/** The signatures that are good for a method. */
const ACCESSES = { GET: ['read'], HEAD: ['read', 'head'], PUT: ['write'] } as const satisfies Record<MediaMethod, readonly Access[]>

/** A quarter of the validity, so that a page asked for again soon has the same URLs and caches can use them. */
const stableSeconds = (validity: number): number => Math.max(60, Math.floor(validity / 4))

export interface UrlOptions {
  readonly storageId: string
  readonly secret: string
  readonly clock: Clock
  readonly publicBaseUrl?: string | undefined
}

export const createMediaUrls = ({ storageId, secret, clock, publicBaseUrl }: UrlOptions): MediaUrls => {
  const signer = createSigner(secret, storageId)
  const storagePath = `/media/${encodeURIComponent(storageId)}`
  const nowSeconds = () => Number(clock.nowUs()) / 1e6

  return {
    upload(key, { baseUrl, contentType, expiresInSeconds }) {
      checkContentType(contentType)
      const expires = Math.ceil(nowSeconds() + expiresInSeconds)
      const signature = signer.sign('write', key, expires, contentType)
      const query = `content-type=${encodeURIComponent(contentType)}&expires=${expires}&signature=${signature}`
      return { url: `${baseUrl}${storagePath}${keyToUrlPath(key)}?${query}`, headers: { 'content-type': contentType } }
    },

    download(key, { baseUrl, expiresInSeconds, nowUs, method }) {
      const stable = stableSeconds(expiresInSeconds)
      const now = nowUs === undefined ? nowSeconds() : Number(nowUs) / 1e6
      const expires = Math.ceil((now + expiresInSeconds) / stable) * stable
      const signature = signer.sign(method === 'HEAD' ? 'head' : 'read', key, expires, '')
      return `${baseUrl}${storagePath}${keyToUrlPath(key)}?expires=${expires}&signature=${signature}`
    },

    plain: (key) => (publicBaseUrl === undefined ? undefined : `${publicBaseUrl}${storagePath}${keyToUrlPath(key)}`),

    verify(method, key, query) {
      const signature = query.get('signature')
      if (signature === null) return { state: 'unsigned' }
      const expiresText = query.get('expires') ?? ''
      if (!/^[1-9]\d{0,11}$/.test(expiresText)) return { state: 'wrong' }
      const expires = Number(expiresText)
      const accesses = ACCESSES[method]
      const contentType = method === 'PUT' ? (query.get('content-type') ?? '') : ''
      if (!contentType.isWellFormed()) return { state: 'wrong' }
      if (!accesses.some((access) => signer.matches(signature, access, key, expires, contentType))) return { state: 'wrong' }
      const secondsLeft = Math.floor(expires - nowSeconds())
      return secondsLeft < 0 ? { state: 'expired' } : { state: 'valid', expires, secondsLeft, contentType }
    },
  }
}

/** Throws `invalid` for what could not be sent in a header. */
export const checkContentType = (contentType: string): void => {
  if (!/^[!-~](?:[ -~]{0,253}[!-~])?$/.test(contentType))
    throw invalid('content_type', 'is not a media type of 1 to 255 printable ASCII characters')
}
