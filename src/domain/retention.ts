import { and, eq } from '../core/predicate.ts'
import { RETENTION_TAGS, retentionOffsetNs, TAI_AHEAD_SECONDS } from '../core/retention.ts'
import { TimeRange } from '../core/time-range.ts'
import { MAX_NS, MIN_NS } from '../core/timestamp.ts'
import type { Row } from '../storage/schema.ts'
import type { ReadTx, WriteTx } from '../storage/tables.ts'
import { type Context, seesEverything } from './context.ts'
import type { FlowRow } from './flow.ts'
import { deleteRows } from './flow-delete.ts'
import { removeFlows } from './flow-remove.ts'
import { record } from './record.ts'
import { covered, listOverlapping } from './segment-ranges.ts'
import { removeOrphanedSource } from './source.ts'
import { parseTags } from './tags.ts'

const offsetNs = (flow: FlowRow, name: string): bigint | undefined => {
  const tags = parseTags(flow.tags)
  return retentionOffsetNs(Object.hasOwn(tags, name) ? tags[name] : undefined)
}

const flowIsDue = (flow: FlowRow, nowUs: bigint): boolean => {
  const offset = offsetNs(flow, RETENTION_TAGS.flow)
  if (offset === undefined) return false
  const { metadata_updated, segments_updated } = flow
  const touchedUs = segments_updated !== null && segments_updated > metadata_updated ? segments_updated : metadata_updated
  return touchedUs * 1000n + offset <= nowUs * 1000n
}

/** Due segments lie in it completely. */
const dueRange = (flow: FlowRow, nowUs: bigint): TimeRange | undefined => {
  const offset = offsetNs(flow, RETENTION_TAGS.segment)
  if (offset === undefined) return undefined
  const untilNs = nowUs * 1000n + BigInt(TAI_AHEAD_SECONDS) * 1_000_000_000n - offset
  if (untilNs <= MIN_NS || flow.start_ns === null || flow.start_ns >= untilNs) return undefined
  return TimeRange.of(undefined, untilNs > MAX_NS ? MAX_NS : untilNs)
}

/** The first due segments by time, at most `limit`; whether there are more. */
const dueSegments = async (tx: ReadTx, flow: FlowRow, nowUs: bigint, limit: number) => {
  const range = dueRange(flow, nowUs)
  if (!range) return { rows: [], more: false }
  const { rows, after } = await listOverlapping(tx, flow, { range, where: covered(flow, range), limit })
  return { rows, more: rows.length > 0 && after !== undefined }
}

/** Whether a step for this flow has something to do. Read-only flows stay as they are (tams-behaviour.md 11.5). */
export const isDue = async (tx: ReadTx, flow: FlowRow, nowUs: bigint): Promise<boolean> =>
  !flow.read_only && (flowIsDue(flow, nowUs) || (await dueSegments(tx, flow, nowUs, 1)).rows.length > 0)

export interface RetentionLimits {
  /** Segments of one step. */
  readonly segments: number
  /** A due flow with more segments than this leaves them to a delete request. */
  readonly threshold: number
}

/**
 * Deletes the flow, or its first segments, for good if they are due now. True: more of its segments are. Safe to repeat: what is due is
 * judged anew, by the tags as they are.
 */
export const retentionStep = async (tx: WriteTx, nowUs: bigint, flowId: string, limits: RetentionLimits): Promise<boolean> => {
  await tx.lock([`flow:${flowId}`])
  const flow = await tx.find('flows', [flowId, ''])
  if (!flow || flow.read_only) return false
  if (flowIsDue(flow, nowUs)) {
    await dropFlow(tx, nowUs, flow, limits.threshold)
    return false
  }
  const { rows, more } = await dueSegments(tx, flow, nowUs, limits.segments)
  await deleteRows(tx, KEEPER, nowUs, flow, rows, null)
  return more
}

const dropFlow = async (tx: WriteTx, nowUs: bigint, flow: Row<'flows'>, threshold: number): Promise<void> => {
  await tx.lock([`source:${flow.source_id}`])
  const { collectors } = await removeFlows(tx, KEEPER, nowUs, [flow], { deletionId: null, threshold })
  const orphaned = await removeOrphanedSource(tx, flow.source_id, collectors.get(flow.id)?.source)
  if (orphaned.length > 0)
    await record(tx, KEEPER, nowUs, orphaned, { action: 'source.delete', entityType: 'source', entityId: flow.source_id })
}

const KEEPER: Context = { principal: { name: 'system' }, visible: seesEverything, requestId: 'retention', baseUrl: '' }

/** Ids of flows with this tag by its index, whatever its value, a page at a time. */
export const taggedFlows = (tx: ReadTx, name: string, limit: number, after: Parameters<ReadTx['list']>[1]['after']) =>
  tx.list('tags', {
    columns: ['entity_id'],
    where: and(eq('entity_type', 'flow'), eq('name', name), eq('deletion_id', '')),
    orderBy: (['entity_type', 'name', 'value_prefix', 'entity_id'] as const).map((column) => ({ column, direction: 'asc' })),
    limit,
    ...(after && { after }),
  })
