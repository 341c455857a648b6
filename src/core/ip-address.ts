import { BlockList, isIP } from 'node:net'

/*
 * Addresses that nobody on the Internet can be meant by (IANA special-purpose address registries): requests that somebody else
 * names the target of must not go there.
 */
const IPV4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8], // this network
  ['10.0.0.0', 8], // private
  ['100.64.0.0', 10], // carrier-grade NAT
  ['127.0.0.0', 8], // loopback
  ['169.254.0.0', 16], // link-local, cloud metadata
  ['172.16.0.0', 12], // private
  ['192.0.0.0', 24], // protocol assignments
  ['192.0.2.0', 24], // documentation
  ['192.88.99.0', 24], // 6to4 relays
  ['192.168.0.0', 16], // private
  ['198.18.0.0', 15], // benchmarking
  ['198.51.100.0', 24], // documentation
  ['203.0.113.0', 24], // documentation
  ['224.0.0.0', 4], // multicast
  ['240.0.0.0', 4], // reserved, broadcast
]

/** Of IPv6 only global unicast can be meant, and not those of its parts that carry an IPv4 address or are set aside. */
const IPV6_GLOBAL: readonly [string, number] = ['2000::', 3]
const IPV6_EXCEPT: readonly (readonly [string, number])[] = [
  ['2001::', 23], // protocol assignments, Teredo among them
  ['2001:db8::', 32], // documentation
  ['2002::', 16], // 6to4
  ['3fff::', 20], // documentation
]

const subnets = (list: readonly (readonly [string, number])[], family: 'ipv4' | 'ipv6'): BlockList => {
  const block = new BlockList()
  for (const [network, prefix] of list) block.addSubnet(network, prefix, family)
  return block
}
const special4 = subnets(IPV4, 'ipv4')
const global6 = subnets([IPV6_GLOBAL], 'ipv6')
const special6 = subnets(IPV6_EXCEPT, 'ipv6')

/** Whether this literal address can belong to somebody on the public Internet. False for what is no address. */
export const isPublicAddress = (address: string): boolean => {
  const family = isIP(address)
  if (family === 4) return !special4.check(address, 'ipv4')
  if (family !== 6 || address.includes('%')) return false
  // IPv4-mapped, -compatible and -translated forms lie outside of global unicast.
  return global6.check(address, 'ipv6') && !special6.check(address, 'ipv6')
}
