// Requests to a cluster: the common headers, one endpoint out of several, retries and fail-over. Knows no operation.
import { EndpointPool, type Lease } from './endpoints.ts'
import { ConnectionFailed, errorOfAnswer, TimedOut } from './errors.ts'
import { type HttpAnswer, HttpEndpoint, type HttpOptions, readAll } from './http.ts'
import { type RetryPolicy, type RetryTools, retrying } from './retry.ts'
import type { Headers } from './wire/headers.ts'
import { SchemaMemo } from './wire/ipc-message.ts'

import { encodeTarget, type RawTarget, type Target } from './wire/target.ts'

export interface Call {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'
  readonly target: Target
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: Uint8Array | undefined
  readonly signal?: AbortSignal | undefined
  /** Leaves the common `tabular-*` headers out: the probes and the S3 listing carry none. */
  readonly bare?: boolean
}

export interface Answer {
  readonly headers: Headers
  readonly body: Uint8Array
}

export interface ConnectionOptions {
  readonly endpoints: readonly string[]
  readonly http: HttpOptions
  readonly retry: RetryPolicy
  readonly tools: RetryTools
  /** Value of `tabular-client-name`. */
  readonly clientName: string
  readonly onAnswer?: ((answered: Answered) => void) | undefined
}

/** One request to one endpoint, until the head of its answer was there. */
export interface Answered {
  readonly method: Call['method']
  /** `data`, `rows`, `transaction` …; undefined for requests about a bucket. */
  readonly command: string | undefined
  /** undefined where no answer came. */
  readonly status: number | undefined
  readonly seconds: number
}

/** `GET /bucket/schema/table?data`, for errors. */
const nameOf = ({ method, target }: Call, { path }: RawTarget): string =>
  `${method} ${path}${target.command === undefined ? '' : `?${target.command}`}`

export class Connection {
  readonly pool: EndpointPool<HttpEndpoint>
  readonly retry: RetryPolicy
  readonly tools: RetryTools
  readonly schemas = new SchemaMemo()
  readonly #clientName: string
  readonly #endpoints: readonly HttpEndpoint[]
  readonly #onAnswer: ConnectionOptions['onAnswer']

  constructor(options: ConnectionOptions) {
    this.#endpoints = options.endpoints.map((url) => new HttpEndpoint(url, options.http))
    this.pool = new EndpointPool(
      this.#endpoints.map((endpoint) => ({ url: endpoint.url, value: endpoint })),
      options.tools.now,
    )
    this.retry = options.retry
    this.tools = options.tools
    this.#clientName = options.clientName
    this.#onAnswer = options.onAnswer
  }

  /** One request, with retries, read to its end. Any status but 200 is an error of `errors.ts`. */
  call(call: Call): Promise<Answer> {
    let avoid: string | undefined
    return retrying(
      async () => {
        const lease = this.#lease(call, avoid)
        avoid = lease.url
        return this.#unsentElsewhere(call, lease)
      },
      { method: call.method, policy: this.retry, tools: this.tools, signal: call.signal },
    )
  }

  /** One request without retries whose body is read by the caller; its status is 200. */
  async open(call: Call, lease: Lease<HttpEndpoint>): Promise<HttpAnswer> {
    const target = encodeTarget(call.target)
    const operation = nameOf(call, target)
    const answer = await this.#send(call, lease, target, operation)
    if (answer.status === 200) return answer
    throw errorOfAnswer(operation, answer.status, new TextDecoder().decode(await readAll(answer.body)))
  }

  close(): void {
    for (const endpoint of this.#endpoints) endpoint.close()
  }

  #lease({ method }: Call, avoid: string | undefined): Lease<HttpEndpoint> {
    return this.pool.acquire({ kind: method === 'GET' || method === 'HEAD' ? 'read' : 'write', avoid })
  }

  /** A request that no server can have seen (connection refused) goes to the other endpoints at once, whatever its method; JVM clients do the same. */
  async #unsentElsewhere(call: Call, first: Lease<HttpEndpoint>): Promise<Answer> {
    const tried = new Set<string>()
    for (let lease = first; ; lease = this.#lease(call, lease.url)) {
      try {
        const answer = await this.open(call, lease)
        return { headers: answer.headers, body: await readAll(answer.body) }
      } catch (error) {
        tried.add(lease.url)
        if (!(error instanceof ConnectionFailed) || error.sent || tried.size >= this.pool.size) throw error
      }
    }
  }

  async #send(call: Call, lease: Lease<HttpEndpoint>, target: RawTarget, operation: string): Promise<HttpAnswer> {
    const common = call.bare ? {} : { 'tabular-api-version-id': '1', 'tabular-client-name': this.#clientName }
    const started = this.tools.now()
    const told = (status: number | undefined) =>
      this.#onAnswer?.({ method: call.method, command: call.target.command, status, seconds: (this.tools.now() - started) / 1000 })
    try {
      const answer = await lease.value.send({
        method: call.method,
        target,
        headers: { ...common, ...call.headers },
        body: call.body,
        signal: call.signal,
        operation,
      })
      lease.answered()
      told(answer.status)
      return { ...answer, body: untilEnd(answer.body, lease) }
    } catch (error) {
      told(undefined)
      endBadly(lease, error)
      throw error
    }
  }
}

const endBadly = (lease: Lease<HttpEndpoint>, error: unknown): void => {
  if (error instanceof ConnectionFailed || error instanceof TimedOut) lease.failed(error)
  else lease.released()
}

/** The endpoint is in use until its answer has been read; an answer that breaks off is its failure. */
async function* untilEnd(body: AsyncIterable<Uint8Array>, lease: Lease<HttpEndpoint>): AsyncGenerator<Uint8Array> {
  try {
    yield* body
  } catch (error) {
    endBadly(lease, error)
    throw error
  } finally {
    lease.succeeded()
  }
}
