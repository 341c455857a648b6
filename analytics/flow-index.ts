import type { Data, RecordBatch } from 'apache-arrow'
import type { DerivedColumn } from './load.ts'

interface Stretch {
  readonly startNs: bigint
  readonly endNs: bigint
}

interface LiveFlow {
  readonly ordinal: number
  /** Segments that start in one of these are deleted already, though their rows are still there. */
  readonly hidden: readonly Stretch[]
}

/**
 * The live flows of one snapshot, numbered. Rows that belong to a flow's timeline get its number while they are loaded, so that no id
 * of 36 characters is kept or compared per row, and rows of deleted timelines and hidden segments drop out.
 */
export class FlowIndex {
  private readonly byTimeline = new Map<string, LiveFlow>()
  private readonly ids: string[] = []

  get size(): number {
    return this.ids.length
  }

  /** Ids of all flows, or undefined where they are more than `limit`. */
  idsUpTo(limit: number): readonly string[] | undefined {
    return this.ids.length <= limit ? this.ids : undefined
  }

  /** For batches of `flows` with `id`, `timeline_id` and `hidden`: numbers the flows as they come. */
  get numbering(): DerivedColumn {
    return {
      name: 'flow',
      of: (batch) => {
        const id = textColumn(batch, 'id')
        const timeline = textColumn(batch, 'timeline_id')
        const hidden = textColumn(batch, 'hidden')
        return Int32Array.from({ length: batch.numRows }, (_, row) => {
          const ordinal = this.ids.length
          const flowId = id.text(row)
          this.ids.push(flowId)
          const stretches = hidden.isNull(row) ? [] : parseStretches(hidden.text(row))
          this.byTimeline.set(key(flowId, timeline.text(row)), { ordinal, hidden: stretches })
          return ordinal
        })
      },
    }
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
