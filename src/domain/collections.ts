import { invalid } from '../core/errors.ts'
import { and, compare, eq, isIn, type Predicate } from '../core/predicate.ts'
import type { Row } from '../storage/schema.ts'
import type { ReadTx, WriteTx } from '../storage/tables.ts'
import { type CollectionItem, MAX_COLLECTORS } from './flow-schema.ts'
import { listAll } from './list-all.ts'

/** Flows collect flows; sources collect sources as inferred from their flows (tams-behaviour.md 11.2). */
export type CollectionEntity = 'flow' | 'source'
export interface Member {
  readonly id: string
  readonly role?: string
}

const ROWS = 100_000

/** Ids that collect each of `ids`; those nobody collects are absent. */
export const collectedBy = async (tx: ReadTx, entity: CollectionEntity, ids: readonly string[]): Promise<Map<string, string[]>> => {
  const result = new Map<string, string[]>()
  if (ids.length === 0) return result
  const rows = await listAll(tx, 'collections', {
    columns: ['child_id', 'parent_id'],
    where: and(eq('entity_type', entity), eq('deletion_id', ''), isIn('child_id', ids)),
    limit: ROWS,
  })
  for (const row of rows) {
    const parents = result.get(row.child_id)
    if (!parents) result.set(row.child_id, [row.parent_id])
    else if (!parents.includes(row.parent_id)) parents.push(row.parent_id)
  }
  return result
}

/** Who collects a flow, and who its source. */
export interface Collectors {
  readonly flow: readonly string[]
  readonly source: readonly string[]
}

/** In one look; absent ids have none. */
export const collectorsOf = async (tx: ReadTx, flowId: string | undefined, sourceId: string | undefined): Promise<Collectors> => {
  const ids = [flowId, sourceId].filter((id) => id !== undefined)
  if (ids.length === 0) return { flow: [], source: [] }
  const rows = await listAll(tx, 'collections', {
    columns: ['entity_type', 'child_id', 'parent_id'],
    where: and(isIn('entity_type', ['flow', 'source']), eq('deletion_id', ''), isIn('child_id', ids)),
    limit: ROWS,
  })
  const of = (entity: CollectionEntity, id: string | undefined): string[] => [
    ...new Set(rows.filter((row) => row.entity_type === entity && row.child_id === id).map((row) => row.parent_id)),
  ]
  return { flow: of('flow', flowId), source: of('source', sourceId) }
}

/** Members of each of the sources `ids`, in order: one entry per source, united over the flows that collect. */
export const sourceCollections = async (tx: ReadTx, ids: readonly string[]): Promise<Map<string, Member[]>> => {
  const result = new Map<string, Member[]>()
  for (const [parent, lists] of await listsOf(tx, ids)) {
    const united: Member[] = []
    for (const list of lists.values()) unite(united, list)
    result.set(parent, united)
  }
  return result
}

const listsOf = async (tx: ReadTx, parents: readonly string[]): Promise<Map<string, Map<string, Member[]>>> => {
  const result = new Map<string, Map<string, Member[]>>()
  if (parents.length === 0) return result
  const rows = await listAll(tx, 'collections', {
    where: and(eq('entity_type', 'source'), eq('deletion_id', ''), isIn('parent_id', parents)),
    limit: ROWS,
  })
  for (const row of rows) {
    const lists = result.get(row.parent_id) ?? new Map<string, Member[]>()
    result.set(row.parent_id, lists)
    const list = lists.get(row.via) ?? []
    lists.set(row.via, list)
    list.push({ id: row.child_id, ...(row.role !== null && { role: row.role }) })
  }
  return result
}

/** Members of `list` that are new go before the first known member that follows them, so that both orders hold. */
const unite = (united: Member[], list: readonly Member[]): void => {
  let anchor = united.length
  for (const member of [...list].reverse()) {
    const known = united.findIndex((other) => other.id === member.id)
    const at = known < 0 ? anchor : known
    if (known < 0) united.splice(anchor, 0, member)
    else if (united[known]?.role === undefined) united[known] = member
    anchor = at
  }
}

/** Members of a source that clients have named, in order; an extension. Rows of no flow: `via` is empty. */
export const explicitMembers = async (tx: ReadTx, sourceId: string): Promise<Member[]> =>
  (await listsOf(tx, [sourceId])).get(sourceId)?.get('') ?? []

