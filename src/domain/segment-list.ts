import { type Static, Type } from '@sinclair/typebox'
import { invalid, notFound } from '../core/errors.ts'
import { and, eq, isIn, type Predicate, type Value } from '../core/predicate.ts'
import { TimeRange } from '../core/time-range.ts'
import { isUuid } from '../core/uuid.ts'
import type { Row } from '../storage/schema.ts'
import type { ReadTx } from '../storage/tables.ts'
import type { Context } from './context.ts'
import type { Deps } from './deps.ts'
import { findFlow } from './flow.ts'
import { GetUrl, type GetUrlItem, type UrlOptions, urlMaker } from './get-urls.ts'
import { type ObjectRow, parseInstances } from './media-object.ts'
import { effectiveLimit, type Listing, nextKey, type PageRequest, pageValues } from './paging.ts'
import { listOverlapping, segmentRange } from './segment-ranges.ts'
import { listShown, shownTimelines } from './segment-trash.ts'
import type { Tags } from './storage-backend.ts'
import { parseTags, type TagFilter, tagPredicates } from './tags.ts'
import type { TrashView } from './trash-view.ts'
import { TimeRangeText, TimestampText } from './validate.ts'

export const FlowSegment = Type.Object({
  object_id: Type.String(),
  timerange: TimeRangeText,
  ts_offset: Type.Optional(TimestampText),
  last_duration: Type.Optional(TimestampText),
  sample_offset: Type.Optional(Type.Integer()),
  sample_count: Type.Optional(Type.Integer()),
  object_timerange: Type.Optional(TimeRangeText),
  key_frame_count: Type.Optional(Type.Integer()),
  get_urls: Type.Optional(Type.Array(GetUrl)),
  init_object: Type.Optional(Type.Object({ object_id: Type.String(), get_urls: Type.Optional(Type.Array(GetUrl)) })),
})
export type FlowSegment = Omit<Static<typeof FlowSegment>, 'get_urls' | 'init_object'> & {
  readonly get_urls: readonly GetUrlItem[]
  readonly init_object?: { readonly object_id: string; readonly get_urls: readonly GetUrlItem[] }
  readonly tags?: Tags
}

export interface SegmentFilter {
  readonly page: PageRequest
  readonly objectId?: string
  readonly timerange: TimeRange
  readonly includeObjectTimerange: boolean
  readonly urls: UrlOptions
  /** Which of live and deleted ones, of the latter maybe only those of one deletion; absent: live ones, without a word about deletion. */
  readonly view?: TrashView
  readonly deletionId?: string
  readonly tags?: readonly TagFilter[]
}

export interface SegmentListing extends Listing<FlowSegment> {
  /** From the start of the earliest to the end of the latest segment of this page, forwards; `()` for none. */
  readonly timerange: TimeRange
}

const SCOPE = 'segments'

export const segmentListUseCases = (deps: Deps) => ({
  /**
   * Segments that overlap `filter.timerange`, by time (tams-behaviour.md 6.1). A well-formed id of no flow gives an empty page;
   * throws `not_found` for an id that is no UUID.
   */
  list: async (context: Context, flowId: string, parse: () => SegmentFilter): Promise<SegmentListing> => {
    if (!isUuid(flowId)) throw notFound(`Flow ${flowId}`)
    const filter = parse()
    const { page } = filter
    const limit = effectiveLimit(page, deps.settings)
    if (filter.view !== undefined) return listWithDeleted(deps, context, flowId, filter, filter.view)
    const start = startOf(pageValues(SCOPE, page, 1))
    const found = await deps.tables.read(async (tx) => {
      const flow = await findFlow(tx, context, flowId)
      if (!flow) return undefined
      const rows = await listOverlapping(tx, flow, {
        columns: deps.settings.strict ? SHOWN_OF_SEGMENT : SHOWN_WITH_TAGS,
        range: filter.timerange,
        limit,
        reverse: page.reverse ?? false,
        ...conditionOf(filter),
        ...(start !== undefined && { after: start }),
      })
      return { ...rows, objects: await objectsOf(tx, rows.rows, filter) }
    })
    if (!found) return { items: [], limit, timerange: TimeRange.never }
    const urls = urlsOfObjects(deps, context, filter.urls)
    const items = found.rows.map((row) => segment(row, found.objects, urls, filter.includeObjectTimerange))
    countUrls(deps, flowId, items)
    const ends = [found.rows[0], found.rows.at(-1)].flatMap((row) => (row ? [segmentRange(row)] : []))
    return { items, limit, timerange: TimeRange.encompassing(ends), ...nextKey(SCOPE, found.after?.slice(2)) }
  },
})

