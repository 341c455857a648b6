import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { TimeRange } from '../../core/time-range.ts'
import { CliError, say } from '../cli-error.ts'
import type { TamsClient } from '../client.ts'
import { hashFile } from '../ids.ts'
import { transcode } from '../media/cut.ts'
import { type Container, fits } from '../media/essence.ts'
import { type PlannedSegment, planSegments } from '../media/plan.ts'
import { type Packet, type ProbedStream, probe, probePackets } from '../media/probe.ts'
import type { Rational } from '../media/rational.ts'
import { hasTimes, makeTrack, type Track } from '../media/track.ts'
import { showProgress } from '../progress.ts'
import type { Flow, TagValues } from '../tams-types.ts'
import { changed, describeFlows, type FlowSet } from './flows.ts'
import { storeInitObject } from './init-object.ts'
import { type CutSource, cutFragmentSegments, cutSegments, findStored } from './segments.ts'
import { uploadSegments } from './upload.ts'

export interface IngestOptions {
  readonly file: string
  readonly label: string
  readonly tags: TagValues
  readonly segmentSeconds: Rational
  /** The same as the user wrote it, for ffmpeg. */
  readonly segmentSecondsText: string
  readonly container: Container
  readonly muxed: boolean
  readonly transcode: boolean
  readonly startNs: bigint
  readonly concurrency: number
  readonly flowId?: string
  readonly sourceId?: string
}

export interface IngestedFlow {
  readonly id: string
  readonly source_id: string
  readonly format: string
  readonly codec?: string
  readonly label?: string
  readonly timerange: string
  readonly segments: number
  /** Segments and bytes stored in this run; the rest was there already. */
  readonly uploaded: number
  readonly bytes: number
}

/** Puts a file into a store as flows. `dir` is a scratch directory. Gives the flows, the one that stands for the file first. */
export const ingest = async (client: TamsClient, options: IngestOptions, dir: string): Promise<readonly IngestedFlow[]> => {
  const contentHash = await hashFile(options.file)
  const { input, tracks } = await openTracks(options, dir)
  const kind = [options.muxed ? 'muxed' : 'essences', ...(options.transcode ? ['transcoded'] : [])]
  const name = [...kind, ...(options.container === 'mpegts' ? [] : [options.container]), options.startNs].join('/')
  const flows = describeFlows(tracks, { ...options, name, contentHash })
  await createFlows(client, flows)

  const parts: readonly (readonly [Flow, CutSource['tracks']])[] =
    options.muxed && flows.multi
      ? [[flows.multi, leading(tracks)]]
      : flows.essences.map((flow, i) => [flow, leading(tracks.slice(i, i + 1))])
  const [reference] = leading(tracks)
  const planOptions = { ...options, origin: reference.origin }
  const shiftSeconds = shiftFor(tracks)
  const filled = new Map<string, IngestedFlow>()
  for (const [flow, streams] of parts) {
    const plan = planSegments(streams[0], planOptions)
    const partDir = join(dir, flow.id)
    await mkdir(partDir)
    filled.set(flow.id, await fill(client, flow, { input, tracks: streams, plan, shiftSeconds, dir: partDir }, options))
  }
  const all = [...(flows.multi ? [flows.multi] : []), ...flows.essences]
  for (const { id } of all) if (!filled.has(id)) await close(client, id, {})
  return all.map((flow) => filled.get(flow.id) ?? summary(flow, [], { uploaded: 0, bytes: 0 }))
}

const openTracks = async (options: IngestOptions, dir: string): Promise<{ readonly input: string; readonly tracks: readonly Track[] }> => {
  const [probed, packets] = await Promise.all([probe(options.file), probePackets(options.file)])
  const streams = probed.streams.filter((stream) => isEssence(stream) && packets.has(stream.index))
  if (streams.length === 0) throw new CliError(`${options.file} has no video or audio`)
  const foreign = streams.filter((stream) => !isReady(stream, packets.get(stream.index) ?? [], options.container))
  if (foreign.length === 0) return { input: options.file, tracks: makeTracks(streams, packets) }
  const names = foreign.map(({ index, codec_name }) => `${index} (${codec_name})`).join(', ')
  if (!options.transcode) {
    const container = options.container === 'fmp4' ? 'fragmented MP4' : 'MPEG-TS'
    throw new CliError(`${container} cannot carry stream ${names} as it is; --transcode encodes it as H.264 or AAC`)
  }
  say(`encoding stream ${names}`)
  const output = join(dir, 'transcoded.mp4')
  const wanted = streams.map((stream) => ({ index: stream.index, encode: foreign.includes(stream) ? kindOf(stream) : undefined }))
  await transcode({ input: options.file, output, streams: wanted, segmentSeconds: options.segmentSecondsText })
  const [again, encoded] = await Promise.all([probe(output), probePackets(output)])
  return { input: output, tracks: makeTracks(again.streams.filter(isEssence), encoded) }
}

