import { type Static, Type } from '@sinclair/typebox'
import { notFound } from '../core/errors.ts'
import { and, eq, isIn, related } from '../core/predicate.ts'
import type { ReadTx } from '../storage/tables.ts'
import { NO_FLOW } from './access-counts.ts'
import type { Context } from './context.ts'
import { type DeletionRow, findDeletions } from './deletion.ts'
import type { Deps } from './deps.ts'
import { GetUrl, type GetUrlItem, type UrlMaker, type UrlOptions, urlMaker } from './get-urls.ts'
import { listAll } from './list-all.ts'
import { findObjects, type ObjectRow, parseInstances } from './media-object.ts'
import { effectiveLimit, type Listing, nextKey, type PageRequest, pageValues } from './paging.ts'
import { type TagFilter, tagPredicates } from './tags.ts'
import { deletionMark, inTrash, type TrashView } from './trash-view.ts'
import { TimeRangeText, Uuid } from './validate.ts'

/** `object` of the specification (tams-behaviour.md 8.1). */
export const MediaObject = Type.Object({
  id: Type.String(),
  referenced_by_flows: Type.Array(Uuid),
  first_referenced_by_flow: Type.Optional(Uuid),
  timerange: Type.Optional(TimeRangeText),
  key_frame_count: Type.Optional(Type.Integer()),
  get_urls: Type.Optional(Type.Array(GetUrl)),
  init_object: Type.Optional(Type.Object({ id: Type.String(), get_urls: Type.Optional(Type.Array(GetUrl)) })),
})
export type MediaObject = Omit<Static<typeof MediaObject>, 'get_urls' | 'init_object'> & {
  readonly get_urls: readonly GetUrlItem[]
  readonly init_object?: { readonly id: string; readonly get_urls: readonly GetUrlItem[] }
}

export interface ObjectQuery {
  readonly page: PageRequest
  readonly urls: UrlOptions
  /** Which of the referencing flows to list. */
  readonly flowTags: readonly TagFilter[]
  readonly view?: TrashView
}

const SCOPE = 'object flows'

export const objectUseCases = (deps: Deps) => ({
  /** The page's items are the flows that refer to the object; `parse` reads the query once it is known. Throws `not_found`, also for allocated, unregistered ids. */
  get: async (context: Context, id: string, parse: () => ObjectQuery): Promise<{ object: MediaObject; flows: Listing<string> }> => {
    const found = await deps.tables.read(async (tx) => {
      const row = await getRegistered(tx, id)
      const isLive = await isVisible(tx, context, row)
      const deletion = isLive ? undefined : await deletionOf(tx, context, row)
      if (!isLive && !deletion) throw notFound(objectName(id))
      const query = parse()
      const { page, view } = query
      if (isLive ? view === 'deleted' : !inTrash(view)) throw notFound(objectName(id))
      const mark = view && (isLive ? { deleted: false } : deletionMark(deletion))
      // Complete as far as a page goes, unless a client asks for less: few expect this list to be cut (8.1).
      const limit = effectiveLimit({ ...page, limit: page.limit ?? deps.settings.pageLimitMax }, deps.settings)
      const start = pageValues(SCOPE, page, 2)
      const found = await tx.list('object_refs', {
        columns: ['object_id', 'flow_id', 'timeline_id'],
        where: and(eq('object_id', id), ofVisibleFlows(context, query.flowTags)),
        limit,
        ...(start && { after: [id, ...start] }),
      })
      const urls = urlMaker(deps, context, query.urls)
      const init = row.init_object_id === null ? undefined : (await findObjects(tx, [row.init_object_id])).get(row.init_object_id)
      const referencing = found.rows.map((ref) => ref.flow_id)
      const first = await firstReferencedBy(tx, context, row)
      return {
        object: { ...document(row, referencing, first, init, urls), ...mark },
        flows: { items: referencing, limit, ...nextKey(SCOPE, found.after?.slice(1)) },
      }
    })
    const { get_urls, init_object } = found.object
    const count = deps.accesses?.signedFor(NO_FLOW)
    count?.(id, get_urls)
    if (init_object) count?.(init_object.id, init_object.get_urls)
    return found
  },
})

