import { invalid, notFound } from '../core/errors.ts'
import { and, eq } from '../core/predicate.ts'
import type { TimeRange } from '../core/time-range.ts'
import { quote } from '../core/uuid.ts'
import type { Row } from '../storage/schema.ts'
import type { ReadTx } from '../storage/tables.ts'
import type { Context } from './context.ts'
import type { Deps } from './deps.ts'
import { type FlowRow, getFlow, getWritableFlow } from './flow.ts'
import { record, timeOrderedId } from './record.ts'
import { listOverlapping, onTimeline } from './segment-ranges.ts'
import { tagOf } from './source.ts'
import type { Tags } from './storage-backend.ts'
import { parseTags, type TagText, withoutTag, withTag, writeTags } from './tags.ts'

/** Which segment of a flow is meant: an object may be on its timeline more than once. */
export interface SegmentChoice {
  readonly objectId: string
  /** Only a segment that overlaps it. */
  readonly timerange: () => TimeRange
}

type SegmentRow = Row<'segments'>

const tagsOf = (row: SegmentRow): Tags => (row.tags === null ? {} : parseTags(row.tags))

/**
 * Tags of segments: an extension. Every call throws `not_found`, and `invalid` where several segments match; every change also
 * `read_only`. They are no metadata of the flow, and no event tells of them.
 */
export const segmentTagUseCases = ({ tables, clock }: Deps) => {
  const read = <T>(context: Context, flowId: string, choice: SegmentChoice, pick: (row: SegmentRow) => T): Promise<T> =>
    tables.read(async (tx) => pick(await theSegment(tx, await getFlow(tx, context, flowId), choice)))

  const change = (context: Context, flowId: string, choice: SegmentChoice, action: string, make: (tags: Tags) => Tags): Promise<void> =>
    tables.write(async (tx) => {
      await tx.lock([`flow:${flowId}`])
      const flow = await getWritableFlow(tx, context, flowId)
      const row = await theSegment(tx, flow, choice)
      const before = tagsOf(row)
      const tags = make(before)
      const text = JSON.stringify(tags)
      if (text === JSON.stringify(before)) return
      const nowUs = clock.nowUs()
      const id = row.tag_id ?? timeOrderedId(nowUs)
      const set = Object.keys(tags).length === 0 ? { tags: null, tag_id: null } : { tags: text, tag_id: id }
      await tx.update('segments', and(onTimeline(flow), eq('start_ns', row.start_ns)), set)
      await writeTags(tx, 'segment', id, before, tags)
      await record(tx, context, nowUs, [], {
        action,
        entityType: 'flow',
        entityId: flow.id,
        detail: { object_id: row.object_id, timerange: row.timerange },
      })
    })

  return {
    tags: (context: Context, flowId: string, choice: SegmentChoice): Promise<Tags> => read(context, flowId, choice, tagsOf),

    tag: (context: Context, flowId: string, choice: SegmentChoice, name: string): Promise<TagText> =>
      read(context, flowId, choice, (row) => tagIn(tagsOf(row), name)),

    /** All tags at once; none with `{}`. */
    putTags: (context: Context, flowId: string, choice: SegmentChoice, check: () => Tags): Promise<void> =>
      change(context, flowId, choice, 'flow.segment.tags.set', check),

    putTag: (context: Context, flowId: string, choice: SegmentChoice, name: string, check: () => TagText): Promise<void> =>
      change(context, flowId, choice, 'flow.segment.tag.set', (tags) => withTag(tags, name, check())),

    deleteTag: (context: Context, flowId: string, choice: SegmentChoice, name: string): Promise<void> =>
      change(context, flowId, choice, 'flow.segment.tag.delete', (tags) => {
        tagIn(tags, name)
        return withoutTag(tags, name)
      }),
  }
}

const tagIn = (tags: Tags, name: string): TagText => {
  const value = tagOf(tags, name)
  if (value === undefined) throw notFound(`Tag ${quote(name)} of the segment`)
  return value
}

const theSegment = async (tx: ReadTx, flow: FlowRow, { objectId, timerange }: SegmentChoice): Promise<SegmentRow> => {
  const search = { range: timerange(), where: eq('object_id', objectId), limit: 2 }
  const found: SegmentRow[] = []
  for (let after: bigint | undefined; ; ) {
    const page = await listOverlapping(tx, flow, { ...search, ...(after !== undefined && { after }) })
    found.push(...page.rows)
    const next = page.after?.[2]
    if (typeof next !== 'bigint' || found.length > 1) break
    after = next
  }
  const [first, second] = found
  if (!first) throw notFound(`A segment of flow ${flow.id} with object ${quote(objectId)} there`)
  if (second)
    throw invalid(
      'timerange',
      `has to pick one segment: object ${quote(objectId)} is on the timeline of flow ${flow.id} at ${first.timerange} and ${second.timerange}`,
    )
  return first
}
