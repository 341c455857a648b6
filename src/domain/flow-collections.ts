import { randomUUID } from 'node:crypto'
import { type Static, Type } from '@sinclair/typebox'
import { toSeconds } from '../core/clock.ts'
import { invalid, isTamsError, notFound } from '../core/errors.ts'
import { and, eq, isIn, isNull, not } from '../core/predicate.ts'
import type { WriteTx } from '../storage/tables.ts'
import { mergeMembers, noMembers, pageOfMembers } from './collection-members.ts'
import { COLLECTIONS_LOCK, checkMembers, collectedBy } from './collections.ts'
import type { Context } from './context.ts'
import type { Deps } from './deps.ts'
import { type FlowDocument, type FlowRow, findFlow, flowDocument, getFlow, getWritableFlow } from './flow.ts'
import { flowPutUseCases } from './flow-put.ts'
import { flowCollection, setMembers, updateFlow } from './flow-save.ts'
import { type CollectionItem, FORMATS, MAX_MEMBERS } from './flow-schema.ts'
import { listAll } from './list-all.ts'
import { effectiveLimit, type Listing, nextKey, type PageRequest, pageValues } from './paging.ts'
import { checker, Uuid } from './validate.ts'

const Member = Type.Object({ id: Uuid, role: Type.Optional(Type.String()) })
const Members = Type.Array(Member, { maxItems: MAX_MEMBERS, title: `a list of at most ${MAX_MEMBERS} {id, role?}` })
export const CollectionBody = Type.Object({
  id: Type.Optional(Uuid),
  label: Type.Optional(Type.String()),
  description: Type.Optional(Type.String()),
  members: Members,
})
type Body = Static<typeof CollectionBody>
export const MembershipBody = Type.Object({ role: Type.Optional(Type.String()) })
export const checkCollectionBody = checker(CollectionBody)
export const checkMembership = checker(MembershipBody)

/** A flow seen as the collection that it is. */
export const FlowCollectionDocument = Type.Object({
  id: Uuid,
  source_id: Uuid,
  format: Type.String(),
  label: Type.Optional(Type.String()),
  description: Type.Optional(Type.String()),
  created: Type.String({ format: 'date-time' }),
  updated: Type.String({ format: 'date-time' }),
  members: Type.Array(Member),
})
export type FlowCollectionDocument = Static<typeof FlowCollectionDocument>

const document = (row: FlowRow): FlowCollectionDocument => ({
  id: row.id,
  source_id: row.source_id,
  format: row.format,
  ...(row.label !== null && { label: row.label }),
  ...(row.description !== null && { description: row.description }),
  created: toSeconds(row.created),
  updated: toSeconds(row.metadata_updated),
  members: flowCollection(row).map(({ id, role }) => ({ id, ...(role !== undefined && { role }) })),
})

const SET = 'flow.collection.set'
const SCOPE = 'collections'
const MEMBER_SCOPE = 'collection flows'

