import type { Sections } from './section.ts'

const withUsers = 'Comes with authentication: until then everybody is `anonymous` and may see everything.'

export const events: Sections = {
  '10.1': {
    title: 'Event messages',
    must: [
      'A message has event_timestamp, event_type and event',
      'The range of flows/segments_deleted begins and ends in segments that were deleted',
    ],
    should: ['Segments in flows/segments_added are as listed, with the webhook’s URL options'],
  },
  '10.3': {
    title: 'Webhooks',
    must: [
      'url and events are required',
      'Answers have id and status',
      'An unknown event type is 400',
      'POST is 201 with the new webhook, also for a url that is there',
      'PUT needs id and status and answers 201',
      'DELETE is 204',
      { statement: 'A filter that is not supported is 400', note: 'All filters and transformations are supported.' },
      'api_key_value is never returned',
    ],
    should: [
      { statement: 'Webhooks are shown to those who may see them', unmet: withUsers },
      'Deliveries cannot reach private networks',
      'Disabling a webhook in error is refused',
    ],
  },
  '10.4': {
    title: 'Filtering and delivery',
    must: ['Only the events asked for, all filters together', '200 is success'],
    should: [
      'The key is sent in its header',
      'Deliveries are tried again before a webhook is in error',
      { statement: 'The owner’s permissions count for each event', unmet: withUsers },
    ],
  },
}
