import { randomUUID } from 'node:crypto'
import { Elysia } from 'elysia'
import { invalid, notFound, TamsError } from '../../src/core/errors.ts'
import type { ByteRange, MediaStore, PutOptions, StoredObject } from '../../src/storage/media.ts'
import { isNotModified, rangeApplies } from '../media/conditions.ts'
import { corsHeaders, objectHeaders, preflightHeaders, sameMediaType } from '../media/headers.ts'
import { multipartRanges, type RangeSource } from '../media/multipart.ts'
import { contentRange, parseRanges } from '../media/ranges.ts'

/** A media store whose bytes this program serves. Times in seconds. */
export interface ServedStore extends MediaStore {
  readonly publicReads: boolean
  verify(method: 'GET' | 'HEAD' | 'PUT', key: string, query: URLSearchParams): UrlVerification
  put(key: string, body: ReadableStream<Uint8Array>, options: ServedPutOptions): Promise<StoredObject>
  locate(key: string): Promise<(StoredObject & { readonly path: string }) | undefined>
  open(key: string): Promise<(StoredObject & RangeSource) | undefined>
}

export type UrlVerification =
  | { readonly state: 'valid'; readonly secondsLeft: number; readonly contentType: string }
  | { readonly state: 'unsigned' | 'expired' | 'wrong' }

export interface ServedPutOptions extends PutOptions {
  readonly size?: number
  readonly beforeCommit?: () => Promise<void>
}

export interface MediaRouteOptions {
  readonly stores: readonly ServedStore[]
  /** Whether the key is allocated and not yet registered. */
  mayUpload(key: string, storageId: string): Promise<boolean>
  /** Whether this request may read without a signature. Default: nobody, except where the store has public URLs. */
  readonly authorise?: (request: Request, key: string, storageId: string) => Promise<boolean>
  /** Told for each GET how many bytes it was answered with. */
  readonly onRead?: (key: string, storageId: string, bytes: number) => void
}

/** Seconds that an unsigned answer may be kept. */
const UNSIGNED_MAX_AGE = 3600

/**
 * `/media/{storageId}/{key}`. One handler for all methods: Elysia answers HEAD by reading the whole body that its GET route gave.
 * The wildcard arrives as it was sent; it is decoded here, once, so that an escaped slash stays part of an object id.
 */
export const mediaRoutes = (options: MediaRouteOptions) => {
  const stores = new Map(options.stores.map((store) => [store.storageId, store]))
  const handlers: Readonly<Record<string, (target: Target) => Promise<Response>>> = {
    GET: (target) => read(options, target),
    HEAD: (target) => read(options, target),
    PUT: (target) => upload(options, target),
  }

  return new Elysia({ name: 'routes.media', prefix: '/media' }).all(
    '/*',
    async ({ request, params, set }) => {
      Object.assign(set.headers, corsHeaders)
      if (request.method === 'OPTIONS') return new Response(null, { status: 204, headers: preflightHeaders })
      const handle = handlers[request.method]
      if (handle === undefined) {
        set.headers.allow = 'GET, HEAD, OPTIONS, PUT'
        throw new TamsError('method_not_allowed', `${request.method} is not possible on a media object`)
      }
      const { storageId, key } = splitPath(params['*'])
      const store = stores.get(storageId)
      if (store === undefined || key === '') throw notFound('The media object')
      return handle({ request, store, key, query: new URL(request.url).searchParams, headers: set.headers })
    },
    { parse: 'none', detail: { hide: true } },
  )
}

interface Target {
  readonly request: Request
  readonly store: ServedStore
  readonly key: string
  readonly query: URLSearchParams
  /** Sent with an error as well. */
  readonly headers: Record<string, string | number>
}

const splitPath = (raw: string): { readonly storageId: string; readonly key: string } => {
  try {
    const path = decodeURIComponent(raw)
    const slash = path.indexOf('/')
    return { storageId: path.slice(0, slash), key: slash < 0 ? '' : path.slice(slash + 1) }
  } catch {
    throw notFound('The media object')
  }
}

