import { TimeRange } from '../core/time-range.ts'
import type { Query, TamsClient } from './client.ts'
import type { Flow, MediaObject, Segment, Source, TagValues } from './tams-types.ts'

export interface ListFlags {
  readonly tag: TagValues
  readonly label?: string
  readonly format?: string
  readonly timerange?: string
  readonly limit: number
}

interface Listing<T> {
  readonly items: AsyncIterable<T>
  readonly titles: readonly string[]
  row(item: T): string[]
}

const sources = (client: TamsClient, flags: ListFlags): Listing<Source> => ({
  items: client.sources(filters(flags)),
  titles: ['SOURCE', 'FORMAT', 'CREATED', 'LABEL', 'TAGS'],
  row: ({ id, format, created, label, tags }) => [id, short(format), created ?? '', label ?? '', tagText(tags)],
})

const flows = (client: TamsClient, flags: ListFlags): Listing<Flow> => ({
  items: client.flows(filters(flags)),
  titles: ['FLOW', 'FORMAT', 'CODEC', 'STATUS', 'CREATED', 'LABEL', 'TAGS'],
  row: ({ id, format, codec, status, created, label, tags }) => [
    id,
    short(format),
    codec ?? '',
    status ?? '',
    created ?? '',
    label ?? '',
    tagText(tags),
  ],
})

const segments = (client: TamsClient, flags: ListFlags, flowId: string): Listing<Segment> => ({
  // URLs are long and signed one by one; a listing has no use for them.
  items: client.segments(flowId, { timerange: flags.timerange, limit: pageLimit(flags), accept_get_urls: '' }),
  titles: ['TIMERANGE', 'SECONDS', 'TS_OFFSET', 'OBJECT'],
  row: ({ timerange, ts_offset, object_id }) => [timerange, seconds(timerange), ts_offset ?? '0:0', object_id],
})

const objects = (client: TamsClient, _flags: ListFlags, id: string): Listing<MediaObject> => ({
  items: one(client.findObject(id)),
  titles: ['OBJECT', 'TIMERANGE', 'FLOWS', 'URLS'],
  row: (object) => [
    object.id,
    object.timerange ?? '',
    object.referenced_by_flows.join(','),
    (object.get_urls ?? []).map(({ label, url }) => label ?? url).join(','),
  ],
})

/** How each kind of thing is found and shown. */
export const listing = {
  sources: (client: TamsClient, flags: ListFlags) => erased(sources(client, flags)),
  flows: (client: TamsClient, flags: ListFlags) => erased(flows(client, flags)),
  segments: (client: TamsClient, flags: ListFlags, id: string) => erased(segments(client, flags, id)),
  objects: (client: TamsClient, flags: ListFlags, id: string) => erased(objects(client, flags, id)),
}

/** Pairs each item with its row, so that a caller need not know its type. */
interface Shown {
  readonly item: unknown
  readonly cells: readonly string[]
}

const erased = <T>({ items, titles, row }: Listing<T>): { readonly titles: readonly string[]; readonly shown: AsyncIterable<Shown> } => ({
  titles,
  shown: (async function* () {
    for await (const item of items) yield { item, cells: row(item) }
  })(),
})

export const filters = (flags: ListFlags): Query => ({
  format: flags.format === undefined ? undefined : formatUrn(flags.format),
  label: flags.label,
  timerange: flags.timerange,
  limit: pageLimit(flags),
  ...Object.fromEntries(Object.entries(flags.tag).map(([name, value]) => [`tag.${name}`, [value].flat().join(',')])),
})

const pageLimit = ({ limit }: ListFlags): number => Math.min(limit, 1000)

// The image format alone has a namespace of its own in the specification.
const formatUrn = (format: string): string => (format === 'image' ? 'urn:x-tam:format:image' : `urn:x-nmos:format:${format}`)

const short = (urn: string): string => urn.slice(urn.lastIndexOf(':') + 1)

const tagText = (tags: TagValues | undefined): string =>
  Object.entries(tags ?? {})
    .map(([name, value]) => `${name}=${[value].flat().join(',')}`)
    .join(' ')

const seconds = (text: string): string => {
  const { startNs, endNs } = TimeRange.parse(text)
  return startNs === undefined || endNs === undefined ? '' : (Number(endNs - startNs) / 1e9).toFixed(3)
}

async function* one<T>(found: Promise<T | undefined>): AsyncGenerator<T> {
  const item = await found
  if (item !== undefined) yield item
}
