import { and, eq, everything, isNull, not, type Value } from '../../core/predicate.ts'
import { TimeRange } from '../../core/time-range.ts'
import { MAX_NS } from '../../core/timestamp.ts'
import type { Row } from '../../storage/schema.ts'
import type { ReadTx, Tables, WriteTx } from '../../storage/tables.ts'
import { leftSegments, restoreTasks } from '../deletion.ts'
import { type HiddenStretch, hiddenStretches, hiding } from '../hidden.ts'
import { listAll } from '../list-all.ts'
import { byStart, extentColumns, onTimeline, type Timeline, wholeExtent } from '../segment-ranges.ts'
import { type Finding, fault } from './finding.ts'
import { inWindows, walk } from './walk.ts'

type FlowRow = Row<'flows'>

/** Of one timeline: a broken one may have millions. */
const MOST = 100

/** Segments never overlap, and a flow's extent and count are those of its segments. One snapshot for a few flows with all of theirs. */
export const checkFlows = (tables: Tables): AsyncGenerator<Finding> =>
  inWindows(tables, { table: 'flows', size: 20 }, async (tx, flows) => {
    const findings: Finding[] = []
    for (const flow of flows) {
      // Nobody will see its row again.
      if (flow.deletion_id !== '' && (await tx.find('deletions', [flow.deletion_id]))?.status === 'purging') continue
      findings.push(...(await checkFlow(tx, flow)), ...(await checkStretches(tx, flow)))
    }
    return findings
  })

const checkFlow = async (tx: ReadTx, flow: FlowRow): Promise<readonly Finding[]> => {
  const findings: Finding[] = []
  const subject = `flow ${flow.id}`
  const stretches = hiddenStretches(flow)
  const query = { columns: ['start_ns', 'end_ns', 'timerange'], where: onTimeline(flow), orderBy: byStart('asc') } as const
  let [count, first, last, previous] = [
    0n,
    TimeRange.never,
    TimeRange.never,
    undefined as { end_ns: bigint; timerange: string } | undefined,
  ]
  for await (const row of walk(tx, 'segments', query)) {
    count++
    const range = TimeRange.parse(row.timerange)
    if (findings.length < MOST) {
      if (previous && row.start_ns < previous.end_ns)
        findings.push(fault('segments-overlap', subject, `${previous.timerange} overlaps ${row.timerange}`))
      if (range.startNs !== row.start_ns || range.endNs !== row.end_ns)
        findings.push(fault('segment-place', subject, `${row.timerange} is stored as ${row.start_ns} to ${row.end_ns}`))
    }
    previous = row
    if (hiding(stretches, row.start_ns)) continue
    if (first.isEmpty) first = range
    last = range
  }
  const extent = extentColumns(TimeRange.encompassing([first, last].filter((range) => !range.isEmpty)))
  const expected = { ...extent, segment_count: count }
  for (const column of ['timerange', 'start_ns', 'end_ns', 'segment_count'] as const)
    if (flow[column] !== expected[column])
      findings.push(
        fault('flow-extent', subject, `${column} is ${flow[column]}, its segments say ${expected[column]}`, (tx) => mendExtent(tx, flow)),
      )
  return findings
}

const mendExtent = async (tx: WriteTx, { id, deletion_id }: FlowRow): Promise<void> => {
  await tx.lock([`flow:${id}`])
  const flow = await tx.find('flows', [id, deletion_id])
  if (!flow) return
  const extent = extentColumns(await wholeExtent(tx, flow))
  const segment_count = BigInt(await tx.count('segments', onTimeline(flow)))
  await tx.update('flows', and(eq('id', id), eq('deletion_id', deletion_id)), { ...extent, segment_count })
}

