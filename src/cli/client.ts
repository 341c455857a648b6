import { CliError } from './cli-error.ts'
import { defaultRetry, Retryable, type RetryOptions, withRetry } from './retry.ts'
import type { Allocation, FailedSegment, Flow, MediaObject, Segment, SegmentPost, Source } from './tams-types.ts'

export interface ClientOptions {
  readonly fetch?: (url: string, init?: RequestInit) => Promise<Response>
  readonly retry?: RetryOptions
  /** Value of the `Authorization` header; sent to the service alone, never to where its media are. */
  readonly authorization?: string
}

/** A value is put into the query as it is; undefined leaves the parameter out. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>

const PAGE = 1000

/** An answer of the service that is no success; `message` carries the server's own summary. */
export class ServiceError extends CliError {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message)
    this.name = 'ServiceError'
  }
}

/**
 * A client of any TAMS service. Requests are made again after lost connections, 429 and 5xx: each of them is safe to repeat (a segment
 * posted twice alike is one segment; storage allocated twice is collected by the service).
 */
export class TamsClient {
  private readonly baseUrl: string
  private readonly fetch: (url: string, init?: RequestInit) => Promise<Response>
  private readonly retry: RetryOptions
  private readonly authorization: string | undefined

  constructor(baseUrl: string, options: ClientOptions = {}) {
    this.baseUrl = baseUrl.replace(/\/+$/, '')
    this.fetch = options.fetch ?? ((url, init) => fetch(url, init))
    this.retry = options.retry ?? defaultRetry
    this.authorization = options.authorization
  }

  sources(query: Query): AsyncGenerator<Source> {
    return this.list<Source>('/sources', query)
  }

  flows(query: Query): AsyncGenerator<Flow> {
    return this.list<Flow>('/flows', query)
  }

  segments(flowId: string, query: Query): AsyncGenerator<Segment> {
    return this.list<Segment>(`/flows/${encodeURIComponent(flowId)}/segments`, query)
  }

  async findFlow(id: string): Promise<Flow | undefined> {
    return this.find<Flow>(`/flows/${encodeURIComponent(id)}`, { include_timerange: true })
  }

  async findObject(id: string): Promise<MediaObject | undefined> {
    return this.find<MediaObject>(`/objects/${encodeURIComponent(id)}`, {})
  }

  async putFlow(flow: Flow): Promise<void> {
    await this.send('PUT', `/flows/${encodeURIComponent(flow.id)}`, flow)
  }

  /** Places for up to `limit` objects; a service may give fewer. */
  async allocate(flowId: string, limit: number): Promise<readonly Allocation[]> {
    const response = await this.send('POST', `/flows/${encodeURIComponent(flowId)}/storage`, { limit })
    const body = (await response.json()) as { readonly media_objects?: readonly Allocation[] }
    if (!body.media_objects || body.media_objects.length === 0) throw new CliError(`the service gave no storage for flow ${flowId}`)
    return body.media_objects
  }

  /** Registers what it can and gives back the rest. */
  async postSegments(flowId: string, segments: readonly SegmentPost[]): Promise<readonly FailedSegment[]> {
    const response = await this.send('POST', `/flows/${encodeURIComponent(flowId)}/segments`, segments)
    if (response.status !== 200) return []
    const body = (await response.json()) as { readonly failed_segments?: readonly FailedSegment[] }
    return body.failed_segments ?? []
  }

  /** Puts a file to where an allocation says, streamed from disk. */
  async upload({ object_id, put_url }: Allocation, path: string): Promise<void> {
    const type = put_url['content-type']
    const headers = { ...(type === undefined ? {} : { 'content-type': type }), ...put_url.headers }
    // Without the type given by the allocation a file body would bring one of its own, which the signature does not cover.
    const body = () => Bun.file(path, type === undefined ? {} : { type })
    const url = new URL(put_url.url, `${this.baseUrl}/`).href
    let tries = 0
    const init = (): RequestInit => {
      tries++
      return { method: 'PUT', headers, body: body() }
    }
    try {
      const response = await this.request(`upload of object ${object_id}`, url, init)
      await response.body?.cancel()
    } catch (error) {
      // The URL takes one upload, and nobody else has it: the answer to an earlier try was lost, and its bytes are there.
      const carriedOut = error instanceof ServiceError && error.status === 412 && tries > 1
      if (!carriedOut || (await this.hasOtherSize(url, Bun.file(path).size))) throw error
    }
  }

  /** Where the server tells: few URLs that are signed for PUT answer HEAD. */
  private async hasOtherSize(url: string, size: number): Promise<boolean> {
    const response = await this.fetch(url, { method: 'HEAD' }).catch(() => undefined)
    const length = response?.ok ? response.headers.get('content-length') : null
    return length !== null && Number(length) !== size
  }

