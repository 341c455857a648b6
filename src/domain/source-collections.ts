import { randomUUID } from 'node:crypto'
import { type Static, Type } from '@sinclair/typebox'
import { toSeconds } from '../core/clock.ts'
import { invalid, notFound, TamsError } from '../core/errors.ts'
import { and, eq, isIn, related } from '../core/predicate.ts'
import type { ReadTx, WriteTx } from '../storage/tables.ts'
import { mergeMembers, noMembers, pageOfMembers } from './collection-members.ts'
import {
  COLLECTIONS_LOCK,
  collectedBy,
  collects,
  explicitMembers,
  inferredMembers,
  type Member,
  sourceCollections,
  writeExplicitMembers,
} from './collections.ts'
import type { Context } from './context.ts'
import type { Deps } from './deps.ts'
import { checkSize } from './document-size.ts'
import { type CollectionBody, checkCollectionBody, checkMembership } from './flow-collections.ts'
import { FORMATS, MAX_COLLECTORS, MAX_MEMBERS } from './flow-schema.ts'
import { listAll } from './list-all.ts'
import { effectiveLimit, type Listing, nextKey, type PageRequest, pageValues } from './paging.ts'
import { type DomainEvent, record } from './record.ts'
import { changeSource, createSource, getSource, type SourceDocument, type SourceRow, sourceDocument, sourceDocuments } from './source.ts'
import { Uuid } from './validate.ts'

/** A source seen as the collection that it is. `inferred`: the membership follows from flows and goes with them. */
export const SourceCollectionDocument = Type.Object({
  id: Uuid,
  format: Type.String(),
  label: Type.Optional(Type.String()),
  description: Type.Optional(Type.String()),
  created: Type.String({ format: 'date-time' }),
  updated: Type.String({ format: 'date-time' }),
  members: Type.Array(Type.Object({ id: Uuid, role: Type.Optional(Type.String()), inferred: Type.Boolean() })),
})
export type SourceCollectionDocument = Static<typeof SourceCollectionDocument>

const SCOPE = 'source collections'
const MEMBER_SCOPE = 'collection sources'