/** What is hidden is worked off by somebody: a request that is open, or a restore under way. */
const checkStretches = async (tx: ReadTx, flow: FlowRow): Promise<readonly Finding[]> => {
  const problems: string[] = []
  let before: HiddenStretch | undefined
  for (const stretch of hiddenStretches(flow)) {
    if (stretch.startNs >= stretch.endNs) problems.push(`a hidden stretch at ${stretch.startNs} is empty`)
    if (before && before.endNs > stretch.startNs) problems.push(`hidden stretches overlap at ${stretch.startNs}`)
    const problem = stretch.kind === 'restore' ? await restoreProblem(tx, flow, stretch) : await requestProblem(tx, flow, stretch)
    if (problem !== undefined) problems.push(problem)
    before = stretch
  }
  return problems.map((problem) => fault('hidden-stretch', `flow ${flow.id}`, problem))
}

const restoreProblem = async (tx: ReadTx, flow: FlowRow, { requestId }: HiddenStretch): Promise<string | undefined> => {
  const deletion = await tx.find('deletions', [requestId])
  const tasks = deletion?.status === 'restoring' ? restoreTasks(deletion) : []
  if (tasks.some((task) => task.kind === 'move' && task.timeline_id === flow.timeline_id)) return undefined
  return `segments are hidden for the restore of ${requestId}, which does nothing for them`
}

const requestProblem = async (tx: ReadTx, flow: FlowRow, stretch: HiddenStretch): Promise<string | undefined> => {
  const { requestId, kind, deletionId = null } = stretch
  const request = await tx.find('deletion_requests', [requestId])
  if (request?.status === 'done' || request?.flow_id !== flow.id || request.timeline_id !== flow.timeline_id)
    return `segments are hidden for request ${requestId}, which is not open`
  if ((kind === 'trash' ? deletionId : null) !== request.deletion_id)
    return `segments are hidden for ${kind} ${deletionId}, but request ${requestId} says ${request.deletion_id}`
  return undefined
}

const TIMELINES_AT_ONCE = 100

/** Every timeline that has segments belongs to a flow, to the trash, or to a request that deletes it. One look-up for each. */
export async function* checkTimelines(tables: Tables): AsyncGenerator<Finding> {
  for (let after: readonly [string, string, bigint] | undefined; ; ) {
    const from = after
    const found = await tables.read(async (tx) => {
      const findings: Finding[] = []
      let next = from
      for (let looked = 0; looked < TIMELINES_AT_ONCE; looked++) {
        const row = await firstBehind(tx, next)
        if (!row) return { findings, next: undefined }
        next = [row.flow_id, row.timeline_id, MAX_NS]
        const timeline = { id: row.flow_id, timeline_id: row.timeline_id }
        if (await isOwned(tx, timeline)) continue
        const count = await tx.count('segments', onTimeline(timeline))
        findings.push(
          fault('segments-of-nobody', `flow ${row.flow_id}`, `${count} segments of timeline ${row.timeline_id} belong to nothing`),
        )
      }
      return { findings, next }
    })
    yield* found.findings
    if (!found.next) return
    after = found.next
  }
}

const firstBehind = async (tx: ReadTx, last: readonly [string, string, bigint] | undefined) => {
  for (let after: readonly Value[] | undefined = last; ; ) {
    const page = await tx.list('segments', { columns: ['flow_id', 'timeline_id'], where: everything, limit: 1, ...(after && { after }) })
    if (page.rows[0] || !page.after) return page.rows[0]
    after = page.after
  }
}

const isOwned = async (tx: ReadTx, { id, timeline_id }: Timeline): Promise<boolean> => {
  const flows = await listAll(tx, 'flows', { columns: ['timeline_id'], where: eq('id', id), limit: 100_000 })
  if (flows.some((flow) => flow.timeline_id === timeline_id)) return true
  const range = await tx.find('deletions', [timeline_id])
  if (range?.entity_type === 'segments' && range.flow_id === id) return true
  const here = and(eq('flow_id', id), eq('timeline_id', timeline_id), eq('delete_flow', true), not(eq('status', 'done')))
  if ((await tx.count('deletion_requests', here, { atMost: 1 })) > 0) return true
  for await (const deletion of walk(tx, 'deletions', { where: not(isNull('left_segments')) }))
    if (leftSegments(deletion).some((left) => left.flow_id === id && left.from === timeline_id)) return true
  return false
}