  /** Writes an object to a file, from the first of its URLs that gives all of it, and tells its size in bytes. */
  async download(objectId: string, urls: readonly string[], path: string): Promise<number> {
    if (urls.length === 0) throw new CliError(`object ${objectId} has no URL to read from`)
    const retry = urls.length > 1 ? { ...this.retry, attempts: Math.min(2, this.retry.attempts) } : this.retry
    const failures: string[] = []
    for (const url of urls) {
      const what = `object ${objectId}`
      try {
        return await withRetry(async () => saveBody(what, await this.attempt(what, new URL(url, `${this.baseUrl}/`).href, {}), path), retry)
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error))
      }
    }
    throw new CliError(failures.length === 1 ? failures.join() : `no URL of the object works: ${failures.join('; ')}`)
  }

  private async *list<T>(path: string, query: Query): AsyncGenerator<T> {
    let url: string | undefined = this.url(path, { limit: PAGE, ...query })
    while (url !== undefined) {
      const current: string = url
      const response = await this.ask(`GET ${path}`, current, {})
      yield* (await response.json()) as T[]
      const next = nextLink(response.headers.get('link'))
      url = next === undefined ? undefined : new URL(next, current).href
    }
  }

  private async find<T>(path: string, query: Query): Promise<T | undefined> {
    try {
      const response = await this.ask(`GET ${path}`, this.url(path, query), {})
      return (await response.json()) as T
    } catch (error) {
      if (error instanceof ServiceError && error.status === 404) return undefined
      throw error
    }
  }

  private send(method: 'PUT' | 'POST', path: string, body: unknown): Promise<Response> {
    const init = { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
    return this.ask(`${method} ${path}`, this.url(path, {}), init)
  }

  /** A request of the API. A `Link` may lead anywhere; credentials do not follow it to another origin. */
  private ask(what: string, url: string, init: RequestInit & { readonly headers?: Record<string, string> }): Promise<Response> {
    const isOurs = new URL(url).origin === new URL(this.baseUrl).origin
    const headers = { ...init.headers, ...(isOurs && this.authorization !== undefined && { authorization: this.authorization }) }
    return this.request(what, url, () => ({ ...init, headers }))
  }

  private request(what: string, url: string, init: () => RequestInit): Promise<Response> {
    return withRetry(() => this.attempt(what, url, init()), this.retry)
  }

  private async attempt(what: string, url: string, init: RequestInit): Promise<Response> {
    let response: Response
    try {
      response = await this.fetch(url, init)
    } catch (cause) {
      throw new Retryable(new CliError(`${what}: no answer from ${new URL(url).origin}`, { cause }))
    }
    if (response.ok) return response
    const failure = new ServiceError(`${what}: ${response.status} ${await summaryOf(response)}`, response.status)
    if (response.status === 429 || response.status >= 500) throw new Retryable(failure, retryAfterMs(response))
    throw failure
  }

  private url(path: string, query: Query): string {
    const search = new URLSearchParams()
    for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value))
    const text = search.toString()
    return `${this.baseUrl}${path}${text === '' ? '' : `?${text}`}`
  }
}

/** The `next` target of a `Link` header, RFC 8288. */
export const nextLink = (header: string | null): string | undefined => {
  for (const match of (header ?? '').matchAll(/<([^>]*)>((?:\s*;\s*[^,;="\s]+\s*(?:=\s*(?:"[^"]*"|[^",;\s]+))?)*)/g)) {
    if (/;\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next(?=$|[\s;,]))/i.test(match[2] ?? '')) return match[1]
  }
  return undefined
}

const saveBody = async (what: string, response: Response, path: string): Promise<number> => {
  const sink = Bun.file(path).writer()
  let size = 0
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.length
      sink.write(chunk)
      await sink.flush()
    }
  } catch (cause) {
    throw new Retryable(new CliError(`${what}: the connection broke after ${size} bytes`, { cause }))
  } finally {
    await sink.end()
  }
  const stated = response.headers.get('content-encoding') === null ? response.headers.get('content-length') : null
  if (stated !== null && Number(stated) !== size) throw new Retryable(new CliError(`${what}: ${size} bytes instead of ${stated} came`))
  return size
}

const summaryOf = async (response: Response): Promise<string> => {
  const text = await response.text().catch(() => '')
  try {
    const body: unknown = JSON.parse(text)
    if (typeof body === 'object' && body !== null) {
      if ('summary' in body && typeof body.summary === 'string') return body.summary
      if ('message' in body && typeof body.message === 'string') return body.message
    }
  } catch {
    // Not JSON: a proxy or an object store answered, and its text is all there is.
  }
  return text.slice(0, 200).trim() || response.statusText
}

const retryAfterMs = (response: Response): number | undefined => {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  return seconds >= 0 ? Math.min(seconds, 60) * 1000 : undefined
}
