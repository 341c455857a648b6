// One request over node:http(s): a GET needs a body here, which `fetch` refuses and Bun's own client drops. Redirects are not followed and
// answers not decompressed.
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { ConnectionFailed, TimedOut } from './errors.ts'
import { amzDate, authorization, type Credentials, sha256Hex, signedHost } from './sign.ts'
import type { Headers } from './wire/headers.ts'
import type { RawTarget } from './wire/target.ts'

export interface TlsOptions {
  /** Off accepts any certificate. Default on. */
  readonly verify?: boolean | undefined
  /** Certificates (PEM) to trust instead of the system's. */
  readonly ca?: string | undefined
}

export interface HttpOptions {
  readonly credentials: Credentials
  readonly userAgent: string
  /** Longest wait for the connection, the answer, or its next bytes. 0 waits for ever. */
  readonly timeoutMs: number
  readonly tls: TlsOptions
  /** Connections kept per endpoint. */
  readonly maxSockets: number
  readonly date: () => Date
}

export interface HttpRequest {
  readonly method: string
  readonly target: RawTarget
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array | undefined
  readonly signal?: AbortSignal | undefined
  /** `GET /bucket/schema?table`, for errors. */
  readonly operation: string
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: Headers
  /** The body as it arrives. Leaving the loop early ends the connection. */
  readonly body: AsyncIterable<Uint8Array>
}

const NO_BODY = new Uint8Array(0)

/** Whether the error came before any byte could reach the server. */
const neverConnected = (error: unknown): boolean => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return ['ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH', 'ENETUNREACH', 'EAI_AGAIN', 'ConnectionRefused', 'FailedToOpenSocket'].includes(code)
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** Connections to one endpoint. */
export class HttpEndpoint {
  readonly url: string
  readonly #base: URL
  readonly #options: HttpOptions
  readonly #agent: HttpAgent | HttpsAgent

  /** @param url `http://host:port` or `https://host:port` */
  constructor(url: string, options: HttpOptions) {
    this.#base = new URL(url)
    this.url = this.#base.origin
    this.#options = options
    const { verify = true, ca } = options.tls
    const keep = { keepAlive: true, maxSockets: options.maxSockets }
    this.#agent =
      this.#base.protocol === 'https:'
        ? new HttpsAgent({ ...keep, rejectUnauthorized: verify, ...(ca === undefined ? {} : { ca }) })
        : new HttpAgent(keep)
  }

  /** Sends a request, signed, and answers as soon as the head of the response is there. Fails with `ConnectionFailed` or `TimedOut`. */
  send(request: HttpRequest): Promise<HttpAnswer> {
    const { signal, operation } = request
    if (signal?.aborted) return Promise.reject(signal.reason)
    const body = request.body ?? NO_BODY
    return new Promise((resolve, reject) => {
      const open = this.#base.protocol === 'https:' ? httpsRequest : httpRequest
      let expired = false
      const failure = (error: unknown): unknown => {
        if (signal?.aborted) return signal.reason
        if (expired)
          return new TimedOut(`${operation} at ${this.url}: nothing for ${this.#options.timeoutMs} ms`, { operation, cause: error })
        return new ConnectionFailed(`${operation} at ${this.url}: ${messageOf(error)}`, {
          operation,
          cause: error,
          sent: !neverConnected(error),
        })
      }
      const outgoing = open({
        hostname: this.#base.hostname.replace(/^\[|\]$/g, ''),
        port: this.#base.port,
        method: request.method,
        path: request.target.query === '' ? request.target.path : `${request.target.path}?${request.target.query}`,
        agent: this.#agent,
        headers: this.#headers(request, body),
      })
      let response: IncomingMessage | undefined
      const end = (error: Error) => {
        response?.destroy(error)
        outgoing.destroy(error)
      }
      const clock = new Stopwatch(this.#options.timeoutMs, () => {
        expired = true
        end(new Error('timed out'))
        reject(failure(undefined))
      })
      const abort = () => {
        end(new Error('aborted'))
        reject(failure(undefined))
      }
      const settle = () => {
        clock.stop()
        signal?.removeEventListener('abort', abort)
      }
      signal?.addEventListener('abort', abort, { once: true })
      outgoing.on('error', (error) => {
        settle()
        reject(failure(error))
      })
      outgoing.on('response', (incoming: IncomingMessage) => {
        response = incoming
        clock.restart()
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          body: readBody(incoming, new Arrivals(incoming), clock, failure, settle),
        })
      })
      clock.restart()
      outgoing.end(body.length > 0 ? body : undefined)
    })
  }

  /** Ends all connections. */
  close(): void {
    this.#agent.destroy()
  }

  #headers(request: HttpRequest, body: Uint8Array): Record<string, string> {
    const { credentials, userAgent, date } = this.#options
    const host = signedHost(this.#base.hostname, this.#base.port)
    const payloadHash = sha256Hex(body)
    const signed = { host, 'x-amz-date': amzDate(date()) }
    const { path, query } = request.target
    const hasLength = body.length > 0 || !['GET', 'HEAD'].includes(request.method)
    return {
      ...request.headers,
      ...signed,
      'user-agent': userAgent,
      'x-amz-content-sha256': payloadHash,
      authorization: authorization(credentials, { method: request.method, path, query, headers: signed, payloadHash }),
      ...(hasLength ? { 'content-length': String(body.length) } : {}),
    }
  }
}

