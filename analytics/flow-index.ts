import type { Data, RecordBatch } from 'apache-arrow'
import type { DerivedColumn } from './load.ts'

interface Stretch {
  readonly startNs: bigint
  readonly endNs: bigint
}

interface LiveFlow {
  readonly id: string
  readonly ordinal: number
  /** Segments that start in one of these are deleted already, though their rows are still there. */
  readonly hidden: readonly Stretch[]
  /** What no change to the segments leaves as it was. */
  readonly state: string
  readonly segments: number
}

/** How the segments of live flows differ between two snapshots. */
export interface FlowDifference {
  /** Flows whose segments have to be read again. */
  readonly changed: readonly string[]
  /** How many those are. */
  readonly segments: number
  /** Numbers of flows that were changed or are gone. */
  readonly former: readonly number[]
}

/**
 * The live flows of one snapshot, numbered. Rows that belong to a flow's timeline get its number while they are loaded, so that no id
 * of 36 characters is kept or compared per row, and rows of deleted timelines and hidden segments drop out.
 */
export class FlowIndex {
  private readonly byTimeline = new Map<string, LiveFlow>()
  private next: number

  /** Numbers that flows have in `like` they have here, and no other flow has them. */
  constructor(private like?: FlowIndex) {
    this.next = like?.next ?? 0
  }

  get size(): number {
    return this.byTimeline.size
  }

  /** Whether a flow has hidden segments. */
  get hides(): boolean {
    return this.byTimeline.values().some(({ hidden }) => hidden.length > 0)
  }

  /** Ids of all flows, or undefined where they are more than `limit`. */
  idsUpTo(limit: number): readonly string[] | undefined {
    return this.size <= limit ? Array.from(this.byTimeline.values(), ({ id }) => id) : undefined
  }

  /** For batches of `flows` with `NUMBERED_BY`: numbers the flows as they come. */
  get numbering(): DerivedColumn {
    return {
      name: 'flow',
      of: (batch) => {
        const id = textColumn(batch, 'id')
        const timeline = textColumn(batch, 'timeline_id')
        const hidden = textColumn(batch, 'hidden')
        const count = child(batch, 'segment_count').values as BigInt64Array
        const updated = child(batch, 'segments_updated').values as BigInt64Array
        return Int32Array.from({ length: batch.numRows }, (_, row) => {
          const flowId = id.text(row)
          const name = key(flowId, timeline.text(row))
          const ordinal = this.like?.byTimeline.get(name)?.ordinal ?? this.next++
          const hiddenText = hidden.isNull(row) ? '' : hidden.text(row)
          this.byTimeline.set(name, {
            id: flowId,
            ordinal,
            hidden: hiddenText === '' ? [] : parseStretches(hiddenText),
            state: `${updated[row]} ${count[row]} ${hiddenText}`,
            segments: Number(count[row]),
          })
          return ordinal
        })
      },
    }
  }

  /** To be called when all flows are numbered: nothing of what came before is held on to. */
  complete(): void {
    this.like = undefined
  }

  /**
   * What has changed since `former`, or null where that is more than `most` flows. Every change to a timeline is a transaction that also
   * sets the flow's `segments_updated` to its own moment, so equal states mean equal segments.
   */
  differenceFrom(former: FlowIndex, most: number): FlowDifference | null {
    const changed: string[] = []
    const gone: number[] = []
    let segments = 0
    for (const [name, flow] of this.byTimeline) {
      const before = former.byTimeline.get(name)
      if (before?.ordinal === flow.ordinal && before.state === flow.state) continue
      if (before) gone.push(before.ordinal)
      changed.push(flow.id)
      segments += flow.segments
      if (changed.length > most) return null
    }
    for (const [name, { ordinal }] of former.byTimeline) if (!this.byTimeline.has(name)) gone.push(ordinal)
    return gone.length > 2 * most ? null : { changed, segments, former: gone }
  }

  /** For batches with `flow_id` and `timeline_id`, and `start_ns` where `hiding`: −1 for rows of no live flow and hidden ones. */
  linking(hiding: boolean): DerivedColumn {
    return {
      name: 'flow',
      of: (batch) => {
        const id = textColumn(batch, 'flow_id')
        const timeline = textColumn(batch, 'timeline_id')
        const starts = hiding ? (child(batch, 'start_ns').values as BigInt64Array) : undefined
        const result = new Int32Array(batch.numRows)
        // Rows come by flow mostly: the last answer is nearly always the next one's.
        let lastId = -1
        let lastTimeline = -1
        let flow: LiveFlow | undefined
        for (let row = 0; row < result.length; row++) {
          const idCode = id.codes[row] ?? 0
          const timelineCode = timeline.codes[row] ?? 0
          if (idCode !== lastId || timelineCode !== lastTimeline) {
            lastId = idCode
            lastTimeline = timelineCode
            flow = this.byTimeline.get(key(id.text(row), timeline.text(row)))
          }
          result[row] = flow === undefined ? -1 : flow.ordinal
          if (flow !== undefined && flow.hidden.length > 0 && starts && isHidden(flow.hidden, starts[row] ?? 0n)) result[row] = -1
        }
        return result
      },
    }
  }
}

/** Columns of flows that a numbering reads. */
export const NUMBERED_BY = ['id', 'timeline_id', 'hidden', 'segment_count', 'segments_updated'] as const

const key = (flowId: string, timelineId: string): string => `${flowId} ${timelineId}`

const isHidden = (stretches: readonly Stretch[], ns: bigint): boolean => stretches.some(({ startNs, endNs }) => startNs <= ns && ns < endNs)

/** The column `hidden` of a flow: JSON of `[start, end, request id]`. */
const parseStretches = (json: string): Stretch[] =>
  (JSON.parse(json) as [string, string, string][]).map(([start, end]) => ({ startNs: BigInt(start), endNs: BigInt(end) }))

const child = (batch: RecordBatch, name: string): Data => {
  const data = batch.getChild(name)?.data[0]
  if (!data) throw new Error(`a scanned batch has no column ${name}`)
  return data
}

interface TextColumn {
  readonly codes: Int32Array
  text(row: number): string
  isNull(row: number): boolean
}

const textColumn = (batch: RecordBatch, name: string): TextColumn => {
  const data = child(batch, name)
  const { dictionary } = data
  if (!dictionary) throw new Error(`text column ${name} is not dictionary-encoded`)
  const codes = data.values as Int32Array
  const texts: (string | undefined)[] = new Array(dictionary.length)
  return {
    codes,
    text(row) {
      const code = codes[row] ?? 0
      texts[code] ??= dictionary.get(code) as string
      return texts[code]
    },
    isNull: (row) => data.nullCount > 0 && !data.getValid(row),
  }
}
