import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { TimeRange } from '../../core/time-range.ts'
import { timestampNs } from '../../core/timestamp.ts'
import { CliError, say, usage } from '../cli-error.ts'
import type { TamsClient } from '../client.ts'
import { run } from '../media/process.ts'
import type { Flow, Segment } from '../tams-types.ts'
import { commonContainer, joinObjects, type Part } from './join.ts'

export interface ExportOptions {
  readonly flowId: string
  readonly timerange: string
  readonly file: string
  readonly concurrency: number
}

export interface ExportResult {
  readonly flows: readonly string[]
  readonly segments: number
  /** What the file covers of the flow's timeline: whole segments. */
  readonly timerange: string
}

/** ffmpeg's name of the container for each file name extension. */
const MUXERS: Readonly<Record<string, string>> = { ts: 'mpegts', mp4: 'mp4', mkv: 'matroska', mov: 'mov' }

/** Where the first exported sample lies in the joined files, in seconds: room for decoding times before it. */
const LEAD_SECONDS = 10n

export const muxerFor = (file: string): string => {
  const extension = /\.([a-z0-9]+)$/i.exec(file)?.[1]?.toLowerCase() ?? ''
  const muxer = MUXERS[extension]
  if (!muxer) throw usage(`${file}: the name has to end in one of .${Object.keys(MUXERS).join(', .')}`)
  return muxer
}

/** Writes the segments of a flow, or of the flows that it collects, into one file, without encoding. `dir` is a scratch directory. */
export const exportFlow = async (client: TamsClient, options: ExportOptions, dir: string): Promise<ExportResult> => {
  const muxer = muxerFor(options.file)
  const parts = await findParts(client, options.flowId, options.timerange)
  const container = commonContainer(parts)
  const extent = TimeRange.encompassing(parts.flatMap(({ segments }) => segments.map(({ timerange }) => TimeRange.parse(timerange))))
  const originNs = (extent.startNs ?? 0n) - LEAD_SECONDS * 1_000_000_000n
  const inputs: string[] = []
  for (const part of parts) {
    inputs.push(await joinObjects(client, part, { container, originNs, path: join(dir, part.flow.id), concurrency: options.concurrency }))
  }
  const partial = `${options.file}.part`
  try {
    await run([
      ...['ffmpeg', '-hide_banner', '-loglevel', 'error', '-nostdin', '-y', '-copyts'],
      ...inputs.flatMap((input) => ['-itsoffset', `-${LEAD_SECONDS}`, '-i', input]),
      ...inputs.flatMap((_, i) => ['-map', `${i}:v?`, '-map', `${i}:a?`]),
      ...['-c', 'copy', '-avoid_negative_ts', 'make_zero', '-muxdelay', '0', '-muxpreload', '0', '-f', muxer, partial],
    ])
    await rename(partial, options.file)
  } finally {
    await rm(partial, { force: true })
  }
  return {
    flows: parts.map(({ flow }) => flow.id),
    segments: parts.reduce((sum, { segments }) => sum + segments.length, 0),
    timerange: extent.toString(),
  }
}

/** The flow itself if it has segments there, else those of the flows it collects. */
const findParts = async (client: TamsClient, flowId: string, timerange: string): Promise<readonly [Part, ...Part[]]> => {
  const flow = await client.findFlow(flowId)
  if (!flow) throw new CliError(`flow ${flowId} does not exist`)
  const own = await findPart(client, flow, timerange)
  if (own) return [own]
  const parts: Part[] = []
  for (const { id } of flow.flow_collection ?? []) {
    const member = await client.findFlow(id)
    const part = member && (await findPart(client, member, timerange))
    if (part) parts.push(part)
  }
  const [first, ...rest] = parts
  if (!first) throw new CliError(`flow ${flowId} has no segments in ${timerange}, and neither has any flow that it collects`)
  return [first, ...rest]
}

const findPart = async (client: TamsClient, flow: Flow, timerange: string): Promise<Part | undefined> => {
  const segments = await Array.fromAsync(client.segments(flow.id, { timerange, include_object_timerange: true }))
  const [first, ...rest] = segments
  if (!first) return undefined
  const partial = rest.filter(usesPart).length
  if (partial > 0) say(`${flow.label ?? flow.id}: ${partial} segments use a part of their object; the file gets the whole objects`)
  return { flow, segments: [first, ...rest] }
}

const usesPart = ({ timerange, object_timerange, ts_offset }: Segment): boolean => {
  if (object_timerange === undefined) return false
  const object = TimeRange.parse(object_timerange).shift(timestampNs(ts_offset ?? '0:0') ?? 0n)
  return !TimeRange.parse(timerange).covers(object)
}
