import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { isPublicAddress } from '../core/ip-address.ts'
import { checkWebhookUrl, hostOf, isAllowedHost } from '../domain/webhook-url.ts'

export interface GuardedRequest {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

export interface GuardedAnswer {
  readonly status: number
  /** `Retry-After` in seconds. */
  readonly retryAfter: number | undefined
}

export interface GuardOptions {
  readonly allowedHosts: readonly string[]
  /** All addresses of a host. */
  readonly resolve?: (host: string) => Promise<readonly string[]>
  /** Further TLS settings: a private certificate authority. */
  readonly ca?: string
}

export type GuardedPost = (request: GuardedRequest) => Promise<GuardedAnswer>

/** So much of an answer is read, to have the connection used again. */
const MAX_ANSWER_BYTES = 64 * 1024

/**
 * POSTs to a URL that somebody else has named. The host is looked up once, every address of it must be public (or the host
 * allowed), and the connection goes to that very address; redirects are not followed. Throws what a caller can show: the reason.
 */
export const guardedPost = ({ allowedHosts, resolve = resolveHost, ca }: GuardOptions): GuardedPost => {
  const target = async (url: URL): Promise<string> => {
    const host = hostOf(url)
    const addresses = isIP(host) === 0 ? await resolve(host) : [host]
    const [address] = addresses
    if (address === undefined) throw new Error(`${host} has no address`)
    if (!isAllowedHost(url, allowedHosts)) {
      const refused = addresses.find((each) => !isPublicAddress(each))
      if (refused !== undefined) throw new Error(`${host} leads to ${refused}, which is on this machine or a private network`)
    }
    return address
  }

  return async ({ url: text, headers, body, timeoutMs, signal }) => {
    const url = checkWebhookUrl(text, allowedHosts)
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
    const address = await withSignal(target(url), limit)
    const direct = new URL(url)
    direct.hostname = isIP(address) === 6 ? `[${address}]` : address
    const response = await fetch(direct, {
      method: 'POST',
      body,
      headers: { ...headers, host: url.host },
      redirect: 'manual',
      signal: limit,
      ...(url.protocol === 'https:' && { tls: { serverName: hostOf(url), ...(ca !== undefined && { ca }) } }),
    })
    await discard(response)
    return { status: response.status, retryAfter: retryAfter(response.headers.get('retry-after')) }
  }
}

const resolveHost = async (host: string): Promise<string[]> => (await lookup(host, { all: true })).map(({ address }) => address)

const withSignal = <T>(promise: Promise<T>, signal: AbortSignal): Promise<T> =>
  Promise.race([
    promise,
    new Promise<never>((_, reject) => {
      const abort = () => reject(signal.reason)
      if (signal.aborted) abort()
      else signal.addEventListener('abort', abort, { once: true })
    }),
  ])

const discard = async (response: Response): Promise<void> => {
  if (!response.body) return
  let read = 0
  for await (const chunk of response.body) {
    read += chunk.byteLength
    if (read > MAX_ANSWER_BYTES) return
  }
}

const retryAfter = (header: string | null): number | undefined => {
  if (header === null) return undefined
  if (/^\d{1,9}$/.test(header.trim())) return Number(header)
  const date = Date.parse(header)
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - Date.now()) / 1000))
}
