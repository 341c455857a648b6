// AWS Signature Version 4 as VAST's clients send it: service s3, any region (the Python client's is empty), any list of signed headers, and
// two ways to write the canonical path (vast-protocol section 1.2). Written apart from the client's own signing, so that each checks the other.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { type Headers, headerText } from '../../../src/vastdb/wire/headers.ts'
import { ProtocolError } from './protocol-error.ts'

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256\s+Credential=([^/,]+)\/(\d{8})\/([^/,]*)\/([^/,]+)\/aws4_request,\s*SignedHeaders=([^,]+),\s*Signature=([0-9a-f]{64})$/
const MAX_SKEW_MS = 15 * 60 * 1000

const sha256 = (data: Uint8Array | string): string => createHash('sha256').update(data).digest('hex')
const hmac = (key: Uint8Array | string, data: string): Buffer => createHmac('sha256', key).update(data).digest()

const percent = (text: string): string =>
  Array.from(new TextEncoder().encode(text), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')

/** The path as it came (JVM clients sign what they send), and percent-encoded once more (the Python client). */
function* canonicalPaths(path: string): Generator<string> {
  yield path.replace(/[^A-Za-z0-9/\-_.~]+/g, percent)
  yield path
}

/** The items as they came, sorted, a bare command with `=`; and decoded, encoded and sorted as AWS says. */
function* canonicalQueries(query: string): Generator<string> {
  const items = query.split('&').filter((item) => item !== '')
  yield items
    .map((item) => (item.includes('=') ? item : `${item}=`))
    .sort()
    .join('&')
  yield [...new URLSearchParams(query)]
    .map(([key, value]) => [key, value].map((part) => part.replace(/[^A-Za-z0-9\-_.~]+/g, percent)).join('='))
    .sort()
    .join('&')
}

const denied = (code: string, message: string) => new ProtocolError(403, code, message)

const timeOf = (stamp: string): number => {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(stamp)
  if (parts === null) throw denied('AccessDenied', `x-amz-date ${JSON.stringify(stamp)} is no time`)
  const [, year, month, day, hour, minute, second] = parts.map(Number)
  return Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second)
}

export interface SignedRequest {
  readonly method: string
  /** Path and query as in the request line. */
  readonly url: string
  readonly headers: Headers
  readonly body: Uint8Array
}

export interface Credentials {
  readonly accessKey: string
  readonly secretKey: string
}

/** The last one of each: requests of a day have it in common. */
const signingKeys = new WeakMap<Credentials, { readonly scope: string; readonly key: Buffer }>()

const signingKeyOf = (credentials: Credentials, ...parts: readonly [date: string, region: string, service: string]): Buffer => {
  const scope = parts.join('/')
  const known = signingKeys.get(credentials)
  if (known?.scope === scope) return known.key
  const key = [...parts, 'aws4_request'].reduce<Buffer>(hmac, Buffer.from(`AWS4${credentials.secretKey}`))
  signingKeys.set(credentials, { scope, key })
  return key
}

/** Throws 403 unless the request is signed with the credentials, by a clock within 15 minutes of `nowMs`. */
export const checkSignature = ({ method, url, headers, body }: SignedRequest, credentials: Credentials, nowMs: number): void => {
  const match = AUTHORIZATION.exec(headerText(headers, 'authorization') ?? '')
  if (match === null) throw denied('AccessDenied', 'the request has no AWS4-HMAC-SHA256 signature')
  const [, key, date = '', region = '', service = '', names = '', signature = ''] = match
  if (key !== credentials.accessKey) throw denied('InvalidAccessKeyId', `access key ${key} is not known`)
  const stamp = headerText(headers, 'x-amz-date') ?? ''
  if (!stamp.startsWith(date)) throw denied('SignatureDoesNotMatch', `x-amz-date ${stamp} is not of the day ${date} of the credential`)
  if (Math.abs(timeOf(stamp) - nowMs) > MAX_SKEW_MS)
    throw denied('RequestTimeTooSkewed', `x-amz-date ${stamp} is too far from the time of the server`)
  const payload = sha256(body)
  const claimed = headerText(headers, 'x-amz-content-sha256')
  if (claimed !== undefined && claimed !== payload)
    throw denied('XAmzContentSHA256Mismatch', 'x-amz-content-sha256 is not the hash of the body')
  const signed = names.split(';')
  if (!signed.includes('host')) throw denied('AccessDenied', 'the host header is not signed')
  const lines = signed.map((name) => `${name}:${(headerText(headers, name) ?? '').trim()}\n`).join('')
  const signingKey = signingKeyOf(credentials, date, region, service)
  const cut = url.indexOf('?')
  const [path, query] = cut < 0 ? [url, ''] : [url.slice(0, cut), url.slice(cut + 1)]
  const matches = canonicalPaths(path).some((canonicalPath) =>
    canonicalQueries(query).some((canonicalQuery) => {
      const request = [method, canonicalPath, canonicalQuery, lines, names, payload].join('\n')
      const text = ['AWS4-HMAC-SHA256', stamp, `${date}/${region}/${service}/aws4_request`, sha256(request)].join('\n')
      return timingSafeEqual(hmac(signingKey, text), Buffer.from(signature, 'hex'))
    }),
  )
  if (!matches) throw denied('SignatureDoesNotMatch', 'the signature is not that of this request with the known secret')
}
