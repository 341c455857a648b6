import { type Static, Type } from '@sinclair/typebox'
import { toSeconds } from '../core/clock.ts'
import { notFound } from '../core/errors.ts'
import { and, eq, isIn, type Predicate, related } from '../core/predicate.ts'
import { isUuid } from '../core/uuid.ts'
import type { Row } from '../storage/schema.ts'
import type { Order, ReadTx, WriteTx } from '../storage/tables.ts'
import { collectedBy, leaveSourceCollections, type Member, sourceCollections } from './collections.ts'
import type { Context } from './context.ts'
import type { Deps } from './deps.ts'
import { checkSize } from './document-size.ts'
import { FormatText } from './flow-schema.ts'
import { effectiveLimit, type Listing, labelSort, nextKey, type PageRequest, pageValues } from './paging.ts'
import { type DomainEvent, record } from './record.ts'
import type { Tags } from './storage-backend.ts'
import { moveTags, parseTags, removeTags, type TagFilter, type TagText, tagPredicates, withoutTag, withTag, writeTags } from './tags.ts'
import { chooseRecord, inTrash, listRecords, marksOf, parseOfTrashed, type TrashView } from './trash-view.ts'
import { TagSet, Uuid } from './validate.ts'

export const SourceDocument = Type.Object({
  id: Uuid,
  format: FormatText,
  label: Type.Optional(Type.String()),
  description: Type.Optional(Type.String()),
  created_by: Type.Optional(Type.String()),
  updated_by: Type.Optional(Type.String()),
  created: Type.Optional(Type.String({ format: 'date-time' })),
  updated: Type.Optional(Type.String({ format: 'date-time' })),
  tags: Type.Optional(TagSet),
  source_collection: Type.Optional(Type.Array(Type.Object({ id: Uuid, role: Type.Optional(Type.String()) }))),
  collected_by: Type.Optional(Type.Array(Uuid)),
})
export type SourceDocument = Static<typeof SourceDocument>
export type SourceRow = Row<'sources'>

export interface SourceFilter {
  readonly label?: string
  readonly format?: string
  readonly tags: readonly TagFilter[]
  /** Empty: only sources that nobody collects. */
  readonly collectedByIds?: readonly string[]
  /** Which of live and deleted ones; absent: live ones, without a word about deletion. */
  readonly view?: TrashView
}
export type SourceSort = 'created' | 'updated' | 'label'

const live = (context: Context): Predicate => and(eq('deletion_id', ''), context.visible.sources)

export const findSource = async (tx: ReadTx, context: Context, id: string): Promise<SourceRow | undefined> => {
  if (!isUuid(id)) return undefined
  const { rows } = await tx.list('sources', { where: and(eq('id', id), live(context)), limit: 1 })
  return rows[0]
}

export const getSource = async (tx: ReadTx, context: Context, id: string): Promise<SourceRow> => {
  const row = await findSource(tx, context, id)
  if (!row) throw notFound(`Source ${id}`)
  return row
}

const document = (row: SourceRow, members: readonly Member[] | undefined, collectors: readonly string[] | undefined): SourceDocument => ({
  id: row.id,
  format: row.format as SourceDocument['format'],
  ...(row.label !== null && { label: row.label }),
  ...(row.description !== null && { description: row.description }),
  ...(row.created_by !== null && { created_by: row.created_by }),
  ...(row.updated_by !== null && { updated_by: row.updated_by }),
  created: toSeconds(row.created),
  updated: toSeconds(row.updated),
  tags: parseTags(row.tags) as Record<string, string | string[]>,
  ...(members && members.length > 0 && { source_collection: [...members] }),
  ...(collectors && collectors.length > 0 && { collected_by: [...collectors] }),
})

export const sourceDocuments = async (tx: ReadTx, rows: readonly SourceRow[]): Promise<SourceDocument[]> => {
  const ids = rows.map((row) => row.id)
  const members = await sourceCollections(tx, ids)
  const collectors = await collectedBy(tx, 'source', ids)
  return rows.map((row) => document(row, members.get(row.id), collectors.get(row.id)))
}

const markedDocuments = async (tx: ReadTx, rows: readonly SourceRow[], view: TrashView | undefined): Promise<SourceDocument[]> => {
  const mark = await marksOf(tx, view, rows)
  const documents = await sourceDocuments(
    tx,
    rows.filter((row) => row.deletion_id === ''),
  )
  const live = new Map(documents.map((item) => [item.id, item]))
  // Nobody collects what is deleted, and it collects nobody.
  return rows.map((row) => ({ ...((row.deletion_id === '' && live.get(row.id)) || document(row, [], [])), ...mark(row) }))
}

