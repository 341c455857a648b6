import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { isPublicAddress } from '../core/ip-address.ts'
import { checkWebhookUrl, hostOf, isAllowedHost } from '../domain/webhook-url.ts'

export interface GuardedRequest {
  readonly url: string
  /** Default: GET. */
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Until the head of the answer is there; its body may take as long as `signal` lets it. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

export interface GuardOptions {
  readonly allowedHosts: readonly string[]
  /** All addresses of a host. */
  readonly resolve?: (host: string) => Promise<readonly string[]>
  /** A private certificate authority. */
  readonly ca?: string
}

export type GuardedFetch = (request: GuardedRequest) => Promise<Response>

/** Of one host so many addresses are tried, as long as none can be connected to. */
const MAX_ADDRESSES = 3

/**
 * Requests to URLs that somebody else has named. The host is looked up once, every address of it must be public (or the host
 * allowed), and the connection goes to one of these very addresses; redirects are not followed. Throws what a caller can show: the
 * reason.
 */
export const guardedFetch = ({ allowedHosts, resolve = resolveHost, ca }: GuardOptions): GuardedFetch => {
  const targets = async (url: URL): Promise<readonly string[]> => {
    const host = hostOf(url)
    const addresses = isIP(host) === 0 ? await resolve(host) : [host]
    if (addresses.length === 0) throw new Error(`${host} has no address`)
    const refused = isAllowedHost(url, allowedHosts) ? undefined : addresses.find((each) => !isPublicAddress(each))
    if (refused !== undefined) throw new Error(`${host} leads to ${refused}, which is on this machine or a private network`)
    return addresses.slice(0, MAX_ADDRESSES)
  }

  return async ({ url: text, method = 'GET', headers, body, timeoutMs, signal }) => {
    const url = checkWebhookUrl(text, allowedHosts)
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(new DOMException(`no answer within ${timeoutMs} ms`, 'TimeoutError')), timeoutMs)
    const limit = AbortSignal.any([signal, late.signal])
    try {
      let failure: unknown
      for (const address of await withSignal(targets(url), limit)) {
        const direct = new URL(url)
        direct.hostname = isIP(address) === 6 ? `[${address}]` : address
        try {
          return await fetch(direct, {
            method,
            ...(body !== undefined && { body }),
            headers: { ...headers, host: url.host },
            redirect: 'manual',
            signal: limit,
            ...(url.protocol === 'https:' && { tls: { serverName: hostOf(url), ...(ca !== undefined && { ca }) } }),
          })
        } catch (error) {
          if (limit.aborted) throw limit.reason
          failure = error
        }
      }
      throw failure
    } finally {
      clearTimeout(timer)
    }
  }
}

// IPv4 first: a host with both is reachable by it from everywhere.
const resolveHost = async (host: string): Promise<string[]> =>
  (await lookup(host, { all: true })).sort((a, b) => a.family - b.family).map(({ address }) => address)

const withSignal = <T>(promise: Promise<T>, signal: AbortSignal): Promise<T> =>
  Promise.race([
    promise,
    new Promise<never>((_, reject) => {
      const abort = () => reject(signal.reason)
      if (signal.aborted) abort()
      else signal.addEventListener('abort', abort, { once: true })
    }),
  ])
