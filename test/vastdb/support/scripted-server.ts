import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { RetryTools } from '../../../src/vastdb/retry.ts'
import { encodeError } from '../../../src/vastdb/wire/xml.ts'

export interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: Uint8Array
}

export type Reply = (response: ServerResponse, seen: Seen) => void

/** A reply of status 200. */
export const ok =
  (body: Uint8Array | string = '', headers: Readonly<Record<string, string>> = {}): Reply =>
  (response) => {
    response.writeHead(200, { server: 'vast 5.4.0.20', ...headers })
    response.end(body)
  }

/** An error reply with its XML. */
export const failing =
  (status: number, code: string, message = 'no'): Reply =>
  (response) => {
    response.writeHead(status)
    response.end(encodeError({ code, message }))
  }

/** Ends the connection without an answer. */
export const hangUp: Reply = (response) => {
  response.socket?.destroy()
}

/** Sends a head and some bytes, then ends the connection. */
export const breakingOff =
  (body: Uint8Array): Reply =>
  (response) => {
    response.writeHead(200, { 'content-length': String(body.length + 1000) })
    response.write(body, () => response.socket?.destroy())
  }

/** No answer at all. */
export const silence: Reply = () => undefined

export interface ScriptedServer {
  readonly url: string
  readonly seen: readonly Seen[]
  /** The replies to come, one per request; a request without one is answered 500. */
  readonly script: Reply[]
  close(): Promise<void>
}

export const startScriptedServer = async (script: readonly Reply[] = []): Promise<ScriptedServer> => {
  const seen: Seen[] = []
  const replies = [...script]
  const server = createServer((request, response) => {
    const chunks: Uint8Array[] = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      const one = {
        method: request.method ?? '',
        url: request.url ?? '',
        headers: request.headers,
        body: new Uint8Array(Buffer.concat(chunks)),
      }
      seen.push(one)
      const reply = replies.shift() ?? failing(500, 'Unscripted', `${one.method} ${one.url}`)
      reply(response, one)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    script: replies,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

/** Retry tools without waiting: chance is 0.5, sleeping moves the clock. `waits` has every wait in milliseconds. */
export const fakeTools = (): RetryTools & { readonly waits: number[] } => {
  const waits: number[] = []
  let now = 0
  return {
    waits,
    now: () => now,
    random: () => 0.5,
    sleep: async (ms) => {
      waits.push(ms)
      now += ms
    },
  }
}