/** References from flows that live and that the principal may see. */
const ofVisibleFlows = (context: Context, flowTags: readonly TagFilter[] = []) =>
  related(
    'flows',
    { id: 'flow_id', timeline_id: 'timeline_id' },
    and(eq('deletion_id', ''), context.visible.flows, ...tagPredicates('flow', flowTags)),
  )

/** An object whose last visible flow is gone or hidden is gone as well, though its rows may still be worked off. */
export const getVisibleObject = async (tx: ReadTx, context: Context, id: string): Promise<ObjectRow> => {
  const row = await getRegistered(tx, id)
  if (await isVisible(tx, context, row)) return row
  throw notFound(objectName(id))
}

const isVisible = async (tx: ReadTx, context: Context, row: ObjectRow): Promise<boolean> =>
  (row.explicit && row.trash_id === null) ||
  (await tx.count('object_refs', and(eq('object_id', row.id), ofVisibleFlows(context)), { atMost: 1 })) > 0

/** References that are looked at for what took the last one. */
const REFERENCES = 100

/** The deletion that put the object into the trash: its own, or the last of those that refer to it. */
const deletionOf = async (tx: ReadTx, { visible }: Context, row: ObjectRow): Promise<DeletionRow | undefined> => {
  if (row.trash_id !== null) return tx.find('deletions', [row.trash_id])
  const seen = related('flows', { id: 'flow_id' }, visible.flows)
  const { rows: refs } = await tx.list('object_refs', { where: and(eq('object_id', row.id), seen), limit: REFERENCES })
  const timelines = refs.map((ref) => ref.timeline_id)
  const flows = await listAll(tx, 'flows', {
    columns: ['deletion_id', 'timeline_id'],
    where: and(isIn('id', [...new Set(refs.map((ref) => ref.flow_id))]), eq('trashed', true), isIn('timeline_id', timelines)),
    limit: REFERENCES * 10,
  })
  // Segments of a range lie on a timeline with the deletion's own id.
  const found = await findDeletions(tx, [...timelines, ...flows.map((flow) => flow.deletion_id)])
  return [...found.values()].reduce<DeletionRow | undefined>((last, one) => (last && last.created > one.created ? last : one), undefined)
}

/** Flows that live and refer to the object, whoever may see them. */
export const countLiveReferences = (tx: ReadTx, id: string): Promise<number> =>
  tx.count('object_refs', and(eq('object_id', id), related('flows', { id: 'flow_id', timeline_id: 'timeline_id' }, eq('deletion_id', ''))))

const objectName = (id: string): string => `Object ${JSON.stringify(id.slice(0, 200))}`

const getRegistered = async (tx: ReadTx, id: string): Promise<ObjectRow> => {
  const row = id.isWellFormed() ? (await findObjects(tx, [id])).get(id) : undefined
  if (row?.state !== 'registered') throw notFound(objectName(id))
  return row
}

// Unset once that flow is gone or not to be seen.
const firstReferencedBy = async (tx: ReadTx, context: Context, row: ObjectRow): Promise<string | undefined> => {
  const id = row.first_referenced_by_flow
  if (id === null) return undefined
  const visible = await tx.count('flows', and(eq('id', id), eq('deletion_id', ''), context.visible.flows), { atMost: 1 })
  return visible > 0 ? id : undefined
}

const document = (
  row: ObjectRow,
  flows: readonly string[],
  first: string | undefined,
  init: ObjectRow | undefined,
  urls: UrlMaker,
): MediaObject => ({
  id: row.id,
  referenced_by_flows: [...flows],
  ...(first !== undefined && { first_referenced_by_flow: first }),
  ...(row.timerange !== null && { timerange: row.timerange }),
  ...(row.key_frame_count !== null && { key_frame_count: Number(row.key_frame_count) }),
  get_urls: urls(parseInstances(row), row.content_type),
  ...(init && { init_object: { id: init.id, get_urls: urls(parseInstances(init), init.content_type) } }),
})
