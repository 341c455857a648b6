import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Given the bytes of a body, gives what goes on. */
export type Change = (body: Uint8Array) => Uint8Array

export interface DamagingProxy {
  readonly url: string
  /** What happens to the bodies of requests and of answers; undefined: nothing. */
  request: Change | undefined
  answer: Change | undefined
  close(): Promise<void>
}

const bodyOf = async (message: IncomingMessage): Promise<Uint8Array> => {
  const parts: Uint8Array[] = []
  for await (const part of message as AsyncIterable<Uint8Array>) parts.push(part)
  return new Uint8Array(Buffer.concat(parts))
}

/** Hands requests on to the server at `target`, bodies whole and perhaps changed. */
export const startDamagingProxy = async (target: string): Promise<DamagingProxy> => {
  const { hostname, port } = new URL(target)
  const forward = (method: string, path: string, headers: IncomingMessage['headers'], body: Uint8Array): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const length = body.length > 0 || !['GET', 'HEAD'].includes(method) ? { 'content-length': String(body.length) } : {}
      const { 'content-length': _, ...rest } = headers
      const outgoing = httpRequest({ hostname, port, method, path, headers: { ...rest, ...length } }, resolve)
      outgoing.once('error', reject)
      outgoing.end(body.length > 0 ? body : undefined)
    })
  const proxy = { request: undefined as Change | undefined, answer: undefined as Change | undefined }
  const server = createServer((incoming, response) => {
    const serve = async (): Promise<void> => {
      const { method = 'GET', url = '/', headers } = incoming
      const sent = await bodyOf(incoming)
      const answer = await forward(method, url, headers, proxy.request && sent.length > 0 ? proxy.request(sent) : sent)
      const got = await bodyOf(answer)
      const body = proxy.answer && got.length > 0 ? proxy.answer(got) : got
      const { 'transfer-encoding': _, connection: __, 'keep-alive': ___, ...kept } = answer.headers
      response.writeHead(answer.statusCode ?? 500, { ...kept, 'content-length': body.length })
      response.end(body)
    }
    serve().catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return Object.assign(proxy, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  })
}