const SCOPE_WITH_DELETED = 'segments, deleted ones too'

const listWithDeleted = async (
  deps: Deps,
  context: Context,
  flowId: string,
  filter: SegmentFilter,
  view: TrashView,
): Promise<SegmentListing> => {
  const { page } = filter
  const limit = effectiveLimit(page, deps.settings)
  const after = pageValues(SCOPE_WITH_DELETED, page, 2)
  const found = await deps.tables.read(async (tx) => {
    const shown = await shownTimelines(tx, context, flowId, view, filter.deletionId)
    const rows = await listShown(tx, shown, {
      range: filter.timerange,
      limit,
      reverse: page.reverse ?? false,
      ...conditionOf(filter),
      ...(after && { after }),
    })
    return { ...rows, objects: await objectsOf(tx, rows.rows, filter) }
  })
  const urls = urlsOfObjects(deps, context, filter.urls)
  const items = found.rows.map((row) => ({ ...segment(row, found.objects, urls, filter.includeObjectTimerange), ...row.mark }))
  countUrls(deps, flowId, items)
  const timerange = TimeRange.encompassing(found.rows.map(segmentRange))
  return { items, limit, timerange, ...nextKey(SCOPE_WITH_DELETED, found.after) }
}

const conditionOf = ({ objectId, tags = [] }: SegmentFilter): { readonly where?: Predicate } => {
  const terms = [...(objectId === undefined ? [] : [eq('object_id', objectId)]), ...tagPredicates('segment', tags)]
  return terms.length === 0 ? {} : { where: and(...terms) }
}

const countUrls = ({ accesses }: Deps, flowId: string, items: readonly FlowSegment[]): void => {
  const count = accesses?.signedFor(flowId)
  if (!count) return
  for (const { object_id, get_urls, init_object } of items) {
    count(object_id, get_urls)
    if (init_object) count(init_object.object_id, init_object.get_urls)
  }
}

// The key's checksum is no signature: what it carries is checked.
const startOf = (values: readonly Value[] | undefined): bigint | undefined => {
  const start = values?.[0]
  if (start === undefined || typeof start === 'bigint') return start
  throw invalid('page', 'is no key of this listing')
}

// Every column more is felt on a page of hundreds.
const SHOWN_OF_SEGMENT = ['start_ns', 'timerange', 'object_id', 'ts_offset', 'last_duration', 'sample_offset', 'sample_count'] as const
const SHOWN_WITH_TAGS = [...SHOWN_OF_SEGMENT, 'tags'] as const
type ShownSegment = Pick<Row<'segments'>, (typeof SHOWN_OF_SEGMENT)[number]> & Partial<Pick<Row<'segments'>, 'tags'>>
const OF_EVERY_OBJECT = ['id', 'key_frame_count', 'init_object_id'] as const
const FOR_URLS = ['instances', 'content_type'] as const
/** Columns that are there only where they are asked for. */
type ShownObject = Pick<ObjectRow, (typeof OF_EVERY_OBJECT)[number]> & Partial<Pick<ObjectRow, (typeof FOR_URLS)[number] | 'timerange'>>

interface Shown {
  readonly urls: UrlOptions
  readonly includeObjectTimerange: boolean
}

const columnsOf = ({ urls, includeObjectTimerange }: Shown): readonly (keyof ShownObject)[] => [
  ...OF_EVERY_OBJECT,
  ...(wantsUrls(urls) ? FOR_URLS : []),
  ...(includeObjectTimerange ? (['timerange'] as const) : []),
]

