import { isIP } from 'node:net'
import { invalid } from '../core/errors.ts'
import { isPublicAddress } from '../core/ip-address.ts'
import { quote } from '../core/uuid.ts'

/** The host of a URL without the brackets of an IPv6 literal; the URL parser has undone odd spellings (decimal, octal, hexadecimal). */
export const hostOf = (url: URL): string => url.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')

/**
 * What can be told of a webhook's URL before its host is looked up: http or https, no credentials in it, no literal address or
 * name of this machine or a private network unless the host is allowed. Throws `invalid`. Addresses are checked again when a
 * delivery connects.
 */
export const checkWebhookUrl = (text: string, allowedHosts: readonly string[]): URL => {
  const url = URL.parse(text)
  if (!url) throw invalid('url', `${quote(text)} is not a URL`)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw invalid('url', `${quote(text)} is neither http nor https`)
  if (url.username !== '' || url.password !== '') throw invalid('url', 'must not hold credentials; use api_key_name and api_key_value')
  const host = hostOf(url)
  if (isAllowedHost(url, allowedHosts)) return url
  const local = host === 'localhost' || host.endsWith('.localhost') || host === '' || (!host.includes('.') && isIP(host) === 0)
  if (local || (isIP(host) !== 0 && !isPublicAddress(host)))
    throw invalid('url', `the host ${quote(host)} is on this machine or a private network; WEBHOOK_ALLOWED_HOSTS can allow it`)
  return url
}

/** `allowedHosts` holds hosts, or hosts with a port. */
export const isAllowedHost = (url: URL, allowedHosts: readonly string[]): boolean =>
  allowedHosts.some((allowed) => allowed.toLowerCase() === hostOf(url) || allowed.toLowerCase() === url.host)
