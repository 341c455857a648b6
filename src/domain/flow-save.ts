import { randomUUID } from 'node:crypto'
import { and, eq, isIn, not } from '../core/predicate.ts'
import type { Row } from '../storage/schema.ts'
import type { ReadTx, WriteTx } from '../storage/tables.ts'
import { collectedBy, keepMemberships, writeFlowCollection } from './collections.ts'
import type { Context } from './context.ts'
import { checkSize } from './document-size.ts'
import { collectionEvents } from './extension-events.ts'
import { type FlowRow, readFlowDocument } from './flow.ts'
import type { CollectionItem } from './flow-schema.ts'
import { labelSort } from './paging.ts'
import { type DomainEvent, record } from './record.ts'
import { createSource, removeOrphanedSource, sourceDocument } from './source.ts'
import { parseTags, writeTags } from './tags.ts'

/** Bookkeeping that is no metadata: a change of these alone is no new `metadata_version` (tams-behaviour.md 11.4). */
const BOOKKEEPING: ReadonlySet<keyof FlowRow> = new Set([
  'timeline_id',
  'metadata_version',
  'created',
  'created_by',
  'metadata_updated',
  'updated_by',
  'segments_updated',
  'start_ns',
  'end_ns',
  'timerange',
  'segment_count',
  'hidden',
  'label_sort',
])

const parseCollection = (json: string | null): CollectionItem[] => (json === null ? [] : (JSON.parse(json) as CollectionItem[]))
export const flowCollection = (row: FlowRow): CollectionItem[] => parseCollection(row.flow_collection)

/** A new flow, its source if that is new, and their events in this order. */
export const insertFlow = async (tx: WriteTx, context: Context, nowUs: bigint, row: FlowRow): Promise<void> => {
  const events: DomainEvent[] = []
  const tags = parseTags(row.tags)
  if (!(await tx.find('sources', [row.source_id, ''])))
    events.push(
      await createSource(tx, context, nowUs, {
        id: row.source_id,
        format: row.format,
        label: row.label,
        description: row.description,
        tags,
      }),
    )
  await tx.insert('flows', [row])
  await writeTags(tx, 'flow', row.id, {}, tags)
  await writeFlowCollection(tx, row.id, row.source_id, flowCollection(row))
  const document = await readFlowDocument(tx, row)
  checkSize('flow', document)
  events.push({ type: 'flows/created', flowId: row.id, sourceId: row.source_id, event: { flow: document } })
  events.push(...collectionEvents(undefined, row))
  await record(tx, context, nowUs, events, { action: 'flow.create', entityType: 'flow', entityId: row.id })
}

/**
 * The one path for every change of a flow's metadata. Equal metadata is no change and no event. `version` is the client's
 * `metadata_version`; a new one is made where it sent none or the present one.
 */
export const updateFlow = async (
  tx: WriteTx,
  context: Context,
  nowUs: bigint,
  before: FlowRow,
  members: Partial<FlowRow>,
  options: { readonly action: string; readonly version?: string; readonly updatedBy?: string; readonly mayContradict?: boolean },
): Promise<void> => {
  const changed = Object.entries(members).filter(([name, value]) => before[name as keyof FlowRow] !== value)
  const version = options.version !== undefined && options.version !== before.metadata_version ? options.version : undefined
  if (version === undefined && !changed.some(([name]) => !BOOKKEEPING.has(name as keyof FlowRow))) return
  const set: Partial<FlowRow> = {
    ...Object.fromEntries(changed),
    ...(members.label !== undefined && { label_sort: labelSort(members.label) }),
    metadata_version: version ?? randomUUID(),
    metadata_updated: nowUs,
    updated_by: options.updatedBy ?? context.principal.name,
  }
  const after: FlowRow = { ...before, ...set }
  const events = await moveSource(tx, context, nowUs, before, after)
  const formerCollectors = (await collectedBy(tx, 'source', [before.source_id])).get(before.source_id)
  await tx.update('flows', and(eq('id', before.id), eq('deletion_id', '')), set)
  if (before.tags !== after.tags) await writeTags(tx, 'flow', before.id, parseTags(before.tags), parseTags(after.tags))
  if (before.flow_collection !== after.flow_collection || before.source_id !== after.source_id)
    await writeFlowCollection(tx, after.id, after.source_id, flowCollection(after), options.mayContradict)
  if (before.source_id !== after.source_id) await rewriteParents(tx, after.id)
  const document = await readFlowDocument(tx, after)
  checkSize('flow', document)
  events.push({ type: 'flows/updated', flowId: after.id, sourceId: after.source_id, event: { flow: document } })
  events.push(...collectionEvents(before, after))
  if (before.source_id !== after.source_id) events.push(...(await removeOrphanedSource(tx, before.source_id, formerCollectors)))
  await record(tx, context, nowUs, events, {
    action: options.action,
    entityType: 'flow',
    entityId: before.id,
    detail: { members: changed.map(([name]) => name).filter((name) => !BOOKKEEPING.has(name as keyof FlowRow)) },
  })
}

