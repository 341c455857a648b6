import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { isPublicAddress } from '../../src/core/ip-address.ts'
import { checkWebhookUrl } from '../../src/domain/webhook-url.ts'
import { guardedFetch } from '../../src/workers/guarded-fetch.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { expectInvalid, expectStatus, uuid } from '../support/fixtures.ts'

/** What a client must not be able to have requested. */
const hostile = [
  [
    'another scheme',
    [
      'file:///etc/passwd',
      'ftp://example.com/',
      'gopher://example.com/',
      'data:text/plain,x',
      'javascript:alert(1)',
      'unix:/run/docker.sock',
      'ws://example.com/',
      'blob:https://example.com/x',
      'dict://example.com:11211/',
    ],
  ],
  ['no URL', ['', 'example.com/hook', '//example.com/', 'http://', 'https://[::1', 'http://exa mple.com/', 'http://%zz/']],
  ['credentials', ['https://user:password@example.com/', 'https://user@example.com/', 'http://example.com@127.0.0.1/']],
  [
    'a name of this machine',
    ['http://localhost/', 'http://LOCALHOST:8000/', 'http://localhost./', 'http://a.localhost/', 'http://intranet/', 'http://metadata/'],
  ],
  [
    'loopback',
    [
      'http://127.0.0.1/',
      'http://127.0.0.1:8000/',
      'http://127.1/',
      'http://127.0.1/',
      'http://127.255.255.254/',
      'http://127.0.0.1./',
      'http://2130706433/',
      'http://017700000001/',
      'http://0x7f000001/',
      'http://0x7f.0.0.1/',
      'http://0177.0.0.1/',
      'http://0x7f.1/',
      'http://%31%32%37.0.0.1/',
      'http://127。0。0。1/',
      'http://①②⑦.⓪.⓪.①/',
      'http://[::1]/',
      'http://[0:0:0:0:0:0:0:1]/',
      'http://[::ffff:127.0.0.1]/',
      'http://[::ffff:7f00:1]/',
      'http://[::127.0.0.1]/',
      'http://[64:ff9b::127.0.0.1]/',
      'http://[64:ff9b:1::7f00:1]/',
      'http://[2002:7f00:1::]/',
    ],
  ],
  ['this host', ['http://0.0.0.0/', 'http://0/', 'http://[::]/', 'http://0.1.2.3/']],
  [
    'a private network',
    [
      'http://10.0.0.1/',
      'http://10.255.255.255/',
      'http://172.16.0.1/',
      'http://172.31.255.254/',
      'http://192.168.1.1/',
      'http://3232235777/',
      'http://0xc0.0xa8.1.1/',
      'http://[::ffff:192.168.1.1]/',
      'http://[fc00::1]/',
      'http://[fd12:3456:789a::1]/',
      'http://[fec0::1]/',
      'http://[2002:c0a8:101::1]/',
    ],
  ],
  ['carrier-grade NAT', ['http://100.64.0.1/', 'http://100.127.255.254/']],
  [
    'link-local and metadata',
    [
      'http://169.254.169.254/latest/meta-data/',
      'http://2852039166/',
      'http://0xa9fea9fe/',
      'http://[::ffff:169.254.169.254]/',
      'http://[fe80::1]/',
      'http://[fd00:ec2::254]/',
      'http://100.100.100.200/',
    ],
  ],
  [
    'multicast, reserved, documentation',
    [
      'http://224.0.0.1/',
      'http://239.255.255.250/',
      'http://240.0.0.1/',
      'http://255.255.255.255/',
      'http://192.0.2.1/',
      'http://198.18.0.1/',
      'http://203.0.113.9/',
      'http://192.0.0.192/',
      'http://[ff02::1]/',
      'http://[2001:db8::1]/',
      'http://[2001::1]/',
      'http://[100::1]/',
    ],
  ],
] as const
const urls = hostile.flatMap(([kind, list]) => list.map((url) => [url, kind] as const))

test('the hostile URLs are many and differ', () => {
  expect(new Set(urls.map(([url]) => url)).size).toBeGreaterThanOrEqual(60)
})

let app: TestApp
beforeAll(async () => {
  app = await openApp()
})
afterAll(() => app.close())

describe('a webhook', () => {
  test.each(urls)('with the URL %s is refused: %s [10.3-S2]', async (url) => {
    expectInvalid(await app.post('/service/webhooks', { url, events: [] }), 'url')
  })

  test('cannot be turned to such a URL later [10.3-S2]', async () => {
    const webhook = { url: 'https://hooks.example.com/', events: [] }
    const { id } = expectStatus(await app.post('/service/webhooks', webhook), 201).body as { id: string }
    expectInvalid(await app.put(`/service/webhooks/${id}`, { ...webhook, id, status: 'created', url: 'http://169.254.169.254/' }), 'url')
  })

  test.each([
    'https://hooks.example.com/x?y=z',
    'http://93.184.215.14:8080/',
    'https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/',
    'https://xn--bcher-kva.example/',
  ])('may have the URL %s', (url) => {
    expect(checkWebhookUrl(url, []).href).toBe(new URL(url).href)
  })
})

