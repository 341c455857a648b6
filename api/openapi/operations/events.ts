import { Type } from '@sinclair/typebox'
import { StoredEvent } from '../../../src/domain/event-list.ts'
import { LOGGED_EVENT_TYPES } from '../../../src/domain/event-types.ts'
import { Uuid } from '../../../src/domain/validate.ts'
import * as example from '../examples.ts'
import type { Operations, Parameter } from '../model.ts'
import { includeObjectTimerange, inQuery, limit, page, reverseOrder, urlOptions } from '../parameters.ts'
import { failing, listing } from '../responses.ts'

const filters: readonly Parameter[] = [
  {
    ...inQuery('type', 'Only events of these types.', Type.Array(Type.String({ enum: [...LOGGED_EVENT_TYPES] })), ['flows/created']),
    explode: false,
  },
  { ...inQuery('flow_id', 'Only events of these flows.', Type.Array(Uuid), [example.VIDEO_ID]), explode: false },
  { ...inQuery('source_id', 'Only events of these sources and their flows.', Type.Array(Uuid), [example.SOURCE_ID]), explode: false },
]
const shape = [...urlOptions, includeObjectTimerange]
const time = (name: string, description: string) => inQuery(name, description, Type.String({ format: 'date-time' }), '2026-03-02T09:15:00Z')

export const eventOperations: Operations = {
  GET_events: {
    method: 'get',
    path: '/events',
    tag: 'Events',
    extension: true,
    summary: 'List stored events',
    description:
      'What happened to flows, segments and sources, and to objects and collections, which webhooks are not told of, oldest first, for as long as events are kept. Each has the body that webhooks send, and an `id` that grows from event to event. Filters combine with AND.',
    parameters: [
      ...filters,
      time('since', 'Only events from then on.'),
      time('until', 'Only events from before then.'),
      ...shape,
      reverseOrder,
      page,
      limit,
    ],
    responses: { 200: listing('full', 'The events.', Type.Array(StoredEvent), [example.event]), ...failing(400) },
  },
  'GET_events-stream': {
    method: 'get',
    path: '/events/stream',
    tag: 'Events',
    extension: true,
    summary: 'Follow events as they happen',
    description:
      'Server-Sent Events: each has the event’s `id`, its type as `event`, and the body that webhooks send as `data`. With `Last-Event-ID` it begins behind that event, without gap or repetition; without, at the present. An event `stream/gap` says that some of what was asked for is not stored any more. `/events/ws` is the same over a WebSocket, one JSON text for each event, with `last_event_id` in the query.',
    parameters: [
      ...filters,
      ...shape,
      inQuery('last_event_id', 'The last event that the reader has; the header `Last-Event-ID` goes before it.', Type.String(), '4711'),
    ],
    responses: {
      200: {
        description: 'The stream; it does not end by itself.',
        content: {
          'text/event-stream': {
            schema: Type.String(),
            example: `id: 4711\nevent: flows/deleted\ndata: {"event_timestamp":"2026-03-02T09:21:04.118205Z","event_type":"flows/deleted","event":{"flow_id":"${example.VIDEO_ID}"}}\n\n`,
          },
        },
      },
      ...failing(400),
    },
  },
}
