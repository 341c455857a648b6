import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { connect } from 'node:net'
import { openApp, type TestApp } from '../support/app.ts'
import { createFlow, expectStatus, register, uuid, videoFlow } from '../support/fixtures.ts'
import { segmentsOfPath } from '../support/junk.ts'

/* What only a real connection shows: raw request lines, bodies that are cut off, what the HTTP server itself does. */

let app: TestApp
let flow: { id: string }
beforeAll(async () => {
  app = await openApp()
  flow = await createFlow(app, videoFlow({ tags: { x: 'y' } }))
})
afterAll(() => app.close())

/** Sends bytes over a socket and gives what comes back until the server closes or the answer to the request is complete. */
const exchange = (port: number, request: string | Uint8Array): Promise<string> =>
  new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(request))
    socket.on('data', (data) => {
      answer += data.toString('latin1')
    })
    socket.on('close', () => resolve(answer))
    socket.on('error', reject)
  })

const requestText = (method: string, target: string, body = '', headers = '') =>
  `${method} ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${headers}${body === '' ? '' : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`}\r\n${body}`

const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0)

describe('over a socket', () => {
  test('odd paths are answered below 500 [1.4]', async () => {
    const port = app.listen()
    const targets = [
      ...segmentsOfPath
        .slice(0, 22)
        .flatMap((odd) => [
          `/flows/${odd}`,
          `/flows/${flow.id}/tags/${odd}`,
          `/objects/${odd}`,
          `/flows?label=${odd}`,
          `/flows?tag.${odd}=x`,
        ]),
      '//flows',
      '/flows//',
      '/flows/',
      '/./flows',
      '/flows/../sources',
      '/%66lows',
      '/flows?',
      '/flows?&&=&',
      '/flows#x',
      '*',
      '/flows?a=%',
      '/\u00e9',
    ]
    for (const target of targets.filter((odd) => !odd.includes('\n')))
      for (const method of ['GET', 'DELETE']) {
        if (method === 'DELETE' && /^\/flows\/?$/.test(target)) continue
        const answer = await exchange(port, requestText(method, target))
        const status = statusOf(answer)
        expect([method, target.slice(0, 200), status >= 200 && status < 500]).toEqual([method, target.slice(0, 200), true])
      }
  })

  test('dot segments in a tag’s name never reach the flow itself [1.2] [14.25]', async () => {
    const port = app.listen()
    const own = await createFlow(app, videoFlow({ tags: { a: 'b' } }))
    for (const name of ['..', '.', '%2e%2e', '%2E', '.%2e', 'x/../..']) {
      await exchange(port, requestText('DELETE', `/flows/${own.id}/tags/${name}`))
      await exchange(port, requestText('PUT', `/flows/${own.id}/tags/${name}`, '"x"'))
    }
    const read = expectStatus(await app.get(`/flows/${own.id}`), 200)
    expect(read.body).toMatchObject({ id: own.id, tags: { a: 'b' } })
  })

  test('slashes and percent signs in names arrive as they were sent [1.2]', async () => {
    const port = app.listen()
    const { id } = await createFlow(app)
    for (const name of ['a/b', 'a%2Fb', '100%', 'ü☂', ' ']) {
      const target = `/flows/${id}/tags/${encodeURIComponent(name)}`
      expect(statusOf(await exchange(port, requestText('PUT', target, '"x"')))).toBe(204)
      expect(Object.keys(Object((await app.get(`/flows/${id}/tags`)).body))).toEqual([name])
      expect(statusOf(await exchange(port, requestText('DELETE', target)))).toBe(204)
    }
  })

  test('raw brackets in a query are understood [1.4]', async () => {
    const port = app.listen()
    const { id } = await createFlow(app)
    await register(app, id, '[0:0_1:0)', '[5:0_6:0)')
    const answer = await exchange(port, requestText('GET', `/flows/${id}/segments?timerange=[5:0_6:0)`))
    expect(statusOf(answer)).toBe(200)
    expect(answer.toLowerCase()).toContain('x-paging-timerange: [5:0_6:0)')
  })

  test('a wrong method is 405 with Allow, HEAD has no body [1.3] [1.4]', async () => {
    const port = app.listen()
    const answer = await exchange(port, requestText('PATCH', '/flows', '{}'))
    expect(statusOf(answer)).toBe(405)
    expect(answer.toLowerCase()).toMatch(/\r\nallow: [^\r]*get/)
    for (const [target, status] of [
      ['/service', 200],
      ['/flows?limit=0', 400],
      [`/flows/${uuid()}`, 404],
    ] as const) {
      const head = await exchange(port, requestText('HEAD', target))
      expect([statusOf(head), head.split('\r\n\r\n')[1]]).toEqual([status, ''])
    }
  })

  test('a body that is cut off changes nothing and the service goes on [1.4]', async () => {
    const port = app.listen()
    const { id } = await createFlow(app)
    await new Promise<void>((resolve, reject) => {
      const body = JSON.stringify('a label that never arrives in full')
      const socket = connect(port, '127.0.0.1', () => {
        const text = requestText('PUT', `/flows/${id}/label`, body)
        socket.write(text.slice(0, -10), () => socket.destroy())
      })
      socket.on('close', () => resolve())
      socket.on('error', reject)
    })
    expect(statusOf(await exchange(port, requestText('GET', `/flows/${id}`)))).toBe(200)
    expect((await app.get(`/flows/${id}/label`)).body).toBeNull()
  })
})

test.each(['', 'a b', '[::'])('a Host header that names no host (%p) is 400 [1.4]', async (host) => {
  expect(statusOf(await exchange(app.listen(), `GET /flows HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`))).toBe(400)
})
