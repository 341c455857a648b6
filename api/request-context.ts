import { TamsError } from '../src/core/errors.ts'
import { type Context, visibleTo } from '../src/domain/context.ts'
import { type Identity, mayEverything } from './auth/identity.ts'

export interface HttpSettings {
  /** Without a trailing slash; what links begin with instead of what the client used. */
  readonly publicBaseUrl?: string
  /** Whether `X-Forwarded-Proto`, `-Host` and `-Prefix` say what the client used. */
  readonly trustProxy: boolean
  /** `/x-tams/v8.2`, or empty. */
  readonly basePath: string
  readonly corsOrigins: '*' | readonly string[]
  /** Bytes of a JSON body. */
  readonly bodyLimit: number
}

interface RequestState {
  readonly id: string
  readonly startedMs: number
  /** Where requests are traced. */
  traceId?: string
  /** Set once the credentials are proven. */
  identity?: Identity
}

/** What is known of a request before its handler runs. Kept beside the request: nothing travels through the framework's context. */
const states = new WeakMap<Request, RequestState>()

// A proxy's id is taken over, so that one id names the request in all logs; anything odd in it is not.
const givenId = (request: Request): string | undefined => {
  const id = request.headers.get('x-request-id')
  return id && /^[\w.:-]{1,64}$/.test(id) ? id : undefined
}

export const beginRequest = (request: Request): RequestState => {
  const state: RequestState = { id: givenId(request) ?? crypto.randomUUID(), startedMs: performance.now() }
  states.set(request, state)
  return state
}

/** What lines of the log say of a request. */
export const logged = (request: Request): { readonly request_id: string; readonly trace_id?: string } => {
  const { id, traceId } = requestState(request)
  return { request_id: id, ...(traceId !== undefined && { trace_id: traceId }) }
}

export const requestState = (request: Request): RequestState => states.get(request) ?? beginRequest(request)

const ANYBODY: Pick<Identity, 'principal' | 'scopes'> = { principal: 'anonymous', scopes: ['admin'] }

export type ContextOf = (request: Request) => Context

/** `isOpen`: nobody is asked for credentials, and everybody is `anonymous` and may do everything. */
export const contextMaker =
  (http: HttpSettings, isOpen: boolean): ContextOf =>
  (request) => {
    const { id, identity = isOpen ? ANYBODY : undefined } = requestState(request)
    // No route is reached without credentials; if one were, it would do nothing.
    if (!identity) throw new TamsError('internal', 'A request without an identity came to a use-case')
    return {
      principal: { name: identity.principal },
      visible: visibleTo(identity.principal, mayEverything(identity)),
      requestId: id,
      baseUrl: baseUrl(http, request),
    }
  }

/** The endpoint string the client used, with the base path where the request came below it. */
export const baseUrl = (http: HttpSettings, request: Request): string => {
  if (http.publicBaseUrl !== undefined) return http.publicBaseUrl
  const { url, headers } = request
  const pathStart = url.indexOf('/', url.indexOf('//') + 2)
  const origin = pathStart < 0 ? url : url.slice(0, pathStart)
  const below = http.basePath !== '' && url.startsWith(`${http.basePath}/`, pathStart) ? http.basePath : ''
  if (!http.trustProxy) return origin + below
  const scheme = firstOf(headers.get('x-forwarded-proto')) ?? origin.slice(0, origin.indexOf(':'))
  const host = firstOf(headers.get('x-forwarded-host')) ?? origin.slice(origin.indexOf('//') + 2)
  const prefix = firstOf(headers.get('x-forwarded-prefix'))?.replace(/\/+$/, '') ?? ''
  if (!/^https?$/.test(scheme) || !/^[\w.:[\]-]+$/.test(host) || !/^(\/[\w.~%-]+)*$/.test(prefix))
    throw new TamsError('invalid', 'x-forwarded-host: the forwarding headers make no URL', { field: 'x-forwarded-host' })
  return `${scheme}://${host}${prefix}${below}`
}

const firstOf = (header: string | null): string | undefined => header?.split(',')[0]?.trim() || undefined