describe('a request', () => {
  const never = new AbortController().signal
  const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: (request) => answer(request) })
  const asked: string[] = []
  const answer = (request: Request): Response => {
    asked.push(`${request.method} ${request.headers.get('host')} ${new URL(request.url).pathname}`)
    if (request.url.endsWith('/redirect'))
      return new Response(null, { status: 307, headers: { location: `http://127.0.0.1:${server.port}/inside` } })
    return new Response('answer')
  }
  afterAll(() => server.stop(true))
  const get = (url: string, options: Parameters<typeof guardedFetch>[0]) => guardedFetch(options)({ url, timeoutMs: 2000, signal: never })

  test.each([
    '127.0.0.1',
    '10.1.2.3',
    '169.254.169.254',
    '100.64.1.1',
    '::1',
    '::ffff:10.0.0.1',
    '::ffff:a9fe:a9fe',
    '64:ff9b::a00:1',
    'fe80::1',
    'fe80::1%eth0',
    'fd00::1',
    '2002:a00:1::',
    'ff05::2',
    '0.0.0.0',
    '::',
    'no address',
  ])('to a name that leads to %s does not connect [10.3-S2]', async (address) => {
    expect(isPublicAddress(address)).toBe(false)
    await expect(get('http://rebound.example.com/', { allowedHosts: [], resolve: async () => [address] })).rejects.toThrow(
      'private network',
    )
  })

  test('to a name of which one address is private does not connect, whichever comes first [10.3-S2]', async () => {
    for (const addresses of [
      ['93.184.215.14', '10.0.0.1'],
      ['10.0.0.1', '93.184.215.14'],
    ])
      await expect(get('http://mixed.example.com/', { allowedHosts: [], resolve: async () => addresses })).rejects.toThrow('10.0.0.1')
  })

  test('goes to the address that was checked: the name is looked up once', async () => {
    let lookups = 0
    const resolve = async () => [lookups++ === 0 ? '127.0.0.1' : '127.0.0.9']
    const response = await get(`http://allowed.example.com:${server.port}/x`, { allowedHosts: ['allowed.example.com'], resolve })
    expect([await response.text(), lookups]).toEqual(['answer', 1])
    expect(asked.at(-1)).toBe(`GET allowed.example.com:${server.port} /x`)
  })

  test('tries the next address of a name that cannot be connected to', async () => {
    const resolve = async () => ['127.0.0.77', '127.0.0.1']
    const response = await get(`http://allowed.example.com:${server.port}/next`, { allowedHosts: ['allowed.example.com'], resolve })
    expect(response.status).toBe(200)
  })

  test('does not follow redirects [10.3-S2]', async () => {
    const response = await get(`http://127.0.0.1:${server.port}/redirect`, { allowedHosts: [`127.0.0.1:${server.port}`] })
    expect(response.status).toBe(307)
    expect(asked.filter((line) => line.endsWith('/inside'))).toEqual([])
  })

  test('to an allowed host with a port reaches no other port of it', async () => {
    await expect(get(`http://127.0.0.1:${server.port}/`, { allowedHosts: ['127.0.0.1:1'] })).rejects.toThrow('private network')
  })

  test('ends when no answer comes in time, also while a name is looked up', async () => {
    const request = guardedFetch({ allowedHosts: [], resolve: () => new Promise(() => undefined) })
    await expect(request({ url: 'http://slow.example.com/', timeoutMs: 5, signal: never })).rejects.toThrow('no answer within 5 ms')
  })
})

describe('over TLS, a request', () => {
  test('asks for the name and checks the certificate against it, though it connects to an address', async () => {
    const directory = `${process.env.TMPDIR ?? '/tmp'}/tams-tls-${uuid()}`
    const subject = ['-subj', '/CN=hooks.example.com', '-addext', 'subjectAltName=DNS:hooks.example.com']
    const made = Bun.spawnSync([
      'sh',
      '-c',
      `mkdir -p "$0" && exec openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout "$0/key.pem" -out "$0/cert.pem" "$@"`,
      directory,
      ...subject,
    ])
    if (made.exitCode !== 0) return console.warn(`skipped: TLS, because openssl is absent: ${made.stderr}`)
    const cert = await Bun.file(`${directory}/cert.pem`).text()
    const server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      tls: { cert, key: await Bun.file(`${directory}/key.pem`).text() },
      fetch: (request) => new Response(request.headers.get('host')),
    })
    const get = (host: string, ca?: string) =>
      guardedFetch({ allowedHosts: [host], resolve: async () => ['127.0.0.1'], ...(ca !== undefined && { ca }) })({
        url: `https://${host}:${server.port}/`,
        timeoutMs: 5000,
        signal: new AbortController().signal,
      })
    try {
      expect(await (await get('hooks.example.com', cert)).text()).toBe(`hooks.example.com:${server.port}`)
      await expect(get('other.example.com', cert)).rejects.toThrow()
      await expect(get('hooks.example.com')).rejects.toThrow()
    } finally {
      await server.stop(true)
      Bun.spawnSync(['rm', '-r', directory])
    }
  })
})
