import { toSeconds } from '../core/clock.ts'
import { notFound, TamsError } from '../core/errors.ts'
import { and, compare, eq, isNull, not, type Predicate } from '../core/predicate.ts'
import { TimeRange } from '../core/time-range.ts'
import { isUuid } from '../core/uuid.ts'
import type { Row } from '../storage/schema.ts'
import type { Order, ReadTx } from '../storage/tables.ts'
import { collectedBy } from './collections.ts'
import type { Context } from './context.ts'
import type { Deps } from './deps.ts'
import { FORMATS } from './flow-schema.ts'
import { effectiveLimit, type Listing, nextKey, type PageRequest, pageValues } from './paging.ts'
import { extentOfOverlapping } from './segment-ranges.ts'
import { collectedByPredicate } from './source.ts'
import { parseTags, type TagFilter, tagPredicates } from './tags.ts'
import { chooseRecord, inTrash, listRecords, marksOf, parseOfTrashed, type TrashView } from './trash-view.ts'

export type FlowRow = Row<'flows'>
/** A flow as read: `flow-get` of the specification. */
export type FlowDocument = Readonly<Record<string, unknown>> & { readonly id: string; readonly source_id: string }

export interface FlowFilter {
  readonly sourceId?: string
  readonly timerange?: TimeRange
  readonly format?: string
  readonly codec?: string
  readonly label?: string
  readonly status?: string
  readonly profileId?: string
  readonly frameWidth?: number
  readonly frameHeight?: number
  readonly initSegments?: boolean
  readonly tags: readonly TagFilter[]
  /** Empty: only flows that nobody collects. */
  readonly collectedByIds?: readonly string[]
  /** Which of live and deleted ones; absent: live ones, without a word about deletion. */
  readonly view?: TrashView
}
export interface FlowView {
  readonly view?: TrashView
  readonly includeTimerange: boolean
  readonly timerange: TimeRange
}
export type FlowSort = 'created' | 'metadata_updated' | 'label'

const live = (context: Context): Predicate => and(eq('deletion_id', ''), context.visible.flows)

export const findFlow = async (tx: ReadTx, context: Context, id: string): Promise<FlowRow | undefined> => {
  if (!isUuid(id)) return undefined
  if (seesAll(context)) return tx.find('flows', [id, ''])
  const { rows } = await tx.list('flows', { where: and(eq('id', id), live(context)), limit: 1 })
  return rows[0]
}

const seesAll = ({ visible: { flows } }: Context): boolean => flows.kind === 'and' && flows.terms.length === 0

export const getFlow = async (tx: ReadTx, context: Context, id: string): Promise<FlowRow> => {
  const row = await findFlow(tx, context, id)
  if (!row) throw notFound(`Flow ${id}`)
  return row
}

/** The flow, for a change of anything but `read_only` itself (tams-behaviour.md 11.5). */
export const getWritableFlow = async (tx: ReadTx, context: Context, id: string): Promise<FlowRow> => {
  const row = await getFlow(tx, context, id)
  if (row.read_only) throw new TamsError('read_only', `Flow ${id} is read-only; PUT false to /flows/${id}/read_only first`)
  return row
}

/** Nobody collects what is deleted. */
const collectorsOfLive = (row: FlowRow, collectors: ReadonlyMap<string, string[]>): string[] | undefined =>
  row.deletion_id === '' ? collectors.get(row.id) : undefined

const json = (text: string | null): unknown => (text === null ? undefined : JSON.parse(text))
const number = (value: bigint | null): number | undefined => (value === null ? undefined : Number(value))

/** `timerange` only where it is asked for. Unset members are left out. */
export const flowDocument = (row: FlowRow, collectors: readonly string[] | undefined, timerange?: string): FlowDocument => {
  const members: Record<string, unknown> = {
    id: row.id,
    source_id: row.source_id,
    label: row.label ?? undefined,
    description: row.description ?? undefined,
    created_by: row.created_by ?? undefined,
    updated_by: row.updated_by ?? undefined,
    tags: parseTags(row.tags),
    metadata_version: row.metadata_version,
    generation: number(row.generation),
    created: toSeconds(row.created),
    metadata_updated: toSeconds(row.metadata_updated),
    segments_updated: row.segments_updated === null ? undefined : toSeconds(row.segments_updated),
    status: row.status ?? undefined,
    read_only: row.read_only,
    max_bit_rate: number(row.max_bit_rate),
    timerange,
    flow_collection: json(row.flow_collection),
    collected_by: collectors && collectors.length > 0 ? collectors : undefined,
    profile_id: row.profile_id ?? undefined,
    format: row.format,
    codec: row.codec ?? undefined,
    container: row.container ?? undefined,
    avg_bit_rate: number(row.avg_bit_rate),
    segment_duration: json(row.segment_duration),
    container_mapping: json(row.container_mapping),
    essence_parameters: json(row.essence_parameters),
  }
  // Members set to undefined are left out of JSON; they must be left out of comparisons and events as well.
  for (const name of Object.keys(members)) if (members[name] === undefined) delete members[name]
  return members as FlowDocument
}