/** For events: the source as it reads at this moment of the transaction. */
export const sourceDocument = async (tx: ReadTx, row: SourceRow): Promise<SourceDocument> =>
  (await sourceDocuments(tx, [row]))[0] ?? document(row, [], [])

const ORDERS: Record<SourceSort, (reverse: boolean) => Order<'sources'>[]> = {
  created: (reverse) => ordered('created', reverse ? 'asc' : 'desc'),
  updated: (reverse) => ordered('updated', reverse ? 'asc' : 'desc'),
  label: (reverse) => ordered('label_sort', reverse ? 'desc' : 'asc'),
}
const ordered = (column: 'created' | 'updated' | 'label_sort', direction: 'asc' | 'desc'): Order<'sources'>[] => [
  { column, direction },
  { column: 'id', direction },
  { column: 'deletion_id', direction },
]

/** Collected by one of `ids`; with no ids, by nobody (tams-behaviour.md 4.1). */
export const collectedByPredicate = (entity: 'flow' | 'source', ids: readonly string[]): Predicate => {
  const members = and(eq('entity_type', entity), eq('deletion_id', ''))
  return ids.length === 0
    ? related('collections', { child_id: 'id' }, members, true)
    : related('collections', { child_id: 'id' }, and(members, isIn('parent_id', ids)))
}

export interface SourceChange {
  readonly format?: string
  readonly label?: string | null
  readonly description?: string | null
  readonly tags?: Tags
}

/** The one path for every change of a source's own members: equal values are no change and no event. The caller holds its lock. */
export const changeSource = async (
  tx: WriteTx,
  context: Context,
  nowUs: bigint,
  before: SourceRow,
  { tags, ...members }: SourceChange,
  action: string,
): Promise<void> => {
  const set: Partial<SourceRow> = {
    ...members,
    ...(members.label !== undefined && { label_sort: labelSort(members.label) }),
    ...(tags && { tags: JSON.stringify(tags) }),
  }
  if (Object.entries(set).every(([name, value]) => before[name as keyof SourceRow] === value)) return
  const after: SourceRow = { ...before, ...set, updated: nowUs, updated_by: context.principal.name }
  if (tags) await writeTags(tx, 'source', before.id, parseTags(before.tags), tags)
  await tx.update('sources', and(eq('id', before.id), eq('deletion_id', '')), {
    ...set,
    updated: after.updated,
    updated_by: after.updated_by,
  })
  const source = await sourceDocument(tx, after)
  checkSize('source', source)
  const event: DomainEvent = { type: 'sources/updated', sourceId: before.id, event: { source } }
  await record(tx, context, nowUs, [event], { action, entityType: 'source', entityId: before.id })
}

export const sourceUseCases = ({ tables, clock, settings }: Deps) => {
  const change = (context: Context, id: string, action: string, make: (row: SourceRow) => SourceChange): Promise<void> =>
    tables.write(async (tx) => {
      await tx.lock([`source:${id}`])
      const before = await getSource(tx, context, id)
      await changeSource(tx, context, clock.nowUs(), before, make(before), action)
    })

  return {
    /** tams-behaviour.md 4.1. */
    list: (context: Context, filter: SourceFilter, sort: SourceSort, page: PageRequest): Promise<Listing<SourceDocument>> =>
      tables.read(async (tx) => {
        const limit = effectiveLimit(page, settings)
        const scope = `sources ${sort}`
        const after = pageValues(scope, page, 3)
        const where = and(
          context.visible.sources,
          ...(filter.label === undefined ? [] : [eq('label', filter.label)]),
          ...(filter.format === undefined ? [] : [eq('format', filter.format)]),
          ...(filter.collectedByIds ? [collectedByPredicate('source', filter.collectedByIds)] : []),
          ...tagPredicates('source', filter.tags, inTrash(filter.view)),
        )
        const orderBy = ORDERS[sort](page.reverse ?? false)
        const found = await listRecords(tx, 'sources', filter.view, { where, orderBy, limit, ...(after && { after }) })
        return { items: await markedDocuments(tx, found.rows, filter.view), limit, ...nextKey(scope, found.after) }
      }),

    /** Throws `not_found`, as every call here does for an unknown or invisible source. */
    get: (context: Context, id: string, parse: () => { readonly view?: TrashView } = () => ({})): Promise<SourceDocument> =>
      tables.read(async (tx) => {
        const live = await findSource(tx, context, id)
        const { view } = live ? parse() : await parseOfTrashed(tx, context, 'sources', id, parse)
        const row = await chooseRecord(tx, context, 'sources', id, live, view)
        return (await markedDocuments(tx, [row], view))[0] ?? document(row, [], [])
      }),

    tags: (context: Context, id: string): Promise<Tags> => tables.read(async (tx) => parseTags((await getSource(tx, context, id)).tags)),

    tag: (context: Context, id: string, name: string): Promise<TagText> =>
      tables.read(async (tx) => {
        const value = tagOf(parseTags((await getSource(tx, context, id)).tags), name)
        if (value === undefined) throw notFound(`Tag "${name}" of source ${id}`)
        return value
      }),

    /** `check` parses the body; it runs once the source is known, so that an unknown source is 404 whatever the body. */
    putTag: (context: Context, id: string, name: string, check: () => TagText) =>
      change(context, id, 'source.tag.set', (row) => ({ tags: withTag(parseTags(row.tags), name, check()) })),

    /** All tags at once. */
    putTags: (context: Context, id: string, check: () => Tags) => change(context, id, 'source.tags.set', () => ({ tags: check() })),

    deleteTag: (context: Context, id: string, name: string) =>
      change(context, id, 'source.tag.delete', (row) => {
        const tags = parseTags(row.tags)
        if (tagOf(tags, name) === undefined) throw notFound(`Tag "${name}" of source ${id}`)
        return { tags: withoutTag(tags, name) }
      }),

    text: (context: Context, id: string, member: 'label' | 'description'): Promise<string | null> =>
      tables.read(async (tx) => (await getSource(tx, context, id))[member]),

    /** `null` unsets the member. */
    setText: (context: Context, id: string, member: 'label' | 'description', check: () => string | null) =>
      change(context, id, `source.${member}.set`, () => ({ [member]: check() })),
  }
}