const read = async ({ authorise, onRead }: MediaRouteOptions, target: Target): Promise<Response> => {
  const { request, store, key, headers } = target
  const maxAge = await readable(target, authorise)
  const object = await store.locate(key)
  if (object === undefined) throw notFound('The media object')
  const base = objectHeaders(object, maxAge)
  if (isNotModified(request.headers, object)) return new Response(null, { status: 304, headers: base })

  const whole = { ...base, 'content-type': object.contentType }
  // RFC 9110 14.2: Range means something for GET only.
  if (request.method === 'HEAD') return new Response(null, { headers: { ...whole, 'content-length': String(object.size) } })

  const rangeHeader = request.headers.get('range')
  const ranges = rangeHeader !== null && rangeApplies(request.headers, object) ? parseRanges(rangeHeader, object.size) : undefined
  const [range, ...more] = ranges ?? [{ start: 0, end: object.size }]
  if (range === undefined) {
    headers['content-range'] = `bytes */${object.size}`
    throw new TamsError('range_not_satisfiable', `Range: ${rangeHeader} cannot be answered from ${object.size} bytes`)
  }
  onRead?.(
    key,
    store.storageId,
    [range, ...more].reduce((sum, { start, end }) => sum + end - start, 0),
  )

  if (more.length > 0) return sendRanges(target, base, [range, ...more])
  const file = Bun.file(object.path).slice(range.start, range.end)
  // Bun applies Range to whole files by itself, but none that is ignored here: neither bad syntax nor one beside If-Range.
  if (ranges === undefined) return new Response(file, { headers: whole })
  return new Response(file, { status: 206, headers: { ...whole, 'content-range': contentRange(range, object.size) } })
}

/** Seconds that the answer may be kept. Throws `forbidden`. */
const readable = async (target: Target, authorise: MediaRouteOptions['authorise']): Promise<number> => {
  const { request, store, key, query } = target
  const verified = store.verify(request.method === 'HEAD' ? 'HEAD' : 'GET', key, query)
  if (verified.state === 'valid') return verified.secondsLeft
  if (verified.state !== 'unsigned') throw refusal(verified.state)
  if (store.publicReads || (await authorise?.(request, key, store.storageId))) return UNSIGNED_MAX_AGE
  throw refusal(verified.state)
}

const refusals = {
  unsigned: 'A media object is reached with a signed URL: take it from `get_urls` or `put_url`',
  expired: 'This media URL has expired: ask for a new one',
  wrong: 'The signature of this media URL does not fit its method, path and parameters',
} as const

const refusal = (state: keyof typeof refusals): TamsError => new TamsError('forbidden', refusals[state])

const sendRanges = async ({ store, key }: Target, base: Record<string, string>, ranges: readonly ByteRange[]): Promise<Response> => {
  const source = await store.open(key)
  if (source === undefined) throw notFound('The media object')
  const boundary = randomUUID()
  return new Response(multipartRanges(source, ranges, boundary), {
    status: 206,
    headers: { ...base, 'content-type': `multipart/byteranges; boundary=${boundary}` },
  })
}

const upload = async ({ mayUpload }: MediaRouteOptions, { request, store, key, query }: Target): Promise<Response> => {
  const verified = store.verify('PUT', key, query)
  if (verified.state !== 'valid') throw refusal(verified.state)
  const contentType = request.headers.get('content-type') ?? ''
  if (!sameMediaType(contentType, verified.contentType)) {
    throw invalid('Content-Type', `is ${JSON.stringify(contentType)}, but this URL was made for ${JSON.stringify(verified.contentType)}`)
  }
  if (request.headers.has('content-range')) throw invalid('Content-Range', 'a media object is uploaded whole')
  const refuseRegistered = async () => {
    if (!(await mayUpload(key, store.storageId))) {
      throw new TamsError('conflict', 'This media object cannot be uploaded (again): it is registered, or its allocation has ended')
    }
  }
  await refuseRegistered()

  const length = request.headers.get('content-length')
  const md5 = request.headers.get('content-md5')
  const stored = await store.put(key, request.body ?? emptyBody(), {
    contentType: verified.contentType,
    ...(length === null ? {} : { size: Number(length) }),
    ...(md5 === null ? {} : { md5 }),
    // A slow upload may still run when another one has been registered.
    beforeCommit: refuseRegistered,
  })
  return new Response(null, { headers: { etag: stored.etag } })
}

const emptyBody = (): ReadableStream<Uint8Array> => new ReadableStream({ start: (controller) => controller.close() })
