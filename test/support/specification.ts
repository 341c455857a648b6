import { ref, type Schema } from './schemas.ts'

/** What an answer's body has to be: a schema, no body at all, or nothing that the specification defines. */
export type AnswerBody = Schema | 'empty' | 'undefined'
export type Method = 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
type Operation = Readonly<Record<number, AnswerBody>>

export interface Route {
  readonly path: string
  /** HEAD goes with GET. Error statuses are in `errors`. */
  readonly operations: Readonly<Partial<Record<Exclude<Method, 'HEAD'>, Operation>>>
  readonly errors: Readonly<Partial<Record<Exclude<Method, 'HEAD'>, readonly number[]>>>
  /** Paging headers of Appendix A. */
  readonly paging?: 'full' | 'short' | 'segments'
}

const listOf = (name: string): Schema => ({ type: 'array', items: ref(name) })
const text: Schema = { type: 'string' }
const unsetOr = (schema: Schema): Schema => ({ oneOf: [schema, { type: 'null' }] })
const tagValue: Schema = { oneOf: [text, { type: 'array', items: text }] }
const bitRate: Schema = { type: 'integer', minimum: 0 }
const write = [400, 403, 404]
const remove = [403, 404]

const property = (path: string, value: Schema, deletable = true): Route => ({
  path,
  operations: { GET: { 200: value }, PUT: { 204: 'empty' }, ...(deletable ? { DELETE: { 204: 'empty' } } : {}) },
  errors: { GET: [404], PUT: write, ...(deletable ? { DELETE: remove } : {}) },
})

const readOnly = (path: string, value: Schema, errors: readonly number[], paging?: Route['paging']): Route => ({
  path,
  operations: { GET: { 200: value } },
  errors: { GET: errors },
  ...(paging ? { paging } : {}),
})

/**
 * The operations of TAMS 8.2 with the statuses of tams-behaviour.md Appendix B. Beyond the documented ones: 400 for a query that
 * is invalid (1.4, 3.3, 9), and 400 for the deletion of a linked flow's `avg_bit_rate` (5.9).
 */
export const routes: readonly Route[] = [
  readOnly('/', { type: 'array', items: text }, []),
  {
    path: '/service',
    operations: { GET: { 200: ref('service') }, POST: { 200: 'undefined' } },
    errors: { GET: [], POST: [400, 403] },
  },
  readOnly('/service/storage-backends', ref('storage-backends-list'), [400], 'full'),
  readOnly('/service/profiles', listOf('profile'), [400], 'short'),
  {
    path: '/service/profiles/{profileId}',
    operations: { GET: { 200: ref('profile') }, POST: { 201: ref('profile') } },
    errors: { GET: [404], POST: [400, 403, 404] },
  },
  {
    path: '/service/webhooks',
    operations: { GET: { 200: listOf('webhook-get') }, POST: { 201: ref('webhook-get') } },
    errors: { GET: [400, 404], POST: [400, 403, 404] },
    paging: 'full',
  },
  {
    path: '/service/webhooks/{webhookId}',
    operations: { GET: { 200: ref('webhook-get') }, PUT: { 201: ref('webhook-get') }, DELETE: { 204: 'empty' } },
    errors: { GET: [404], PUT: write, DELETE: remove },
  },
  readOnly('/sources', listOf('source'), [400], 'full'),
  readOnly('/sources/{sourceId}', ref('source'), [404]),
  readOnly('/sources/{sourceId}/tags', ref('tags'), [404]),
  property('/sources/{sourceId}/tags/{name}', tagValue),
  property('/sources/{sourceId}/description', unsetOr(text)),
  property('/sources/{sourceId}/label', unsetOr(text)),
  readOnly('/flows', listOf('flow-get'), [400], 'full'),
  {
    path: '/flows/{flowId}',
    operations: {
      GET: { 200: ref('flow-get') },
      PUT: { 201: ref('flow-get'), 204: 'empty' },
      DELETE: { 202: ref('deletion-request'), 204: 'empty' },
    },
    errors: { GET: [400, 404], PUT: write, DELETE: remove },
  },
  readOnly('/flows/{flowId}/tags', ref('tags'), [404]),
  property('/flows/{flowId}/tags/{name}', tagValue),
  property('/flows/{flowId}/description', unsetOr(text)),
  property('/flows/{flowId}/label', unsetOr(text)),
  property('/flows/{flowId}/read_only', { type: 'boolean' }, false),
  property('/flows/{flowId}/flow_collection', ref('flow-collection')),
  property('/flows/{flowId}/max_bit_rate', unsetOr(bitRate)),
  {
    ...property('/flows/{flowId}/avg_bit_rate', unsetOr(bitRate)),
    errors: { GET: [404], PUT: write, DELETE: [400, 403, 404] },
  },
  {
    path: '/flows/{flowId}/segments',
    operations: {
      GET: { 200: listOf('flow-segment') },
      POST: { 200: ref('flow-segment-bulk-failure'), 201: 'undefined' },
      DELETE: { 202: ref('deletion-request'), 204: 'empty' },
    },
    errors: { GET: [400, 404], POST: write, DELETE: write },
    paging: 'segments',
  },
  { path: '/flows/{flowId}/storage', operations: { POST: { 201: ref('flow-storage') } }, errors: { POST: write } },
  readOnly('/objects/{objectId}', ref('object'), [400, 404], 'short'),
  {
    path: '/objects/{objectId}/instances',
    operations: { POST: { 201: 'undefined' }, DELETE: { 204: 'empty' } },
    errors: { POST: write, DELETE: write },
  },
  readOnly('/flow-delete-requests', listOf('deletion-request'), [400], 'full'),
  readOnly('/flow-delete-requests/{requestId}', ref('deletion-request'), [404]),
]

const patterns = routes.map((route) => ({ route, pattern: new RegExp(`^${route.path.replace(/\{[^}]+\}/g, '[^/]+')}/?$`) }))

/** The route that a request's path (still percent-encoded, without query) belongs to. */
export const routeOf = (pathname: string): Route | undefined => patterns.find(({ pattern }) => pattern.test(pathname))?.route

/** Statuses any operation may answer besides its own: wrong method or media type, too large, too many, no room, no answer in time. */
export const commonErrors: readonly number[] = [405, 411, 413, 414, 415, 429, 431, 507]

/** Methods of a route, HEAD included. */
export const methodsOf = (route: Route): Method[] =>
  (Object.keys(route.operations) as Method[]).flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
