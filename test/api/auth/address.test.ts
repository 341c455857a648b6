import { expect, test } from 'bun:test'
import { clientAddress } from '../../../api/auth/address.ts'

const from = (address: string | undefined, forwarded?: string, trustProxy = false) =>
  clientAddress(
    new Request('http://localhost/', forwarded === undefined ? {} : { headers: { 'x-forwarded-for': forwarded } }),
    { requestIP: () => (address === undefined ? null : { address }) },
    trustProxy,
  )

test.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
  ['2001:0DB8:0001:0002::9', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  [undefined, 'unknown'],
])('a request from %s counts as one from %s', (address, expected) => {
  expect(from(address)).toBe(expected)
})

test('X-Forwarded-For counts only from a trusted proxy, and of it only what the proxy wrote', () => {
  expect(from('192.0.2.7', '198.51.100.1')).toBe('192.0.2.7')
  expect(from('192.0.2.7', '203.0.113.1, 198.51.100.1', true)).toBe('198.51.100.1')
  expect(from('192.0.2.7', 'nonsense', true)).toBe('192.0.2.7')
  expect(from('192.0.2.7', '', true)).toBe('192.0.2.7')
})
