import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { TimeRange } from '../../core/time-range.ts'
import { formatTimestamp } from '../../core/timestamp.ts'
import { CliError } from '../cli-error.ts'
import { cut } from '../media/cut.ts'
import { cutFragments } from '../media/fmp4/cut.ts'
import { readTimes, ticksToNs } from '../media/mpegts.ts'
import type { PlannedSegment } from '../media/plan.ts'
import { rational, toNs } from '../media/rational.ts'
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

/** What is really in an object, by its own times. */
export interface Measured {
  /** Earliest presentation time of the leading stream in nanoseconds, rounded down. */
  readonly startNs: bigint
  /** Pictures of it; undefined where they cannot be counted. */
  readonly frames: number | undefined
}

/** Cuts the file into transport streams as planned and describes each part from what is really in it. */
export async function* cutSegments(source: CutSource, isStored: (plan: PlannedSegment) => boolean): AsyncGenerator<CutSegment> {
  const { tracks, plan } = source
  const [{ kind }] = tracks
  let number = 0
  for await (const path of cut({ ...source, streams: tracks.map(({ stream }) => stream.index), cuts: cutsOf(plan) })) {
    const planned = plannedAt(plan, number++)
    const size = Bun.file(path).size
    const stored = isStored(planned)
    if (stored) await rm(path)
    yield { path, size, plan: planned, post: stored ? undefined : describeSegment(planned, await measure(path, kind), source) }
  }
  checkCount(number, plan)
}

const measure = async (path: string, kind: Track['kind']): Promise<Measured | undefined> => {
  const times = readTimes(await Bun.file(path).bytes(), kind)
  // ffmpeg writes a PES for each picture, and several frames of sound into one.
  return times && { startNs: ticksToNs(times.firstPts), frames: kind === 'video' ? times.pesCount : undefined }
}

/** The same as fragmented MP4. `storeInit` gets the init segment before the first part and gives the id of its object. */
export async function* cutFragmentSegments(
  source: CutSource,
  isStored: (plan: PlannedSegment) => boolean,
  storeInit: (init: Uint8Array) => Promise<string>,
): AsyncGenerator<CutSegment> {
  const { tracks, plan, dir } = source
  let number = 0
  let init_object_id = ''
  for await (const part of cutFragments({ ...source, streams: tracks.map(({ stream }) => stream), cuts: cutsOf(plan) })) {
    if (part.kind === 'init') {
      init_object_id = await storeInit(part.bytes)
      continue
    }
    const { bytes, firstPts, timescale, frames } = part
    const path = join(dir, `${number}.m4s`)
    const planned = plannedAt(plan, number++)
    if (isStored(planned)) {
      yield { path, size: bytes.length, plan: planned, post: undefined }
      continue
    }
    const startNs = toNs(firstPts, rational(1, timescale))
    const post = { ...describeSegment(planned, { startNs, frames }, source), init_object_id }
    await Bun.write(path, bytes)
    yield { path, size: bytes.length, plan: planned, post }
  }
  checkCount(number, plan)
}

const cutsOf = (plan: readonly PlannedSegment[]): readonly number[] => plan.slice(1).map(({ firstPacket }) => firstPacket)

const plannedAt = (plan: readonly PlannedSegment[], number: number): PlannedSegment => {
  const planned = plan[number]
  if (!planned) throw new CliError(`ffmpeg made more than the ${plan.length} segments it was told to`)
  return planned
}

const checkCount = (number: number, plan: readonly PlannedSegment[]): void => {
  if (number !== plan.length) throw new CliError(`ffmpeg made ${number} segments instead of ${plan.length}`)
}

/** The segment of a cut file whose earliest sample belongs at `plan.objectStartNs`. */
export const describeSegment = (
  plan: PlannedSegment,
  measured: Measured | undefined,
  { tracks: [track, ...others] }: Pick<CutSource, 'tracks'>,
): Omit<SegmentPost, 'object_id'> => {
  // Another count means that ffmpeg cut elsewhere than planned.
  if (!measured || (measured.frames !== undefined && measured.frames !== plan.packetCount)) {
    throw new CliError(`a segment holds ${measured?.frames ?? 0} frames of stream ${track.stream.index}, expected ${plan.packetCount}`)
  }
  const objectNs = measured.startNs
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

export interface StoredSegments {
  readonly stored: ReadonlySet<PlannedSegment>
  /** Ids of the init objects that they refer to. */
  readonly initObjects: ReadonlySet<string>
}

/**
 * Which planned segments a flow has already, from an earlier run that was interrupted. Throws where it has others in their place.
 */
export const findStored = async (
  flowId: string,
  existing: AsyncIterable<Segment>,
  plan: readonly PlannedSegment[],
): Promise<StoredSegments> => {
  const byStart = new Map(plan.map((segment) => [segment.startNs, segment]))
  const extent = TimeRange.encompassing(plan.map(({ startNs, endNs }) => TimeRange.of(startNs, endNs)))
  const stored = new Set<PlannedSegment>()
  const initObjects = new Set<string>()
  for await (const { timerange, init_object } of existing) {
    const range = TimeRange.parse(timerange)
    const planned = range.startNs === undefined ? undefined : byStart.get(range.startNs)
    if (planned && planned.endNs === range.endNs) {
      stored.add(planned)
      if (init_object) initObjects.add(init_object.object_id)
    } else if (range.overlaps(extent)) {
      throw new CliError(
        `flow ${flowId} already has the segment ${timerange}, which this run would cut otherwise: repeat the options of the first run, or give another --flow-id`,
      )
    }
  }
  return { stored, initObjects }
}
