import { TamsError } from '../core/errors.ts'
import { and, compare, eq } from '../core/predicate.ts'
import { TimeRange } from '../core/time-range.ts'
import type { Row } from '../storage/schema.ts'
import type { ReadTx, WriteTx } from '../storage/tables.ts'
import type { Context } from './context.ts'
import { countTaken } from './deletion.ts'
import type { FlowRow } from './flow.ts'
import { type HiddenStretch, hiddenColumn, hiddenStretches, hiding, MAX_STRETCHES, uncover } from './hidden.ts'
import { listAll } from './list-all.ts'
import { record } from './record.ts'
import { listOverlapping, onTimeline } from './segment-ranges.ts'
import { buryDeleted, deletionEvents, removeSegments } from './segment-remove.ts'

type SegmentRow = Row<'segments'>

/** More hidden rows than this are not cleared away within somebody else's request. */
const MAX_ROWS = 5000

export interface Place {
  readonly startNs: bigint
  readonly endNs: bigint
}

/**
 * New segments may go where deleted ones still lie hidden: those in their way are worked off at once, and the hidden stretches are cut
 * around them. Stretches that are being restored stay. Gives the flow as it is then; throws `unavailable` where too much is in the way.
 */
export const makeRoom = async (tx: WriteTx, context: Context, nowUs: bigint, flow: FlowRow, places: readonly Place[]): Promise<FlowRow> => {
  if (flow.hidden === null) return flow
  const all = hiddenStretches(flow)
  const restoring = all.filter(({ kind }) => kind === 'restore')
  let stretches = all.filter(({ kind }) => kind !== 'restore')
  const gone = new Gone(stretches)
  const withHidden = { ...flow, hidden: null }
  const around = ({ startNs, endNs }: Place) => listOverlapping(tx, withHidden, { range: TimeRange.of(startNs, endNs), limit: MAX_ROWS })
  for await (const [{ startNs, endNs }, { rows, after }] of lookedAt(places, around)) {
    // One that overlaps a visible segment is refused anyhow.
    if (after && rows.some((row) => !hiding(all, row.start_ns))) continue
    if (after) throw tooMuch(flow.id)
    gone.add(rows)
    stretches = uncover(stretches, startNs, endNs)
  }
  const excess = shortest(stretches, stretches.length + restoring.length - MAX_STRETCHES)
  for await (const [, rows] of lookedAt([...excess], (stretch) => startingIn(tx, flow, stretch))) gone.add(rows)
  await clearAway(tx, context, nowUs, flow, gone)
  return mended(tx, flow, [...restoring, ...stretches.filter((stretch) => !excess.has(stretch))], gone.size)
}

const LOOKS_AT_ONCE = 64

/** Each item with what a look at it gives. Many looks at a time: a store that is far away answers them together. */
async function* lookedAt<T, R>(items: readonly T[], look: (item: T) => Promise<R>): AsyncGenerator<readonly [T, R]> {
  for (let from = 0; from < items.length; from += LOOKS_AT_ONCE)
    yield* await Promise.all(items.slice(from, from + LOOKS_AT_ONCE).map(async (item) => [item, await look(item)] as const))
}

/**
 * Before a flow goes for good: what earlier deletions have put into the trash, and only hidden so far, is carried there. Throws
 * `unavailable` where that is too much for one request, or where segments are just being restored.
 */
export const keepTrashed = async (tx: WriteTx, context: Context, nowUs: bigint, flow: FlowRow): Promise<FlowRow> => {
  const stretches = hiddenStretches(flow)
  if (stretches.some(({ kind }) => kind === 'restore'))
    throw new TamsError('unavailable', `Segments of flow ${flow.id} are being restored; try again when that is done`)
  const trash = stretches.filter(({ kind }) => kind === 'trash')
  if (trash.length === 0) return flow
  const gone = new Gone(trash)
  for (const stretch of trash) gone.add(await startingIn(tx, flow, stretch))
  await clearAway(tx, context, nowUs, flow, gone)
  const others = stretches.filter(({ kind }) => kind !== 'trash')
  return mended(tx, flow, others, gone.size)
}

/** Hidden rows that are worked off now, each with its stretch. */
class Gone {
  private readonly rows = new Map<bigint, readonly [SegmentRow, HiddenStretch]>()

  constructor(private readonly stretches: readonly HiddenStretch[]) {}

  get size(): number {
    return this.rows.size
  }

  add(rows: readonly SegmentRow[]): void {
    for (const row of rows) {
      const stretch = hiding(this.stretches, row.start_ns)
      if (stretch) this.rows.set(row.start_ns, [row, stretch])
    }
    if (this.rows.size > MAX_ROWS) throw tooMuch([...this.rows.values()][0]?.[0].flow_id ?? '')
  }

  /** By time. */
  all(): SegmentRow[] {
    return [...this.rows.values()].map(([row]) => row).sort((a, b) => (a.start_ns < b.start_ns ? -1 : 1))
  }

  /** By the deletion whose trash they go to; undefined: for good. */
  byDeletion(): Map<string | undefined, SegmentRow[]> {
    const groups = Map.groupBy(this.rows.values(), ([, stretch]) => stretch.deletionId)
    return new Map([...groups].map(([id, pairs]) => [id, pairs.map(([row]) => row)]))
  }
}

const tooMuch = (flowId: string): TamsError =>
  new TamsError('unavailable', `More than ${MAX_ROWS} deleted segments of flow ${flowId} lie here and are being cleared away; try again`)

const clearAway = async (tx: WriteTx, context: Context, nowUs: bigint, flow: FlowRow, gone: Gone): Promise<void> => {
  if (gone.size === 0) return
  for (const [deletionId, rows] of gone.byDeletion()) {
    if (deletionId === undefined) await removeSegments(tx, nowUs, flow, rows)
    else {
      await buryDeleted(tx, nowUs, flow, deletionId, rows)
      await countTaken(tx, deletionId, rows.length)
    }
  }
  await record(tx, context, nowUs, deletionEvents(flow, gone.all(), undefined), {
    action: 'flow.segments.delete',
    entityType: 'flow',
    entityId: flow.id,
    detail: { count: gone.size },
  })
}

const mended = async (tx: WriteTx, flow: FlowRow, stretches: readonly HiddenStretch[], gone: number): Promise<FlowRow> => {
  const after: FlowRow = { ...flow, hidden: hiddenColumn(stretches), segment_count: flow.segment_count - BigInt(gone) }
  await tx.update('flows', and(eq('id', flow.id), eq('deletion_id', '')), { hidden: after.hidden, segment_count: after.segment_count })
  return after
}

// What lies between new segments is short, and holds few segments.
const shortest = (stretches: readonly HiddenStretch[], count: number): ReadonlySet<HiddenStretch> => {
  if (count <= 0) return new Set()
  const length = ({ startNs, endNs }: HiddenStretch) => endNs - startNs
  return new Set([...stretches].sort((a, b) => (length(a) < length(b) ? -1 : 1)).slice(0, count))
}

const startingIn = (tx: ReadTx, flow: FlowRow, { startNs, endNs }: HiddenStretch): Promise<readonly SegmentRow[]> =>
  listAll(tx, 'segments', {
    where: and(onTimeline(flow), compare('start_ns', '>=', startNs), compare('start_ns', '<', endNs)),
    limit: MAX_ROWS + 1,
  })
