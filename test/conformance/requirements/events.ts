import type { Sections } from './section.ts'

const withEvents = 'Comes with events: webhooks are not in this version, their paths are 404 and /service does not announce them.'

export const events: Sections = {
  '10.1': {
    title: 'Event messages',
    must: [
      {
        statement: 'A message has event_timestamp, event_type and event',
        unmet: 'Comes with events: they are recorded with time, type and content, but nothing delivers them yet.',
      },
      'The range of flows/segments_deleted begins and ends in segments that were deleted',
    ],
    should: [
      {
        statement: 'Segments in flows/segments_added are as listed, with the webhook’s URL options',
        unmet: 'Comes with events: segments are recorded as references, URLs are made at delivery.',
      },
    ],
  },
  '10.3': {
    title: 'Webhooks',
    must: [
      { statement: 'url and events are required', unmet: withEvents },
      { statement: 'Answers have id and status', unmet: withEvents },
      { statement: 'An unknown event type is 400', unmet: withEvents },
      { statement: 'POST is 201 with the new webhook, also for a url that is there', unmet: withEvents },
      { statement: 'PUT needs id and status and answers 201', unmet: withEvents },
      { statement: 'DELETE is 204', unmet: withEvents },
      { statement: 'A filter that is not supported is 400', unmet: withEvents },
      { statement: 'api_key_value is never returned', unmet: withEvents },
    ],
    should: [
      { statement: 'Webhooks are shown to those who may see them', unmet: withEvents },
      { statement: 'Deliveries cannot reach private networks', unmet: withEvents },
      { statement: 'Disabling a webhook in error is refused', unmet: withEvents },
    ],
  },
  '10.4': {
    title: 'Filtering and delivery',
    must: [
      { statement: 'Only the events asked for, all filters together', unmet: withEvents },
      { statement: '200 is success', unmet: withEvents },
    ],
    should: [
      { statement: 'The key is sent in its header', unmet: withEvents },
      { statement: 'Deliveries are tried again before a webhook is in error', unmet: withEvents },
      { statement: 'The owner’s permissions count for each event', unmet: withEvents },
    ],
  },
}