/** A time limit that starts anew with every sign of life. One timer serves for all of it, which looks when it goes off how long the last sign is ago. */
class Stopwatch {
  readonly #ms: number
  readonly #expire: () => void
  #timer: ReturnType<typeof setTimeout> | undefined
  /** Undefined while it stands still. */
  #since: number | undefined

  constructor(ms: number, expire: () => void) {
    this.#ms = ms
    this.#expire = expire
  }

  restart(): void {
    this.#since = performance.now()
    if (this.#ms > 0) this.#timer ??= setTimeout(() => this.#look(), this.#ms)
  }

  pause(): void {
    this.#since = undefined
  }

  stop(): void {
    this.#since = undefined
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #look(): void {
    this.#timer = undefined
    if (this.#since === undefined) return
    const left = this.#since + this.#ms - performance.now()
    if (left > 0) this.#timer = setTimeout(() => this.#look(), left)
    else this.#expire()
  }
}

/** What an answer brings, as it arrives. The stream's own iterator sets up so much for each answer that small ones take a third longer. */
class Arrivals {
  readonly #incoming: IncomingMessage
  #over = false
  #error: Error | undefined
  #wake = (): void => undefined

  constructor(incoming: IncomingMessage) {
    this.#incoming = incoming
    const end = (error?: Error): void => {
      this.#over = true
      this.#error ??= error
      this.#wake()
    }
    incoming.on('readable', () => this.#wake())
    incoming.on('end', end)
    incoming.on('error', end)
    incoming.on('close', end)
  }

  /** The next bytes; undefined at the end. */
  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      const chunk: Buffer | null = this.#incoming.read()
      // Not a Buffer, whose `slice` would not copy.
      if (chunk !== null) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length)
      if (this.#error) throw this.#error
      if (this.#over) return undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

async function* readBody(
  incoming: IncomingMessage,
  arrivals: Arrivals,
  clock: Stopwatch,
  failure: (error: unknown) => unknown,
  settle: () => void,
): AsyncGenerator<Uint8Array> {
  let ended = false
  try {
    for (let chunk = await arrivals.next(); chunk; chunk = await arrivals.next()) {
      // The limit is for the server: it does not run while the caller works on a chunk.
      clock.pause()
      yield chunk
      clock.restart()
    }
    if (!incoming.complete) throw new Error('the connection closed inside the body')
    ended = true
  } catch (error) {
    throw failure(error)
  } finally {
    settle()
    if (!ended) incoming.destroy()
  }
}

/** All of a body. */
export const readAll = async (body: AsyncIterable<Uint8Array>): Promise<Uint8Array> => {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  const [only] = chunks
  return chunks.length === 1 && only !== undefined ? only : new Uint8Array(Buffer.concat(chunks))
}