/** The source a flow moves to is created where it is new; where this is its only flow it follows a changed format. */
const moveSource = async (tx: WriteTx, context: Context, nowUs: bigint, before: FlowRow, after: FlowRow): Promise<DomainEvent[]> => {
  const source = await tx.find('sources', [after.source_id, ''])
  if (source) {
    if (source.format === after.format) return []
    const set = { format: after.format, updated: nowUs, updated_by: context.principal.name }
    await tx.update('sources', and(eq('id', source.id), eq('deletion_id', '')), set)
    return [{ type: 'sources/updated', sourceId: source.id, event: { source: await sourceDocument(tx, { ...source, ...set }) } }]
  }
  if (before.source_id === after.source_id) return []
  return [
    await createSource(tx, context, nowUs, {
      id: after.source_id,
      format: after.format,
      label: after.label,
      description: after.description,
      tags: parseTags(after.tags),
    }),
  ]
}

/** Source memberships are inferred through each flow that collects this one: they follow its new source. */
const rewriteParents = async (tx: WriteTx, flowId: string): Promise<void> => {
  for (const parent of await parentRows(tx, [flowId])) await writeFlowCollection(tx, parent.id, parent.source_id, flowCollection(parent))
}

/** Locked before they are read: what they collect is written again. */
const parentRows = async (tx: WriteTx, flowIds: readonly string[]): Promise<Row<'flows'>[]> => {
  const ids = [...new Set([...(await collectedBy(tx, 'flow', flowIds)).values()].flat())]
  if (ids.length === 0) return []
  await tx.lock(ids.map((id) => `flow:${id}`))
  return [...(await tx.list('flows', { where: and(isIn('id', ids), eq('deletion_id', '')), limit: ids.length })).rows]
}

/**
 * Flows that are deleted together leave every collection of others (tams-behaviour.md 5.5), also those of read-only flows. A soft
 * deletion remembers them.
 */
export const leaveCollections = async (
  tx: WriteTx,
  context: Context,
  nowUs: bigint,
  flowIds: Pick<ReadonlySet<string>, 'has' | 'keys'>,
  deletionId: string | null,
): Promise<void> => {
  for (const parent of await parentRows(tx, [...flowIds.keys()])) {
    if (flowIds.has(parent.id)) continue
    const members = flowCollection(parent)
    const left = members.map((member, position) => ({ ...member, position })).filter((member) => flowIds.has(member.id))
    if (deletionId !== null) await keepMemberships(tx, deletionId, parent.id, left)
    await setMembers(
      tx,
      context,
      nowUs,
      parent,
      members.filter((member) => !flowIds.has(member.id)),
      'flow.collection.leave',
    )
  }
}

/** What becomes of a collection when members leave it, or a restored one comes back. */
export const setMembers = (
  tx: WriteTx,
  context: Context,
  nowUs: bigint,
  parent: FlowRow,
  members: readonly CollectionItem[],
  action: string,
): Promise<void> => {
  const flow_collection = members.length === 0 ? null : JSON.stringify(members)
  // Without or with this member the others may come in another order of sources: no reason to keep them from coming or going.
  return updateFlow(tx, context, nowUs, parent, { flow_collection }, { action, mayContradict: true })
}

/** Whether the source has live flows besides this one. */
export const hasOtherFlows = async (tx: ReadTx, sourceId: string, flowId: string): Promise<boolean> =>
  (await tx.count('flows', and(eq('source_id', sourceId), eq('deletion_id', ''), not(eq('id', flowId))), { atMost: 1 })) > 0