/** `/source-collections`: memberships of sources named by clients, united with those that follow from flows. An extension. */
export const sourceCollectionUseCases = ({ tables, clock, settings }: Deps) => {
  const documents = async (tx: ReadTx, rows: readonly SourceRow[]): Promise<SourceCollectionDocument[]> => {
    const ids = rows.map((row) => row.id)
    const members = await sourceCollections(tx, ids)
    const inferred = await inferredMembers(tx, ids)
    return rows.map((row) => ({
      id: row.id,
      format: row.format,
      ...(row.label !== null && { label: row.label }),
      ...(row.description !== null && { description: row.description }),
      created: toSeconds(row.created),
      updated: toSeconds(row.updated),
      members: (members.get(row.id) ?? []).map((member) => ({ ...member, inferred: inferred.get(row.id)?.has(member.id) ?? false })),
    }))
  }

  const get = async (tx: ReadTx, context: Context, id: string): Promise<SourceCollectionDocument> => {
    const [found] = await documents(tx, [await getSource(tx, context, id)])
    if (!found || found.members.length === 0) throw notFound(`Source collection ${id}`)
    return found
  }

  /** The caller holds the locks of the source and of `COLLECTIONS_LOCK`. An equal list is no change and no event. */
  const write = async (tx: WriteTx, context: Context, row: SourceRow, members: readonly Member[]): Promise<void> => {
    const before = await explicitMembers(tx, row.id)
    if (JSON.stringify(before) === JSON.stringify(members)) return
    const added = members.filter((member) => !before.some((other) => other.id === member.id))
    await checkMembers(tx, context, row.id, members, added)
    await writeExplicitMembers(tx, row.id, members)
    const nowUs = clock.nowUs()
    const set = { updated: nowUs, updated_by: context.principal.name }
    await tx.update('sources', and(eq('id', row.id), eq('deletion_id', '')), set)
    const source = await sourceDocument(tx, { ...row, ...set })
    checkSize('source', source)
    const event: DomainEvent = { type: 'sources/updated', sourceId: row.id, event: { source } }
    await record(tx, context, nowUs, [event], { action: 'source.collection.set', entityType: 'source', entityId: row.id })
  }

  const make = async (tx: WriteTx, context: Context, id: string, { label, description }: Static<typeof CollectionBody>): Promise<void> => {
    const nowUs = clock.nowUs()
    const source = { id, format: FORMATS.multi, label: label ?? null, description: description ?? null, tags: {}, explicit: true }
    const event = await createSource(tx, context, nowUs, source)
    await record(tx, context, nowUs, [event], { action: 'source.create', entityType: 'source', entityId: id })
  }

  return {
    /** Newest first. */
    list: (context: Context, page: PageRequest): Promise<Listing<SourceCollectionDocument>> =>
      tables.read(async (tx) => {
        const limit = effectiveLimit(page, settings)
        const after = pageValues(SCOPE, page, 3)
        const direction = page.reverse ? 'asc' : 'desc'
        const orderBy = (['created', 'id', 'deletion_id'] as const).map((column) => ({ column, direction }) as const)
        const collecting = related('collections', { parent_id: 'id' }, and(eq('entity_type', 'source'), eq('deletion_id', '')))
        const where = and(eq('deletion_id', ''), context.visible.sources, collecting)
        const found = await tx.list('sources', { where, orderBy, limit, ...(after && { after }) })
        return { items: await documents(tx, found.rows), limit, ...nextKey(SCOPE, found.after) }
      }),

    get: (context: Context, id: string): Promise<SourceCollectionDocument> => tables.read((tx) => get(tx, context, id)),

    /** Makes a source of format multi that outlives its flows (`made`), or adds members to the source with this id. Throws `invalid`. */
    makeOrExtend: (context: Context, given: unknown): Promise<{ collection: SourceCollectionDocument; made: boolean }> => {
      const body = checkCollectionBody(given)
      const id = body.id ?? randomUUID()
      return tables.write(async (tx) => {
        await tx.lock([`source:${id}`, ...body.members.map((member) => `source:${member.id}`), COLLECTIONS_LOCK])
        const made = !(await tx.find('sources', [id, '']))
        if (made && body.members.length === 0) throw noMembers()
        if (made) await make(tx, context, id, body)
        const row = await getSource(tx, context, id)
        if (body.members.length === 0 && !(await sourceCollections(tx, [id])).has(id)) throw noMembers()
        const { label, description } = body
        const texts = { ...(label !== undefined && { label }), ...(description !== undefined && { description }) }
        if (!made) await changeSource(tx, context, clock.nowUs(), row, texts, 'source.update')
        const members = mergeMembers(await explicitMembers(tx, id), body.members)
        await write(tx, context, await getSource(tx, context, id), members)
        return { collection: await get(tx, context, id), made }
      })
    },

    /** The member sources in the order of the collection; those that the principal may not see are left out. */
    sources: (context: Context, id: string, page: PageRequest): Promise<Listing<SourceDocument>> =>
      tables.read(async (tx) => {
        const { members } = await get(tx, context, id)
        const limit = effectiveLimit(page, settings)
        const { ids, ...next } = pageOfMembers(MEMBER_SCOPE, members, page, limit)
        const where = and(isIn('id', ids), eq('deletion_id', ''), context.visible.sources)
        const found = ids.length === 0 ? [] : await listAll(tx, 'sources', { where, limit: ids.length })
        const rows = new Map(found.map((row) => [row.id, row]))
        const items = await sourceDocuments(
          tx,
          ids.flatMap((member) => rows.get(member) ?? []),
        )
        return { items, limit, ...next }
      }),

    /** Adds the source (`true`), or sets the role of the one that is there. Throws `not_found`, `invalid`. */
    putMember: (context: Context, id: string, memberId: string, parse: () => unknown): Promise<boolean> =>
      tables.write(async (tx) => {
        await tx.lock([`source:${id}`, `source:${memberId}`, COLLECTIONS_LOCK])
        const row = await getSource(tx, context, id)
        await getSource(tx, context, memberId)
        const { role } = checkMembership(parse())
        const before = await explicitMembers(tx, id)
        const known = before.some((member) => member.id === memberId)
        const member = { id: memberId, ...(role !== undefined && { role }) }
        await write(tx, context, row, known ? before.map((other) => (other.id === memberId ? member : other)) : [...before, member])
        return !known
      }),

    /** Throws `not_found` unless the source is a member, `conflict` for a membership that follows from flows. */
    removeMember: (context: Context, id: string, memberId: string): Promise<void> =>
      tables.write(async (tx) => {
        await tx.lock([`source:${id}`, COLLECTIONS_LOCK])
        const row = await getSource(tx, context, id)
        const before = await explicitMembers(tx, id)
        const kept = before.filter((member) => member.id !== memberId)
        if (kept.length < before.length) return write(tx, context, row, kept)
        if ((await inferredMembers(tx, [id])).get(id)?.has(memberId))
          throw new TamsError('conflict', `Source ${memberId} is in collection ${id} through flows: take their flows apart`)
        throw notFound(`Source ${memberId} in collection ${id}`)
      }),

    /** Ends the memberships that clients have named; those that follow from flows stay. Throws `not_found`. */
    dissolve: (context: Context, id: string): Promise<void> =>
      tables.write(async (tx) => {
        await tx.lock([`source:${id}`, COLLECTIONS_LOCK])
        await get(tx, context, id)
        await write(tx, context, await getSource(tx, context, id), [])
      }),
  }
}

/** Every member must be there; not the source itself, no cycle, and bounds on both sides. Throws `invalid`. */
const checkMembers = async (
  tx: ReadTx,
  context: Context,
  id: string,
  members: readonly Member[],
  added: readonly Member[],
): Promise<void> => {
  if (members.length > MAX_MEMBERS) throw invalid('members', `the collection would have ${members.length} members; at most ${MAX_MEMBERS}`)
  if (added.length === 0) return
  const ids = added.map((member) => member.id)
  if (ids.includes(id)) throw invalid('members', 'a source cannot collect itself')
  const where = and(isIn('id', ids), eq('deletion_id', ''), context.visible.sources)
  const known = new Set((await listAll(tx, 'sources', { columns: ['id'], where, limit: ids.length })).map((row) => row.id))
  const unknown = ids.find((member) => !known.has(member))
  if (unknown !== undefined) throw invalid('members', `source ${unknown} is not registered here`)
  for (const [member, collectors] of await collectedBy(tx, 'source', ids)) {
    const others = collectors.filter((parent) => parent !== id)
    if (others.length >= MAX_COLLECTORS) throw invalid('members', `source ${member} is in ${others.length} collections already`)
  }
  if (await collects(tx, 'source', ids, id)) throw invalid('members', `source ${id} would collect itself through its members`)
}
