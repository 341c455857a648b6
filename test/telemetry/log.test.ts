import { describe, expect, test } from 'bun:test'
import path from 'node:path'
import { createLog, type Log, type LogOptions } from '../../src/telemetry/log.ts'

const recording = (options: Partial<LogOptions> = {}): { readonly log: Log; readonly lines: string[] } => {
  const lines: string[] = []
  return { log: createLog({ level: 'info', format: 'json', destination: { write: (line) => lines.push(line) }, ...options }), lines }
}

const logged = (detail: Readonly<Record<string, unknown>>, message = 'something happened'): Record<string, unknown> => {
  const { log, lines } = recording()
  log.info(detail, message)
  return JSON.parse(lines.join(''))
}

describe('a log in JSON', () => {
  test('has one object on one line for each call', () => {
    const { log, lines } = recording()
    log.info({ path: '/flows' }, 'first\nsecond')
    log.warn({ nested: { text: 'a\nb' } }, 'third')
    const text = lines.join('')
    expect(text.endsWith('\n')).toBe(true)
    const parsed = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(parsed).toEqual([
      { level: 'info', time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/), path: '/flows', msg: 'first\nsecond' },
      { level: 'warn', time: expect.any(String), nested: { text: 'a\nb' }, msg: 'third' },
    ])
  })

  test('leaves out what is below its level', () => {
    const { log, lines } = recording({ level: 'warn' })
    log.info({}, 'too quiet')
    log.error({}, 'loud')
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['loud'])
  })

  test('carries the bindings of a child on each of its lines, and not on those of its parent', () => {
    const { log, lines } = recording()
    const child = log.child({ request_id: 'r-1' }).child({ flow_id: 'f-1' })
    child.info({}, 'of the child')
    log.info({}, 'of the parent')
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ request_id: 'r-1', flow_id: 'f-1' }, { msg: 'of the parent' }])
    expect(lines[1]).not.toContain('r-1')
  })

  test('prints an error with its kind, its message, its stack and its cause', () => {
    const cause = Object.assign(new RangeError('disk'), { code: 'ENOSPC' })
    expect(logged({ err: new Error('could not write', { cause }) }).err).toMatchObject({
      type: 'Error',
      message: 'could not write',
      stack: expect.stringContaining('log.test.ts'),
      cause: { type: 'RangeError', message: 'disk', code: 'ENOSPC' },
    })
  })

  test('prints integers of 64 bits exactly', () => {
    expect(logged({ start_ns: 2n ** 63n - 1n })).toMatchObject({ start_ns: '9223372036854775807' })
  })

  test('survives an object that contains itself', () => {
    const loop: Record<string, unknown> = { name: 'loop' }
    loop.self = loop
    expect(logged({ loop })).toMatchObject({ loop: { name: 'loop', self: { name: 'loop' } } })
  })
})

describe('a log never contains', () => {
  const secret = 'c2VjcmV0LXZhbHVl'

  test.each<[string, Record<string, unknown>]>([
    ['the authorization header', { headers: { Authorization: `Bearer ${secret}` } }],
    ['the authorization header of a Headers object', { headers: new Headers({ authorization: `Basic ${secret}` }) }],
    ['a cookie', { request: { headers: { cookie: `session=${secret}` } } }],
    ['the key of a webhook', { webhook: { api_key_name: 'x', api_key_value: secret } }],
    ['an access token by name', { access_token: secret }],
    ['an access token in a URL', { url: `http://localhost/flows?limit=1&access_token=${secret}&page=2` }],
    ['the signature of an S3 URL', { url: `https://b.example.com/k?X-Amz-Credential=${secret}&X-Amz-Signature=${secret}` }],
    ['the signature of an own URL', { list: [{ url: `http://localhost/media/a?expires=1&sig=${secret}` }] }],
    ['a signature in a relative URL object', { url: new URL(`http://localhost/media/a?signature=${secret}#t=1`) }],
    ['a password in a URL', { url: `https://ingest:${secret}@media.example.com/x` }],
    ['a token in the message of an error', { err: new Error(`GET /x?access_token=${secret} failed`) }],
    ['a token in the cause of an error', { err: new Error('failed', { cause: new Error(`Bearer ${secret}`) }) }],
    ['a member of an error', { err: Object.assign(new Error('failed'), { secretKey: secret }) }],
  ])('%s', (_, detail) => {
    const line = JSON.stringify(logged(detail))
    expect(line).not.toContain(secret)
    expect(line).toContain('***')
  })

  test('a token in the message itself or in the bindings of a child', () => {
    const { log, lines } = recording()
    log.child({ url: `/x?access_token=${secret}` }).info({}, `called with Bearer ${secret}`)
    expect(JSON.parse(lines.join(''))).toMatchObject({ url: '/x?access_token=***', msg: 'called with Bearer ***' })
  })

  test('less than it should: other parameters of a URL stay readable', () => {
    const url = `http://localhost/flows/1/segments?timerange=[0:0_10:0)&access_token=${secret}&limit=5`
    expect(logged({ url }).url).toBe('http://localhost/flows/1/segments?timerange=[0:0_10:0)&access_token=***&limit=5')
  })
})

describe('a log for people', () => {
  test('names the level and the message, and hides secrets too', () => {
    const { log, lines } = recording({ format: 'pretty' })
    log.warn({ headers: { authorization: 'Bearer abcdefghijklmnop' } }, 'disk is nearly full')
    const text = lines.join('')
    expect(text).toContain('WARN')
    expect(text).toContain('disk is nearly full')
    expect(text).not.toContain('abcdefghijklmnop')
  })
})

test('what is flushed is written when the process ends at once', async () => {
  const program = `
    import { createLog } from ${JSON.stringify(path.join(import.meta.dir, '../../src/telemetry/log.ts'))}
    import { pbkdf2 } from 'node:crypto'
    const log = createLog({ level: 'info', format: 'json' })
    // The threads that write have other work first.
    for (let work = 0; work < 16; work++) pbkdf2('password', 'salt', 50_000, 64, 'sha512', () => undefined)
    for (let line = 0; line < 5000; line++) log.info({ line }, 'a line')
    await log.flush()
    process.exit(0)`
  const child = Bun.spawn([process.execPath, '-e', program], { stdout: 'pipe', stderr: 'inherit' })
  const lines = (await new Response(child.stdout).text()).trimEnd().split('\n')
  expect(lines.map((line) => JSON.parse(line).line)).toEqual(Array.from({ length: 5000 }, (_, line) => line))
})
