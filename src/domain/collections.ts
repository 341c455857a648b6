import { invalid } from '../core/errors.ts'
import { and, eq, isIn } from '../core/predicate.ts'
import type { Row } from '../storage/schema.ts'
import type { ReadTx, WriteTx } from '../storage/tables.ts'
import { type CollectionItem, MAX_COLLECTORS } from './flow-schema.ts'

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
  const { rows } = await tx.list('collections', {
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
  const { rows } = await tx.list('collections', {
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

const collectionRow = (entity: CollectionEntity, parent: string, via: string, position: number, member: Member): Row<'collections'> => ({
  entity_type: entity,
  parent_id: parent,
  deletion_id: '',
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

const memberSources = async (tx: ReadTx, members: readonly CollectionItem[]): Promise<Map<string, string>> => {
  const { rows } = await tx.list('flows', {
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
    if (via === flowId) continue
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

const refuseCycle = async (tx: ReadTx, flowId: string, members: readonly string[]): Promise<void> => {
  const visited = new Set<string>()
  let frontier: readonly string[] = members
  while (frontier.length > 0) {
    const { rows } = await tx.list('collections', {
      columns: ['child_id'],
      where: and(eq('entity_type', 'flow'), eq('deletion_id', ''), isIn('parent_id', frontier)),
      limit: ROWS,
    })
    for (const id of frontier) visited.add(id)
    if (rows.some((row) => row.child_id === flowId))
      throw invalid('flow_collection', `flow ${flowId} would collect itself through its members`)
    frontier = [...new Set(rows.map((row) => row.child_id))].filter((id) => !visited.has(id))
  }
}
