import type { Sections } from './section.ts'

export const service: Sections = {
  '3.1': { title: '/', must: ['GET lists the names of the paths as a JSON array'] },
  '3.2': {
    title: '/service',
    must: [
      'The body has type, api_version 8.2 and min_object_timeout',
      'min_object_timeout is at least 300 s',
      'min_presigned_url_timeout is between 30 s and min_object_timeout',
      'webhooks is an event mechanism exactly when the webhook resources are there; else they are 404',
      'POST answers 200, or 400 for what is no valid body',
    ],
    should: ['Both time-outs have some grace'],
  },
  '3.3': {
    title: '/service/storage-backends',
    must: [
      'A list of backends with id, store_type, provider and store_product',
      'At most one backend is the default',
      'Sorted by label, those without one by id behind them',
      'Backends and their tags are read-only',
      'All five paging headers',
    ],
  },
  '3.4': {
    title: '/service/profiles',
    must: [
      'A list of profiles with three paging headers; 400 for an invalid query',
      'One profile is 200, an unknown one 404',
      'A profile has id and flow_metadata of one essence, never multi',
      'POST gives 201 with the profile; 400 when invalid or already there; 404 for a bad id',
      'A profile never changes, its tags included',
    ],
    should: ['The client’s created is ignored; created_by comes from the principal'],
  },
}
