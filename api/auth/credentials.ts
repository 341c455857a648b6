import { invalid } from '../../src/core/errors.ts'
import { missingCredentials, wrongPassword } from './challenge.ts'

export type Credentials =
  | { readonly kind: 'basic'; readonly name: string; readonly password: string }
  | { readonly kind: 'token'; readonly token: string; readonly from: 'header' | 'query' }

/**
 * What a request carries, one of the three alternatives of tams-behaviour.md section 12; undefined without any. Throws `invalid` for two
 * at once (RFC 6750 2 forbids it: which one counts would be a guess) and a `Refusal` for what cannot be read.
 */
export const credentialsOf = (request: Request): Credentials | undefined => {
  const header = request.headers.get('authorization')
  const token = queryToken(request.url)
  if (header !== null && token !== undefined) throw invalid('access_token', 'comes beside an Authorization header: send one of them')
  if (token !== undefined) return { kind: 'token', token, from: 'query' }
  return header === null ? undefined : fromHeader(header)
}

const fromHeader = (header: string): Credentials => {
  const [, scheme = '', value = ''] = /^\s*([^\s]+)\s+(.*?)\s*$/.exec(header) ?? []
  if (/^bearer$/i.test(scheme)) return { kind: 'token', token: value, from: 'header' }
  if (/^basic$/i.test(scheme)) return basic(value)
  throw missingCredentials()
}

/** RFC 7617 2: base64 of `name:password`, where the name has no colon. */
const basic = (value: string): Credentials => {
  const text = /^[A-Za-z0-9+/]+={0,2}$/.test(value) ? utf8(Buffer.from(value, 'base64')) : undefined
  const colon = text?.indexOf(':') ?? -1
  if (text === undefined || colon < 0) throw wrongPassword()
  return { kind: 'basic', name: text.slice(0, colon).normalize('NFC'), password: text.slice(colon + 1) }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const utf8 = (bytes: Uint8Array): string | undefined => {
  try {
    return decoder.decode(bytes)
  } catch {
    // Bytes of another character set: no password of ours.
    return undefined
  }
}

const PARAMETER = 'access_token='

/**
 * Only where the name is written plainly: that is what the log recognises and blanks. Throws `invalid` for two of them, since the next
 * reader may take the other one.
 */
const queryToken = (url: string): string | undefined => {
  const start = url.indexOf('?')
  if (start < 0) return undefined
  const [query = ''] = url.slice(start + 1).split('#', 1)
  const found = query.split('&').filter((part) => part.startsWith(PARAMETER))
  if (found.length > 1) throw invalid('access_token', 'is there twice')
  return found[0] === undefined ? undefined : decoded(found[0].slice(PARAMETER.length))
}

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    // No token has a percent sign: it is refused as it is.
    return text
  }
}
