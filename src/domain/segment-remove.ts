import { and, isIn } from '../core/predicate.ts'
import { TimeRange } from '../core/time-range.ts'
import type { Row } from '../storage/schema.ts'
import type { WriteTx } from '../storage/tables.ts'
import { objectsCreated, objectsDeleted } from './extension-events.ts'
import { changeReferences, findObjects, objectLocks, type RemovalOptions, removeObjects } from './media-object.ts'
import { appendEvents, type DomainEvent } from './record.ts'
import { onTimeline, segmentRange, type Timeline } from './segment-ranges.ts'
import { removeSegmentTags } from './tags.ts'
import { unseenObjects } from './unseen-objects.ts'

type SegmentRow = Row<'segments'>

/**
 * Takes segments off a timeline: their references are counted out, and objects nothing refers to any more go, their bytes behind
 * this transaction. The caller holds the flow's lock and mends the flow's own row.
 */
export const removeSegments = async (
  tx: WriteTx,
  nowUs: bigint,
  flow: Timeline,
  rows: readonly SegmentRow[],
  options: RemovalOptions = {},
): Promise<void> => {
  for (const chunk of chunks(rows)) {
    const uses = await lockUses(tx, chunk)
    await deleteRows(tx, flow, chunk)
    await removeSegmentTags(
      tx,
      chunk.flatMap((row) => row.tag_id ?? []),
    )
    const unused = await changeReferences(tx, flow, new Map([...uses].map(([id, count]) => [id, -count])))
    const gone = await findObjects(tx, unused)
    const removed = new Map([...gone].filter(([, row]) => !row.explicit))
    await removeObjects(tx, nowUs, [...removed.values()], options)
    // What only the trash refers to by now is gone for clients as well.
    const kept = [...uses.keys()].filter((id) => !removed.has(id))
    if (!options.silent) await appendEvents(tx, nowUs, objectsDeleted(await unseenObjects(tx, kept)))
  }
}

/**
 * Carries segments from one timeline of a flow to another, as they are: from the live one to the trash and back. What refers to their
 * objects is counted over. The caller holds the flow's lock and mends the flow's own row.
 */
export const moveSegments = async (tx: WriteTx, from: Timeline, to: Timeline, rows: readonly SegmentRow[]): Promise<void> => {
  for (const chunk of chunks(rows)) {
    const uses = await lockUses(tx, chunk)
    await deleteRows(tx, from, chunk)
    await tx.insert(
      'segments',
      chunk.map((row) => ({ ...row, timeline_id: to.timeline_id })),
    )
    // In before out: no object is without a reference in between.
    await changeReferences(tx, to, uses)
    await changeReferences(tx, from, new Map([...uses].map(([id, count]) => [id, -count])))
  }
}

/** To the trash: `moveSegments`, and the objects that clients do not see any more are told of. */
export const buryDeleted = async (
  tx: WriteTx,
  nowUs: bigint,
  flow: Timeline,
  deletionId: string,
  rows: readonly SegmentRow[],
): Promise<void> => {
  await moveSegments(tx, flow, { id: flow.id, timeline_id: deletionId }, rows)
  await appendEvents(tx, nowUs, objectsDeleted(await unseenObjects(tx, objectIds(rows))))
}

/** Back from the trash to a live flow: `moveSegments`, and the objects that clients see again are told of. */
export const bringBack = async (tx: WriteTx, nowUs: bigint, from: Timeline, to: Timeline, rows: readonly SegmentRow[]): Promise<void> => {
  const unseen = await unseenObjects(tx, objectIds(rows))
  await moveSegments(tx, from, to, rows)
  await appendEvents(tx, nowUs, objectsCreated(unseen))
}

export const objectIds = (rows: readonly Pick<SegmentRow, 'object_id'>[]): string[] => [...new Set(rows.map((row) => row.object_id))]

/** Engines bound the length of an `in`. */
const CHUNK = 5000

function* chunks(rows: readonly SegmentRow[]): Generator<readonly SegmentRow[]> {
  for (let start = 0; start < rows.length; start += CHUNK) yield rows.slice(start, start + CHUNK)
}

/** How often these segments use each object, init objects included; all of them are locked then. */
const lockUses = async (tx: WriteTx, rows: readonly SegmentRow[]): Promise<Map<string, bigint>> => {
  await tx.lock(objectLocks(rows.map((row) => row.object_id)))
  const objects = await findObjects(tx, [...new Set(rows.map((row) => row.object_id))])
  await tx.lock(objectLocks([...objects.values()].flatMap((row) => row.init_object_id ?? [])))
  const uses = new Map<string, bigint>()
  for (const row of rows)
    for (const id of [row.object_id, objects.get(row.object_id)?.init_object_id]) if (id != null) uses.set(id, (uses.get(id) ?? 0n) + 1n)
  return uses
}

const deleteRows = async (tx: WriteTx, flow: Timeline, rows: readonly SegmentRow[]): Promise<void> => {
  const starts = rows.map((row) => row.start_ns)
  await tx.delete('segments', and(onTimeline(flow), isIn('start_ns', starts)))
}

/** One `flows/segments_deleted` per contiguous run of what was really deleted, never reaching into empty space (10.1). `rows` by time. */
export const deletionEvents = (
  flow: { readonly id: string; readonly source_id: string | null },
  rows: readonly Pick<SegmentRow, 'start_ns' | 'end_ns' | 'timerange'>[],
  collectedBy: DomainEvent['collectedBy'],
): DomainEvent[] =>
  contiguousRuns(rows).map((run) => ({
    type: 'flows/segments_deleted',
    flowId: flow.id,
    ...(flow.source_id !== null && { sourceId: flow.source_id }),
    event: { flow_id: flow.id, timerange: run.canonical() },
    ...(collectedBy && { collectedBy }),
  }))

/** Ranges without a gap that these segments, which are by time, fill together. */
export const contiguousRuns = (rows: readonly Pick<SegmentRow, 'start_ns' | 'end_ns' | 'timerange'>[]): TimeRange[] => {
  const runs: TimeRange[] = []
  let previousEnd: bigint | undefined
  for (const row of rows) {
    const last = runs.at(-1)
    if (last && previousEnd === row.start_ns) runs[runs.length - 1] = TimeRange.encompassing([last, segmentRange(row)])
    else runs.push(segmentRange(row))
    previousEnd = row.end_ns
  }
  return runs
}