const isEssence = (stream: ProbedStream): boolean =>
  (stream.codec_type === 'video' && stream.disposition?.attached_pic !== 1) || stream.codec_type === 'audio'

const kindOf = (stream: ProbedStream): 'video' | 'audio' => (stream.codec_type === 'audio' ? 'audio' : 'video')

const isReady = (stream: ProbedStream, packets: readonly Packet[], container: Container): boolean =>
  fits(stream, container) && hasTimes(packets)

const makeTracks = (streams: readonly ProbedStream[], packets: ReadonlyMap<number, readonly Packet[]>): Track[] =>
  streams.map((stream) => makeTrack(stream, packets.get(stream.index) ?? []))

/** Video first: its frames say where a timeline begins and where muxed segments are cut. */
const leading = (tracks: readonly Track[]): readonly [Track, ...Track[]] => {
  const [first, ...rest] = [...tracks.filter(({ kind }) => kind === 'video'), ...tracks.filter(({ kind }) => kind === 'audio')]
  if (!first) throw new CliError('there is no track')
  return [first, ...rest]
}

/** Room for the times before the first picture: its decoding time, earlier sound. */
const LEAD_SECONDS = 10

const shiftFor = (tracks: readonly Track[]): number => {
  const starts = tracks.map(({ origin, unit, units }) => {
    const lowest = units.reduce((min, { position }) => Math.min(min, position), 0)
    return Number(origin.num) / Number(origin.den) + (lowest * Number(unit.num)) / Number(unit.den)
  })
  return LEAD_SECONDS + Math.max(0, Math.floor(-Math.min(...starts)))
}

/** Makes the flows that are not there; one from an earlier run stays as it is, with what people changed since. */
const createFlows = async (client: TamsClient, { essences, multi }: FlowSet): Promise<void> => {
  for (const flow of [...essences, ...(multi ? [multi] : [])]) {
    if (!(await client.findFlow(flow.id))) await client.putFlow(flow)
  }
}

const fill = async (
  client: TamsClient,
  flow: Flow,
  source: CutSource,
  { container, concurrency }: Pick<IngestOptions, 'container' | 'concurrency'>,
): Promise<IngestedFlow> => {
  const { plan, dir } = source
  const { stored, initObjects } = await findStored(flow.id, client.segments(flow.id, { accept_get_urls: '' }), plan)
  if (stored.size === plan.length) {
    await close(client, flow.id, {})
    return summary(flow, plan, { uploaded: 0, bytes: 0 })
  }
  if (stored.size > 0) say(`${flow.label}: going on after ${stored.size} of ${plan.length} segments`)
  const progress = showProgress(flow.label ?? flow.id, plan.length)
  try {
    const isStored = (segment: PlannedSegment) => stored.has(segment)
    const storeInit = (init: Uint8Array) => storeInitObject(client, flow, init, { known: initObjects, dir })
    const cutting = container === 'fmp4' ? cutFragmentSegments(source, isStored, storeInit) : cutSegments(source, isStored)
    const result = await uploadSegments(client, flow.id, cutting, { total: plan.length, concurrency, progress })
    await close(client, flow.id, { avg_bit_rate: result.avgBitRate, max_bit_rate: result.maxBitRate })
    return summary(flow, plan, result)
  } finally {
    progress.stop()
  }
}

const close = async (client: TamsClient, flowId: string, changes: Readonly<Record<string, unknown>>): Promise<void> => {
  const flow = await client.findFlow(flowId)
  if (!flow) throw new CliError(`flow ${flowId} was deleted meanwhile`)
  if (flow.status !== 'closed_complete') await client.putFlow(changed(flow, { ...changes, status: 'closed_complete' }))
}

const summary = (
  flow: Flow,
  plan: readonly PlannedSegment[],
  { uploaded, bytes }: Pick<IngestedFlow, 'uploaded' | 'bytes'>,
): IngestedFlow => ({
  id: flow.id,
  source_id: flow.source_id,
  format: flow.format,
  ...(flow.codec === undefined ? {} : { codec: flow.codec }),
  ...(flow.label === undefined ? {} : { label: flow.label }),
  timerange: TimeRange.encompassing(plan.map(({ startNs, endNs }) => TimeRange.of(startNs, endNs))).toString(),
  segments: plan.length,
  uploaded,
  bytes,
})