/** Ids of the members that follow from flows, by source. */
export const inferredMembers = async (tx: ReadTx, ids: readonly string[]): Promise<Map<string, Set<string>>> => {
  const result = new Map<string, Set<string>>()
  for (const [parent, lists] of await listsOf(tx, ids))
    result.set(parent, new Set([...lists].flatMap(([via, list]) => (via === '' ? [] : list.map((member) => member.id)))))
  return result
}

export const writeExplicitMembers = async (tx: WriteTx, sourceId: string, members: readonly Member[]): Promise<void> => {
  const own = and(eq('entity_type', 'source'), eq('deletion_id', ''), eq('parent_id', sourceId), eq('via', ''))
  await tx.delete('collections', own)
  const rows = members.map((member, position) => collectionRow('source', sourceId, '', position, member))
  if (rows.length > 0) await tx.insert('collections', rows)
}

/**
 * A source that goes leaves the collections that clients have put it into, and what it collected is no collection any more. A soft
 * deletion remembers both. The caller holds the lock of the source.
 */
export const leaveSourceCollections = async (tx: WriteTx, sourceId: string, deletionId: string | null): Promise<void> => {
  // Most sources are in none, and without the source's lock none comes: other changes of collections may go on beside that.
  if ((await explicitRows(tx, sourceId, '')).length === 0) return
  await tx.lock([COLLECTIONS_LOCK])
  const rows = await explicitRows(tx, sourceId, '')
  await dropExplicitRows(tx, sourceId, '')
  if (deletionId === null || rows.length === 0) return
  await tx.insert(
    'collections',
    rows.map((row) => ({ ...row, deletion_id: deletionId })),
  )
}

/**
 * A restored source is in its collections again, behind their other members: as far as the other sides live and nothing would come to
 * collect itself. The caller holds the lock of the source.
 */
export const rejoinSourceCollections = async (tx: WriteTx, sourceId: string, deletionId: string): Promise<void> => {
  const rows = await explicitRows(tx, sourceId, deletionId)
  if (rows.length === 0) return
  const otherOf = (row: Row<'collections'>): string => (row.parent_id === sourceId ? row.child_id : row.parent_id)
  await tx.lock([COLLECTIONS_LOCK, ...rows.map((row) => `source:${otherOf(row)}`)])
  await dropExplicitRows(tx, sourceId, deletionId)
  for (const row of rows.toSorted((a, b) => a.position - b.position)) {
    if (!(await tx.find('sources', [otherOf(row), '']))) continue
    if (await collects(tx, 'source', [row.child_id], row.parent_id)) continue
    const members = (await explicitRows(tx, row.parent_id, '')).filter((item) => item.parent_id === row.parent_id)
    if (members.some((item) => item.child_id === row.child_id)) continue
    const position = members.reduce((next, item) => Math.max(next, item.position + 1), 0)
    await tx.insert('collections', [{ ...row, deletion_id: '', position }])
  }
}

const explicitRows = async (tx: ReadTx, sourceId: string, deletionId: string): Promise<Row<'collections'>[]> => {
  const explicit = and(eq('entity_type', 'source'), eq('deletion_id', deletionId), eq('via', ''))
  const own = await listAll(tx, 'collections', { where: and(explicit, eq('parent_id', sourceId)), limit: ROWS })
  const parents = await listAll(tx, 'collections', { where: and(explicit, eq('child_id', sourceId)), limit: ROWS })
  return [...own, ...parents]
}

export const dropExplicitRows = async (tx: WriteTx, sourceId: string, deletionId: string): Promise<void> => {
  const explicit = and(eq('entity_type', 'source'), eq('deletion_id', deletionId), eq('via', ''))
  await tx.delete('collections', and(explicit, eq('parent_id', sourceId)))
  await tx.delete('collections', and(explicit, eq('child_id', sourceId)))
}

const collectionRow = (
  entity: CollectionEntity,
  parent: string,
  via: string,
  position: number,
  member: Member,
  deletionId = '',
): Row<'collections'> => ({
  entity_type: entity,
  parent_id: parent,
  deletion_id: deletionId,
  via,
  position,
  child_id: member.id,
  role: member.role ?? null,
})

