import type { Sections } from './section.ts'

export const segments: Sections = {
  '6.1': {
    title: 'GET /flows/{id}/segments',
    must: [
      'A list with six paging headers; 400 for an invalid query, 404 only for an id that is none',
      'An unknown flow is 200 with []',
      'Sorted by time, markers taken into account',
      'URL filters all have to match, for init objects too; a segment without URLs is still listed',
      'get_urls for every instance in a backend, made by the service',
      'include_object_timerange adds the member to every segment',
      'Items have the members of the schema and no others',
      'A pre-signed URL is marked so and good for min_presigned_url_timeout',
    ],
    should: [
      'URLs do not need credentials from elsewhere',
      {
        statement: 'URLs let checksums of the storage product through',
        note: 'Of the disk store: the entity tag is the MD5 of the bytes.',
      },
    ],
  },
  '6.2': {
    title: 'POST /flows/{id}/segments',
    must: [
      'object_id and timerange are required, the other members optional',
      '201 when everything was registered',
      'A list with failures is 200 naming them; the others are registered',
      'One segment that fails is 400',
      '400 for no JSON or a flow without container, 403 read-only, 404 for an unknown flow',
      { statement: 'Segments of a flow do not overlap', note: 'A duty of the client; refused with 400 here.' },
      'The start is inclusive',
      {
        statement: 'A registered segment is not registered again',
        note: 'A duty of the client; the identical segment is answered 201 and changes nothing, a different one is 400.',
      },
      'An object’s range is object_timerange, else timerange − ts_offset',
      { statement: 'A segment lies within its object’s range', note: 'A duty of the client; refused with 400 here.' },
    ],
    should: [
      'sample_offset and sample_count are kept',
      'A new allocation is first registered on the flow it was made for',
      'After that any flow may use it',
      'Re-use that changes properties of the object is refused',
      'A backend’s label or one label twice in get_urls is refused',
      'An init object is refused as media object, and the other way round',
      'init_object_id may be left out on re-use: it follows the media object',
    ],
  },
  '6.3': {
    title: 'DELETE /flows/{id}/segments',
    must: [
      'Only what the range covers completely is deleted',
      '204, or 202 with a delete request; 400 for an invalid query, 403 read-only, 404 unknown',
      'Objects used elsewhere are kept, the others deleted',
    ],
  },
  '7': {
    title: 'POST /flows/{id}/storage',
    must: [
      'limit together with object_ids is 400',
      'An object id in use is 400 for the whole request',
      'With neither, the service’s default number',
      'An unknown storage_id is 400; without one, the default backend',
      '400 for a flow without container, 403 read-only, 404 unknown',
      '201 with media_objects and no other member',
      'put_url has url',
      'content-type is the one asked for, else the flow’s container',
      {
        statement: 'presigned chooses the kind of URL',
        note: 'The disk store takes uploads by pre-signed URLs only; presigned=false is 400 there.',
      },
      'Pre-signed URLs are marked so',
      'The URL takes a PUT of the whole object for min_presigned_url_timeout',
      'An allocated object is 404 until it is registered',
    ],
    should: [
      'URLs do not need credentials from elsewhere',
      'Checksum headers are let through',
      'Allocations that are never registered are collected after min_object_timeout, bytes included',
    ],
  },
}
