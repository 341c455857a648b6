import { Elysia } from 'elysia'
import { invalid } from '../../src/core/errors.ts'
import { quote } from '../../src/core/uuid.ts'
import type { Deps } from '../../src/domain/deps.ts'
import type { EventFeed } from '../../src/domain/event-feed.ts'
import type { EventFilter } from '../../src/domain/event-list.ts'
import type { EventOptions } from '../../src/domain/event-render.ts'
import { LOGGED_EVENT_TYPES } from '../../src/domain/event-types.ts'
import type { Watch } from '../auth/access.ts'
import { readEvents, type StreamRequest } from '../events/reader.ts'
import { SocketReader } from '../events/socket.ts'
import { sseBody } from '../events/sse.ts'
import { HttpQuery } from '../http-query.ts'
import { operation } from '../openapi/operation.ts'
import { listing } from '../reply.ts'
import type { RouteDeps } from './deps.ts'

export interface EventRouteDeps extends RouteDeps {
  readonly deps: Deps
  readonly feed: EventFeed
  /** Ends streams whose readers may no longer read them. */
  readonly watch?: Watch
}

/** Stored events, and the same as they happen. Not part of the specification. */
export const eventRoutes = ({ domain, http, contextOf, deps, feed, watch = unwatched }: EventRouteDeps) => {
  const sockets = new WeakMap<object, SocketReader>()
  return new Elysia({ prefix: '/events' })
    .get(
      '',
      async ({ request }) => {
        const query = new HttpQuery(request.url)
        const page = query.paging()
        const sinceUs = query.time('since')
        const untilUs = query.time('until')
        const found = await domain.events.list(contextOf(request), {
          ...filterOf(query),
          ...(sinceUs !== undefined && { sinceUs }),
          ...(untilUs !== undefined && { untilUs }),
          options: optionsOf(query),
          page,
        })
        return listing(http, request, found, page.reverse)
      },
      { detail: operation('GET_events') },
    )
    .get(
      '/stream',
      ({ request, server }) => {
        const asked = streamRequest(request)
        if (request.method === 'HEAD') return new Response(null, { headers: STREAM })
        const leave = feed.enter()
        const ending = new AbortController()
        // A reader that is silent for long is still one.
        server?.timeout(request, 0)
        const events = readEvents({ deps, feed, context: contextOf(request) }, asked, AbortSignal.any([request.signal, ending.signal]))
        const unwatch = watch(request, () => ending.abort())
        const end = () => {
          unwatch()
          leave()
          ending.abort()
        }
        return new Response(sseBody(events, end), { headers: STREAM })
      },
      { detail: operation('GET_events-stream') },
    )
    .ws('/ws', {
      detail: { hide: true },
      beforeHandle: ({ request }) => void streamRequest(request),
      open(ws) {
        const { request } = ws.data
        const reader = new SocketReader()
        sockets.set(ws.raw, reader)
        const leave = feed.enter()
        const events = readEvents({ deps, feed, context: contextOf(request) }, streamRequest(request), reader.ending.signal)
        const unwatch = watch(request, () => reader.ending.abort())
        void reader.push(ws.raw, events).finally(() => {
          unwatch()
          leave()
        })
      },
      close(ws) {
        sockets.get(ws.raw)?.ending.abort()
      },
      drain(ws) {
        sockets.get(ws.raw)?.drained()
      },
    })
}

const unwatched: Watch = () => () => {}

const STREAM = { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' }

const filterOf = (query: HttpQuery): EventFilter => {
  const types = query.textList('type')
  const unknown = types?.find((type) => !LOGGED_EVENT_TYPES.some((known) => known === type))
  if (unknown !== undefined) throw invalid('type', `${quote(unknown)} is not one of ${LOGGED_EVENT_TYPES.join(', ')}`)
  const flowIds = query.uuidList('flow_id')
  const sourceIds = query.uuidList('source_id')
  return { ...(types && { types }), ...(flowIds && { flowIds }), ...(sourceIds && { sourceIds }) }
}

const optionsOf = (query: HttpQuery): EventOptions => ({
  urls: query.urlOptions(true),
  includeObjectTimerange: query.boolean('include_object_timerange') ?? false,
})

const streamRequest = (request: Request): StreamRequest => {
  const query = new HttpQuery(request.url)
  const last = request.headers.get('last-event-id') ?? query.text('last_event_id')
  if (last !== undefined && !/^\d{1,18}$/.test(last)) throw invalid('last_event_id', `${quote(last)} is not the id of an event`)
  return { filter: filterOf(query), options: optionsOf(query), lastId: last === undefined ? undefined : BigInt(last) }
}