/**
 * Replaces what flow `flowId` collects: its own rows, and those of its source that follow from them. Throws `invalid` where that
 * contradicts another flow of the source, unless `mayContradict`.
 */
export const writeFlowCollection = async (
  tx: WriteTx,
  flowId: string,
  sourceId: string,
  members: readonly CollectionItem[],
  mayContradict = false,
): Promise<void> => {
  await clearFlowCollection(tx, flowId)
  if (members.length === 0) return
  await tx.insert(
    'collections',
    members.map((member, position) => collectionRow('flow', flowId, flowId, position, member)),
  )
  const sources = await memberSources(tx, members)
  const sourceMembers: Member[] = []
  for (const member of members) {
    const id = sources.get(member.id)
    if (id === undefined || id === sourceId || sourceMembers.some((other) => other.id === id)) continue
    sourceMembers.push({ id, ...(member.role !== undefined && { role: member.role }) })
  }
  if (!mayContradict) await checkAgreement(tx, flowId, sourceId, sourceMembers)
  if (sourceMembers.length === 0) return
  await tx.insert(
    'collections',
    sourceMembers.map((member, position) => collectionRow('source', sourceId, flowId, position, member)),
  )
}

export const clearFlowCollection = async (tx: WriteTx, flowId: string): Promise<void> => {
  await tx.delete('collections', and(eq('entity_type', 'flow'), eq('deletion_id', ''), eq('parent_id', flowId)))
  await tx.delete('collections', and(eq('entity_type', 'source'), eq('deletion_id', ''), eq('via', flowId)))
}

/** Source ids of those members that are live, by flow id. */
export const memberSources = async (tx: ReadTx, members: readonly Pick<CollectionItem, 'id'>[]): Promise<Map<string, string>> => {
  if (members.length === 0) return new Map()
  const rows = await listAll(tx, 'flows', {
    columns: ['id', 'source_id'],
    where: and(
      isIn(
        'id',
        members.map((member) => member.id),
      ),
      eq('deletion_id', ''),
    ),
    limit: members.length,
  })
  return new Map(rows.map((row) => [row.id, row.source_id]))
}

/** Flows of one source may not contradict each other in a member's role or in the order (tams-behaviour.md 5.4, 11.2). */
const checkAgreement = async (tx: ReadTx, flowId: string, sourceId: string, members: readonly Member[]): Promise<void> => {
  const lists = (await listsOf(tx, [sourceId])).get(sourceId)
  for (const [via, list] of lists ?? []) {
    // What clients have named beside the flows binds nobody.
    if (via === flowId || via === '') continue
    const known = new Map(list.map((item) => [item.id, item]))
    for (const member of members) {
      const other = known.get(member.id)
      if (other?.role !== undefined && member.role !== undefined && other.role !== member.role)
        throw invalid(
          'flow_collection',
          `source ${member.id} has the role "${other.role}" in the collection of source ${sourceId}, not "${member.role}"`,
        )
    }
    const common = members.filter((member) => known.has(member.id)).map((member) => member.id)
    const shared = new Set(common)
    const theirs = list.filter((other) => shared.has(other.id)).map((other) => other.id)
    if (common.join() !== theirs.join())
      throw invalid('flow_collection', `its order contradicts the collection of source ${sourceId} through flow ${via}`)
  }
}

/** Held by every write that adds members: a cycle can come of two writes to different flows. */
export const COLLECTIONS_LOCK = 'collections'

/** Every member must be registered; no member twice, not the flow itself, and no cycle. Throws `invalid`. */
export const checkMembers = async (tx: ReadTx, flowId: string, members: readonly CollectionItem[]): Promise<void> => {
  const seen = new Set<string>()
  for (const [index, member] of members.entries()) {
    if (member.id === flowId) throw invalid(`flow_collection[${index}].id`, 'a flow cannot collect itself')
    if (seen.has(member.id)) throw invalid(`flow_collection[${index}].id`, `flow ${member.id} is there twice`)
    seen.add(member.id)
  }
  if (members.length === 0) return
  const known = await memberSources(tx, members)
  for (const [index, member] of members.entries())
    if (!known.has(member.id)) throw invalid(`flow_collection[${index}].id`, `flow ${member.id} is not registered here`)
  const collectors = await collectedBy(tx, 'flow', [...seen])
  for (const [index, { id }] of members.entries()) {
    const others = (collectors.get(id) ?? []).filter((parent) => parent !== flowId)
    if (others.length >= MAX_COLLECTORS)
      throw invalid(`flow_collection[${index}].id`, `flow ${id} is in ${others.length} collections already`)
  }
  await refuseCycle(tx, flowId, [...seen])
}

