import { isIP } from 'node:net'

/** What Bun and Elysia give of the listening server. */
export interface AddressSource {
  requestIP(request: Request): { readonly address: string } | null
}

/**
 * Who a request comes from, as far as limits are concerned: an IPv4 address, or the /64 network that an IPv6 customer has at least.
 * `unknown` without a socket. Behind a trusted proxy it is the last address of `X-Forwarded-For`: the proxy wrote that one, what is
 * before it may be invented.
 */
export const clientAddress = (request: Request, server: AddressSource | null | undefined, trustProxy: boolean): string => {
  const forwarded = trustProxy ? request.headers.get('x-forwarded-for')?.split(',').at(-1)?.trim() : undefined
  const address = forwarded !== undefined && isIP(forwarded) !== 0 ? forwarded : server?.requestIP(request)?.address
  return address === undefined ? 'unknown' : network(address)
}

const network = (address: string): string => {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  if (isIP(address) !== 6) return address
  const [head = '', tail] = address.toLowerCase().split('%', 1).join().split('::')
  const groups = (text: string | undefined) => (text ? text.split(':') : [])
  const before = groups(head)
  const after = groups(tail)
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length)
  const all = [...before, ...Array.from({ length: zeros }, () => '0'), ...after]
  return `${all
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`
}