/** `/collections`: views over `flow_collection`, whose rules hold here as well. An extension. */
export const flowCollectionUseCases = (deps: Deps) => {
  const { tables, clock, settings } = deps
  const { create } = flowPutUseCases(deps)

  const getCollection = async (tx: Parameters<typeof getFlow>[0], context: Context, id: string): Promise<FlowRow> => {
    const row = await findFlow(tx, context, id)
    if (!row || row.flow_collection === null) throw notFound(`Collection ${id}`)
    return row
  }

  /** Members that come are judged and written as those of `PUT /flows/{id}/flow_collection`. */
  const change = async (
    tx: WriteTx,
    context: Context,
    row: FlowRow,
    members: readonly CollectionItem[],
    more: Partial<FlowRow> = {},
  ): Promise<void> => {
    if (members.length > MAX_MEMBERS)
      throw invalid('members', `the collection would have ${members.length} members; at most ${MAX_MEMBERS}`)
    await tx.lock([`source:${row.source_id}`, ...members.map((member) => `flow:${member.id}`), COLLECTIONS_LOCK])
    await checkMembers(tx, row.id, members)
    const flow_collection = members.length === 0 ? null : JSON.stringify(members)
    await updateFlow(tx, context, clock.nowUs(), row, { ...more, flow_collection }, { action: SET })
  }

  const extend = (context: Context, id: string, body: Body): Promise<FlowCollectionDocument | undefined> =>
    tables.write(async (tx) => {
      await tx.lock([`flow:${id}`])
      if (!(await findFlow(tx, context, id))) return undefined
      const row = await getWritableFlow(tx, context, id)
      const { label, description } = body
      const more = { ...(label !== undefined && { label }), ...(description !== undefined && { description }) }
      const members = mergeMembers(flowCollection(row), body.members)
      if (members.length === 0) throw noMembers()
      await change(tx, context, row, members, more)
      return document(await getFlow(tx, context, id))
    })

  const make = async (context: Context, { id, label, description, members }: Body): Promise<FlowCollectionDocument> => {
    if (members.length === 0) throw noMembers()
    const named = {
      ...(id !== undefined && { id }),
      ...(label !== undefined && { label }),
      ...(description !== undefined && { description }),
    }
    const flow_collection = mergeMembers([], members)
    const flow = await create(context, { ...named, source_id: randomUUID(), format: FORMATS.multi, flow_collection })
    return tables.read(async (tx) => document(await getFlow(tx, context, flow.id)))
  }

  return {
    /** Newest first. */
    list: (context: Context, page: PageRequest): Promise<Listing<FlowCollectionDocument>> =>
      tables.read(async (tx) => {
        const limit = effectiveLimit(page, settings)
        const after = pageValues(SCOPE, page, 3)
        const direction = page.reverse ? 'asc' : 'desc'
        const orderBy = (['created', 'id', 'deletion_id'] as const).map((column) => ({ column, direction }) as const)
        const where = and(eq('deletion_id', ''), context.visible.flows, not(isNull('flow_collection')))
        const found = await tx.list('flows', { where, orderBy, limit, ...(after && { after }) })
        return { items: found.rows.map(document), limit, ...nextKey(SCOPE, found.after) }
      }),

    get: (context: Context, id: string): Promise<FlowCollectionDocument> =>
      tables.read(async (tx) => document(await getCollection(tx, context, id))),

    /** Makes a multi flow (`made`), or adds members to the flow with this id. Throws `invalid`, `read_only`. */
    makeOrExtend: async (context: Context, given: unknown): Promise<{ collection: FlowCollectionDocument; made: boolean }> => {
      const body = checkCollectionBody(given)
      const extended = async () => (body.id === undefined ? undefined : extend(context, body.id, body))
      const found = await extended()
      if (found) return { collection: found, made: false }
      try {
        return { collection: await make(context, body), made: true }
      } catch (error) {
        // Made by somebody else in between.
        const collection = isTamsError(error, 'exists') ? await extended() : undefined
        if (!collection) throw error
        return { collection, made: false }
      }
    },

    /** The member flows in the order of the collection; those that the principal may not see are left out. */
    flows: (context: Context, id: string, page: PageRequest): Promise<Listing<FlowDocument>> =>
      tables.read(async (tx) => {
        const members = flowCollection(await getCollection(tx, context, id))
        const limit = effectiveLimit(page, settings)
        const { ids, ...next } = pageOfMembers(MEMBER_SCOPE, members, page, limit)
        const where = and(isIn('id', ids), eq('deletion_id', ''), context.visible.flows)
        const found = ids.length === 0 ? [] : await listAll(tx, 'flows', { where, limit: ids.length })
        const rows = new Map(found.map((row) => [row.id, row]))
        const collectors = await collectedBy(tx, 'flow', ids)
        const items = ids.flatMap((member) => {
          const row = rows.get(member)
          return row ? [flowDocument(row, collectors.get(member))] : []
        })
        return { items, limit, ...next }
      }),

    /** Adds the flow (`true`), or sets the role of the one that is there. Throws `not_found`, `read_only`, `invalid`. */
    putMember: (context: Context, id: string, memberId: string, parse: () => unknown): Promise<boolean> =>
      tables.write(async (tx) => {
        await tx.lock([`flow:${id}`])
        await getFlow(tx, context, id)
        const row = await getWritableFlow(tx, context, id)
        await getFlow(tx, context, memberId)
        const { role } = checkMembership(parse())
        const members = flowCollection(row)
        const known = members.some((member) => member.id === memberId)
        const changed = known
          ? members.map(({ role: before, ...member }) => {
              const kept = member.id === memberId ? role : before
              return { ...member, ...(kept !== undefined && { role: kept }) }
            })
          : [...members, { id: memberId, ...(role !== undefined && { role }) }]
        await change(tx, context, row, changed)
        return !known
      }),

    /** Throws `not_found` unless the flow is a member, `read_only`. */
    removeMember: (context: Context, id: string, memberId: string): Promise<void> =>
      tables.write(async (tx) => {
        await tx.lock([`flow:${id}`])
        const row = await getWritableFlow(tx, context, (await getCollection(tx, context, id)).id)
        const members = flowCollection(row)
        const kept = members.filter((member) => member.id !== memberId)
        if (kept.length === members.length) throw notFound(`Flow ${memberId} in collection ${id}`)
        await setMembers(tx, context, clock.nowUs(), row, kept, SET)
      }),

    /** The flow collects nothing any more; it stays itself, and so do its members. Throws `not_found`, `read_only`. */
    dissolve: (context: Context, id: string): Promise<void> =>
      tables.write(async (tx) => {
        await tx.lock([`flow:${id}`])
        await getCollection(tx, context, id)
        await setMembers(tx, context, clock.nowUs(), await getWritableFlow(tx, context, id), [], SET)
      }),
  }
}
