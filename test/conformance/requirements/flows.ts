import type { Sections } from './section.ts'

export const flows: Sections = {
  '5.1': {
    title: 'Members of a flow',
    must: [
      'id and source_id are there',
      'format is there and one of the five',
      'codec is a media type; only multi flows may be without one',
      'Only multi flows may be without essence_parameters',
      'timerange in a request is ignored',
      'Video has a frame size above 0, and a frame rate exactly when it is not variable',
      'Audio has sample_rate and channels above 0, an image its size; data needs nothing',
      'With init_segments every media object has an init object; images have none',
    ],
    should: [
      'created_by and updated_by come from the principal',
      'created, metadata_updated, segments_updated and collected_by in a request are ignored',
      'Raw essence states bit depth and uncompressed type, YUV its chroma sub-sampling',
    ],
  },
  '5.2': {
    title: '/flows',
    must: ['A list with five paging headers; 400 for an invalid query', 'All filters given have to match'],
  },
  '5.3': {
    title: 'GET /flows/{id}',
    must: [
      'include_timerange adds the timerange of the flow',
      'timerange limits it to the extent of the segments that overlap, without cutting them',
      '200; 400 for an invalid query; 404 for an unknown flow',
      'A flow of a profile reads like any other, with profile_id',
    ],
  },
  '5.4': {
    title: 'PUT /flows/{id}',
    must: [
      'The body is either profile_id or one complete technical variant, with the common members',
      '201 with the new flow, 204 for a replaced one; 400 invalid, 403 read-only, 404 for a bad id',
      'Members that are absent become unset',
      'tags replace all tags; absent, they become {}',
      'flow_collection names registered flows only, else 400',
    ],
    should: ['What contradicts the source is 400: format, role and order of collections'],
  },
  '5.5': {
    title: 'DELETE /flows/{id}',
    must: [
      'Flow and segments go: 204, or 202 with a delete request; 403 read-only, 404 unknown',
      'An object goes with its last reference, as an init object too',
      'flows/deleted also when only scheduled; sources/deleted for the last flow',
    ],
  },
  '5.6': { title: 'Tags, label, description of a flow', must: ['As for sources, and 403 for a read-only flow'] },
  '5.7': {
    title: '/flows/{id}/read_only',
    must: ['GET is a boolean', 'PUT takes a boolean: 204; 400 for all else; there is no DELETE', 'PUT works on a read-only flow'],
  },
  '5.8': {
    title: '/flows/{id}/flow_collection',
    must: [
      'A list of id, role and container_mapping that keeps its order; role is optional',
      'GET 200, PUT and DELETE 204; 400 invalid or unknown member, 403 read-only, 404 unknown',
    ],
    should: ['A collection that contradicts the source is 400'],
  },
  '5.9': {
    title: '/flows/{id}/max_bit_rate, avg_bit_rate',
    must: ['An integer from 0; PUT and DELETE 204; 400 invalid, 403 read-only, 404 unknown'],
    should: ['avg_bit_rate of a flow that is linked to a profile is 400'],
  },
}
