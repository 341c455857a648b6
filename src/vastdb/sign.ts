// AWS Signature V4 as VAST clients use it, in the stages of the specification. Pure: the date is an argument.
//   canonical request → string to sign → signature
// Three things differ from S3: the region is empty, `x-amz-content-sha256` need not be signed, and the path is percent-encoded once more.
import { createHash, createHmac } from 'node:crypto'

const ALGORITHM = 'AWS4-HMAC-SHA256'
const SERVICE = 's3'
const TERMINATOR = 'aws4_request'

export interface Credentials {
  readonly accessKey: string
  readonly secretKey: string
}

export interface SignableRequest {
  readonly method: string
  /** The path as it stands in the request line, percent-encoded. */
  readonly path: string
  /** The query as it stands in the request line, without `?`. */
  readonly query: string
  /** The signed headers, lower case; `host` and `x-amz-date` at least. */
  readonly headers: Readonly<Record<string, string>>
  /** Hex SHA-256 of the body; of nothing when there is none. */
  readonly payloadHash: string
}

export const sha256Hex = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex')

/** `20260102T030405Z`. */
export const amzDate = (date: Date): string => date.toISOString().replace(/[-:]|\.\d{3}/g, '')

/** `host`, with its port unless that is 80 or 443: the value that is signed. */
export const signedHost = (hostname: string, port: string): string =>
  port === '' || port === '80' || port === '443' ? hostname : `${hostname}:${port}`

const canonicalPath = (path: string): string => path.replace(/[^A-Za-z0-9/\-_.~]+/g, percentEncoded)

const percentEncoded = (text: string): string =>
  Array.from(new TextEncoder().encode(text), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')

const canonicalQuery = (query: string): string =>
  query
    .split('&')
    .filter((item) => item !== '')
    .map((item) => (item.includes('=') ? item : `${item}=`))
    .toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))
    .join('&')

const signedNames = (headers: Readonly<Record<string, string>>): string[] => Object.keys(headers).toSorted()

export const canonicalRequest = ({ method, path, query, headers, payloadHash }: SignableRequest): string => {
  const names = signedNames(headers)
  return [
    method,
    canonicalPath(path),
    canonicalQuery(query),
    ...names.map((name) => `${name}:${headers[name]?.trim()}`),
    '',
    names.join(';'),
    payloadHash,
  ].join('\n')
}

export interface Scope {
  /** `20260102`. */
  readonly day: string
  /** Empty for the Python client and here, `vast` for JVM clients. */
  readonly region: string
}

const scopeText = ({ day, region }: Scope): string => `${day}/${region}/${SERVICE}/${TERMINATOR}`

export const stringToSign = (canonical: string, date: string, scope: Scope): string =>
  [ALGORITHM, date, scopeText(scope), sha256Hex(canonical)].join('\n')

const hmac = (key: string | Uint8Array, text: string): Buffer => createHmac('sha256', key).update(text).digest()

const signingKey = (secretKey: string, { day, region }: Scope): Uint8Array =>
  [day, region, SERVICE, TERMINATOR].reduce<Uint8Array>(hmac, Buffer.from(`AWS4${secretKey}`))

const signedWith = (key: Uint8Array, toSign: string): string => createHmac('sha256', key).update(toSign).digest('hex')

/** Hex signature of a string to sign. */
export const signature = (secretKey: string, scope: Scope, toSign: string): string => signedWith(signingKey(secretKey, scope), toSign)

/** The last key of each: all requests of a day have it in common. */
const signingKeys = new WeakMap<Credentials, { readonly scope: string; readonly key: Uint8Array }>()

const knownSigningKey = (credentials: Credentials, scope: Scope): Uint8Array => {
  const text = scopeText(scope)
  const known = signingKeys.get(credentials)
  if (known?.scope === text) return known.key
  const key = signingKey(credentials.secretKey, scope)
  signingKeys.set(credentials, { scope: text, key })
  return key
}

/** The `Authorization` value of a request whose headers hold `x-amz-date`. */
export const authorization = (credentials: Credentials, request: SignableRequest, region = ''): string => {
  const date = request.headers['x-amz-date'] ?? ''
  const scope = { day: date.slice(0, 8), region }
  const signed = signedWith(knownSigningKey(credentials, scope), stringToSign(canonicalRequest(request), date, scope))
  return `${ALGORITHM} Credential=${credentials.accessKey}/${scopeText(scope)}, SignedHeaders=${signedNames(request.headers).join(';')}, Signature=${signed}`
}

/** The parts of an `Authorization` value: what a server needs to check one. `undefined` for anything else. */
export const parseAuthorization = (
  value: string,
): (Scope & { readonly accessKey: string; readonly signedHeaders: readonly string[]; readonly signature: string }) | undefined => {
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]*)\/s3\/aws4_request,\s*SignedHeaders=([^,]+),\s*Signature=([0-9a-f]{64})$/.exec(
      value,
    )
  if (match === null) return undefined
  const [, accessKey = '', day = '', region = '', names = '', hex = ''] = match
  return { accessKey, day, region, signedHeaders: names.split(';'), signature: hex }
}
