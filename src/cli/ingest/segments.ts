import { rm } from 'node:fs/promises'
import { TimeRange } from '../../core/time-range.ts'
import { formatTimestamp } from '../../core/timestamp.ts'
import { CliError } from '../cli-error.ts'
import { cut } from '../media/cut.ts'
import { readTimes, ticksToNs } from '../media/mpegts.ts'
import type { PlannedSegment } from '../media/plan.ts'
import type { Track } from '../media/track.ts'
import type { Segment, SegmentPost } from '../tams-types.ts'

/** A cut file, ready to be stored; without `post` the service has its segment already. */
export interface CutSegment {
  readonly path: string
  /** Bytes. */
  readonly size: number
  readonly plan: PlannedSegment
  readonly post: Omit<SegmentPost, 'object_id'> | undefined
}

export interface CutSource {
  readonly input: string
  /** The first one says where segments begin. */
  readonly tracks: readonly [Track, ...Track[]]
  readonly plan: readonly PlannedSegment[]
  readonly shiftSeconds: number
  readonly dir: string
}

/** Cuts the file as planned and describes each part from what is really in it. */
export async function* cutSegments(source: CutSource, isStored: (plan: PlannedSegment) => boolean): AsyncGenerator<CutSegment> {
  const { tracks, plan } = source
  const cuts = plan.slice(1).map(({ firstPacket }) => firstPacket)
  let number = 0
  for await (const path of cut({ ...source, streams: tracks.map(({ stream }) => stream.index), cuts })) {
    const planned = plan[number++]
    if (!planned) throw new CliError(`ffmpeg made more than the ${plan.length} segments it was told to`)
    const size = Bun.file(path).size
    const stored = isStored(planned)
    if (stored) await rm(path)
    yield { path, size, plan: planned, post: stored ? undefined : describeSegment(planned, await Bun.file(path).bytes(), source) }
  }
  if (number !== plan.length) throw new CliError(`ffmpeg made ${number} segments instead of ${plan.length}`)
}

/** The segment of a cut file whose earliest sample belongs at `plan.objectStartNs`. */
export const describeSegment = (
  plan: PlannedSegment,
  bytes: Uint8Array,
  { tracks: [track, ...others] }: Pick<CutSource, 'tracks'>,
): Omit<SegmentPost, 'object_id'> => {
  const times = readTimes(bytes, track.kind)
  // ffmpeg writes a PES for each picture; another count means that it cut elsewhere than planned.
  if (!times || (track.kind === 'video' && times.pesCount !== plan.packetCount)) {
    throw new CliError(`a segment holds ${times?.pesCount ?? 0} frames of stream ${track.stream.index}, expected ${plan.packetCount}`)
  }
  const objectNs = ticksToNs(times.firstPts)
  const offsetNs = plan.objectStartNs - objectNs
  const wholeObject = plan.objectStartNs === plan.startNs || others.length > 0
  return {
    timerange: TimeRange.of(plan.startNs, plan.endNs).toString(),
    ts_offset: formatTimestamp(offsetNs),
    // What precedes the first presented sample (the priming frame of AAC) is in the object and not in the segment.
    ...(wholeObject ? {} : { object_timerange: TimeRange.of(objectNs, plan.endNs - offsetNs).toString() }),
    last_duration: formatTimestamp(plan.lastDurationNs),
    ...(track.kind === 'video' ? { key_frame_count: plan.keyFrameCount } : {}),
  }
}

/**
 * Which planned segments a flow has already, from an earlier run that was interrupted. Throws where it has others in their place.
 */
export const findStored = async (
  flowId: string,
  existing: AsyncIterable<Segment>,
  plan: readonly PlannedSegment[],
): Promise<ReadonlySet<PlannedSegment>> => {
  const byStart = new Map(plan.map((segment) => [segment.startNs, segment]))
  const extent = TimeRange.encompassing(plan.map(({ startNs, endNs }) => TimeRange.of(startNs, endNs)))
  const stored = new Set<PlannedSegment>()
  for await (const { timerange } of existing) {
    const range = TimeRange.parse(timerange)
    const planned = range.startNs === undefined ? undefined : byStart.get(range.startNs)
    if (planned && planned.endNs === range.endNs) stored.add(planned)
    else if (range.overlaps(extent)) {
      throw new CliError(
        `flow ${flowId} already has the segment ${timerange}, which this run would cut otherwise: repeat the options of the first run, or give another --flow-id`,
      )
    }
  }
  return stored
}