/** Throws `invalid` when one of `members` collects `flowId`, directly or through others. */
export const refuseCycle = async (tx: ReadTx, flowId: string, members: readonly string[]): Promise<void> => {
  if (await collects(tx, 'flow', members, flowId))
    throw invalid('flow_collection', `flow ${flowId} would collect itself through its members`)
}

/** Whether one of `members` collects `id`, directly or through others, or is `id`. */
export const collects = async (tx: ReadTx, entity: CollectionEntity, members: readonly string[], id: string): Promise<boolean> => {
  const visited = new Set<string>()
  for (let frontier = [...members]; frontier.length > 0; ) {
    if (frontier.includes(id)) return true
    for (const member of frontier) visited.add(member)
    const rows = await listAll(tx, 'collections', {
      columns: ['child_id'],
      where: and(eq('entity_type', entity), eq('deletion_id', ''), isIn('parent_id', frontier)),
      limit: ROWS,
    })
    frontier = [...new Set(rows.map((row) => row.child_id))].filter((member) => !visited.has(member))
  }
  return false
}

/** Memberships that a deletion ended, kept under its id until both sides live again, or one is purged. */
export const keepMemberships = async (
  tx: WriteTx,
  deletionId: string,
  parentId: string,
  members: readonly (CollectionItem & { readonly position: number })[],
): Promise<void> => {
  if (members.length === 0) return
  const rows = members.map(({ position, ...member }) => collectionRow('flow', parentId, parentId, position, member, deletionId))
  await tx.insert('collections', rows)
}

const keptBy = (deletionId: string): Predicate => and(eq('entity_type', 'flow'), eq('deletion_id', deletionId))

const byPosition = (a: Row<'collections'>, b: Row<'collections'>): number => a.position - b.position

/** What is kept of the collection of a flow under this deletion, by position. */
export const keptMembers = async (tx: ReadTx, deletionId: string, parentId: string): Promise<Row<'collections'>[]> =>
  (await listAll(tx, 'collections', { where: and(keptBy(deletionId), eq('parent_id', parentId)), limit: ROWS })).toSorted(byPosition)

/** Memberships of the flow that this deletion ended: what it collected, and who collected it. By position. */
export const keptMemberships = async (tx: ReadTx, deletionId: string, flowId: string) => {
  const parents = await listAll(tx, 'collections', { where: and(keptBy(deletionId), eq('child_id', flowId)), limit: ROWS })
  return { members: await keptMembers(tx, deletionId, flowId), parents: parents.toSorted(byPosition) }
}

/** Keeps a membership on under the deletion that has its other side, at its old place among those that are kept there. */
export const passMembership = async (tx: WriteTx, row: Row<'collections'>, deletionId: string): Promise<void> => {
  await dropMembership(tx, row)
  const there = and(keptBy(deletionId), eq('parent_id', row.parent_id))
  const others = await keptMembers(tx, deletionId, row.parent_id)
  if (others.some(({ child_id }) => child_id === row.child_id)) return
  const isTaken = others.some(({ position }) => position === row.position)
  const moved = isTaken ? others.filter(({ position }) => position >= row.position) : []
  if (isTaken) await tx.delete('collections', and(there, compare('position', '>=', row.position)))
  const rows = [{ ...row, deletion_id: deletionId }, ...moved.map((other) => ({ ...other, position: other.position + 1 }))]
  await tx.insert('collections', rows)
}

export const dropMembership = async (tx: WriteTx, { deletion_id, parent_id, child_id }: Row<'collections'>): Promise<void> => {
  const kept = and(eq('entity_type', 'flow'), eq('deletion_id', deletion_id), eq('parent_id', parent_id), eq('child_id', child_id))
  await tx.delete('collections', kept)
}
