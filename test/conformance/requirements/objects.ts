import type { Sections } from './section.ts'

export const objects: Sections = {
  '8.1': {
    title: '/objects/{id}',
    must: [
      '200 with three paging headers; 400 for an invalid query; 404 unknown or not registered',
      'The body has the members of the schema and no others',
      'timerange for media objects, none for init objects',
      'referenced_by_flows lists flows that use it through segments, for init objects through media objects',
    ],
    should: ['The list is complete within reason'],
  },
  '8.2': {
    title: 'POST /objects/{id}/instances',
    must: [
      '201; 400 for both forms, neither, or a url without label; 404 unknown or not registered',
      'A controlled instance is allocated, copied and advertised once it is ready',
      'Init objects are not drawn in',
      {
        statement: 'Instances are identical',
        note: 'Controlled copies are verified by length and hash; for uncontrolled ones it is a duty of the client.',
      },
    ],
    should: ['A copy can be made when only uncontrolled instances exist', 'Labels of storage backends are refused'],
  },
  '8.3': {
    title: 'DELETE /objects/{id}/instances',
    must: ['400 without storage_id and label', '204; 404 unknown or not registered', 'Init objects are not drawn in'],
    should: ['The last instance is not deleted', 'An instance leaves get_urls first, then its bytes are deleted'],
  },
  '9': {
    title: '/flow-delete-requests',
    must: [
      'id, flow_id, timerange_to_delete, delete_flow and status are there',
      'status is created, started, done or error',
      'delete_flow tells the deletion of a flow from that of segments',
      'After expiry the record is 404',
      'The list has an entry if there is any request',
      '202 has a Location that leads to the request',
    ],
    should: ['created_by comes from the principal'],
  },
}