const wantsUrls = (options: UrlOptions): boolean => options.acceptGetUrls?.length !== 0

/** The page's objects with one look-up, and their init objects, where there are any, with another. */
const objectsOf = async (tx: ReadTx, rows: readonly Pick<ShownSegment, 'object_id'>[], shown: Shown): Promise<Map<string, ShownObject>> => {
  const columns = columnsOf(shown)
  const objects = new Map<string, ShownObject>()
  const inits = new Set<string>()
  for (const row of await shownObjects(tx, new Set(rows.map((row) => row.object_id)), columns)) {
    objects.set(row.id, row)
    if (row.init_object_id !== null) inits.add(row.init_object_id)
  }
  for (const row of await shownObjects(tx, inits, columns)) objects.set(row.id, row)
  return objects
}

const shownObjects = async (
  tx: ReadTx,
  ids: ReadonlySet<string>,
  columns: readonly (keyof ShownObject)[],
): Promise<readonly ShownObject[]> => {
  if (ids.size === 0) return []
  const where = and(isIn('id', [...ids]), eq('deletion_id', ''))
  return (await tx.list('objects', { columns, where, limit: ids.size })).rows as readonly ShownObject[]
}

// Members are set one by one: spreading a dozen conditional objects costs more than the rest of a segment.
const segment = (
  row: ShownSegment,
  objects: ReadonlyMap<string, ShownObject>,
  urls: UrlsOfObject,
  objectTimerange: boolean,
): FlowSegment => {
  const shown: Mutable<FlowSegment> = { object_id: row.object_id, timerange: row.timerange, get_urls: [] }
  if (row.ts_offset !== null) shown.ts_offset = row.ts_offset
  if (row.last_duration !== null) shown.last_duration = row.last_duration
  if (row.sample_offset !== null) shown.sample_offset = Number(row.sample_offset)
  if (row.sample_count !== null) shown.sample_count = Number(row.sample_count)
  if (row.tags != null) shown.tags = parseTags(row.tags)
  showObject(shown, row.object_id, objects, urls, objectTimerange)
  return shown
}

/** What a segment shows of its object. */
export type SegmentObject = Pick<FlowSegment, 'get_urls' | 'object_timerange' | 'key_frame_count' | 'init_object'>

const showObject = (
  shown: Mutable<SegmentObject>,
  id: string,
  objects: ReadonlyMap<string, ShownObject>,
  urls: UrlsOfObject,
  objectTimerange: boolean,
): void => {
  const object = objects.get(id)
  if (!object) return
  const init = object.init_object_id === null ? undefined : objects.get(object.init_object_id)
  shown.get_urls = urls(object)
  if (objectTimerange && object.timerange != null) shown.object_timerange = object.timerange
  if (object.key_frame_count !== null) shown.key_frame_count = Number(object.key_frame_count)
  if (init) shown.init_object = { object_id: init.id, get_urls: urls(init) }
}

/** For events, whose segments are references: what the listing shows of these segments' objects, by object id. */
export const segmentShower = async (
  tx: ReadTx,
  deps: Deps,
  context: Context,
  segments: readonly { readonly object_id: string }[],
  options: { readonly urls: UrlOptions; readonly includeObjectTimerange: boolean },
): Promise<(objectId: string) => SegmentObject> => {
  const objects = await objectsOf(tx, segments, options)
  const urls = urlsOfObjects(deps, context, options.urls)
  return (id) => {
    const shown: Mutable<SegmentObject> = { get_urls: [] }
    showObject(shown, id, objects, urls, options.includeObjectTimerange)
    return shown
  }
}

type UrlsOfObject = (object: ShownObject) => readonly GetUrlItem[]

// Where no URLs are wanted, no object's instances are parsed.
const urlsOfObjects = (deps: Deps, context: Context, options: UrlOptions): UrlsOfObject => {
  if (!wantsUrls(options)) return () => []
  const urls = urlMaker(deps, context, options)
  return ({ instances = '[]', content_type = null }) => urls(parseInstances({ instances }), content_type)
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }
