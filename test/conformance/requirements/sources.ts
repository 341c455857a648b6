import type { Sections } from './section.ts'

export const sources: Sections = {
  '4': {
    title: 'Sources',
    must: ['A source has id and format', 'A source cannot be made, replaced or deleted directly'],
  },
  '4.1': {
    title: '/sources',
    must: [
      'A list with five paging headers; 400 for an invalid query',
      'collected_by_ids keeps what one of these collects; empty, what nobody collects; 400 for what is no list of UUIDs',
    ],
  },
  '4.2': { title: '/sources/{id}', must: ['200, or 404 for an unknown one'] },
  '4.3': {
    title: 'Tags of a source',
    must: [
      'GET of all tags is an object, {} without any; 404 for an unknown source',
      'GET of one tag is a text or a list; 404 for an unknown source or tag',
      'PUT takes a text or a list of texts: 204; 400 for all else; 404 for an unknown source',
      'DELETE is 204; 404 for an unknown source or tag',
    ],
  },
  '4.4': {
    title: 'Description and label of a source',
    must: [
      'GET is 200 also while unset; 404 only for an unknown source',
      'PUT takes a JSON text: 204; else 400; 404 for an unknown source',
      'DELETE is 204; 404 for an unknown source',
      {
        statement: 'A change is the event sources/updated',
        note: 'A PUT of the present value is no change: 204 without an event, as 10.1 recommends.',
      },
    ],
    should: ['A change moves updated and updated_by'],
  },
}
