import { notFound } from '../src/core/errors.ts'
import type { BatchResult } from '../src/domain/batch.ts'
import type { DeletionRequest } from '../src/domain/deletion-request.ts'
import type { Listing } from '../src/domain/paging.ts'
import { HttpQuery } from './http-query.ts'
import { baseUrl, type HttpSettings } from './request-context.ts'

/** Smaller answers are sent as they are. */
const COMPRESS_FROM = 1024

export interface ReplyInit {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
}

/** A JSON answer, exactly `application/json`, compressed where it is worth it and the client asks for it. */
export const json = (request: Request, body: unknown, init: ReplyInit = {}): Response => {
  const text = JSON.stringify(body)
  const headers: Record<string, string> = { 'content-type': 'application/json', ...init.headers }
  if (text.length > COMPRESS_FROM) {
    headers.vary = 'Accept-Encoding, Origin'
    if (acceptsGzip(request.headers.get('accept-encoding'))) {
      headers['content-encoding'] = 'gzip'
      return new Response(Bun.gzipSync(Buffer.from(text), { level: 1 }), { status: init.status ?? 200, headers })
    }
  }
  return new Response(text, { status: init.status ?? 200, headers })
}

// RFC 9110 12.5.3: a coding with q=0 is refused.
const acceptsGzip = (header: string | null): boolean =>
  header?.split(',').some((item) => /^\s*(gzip|\*)\s*(;\s*q=(?!0(\.0*)?\s*$)[\d.]+)?\s*$/i.test(item)) ?? false

/** Registered, and readable at `url`. */
export const located = (request: Request, url: string, body: unknown): Response =>
  json(request, body, { status: 201, headers: { location: url } })

/** 201 when every item is in, else 200. */
export const batchAnswer = (request: Request, result: BatchResult): Response =>
  json(request, result, { status: result.failed.length === 0 ? 201 : 200 })

export const noContent = (): Response => new Response(null, { status: 204 })
/** Registered; no body is documented. */
export const created = (): Response => new Response(null, { status: 201 })

export interface ListingOptions {
  /** Which of the paging headers this listing has beside `Link`, `X-Paging-Limit` and `X-Paging-NextKey` (Appendix A). */
  readonly count?: boolean
  readonly reverse?: boolean
  readonly timerange?: string
}

export const pagingHeaders = (
  http: HttpSettings,
  request: Request,
  page: Listing<unknown>,
  options: ListingOptions,
): Record<string, string> => {
  const headers: Record<string, string> = { 'x-paging-limit': String(page.limit) }
  if (options.count) headers['x-paging-count'] = String(page.items.length)
  if (options.reverse !== undefined) headers['x-paging-reverse-order'] = String(options.reverse)
  if (options.timerange !== undefined) headers['x-paging-timerange'] = options.timerange
  if (page.nextKey !== undefined) {
    headers['x-paging-nextkey'] = page.nextKey
    headers.link = `<${linkUrl(http, request, page.nextKey)}>; rel="next"`
  }
  return headers
}

/** A listing with both the count and the order in its headers, as most have. */
export const listing = (
  http: HttpSettings,
  request: Request,
  page: Listing<unknown>,
  reverse: boolean | undefined,
  timerange?: string,
): Response =>
  json(request, page.items, {
    headers: pagingHeaders(http, request, page, { count: true, reverse: reverse ?? false, ...(timerange !== undefined && { timerange }) }),
  })

const linkUrl = (http: HttpSettings, request: Request, nextKey: string): string => {
  const base = baseUrl(http, request)
  const { pathname } = new URL(request.url)
  const path = http.basePath !== '' && pathname.startsWith(`${http.basePath}/`) ? pathname.slice(http.basePath.length) : pathname
  return `${base}${path.replace(/[,;]/g, encodeURIComponent)}?${new HttpQuery(request.url).forPage(nextKey)}`
}

/** A decoded path parameter. What is no UTF-8 (null from one router, a mended text from the other) names nothing: 404. */
export const pathText = (value: string | null, request: Request): string => {
  if (value === null || !value.isWellFormed() || (value.includes('\ufffd') && !/%ef%bf%bd/i.test(request.url))) throw notFound('The path')
  return value
}

/** 202: the rest of a deletion is worked off later; `Location` leads to its delete request. */
export const accepted = (request: Request, base: string, later: DeletionRequest): Response =>
  json(request, later, { status: 202, headers: { location: `${base}/flow-delete-requests/${later.id}` } })