/** For events: the flow as it reads at this moment of the transaction. */
export const readFlowDocument = async (tx: ReadTx, row: FlowRow): Promise<FlowDocument> =>
  flowDocument(row, (await collectedBy(tx, 'flow', [row.id])).get(row.id))

export const flowTimeRange = (row: FlowRow): TimeRange => (row.timerange === null ? TimeRange.never : TimeRange.parse(row.timerange))

const ordered = (column: 'created' | 'metadata_updated' | 'label_sort', direction: 'asc' | 'desc'): Order<'flows'>[] => [
  { column, direction },
  { column: 'id', direction },
  { column: 'deletion_id', direction },
]
const ORDERS: Record<FlowSort, (reverse: boolean) => Order<'flows'>[]> = {
  created: (reverse) => ordered('created', reverse ? 'asc' : 'desc'),
  metadata_updated: (reverse) => ordered('metadata_updated', reverse ? 'asc' : 'desc'),
  label: (reverse) => ordered('label_sort', reverse ? 'desc' : 'asc'),
}

const when = <T>(value: T | undefined, term: (value: T) => Predicate): Predicate[] => (value === undefined ? [] : [term(value)])

/** Overlap is judged against the flow's extent; `()` gives exactly the flows without content, `_` does not filter (5.2). */
const withinTimeRange = (range: TimeRange): Predicate => {
  if (range.isEternity) return and()
  if (range.isEmpty) return isNull('start_ns')
  return and(...when(range.endNs, (end) => compare('start_ns', '<', end)), ...when(range.startNs, (start) => compare('end_ns', '>', start)))
}

const filterPredicate = (filter: FlowFilter): Predicate =>
  and(
    ...when(filter.sourceId, (id) => eq('source_id', id)),
    ...when(filter.timerange, withinTimeRange),
    ...when(filter.format, (format) => eq('format', format)),
    ...when(filter.codec, (codec) => eq('codec', codec)),
    ...when(filter.label, (label) => eq('label', label)),
    ...when(filter.status, (status) => eq('status', status)),
    ...when(filter.profileId, (id) => eq('profile_id', id)),
    // Described as filters on video flows: images never match (tams-behaviour.md 14.16).
    ...when(filter.frameWidth ?? filter.frameHeight, () => eq('format', FORMATS.video)),
    ...when(filter.frameWidth, (width) => eq('frame_width', BigInt(width))),
    ...when(filter.frameHeight, (height) => eq('frame_height', BigInt(height))),
    ...when(filter.initSegments, (init) => (init ? eq('init_segments', true) : not(eq('init_segments', true)))),
    ...when(filter.collectedByIds, (ids) => collectedByPredicate('flow', ids)),
    ...tagPredicates('flow', filter.tags, inTrash(filter.view)),
  )

export const flowUseCases = ({ tables, settings }: Deps) => ({
  /** tams-behaviour.md 5.2. */
  list: (context: Context, filter: FlowFilter, sort: FlowSort, page: PageRequest): Promise<Listing<FlowDocument>> =>
    tables.read(async (tx) => {
      const limit = effectiveLimit(page, settings)
      const scope = `flows ${sort}`
      const after = pageValues(scope, page, 3)
      const where = and(context.visible.flows, filterPredicate(filter))
      const orderBy = ORDERS[sort](page.reverse ?? false)
      const found = await listRecords(tx, 'flows', filter.view, { where, orderBy, limit, ...(after && { after }) })
      const mark = await marksOf(tx, filter.view, found.rows)
      const live = found.rows.filter((row) => row.deletion_id === '').map((row) => row.id)
      const collectors = await collectedBy(tx, 'flow', live)
      const items = found.rows.map((row) => ({ ...flowDocument(row, collectorsOfLive(row, collectors)), ...mark(row) }))
      return { items, limit, ...nextKey(scope, found.after) }
    }),

  /**
   * `parse` reads the query once the flow is known: 404 comes before 400. With `includeTimerange`, the flow's extent, limited to the segments that overlap `timerange` (not the intersection: 5.3).
   * Throws `not_found`.
   */
  get: (context: Context, id: string, parse: () => FlowView): Promise<FlowDocument> =>
    tables.read(async (tx) => {
      const live = await findFlow(tx, context, id)
      const options = live ? parse() : await parseOfTrashed(tx, context, 'flows', id, parse)
      const row = await chooseRecord(tx, context, 'flows', id, live, options.view)
      const mark = (await marksOf(tx, options.view, [row]))(row)
      const collectors = collectorsOfLive(row, await collectedBy(tx, 'flow', [id]))
      if (!options.includeTimerange) return { ...flowDocument(row, collectors), ...mark }
      const extent = options.timerange.isEternity ? flowTimeRange(row) : await extentOfOverlapping(tx, row, options.timerange)
      return { ...flowDocument(row, collectors, extent.canonical()), ...mark }
    }),

  row: (context: Context, id: string): Promise<FlowRow> => tables.read((tx) => getFlow(tx, context, id)),
})
