import { and, eq, isIn } from '../core/predicate.ts'
import { TimeRange } from '../core/time-range.ts'
import type { Row } from '../storage/schema.ts'
import type { WriteTx } from '../storage/tables.ts'
import { changeReferences, findObjects, objectLocks, removeObjects } from './media-object.ts'
import type { DomainEvent } from './record.ts'
import { segmentRange, type Timeline } from './segment-ranges.ts'

/**
 * Takes segments off a timeline: their references are counted out, and objects nothing refers to any more go, their bytes behind
 * this transaction. The caller holds the flow's lock and mends the flow's own row.
 */
export const removeSegments = async (tx: WriteTx, nowUs: bigint, flow: Timeline, rows: readonly Row<'segments'>[]): Promise<void> => {
  for (let start = 0; start < rows.length; start += CHUNK) await removeChunk(tx, nowUs, flow, rows.slice(start, start + CHUNK))
}

/** Engines bound the length of an `in`. */
const CHUNK = 5000

const removeChunk = async (tx: WriteTx, nowUs: bigint, flow: Timeline, rows: readonly Row<'segments'>[]): Promise<void> => {
  await tx.lock(objectLocks(rows.map((row) => row.object_id)))
  const objects = await findObjects(tx, [...new Set(rows.map((row) => row.object_id))])
  const inits = [...objects.values()].flatMap((row) => row.init_object_id ?? [])
  await tx.lock(objectLocks(inits))
  const changes = new Map<string, bigint>()
  for (const row of rows)
    for (const id of [row.object_id, objects.get(row.object_id)?.init_object_id])
      if (id != null) changes.set(id, (changes.get(id) ?? 0n) - 1n)
  await tx.delete(
    'segments',
    and(
      eq('flow_id', flow.id),
      eq('timeline_id', flow.timeline_id),
      isIn(
        'start_ns',
        rows.map((row) => row.start_ns),
      ),
    ),
  )
  const unused = await changeReferences(tx, flow, changes)
  const gone = await findObjects(tx, unused)
  await removeObjects(
    tx,
    nowUs,
    [...gone.values()].filter((row) => !row.explicit),
  )
}

/** One `flows/segments_deleted` per contiguous run of what was really deleted, never reaching into empty space (10.1). `rows` by time. */
export const deletionEvents = (
  flow: { readonly id: string; readonly source_id: string | null },
  rows: readonly Row<'segments'>[],
  collectedBy: DomainEvent['collectedBy'],
): DomainEvent[] => {
  const runs: TimeRange[] = []
  let previousEnd: bigint | undefined
  for (const row of rows) {
    const last = runs.at(-1)
    if (last && previousEnd === row.start_ns) runs[runs.length - 1] = TimeRange.encompassing([last, segmentRange(row)])
    else runs.push(segmentRange(row))
    previousEnd = row.end_ns
  }
  return runs.map((run) => ({
    type: 'flows/segments_deleted',
    flowId: flow.id,
    ...(flow.source_id !== null && { sourceId: flow.source_id }),
    event: { flow_id: flow.id, timerange: run.canonical() },
    ...(collectedBy && { collectedBy }),
  }))
}
