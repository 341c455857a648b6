/** One change between 7.0 and 8.2 as a client of 7.0 meets it here. Tests carry it in their names as `[13-5]`. */
export interface Change {
  readonly number: number
  readonly change: string
  /**
   * `works`: the client goes on unchanged. `differs`: it goes on, but may read something else. `breaks`: it has to change.
   * `later`: the service does not have this part yet.
   */
  readonly verdict: 'works' | 'differs' | 'breaks' | 'later'
  /** What a client has to do, or why nothing. */
  readonly client: string
}

const change = (number: number, verdict: Change['verdict'], text: string, client = ''): Change => ({
  number,
  change: text,
  verdict,
  client,
})

/** By the numbers of the specification's list of changes. */
export const changes: readonly Change[] = [
  change(
    1,
    'breaks',
    'Webhooks have ids; POST always makes one',
    'Edit with PUT and delete with DELETE; a POST for a known URL is one more webhook.',
  ),
  change(2, 'differs', 'Webhooks have id and status, their events are an enumeration', 'Name only the eight event types; others are 400.'),
  change(3, 'breaks', 'get_urls need a label', 'Send a label with every URL; without one the segment is 400.'),
  change(4, 'works', 'Allocations have no pre and put_cors_url', 'Both were optional.'),
  change(5, 'breaks', 'Video without frame_rate needs vfr: true', 'Send the frame rate, or vfr: true.'),
  change(
    6,
    'differs',
    'Tags may be lists, tag filters take comma lists',
    'Expect a list where another client wrote one; write a comma of a value as %2C.',
  ),
  change(
    7,
    'differs',
    'accept_get_urls asks for labels only, accept_storage_ids for storage ids only',
    'Send both to have URLs with neither left out.',
  ),
  change(8, 'works', 'ts_offset may be negative; sample_offset and sample_count are deprecated', 'Both are still stored and returned.'),
  change(
    9,
    'differs',
    'A flow that contradicts its source is 400, absent tags are cleared',
    'Send all tags with each PUT, and the format of the source.',
  ),
  change(10, 'works', 'Objects have more members and filters, and instances'),
  change(11, 'works', 'object_timerange is there when asked for'),
  change(12, 'differs', 'read_only also stops storage requests and the deletion of the flow', 'Set read_only to false first.'),
  change(
    13,
    'works',
    'The event flows/segments_deleted has its right name',
    'Recorded under that name; delivered once there are webhooks.',
  ),
  change(14, 'works', 'Time-outs in /service'),
  change(15, 'differs', 'An unset label is 200', 'Read null instead of waiting for 404.'),
  change(
    16,
    'differs',
    'timerange of a flow reports whole segments instead of cutting them',
    'Cut at the range asked for, if that is what is needed.',
  ),
  change(17, 'works', 'Objects are 404 until they are registered'),
  change(
    18,
    'differs',
    'Listings have a defined order and more paging headers',
    'Newest first; ask with sort_by and reverse_order for another.',
  ),
  change(19, 'works', 'More filters on flows and sources'),
  change(20, 'works', 'status of a flow', 'The tag flow_status is a tag like any other.'),
  change(21, 'differs', 'Init objects', 'They have no timerange; only flows with init_segments have any.'),
  change(
    22,
    'breaks',
    'Flows of profiles',
    'PUT such a flow without its technical members, or use the paths of single properties; the whole body as read is 400.',
  ),
  change(23, 'works', 'presigned in storage requests and answers'),
  change(24, 'differs', 'role is optional in collections, which are ordered', 'Treat a missing role as none.'),
  change(25, 'works', 'Tags of storage backends, in verbose URLs too'),
  change(26, 'works', 'Webhooks: object time ranges, uncollected items', 'Both only where a webhook asks for them.'),
  change(27, 'breaks', 'essence_parameters of multi flows have only init_segments', 'Leave other members out; with them the flow is 400.'),
  change(28, 'works', 'Paths of single tags take lists'),
  change(29, 'differs', 'codec in a query is a media type', 'Send type/subtype; other texts are 400.'),
]