export const tagOf = (tags: Tags, name: string): TagText | undefined => (Object.hasOwn(tags, name) ? tags[name] : undefined)

/** A source comes into being with its first flow (tams-behaviour.md 11.1); it takes over label, description and tags then, never later. */
export const createSource = async (
  tx: WriteTx,
  context: Context,
  nowUs: bigint,
  source: {
    readonly id: string
    readonly format: string
    readonly label: string | null
    readonly description: string | null
    readonly tags: Tags
    /** Made directly: outlives its last flow. */
    readonly explicit?: boolean
  },
): Promise<DomainEvent> => {
  const row: SourceRow = {
    id: source.id,
    deletion_id: '',
    trashed: null,
    format: source.format,
    label: source.label,
    label_sort: labelSort(source.label),
    description: source.description,
    tags: JSON.stringify(source.tags),
    explicit: source.explicit ?? false,
    created: nowUs,
    created_by: context.principal.name,
    updated: nowUs,
    updated_by: context.principal.name,
  }
  await tx.insert('sources', [row])
  await writeTags(tx, 'source', source.id, {}, source.tags)
  return { type: 'sources/created', sourceId: source.id, event: { source: await sourceDocument(tx, row) } }
}

/** Removes the source when no live flow is left and it was not made directly (tams-behaviour.md 4). */
export const removeOrphanedSource = async (
  tx: WriteTx,
  id: string,
  /** Who collected it before its last flow left all collections. */
  collectors?: readonly string[],
  /** The deletion whose trash it goes to; null: for good. */
  deletionId: string | null = null,
): Promise<DomainEvent[]> => {
  const row = await tx.find('sources', [id, ''])
  if (!row || row.explicit) return []
  if ((await tx.count('flows', and(eq('source_id', id), eq('deletion_id', '')), { atMost: 1 })) > 0) return []
  const source = collectors ?? (await collectedBy(tx, 'source', [id])).get(id) ?? []
  return [await removeSource(tx, row, source, deletionId)]
}

/** Removes a live source, which has no flows any more. */
export const removeSource = async (
  tx: WriteTx,
  row: SourceRow,
  collectors: readonly string[],
  deletionId: string | null,
): Promise<DomainEvent> => {
  await leaveSourceCollections(tx, row.id, deletionId)
  if (deletionId === null) {
    await removeTags(tx, 'source', row.id, '')
    await tx.delete('sources', and(eq('id', row.id), eq('deletion_id', '')))
  } else await moveSourceRow(tx, row, deletionId)
  return { type: 'sources/deleted', sourceId: row.id, event: { source_id: row.id }, collectedBy: { flow: [], source: collectors } }
}

/** To the trash of a deletion, or, with `''`, back from it. Gives the row as it is then; the caller holds the source's lock. */
export const moveSourceRow = async (
  tx: WriteTx,
  row: SourceRow,
  deletionId: string,
  change: Partial<SourceRow> = {},
): Promise<SourceRow> => {
  const moved: SourceRow = { ...row, ...change, deletion_id: deletionId, trashed: deletionId === '' ? null : true }
  await tx.delete('sources', and(eq('id', row.id), eq('deletion_id', row.deletion_id)))
  await tx.insert('sources', [moved])
  await moveTags(tx, 'source', row.id, row.deletion_id, deletionId, parseTags(row.tags))
  return moved
}
