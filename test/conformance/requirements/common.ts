import type { Sections } from './section.ts'

export const common: Sections = {
  '1.1': {
    title: 'Representation',
    must: [
      'Bodies are JSON in both directions, never forms or multipart',
      'A listing is a bare JSON array; paging is in headers only',
      '204 has no body, and none is defined for a registered segment or instance',
      'A sub-property is its bare JSON value: text, boolean, number, list of texts',
      { statement: 'Date-times are RFC 3339', note: 'In resources to the second, which is what published clients can parse.' },
    ],
  },
  '1.2': {
    title: 'Identifiers',
    must: [
      'Ids of flows, sources, profiles, webhooks, backends and delete requests are lower-case UUIDs of versions 1 to 5',
      'Object ids are opaque texts, percent-encoded in paths, slashes included',
      'Tag names are any texts, percent-encoded in paths and parameter names',
    ],
  },
  '1.3': {
    title: 'HEAD',
    must: [
      'HEAD goes with every GET and with nothing else: same parameters, status and headers, no body',
      'HEAD of something missing is 404, with an invalid query 400',
    ],
  },
  '1.4': {
    title: 'Unknown and malformed input',
    must: [
      'Malformed JSON, a wrong type or a broken schema is 400',
      {
        statement: 'Unknown top-level members of flow, segment, storage, profile, service and webhook bodies are accepted',
        note: 'Webhooks come with events (10.3).',
      },
      'Unknown members inside essence_parameters are 400, for every format',
      'An invalid value of a known query parameter is 400',
    ],
  },
  '1.5': {
    title: 'Paging',
    must: [
      'The service understands its own page key, from Link or from X-Paging-NextKey',
      'Link with rel="next" is there when a next page is, and absent on the last',
      'X-Paging-NextKey goes with Link and is the value for page',
      'X-Paging-Limit is the limit really used',
      'X-Paging-Count is the number of items in the answer',
      'X-Paging-Reverse-Order is true or false',
      'X-Paging-Timerange is the range of the segments in the answer',
    ],
    should: ['Pages share one order: no item twice, none skipped, also while items come and go'],
  },
  '1.6': {
    title: 'Sorting',
    must: [
      'reverse_order=true reverses the whole order',
      'Items without the sort key come last, by id; first when reversed',
      'Another value of sort_by is invalid',
    ],
  },
  '1.7': {
    title: 'Tag filters',
    must: [
      'A text tag matches one of the values given; a list matches when any of its values does',
      'A part of a value does not match',
      'tag_exists keeps items with the tag whatever its value, or those without it',
      'Several filters all have to hold; the comma list within one is a choice',
      'The name is all that follows the first dot, percent-decoded',
    ],
  },
}
