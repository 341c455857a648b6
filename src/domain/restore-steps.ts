import { compare, eq } from '../core/predicate.ts'
import { TimeRange } from '../core/time-range.ts'
import type { Row } from '../storage/schema.ts'
import type { WriteTx } from '../storage/tables.ts'
import { type Context, seesEverything } from './context.ts'
import { type DeletionRow, listColumn, type RestoreTask, restoreTasks } from './deletion.ts'
import { behind, findOwner, updateOwner } from './deletion-steps.ts'
import { objectsCreated } from './extension-events.ts'
import type { FlowRow } from './flow.ts'
import { hiddenColumn, hiddenStretches } from './hidden.ts'
import { appendEvents, record } from './record.ts'
import { isEmptied } from './restore.ts'
import { segmentsAdded } from './segment-events.ts'
import { byStart, covered, extentColumns, listOverlapping, wholeExtent } from './segment-ranges.ts'
import { bringBack, moveSegments, objectIds } from './segment-remove.ts'
import { unseenObjects } from './unseen-objects.ts'

/**
 * The next `limit` segments of a restore that goes on behind its transaction: rows are carried back behind the curtain of a hidden
 * stretch, which then opens in one transaction; what is back is told of. Safe to repeat after a crash at any point.
 */
export const restoreStep = async (tx: WriteTx, nowUs: bigint, deletion: DeletionRow, limit: number): Promise<void> => {
  const [task, ...others] = restoreTasks(deletion)
  const next = task
    ? await (task.kind === 'move' ? move(tx, nowUs, deletion, task, limit) : announce(tx, nowUs, deletion, task, limit))
    : []
  const tasks = [...next, ...others]
  const status = tasks.length > 0 ? 'restoring' : (await isEmptied(tx, deletion)) ? 'restored' : 'deleted'
  await tx.update('deletions', eq('id', deletion.id), { tasks: listColumn(tasks), status })
}

type Step = Promise<readonly RestoreTask[]>

const rangeOf = ({ start, end }: RestoreTask): TimeRange =>
  TimeRange.of(start === undefined ? undefined : BigInt(start), end === undefined ? undefined : BigInt(end))

const move = async (tx: WriteTx, nowUs: bigint, deletion: DeletionRow, task: RestoreTask, limit: number): Step => {
  const { flow_id: id, timeline_id, from = deletion.id } = task
  await tx.lock([`flow:${id}`])
  // A flow that was deleted meanwhile is mended in the trash; while a restore is under way none goes for good.
  const flow = await findOwner(tx, id, timeline_id)
  if (!flow) return []
  const trash = { id, timeline_id: from }
  const { rows, after } = await tx.list('segments', { where: covered(trash, rangeOf(task)), orderBy: byStart('asc'), limit })
  await (flow.deletion_id === '' ? bringBack(tx, nowUs, trash, flow, rows) : moveSegments(tx, trash, flow, rows))
  const segment_count = flow.segment_count + BigInt(rows.length)
  if (after) {
    await updateOwner(tx, flow, { segment_count })
    return [task]
  }
  const hidden = hiddenColumn(hiddenStretches(flow).filter((stretch) => stretch.kind !== 'restore' || stretch.requestId !== deletion.id))
  const extent = extentColumns(await wholeExtent(tx, { ...flow, hidden }))
  await updateOwner(tx, flow, { ...extent, hidden, segment_count, segments_updated: nowUs })
  const { from: _from, ...place } = task
  return [{ ...place, kind: 'announce' }]
}

const announce = async (tx: WriteTx, nowUs: bigint, deletion: DeletionRow, task: RestoreTask, limit: number): Step => {
  await tx.lock([`flow:${task.flow_id}`])
  const flow = await tx.find('flows', [task.flow_id, ''])
  // Deleted again: whoever follows the events knows of none of these segments.
  if (flow?.timeline_id !== task.timeline_id) return []
  const range = rangeOf(task)
  // What came later was told of when it came.
  const where = compare('created', '<=', deletion.restored ?? nowUs)
  const { rows, after } = await listOverlapping(tx, flow, { range, where, limit })
  // Those that came from behind a curtain, which has an end, were told of as they came: then nothing else is left of them to tell.
  if (task.end === undefined) await appendEvents(tx, nowUs, objectsCreated(await unseenObjects(tx, objectIds(rows), flow.timeline_id)))
  await tell(tx, nowUs, deletion, flow, rows)
  const rest = behind(range, rows, after?.[2])
  return rest.startNs === undefined || rest.isEmpty ? [] : [{ ...task, start: String(rest.startNs) }]
}

const tell = async (tx: WriteTx, nowUs: bigint, deletion: DeletionRow, flow: FlowRow, rows: readonly Row<'segments'>[]): Promise<void> => {
  if (rows.length === 0) return
  await record(tx, onBehalfOf(deletion), nowUs, [segmentsAdded(flow, rows)], {
    action: 'flow.segments.restore',
    entityType: 'flow',
    entityId: flow.id,
    detail: { count: rows.length, deletion_id: deletion.id },
  })
}

const onBehalfOf = (deletion: DeletionRow): Context => ({
  principal: { name: 'system' },
  visible: seesEverything,
  requestId: deletion.id,
  baseUrl: '',
})
