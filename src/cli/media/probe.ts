import { CliError } from '../cli-error.ts'
import { linesOf, run } from './process.ts'

/** What `ffprobe -show_streams` says of one stream; numbers in texts as it writes them. */
export interface ProbedStream {
  readonly index: number
  readonly codec_type?: string
  readonly codec_name?: string
  readonly profile?: string
  readonly level?: number
  readonly width?: number
  readonly height?: number
  readonly pix_fmt?: string
  readonly field_order?: string
  readonly color_space?: string
  readonly color_transfer?: string
  readonly color_primaries?: string
  readonly sample_aspect_ratio?: string
  readonly display_aspect_ratio?: string
  readonly r_frame_rate?: string
  readonly avg_frame_rate?: string
  readonly time_base: string
  readonly bits_per_raw_sample?: string
  readonly bits_per_sample?: number
  readonly sample_rate?: string
  readonly channels?: number
  readonly bit_rate?: string
  readonly extradata?: string
  readonly disposition?: Readonly<Record<string, number>>
  readonly tags?: Readonly<Record<string, string>>
}

export interface Probe {
  readonly streams: readonly ProbedStream[]
}

/** A coded packet in stream order; times in ticks of the stream's time base. */
export interface Packet {
  /** undefined where the container has no presentation time. */
  readonly pts: number | undefined
  /** 0 where unknown. */
  readonly duration: number
  readonly key: boolean
  /** Decoded but not presented, such as the priming packet of AAC. */
  readonly discard: boolean
}

export const probe = async (path: string): Promise<Probe> => {
  const text = await run(['ffprobe', '-v', 'error', '-of', 'json', '-show_data', '-show_streams', path])
  const parsed: unknown = JSON.parse(text)
  if (!isProbe(parsed)) throw new CliError(`ffprobe found no streams in ${path}`)
  return parsed
}

const isProbe = (value: unknown): value is Probe =>
  typeof value === 'object' && value !== null && 'streams' in value && Array.isArray(value.streams)

/** Packets of each stream, by its index, in the order in which the file has them. */
export const probePackets = async (path: string): Promise<ReadonlyMap<number, readonly Packet[]>> => {
  const packets = new Map<number, Packet[]>()
  const entries = 'packet=stream_index,pts,duration,flags'
  for await (const line of linesOf(['ffprobe', '-v', 'error', '-of', 'csv=p=0', '-show_entries', entries, path])) {
    const parsed = parsePacket(line)
    if (!parsed) continue
    const [index, packet] = parsed
    const list = packets.get(index)
    if (list) list.push(packet)
    else packets.set(index, [packet])
  }
  return packets
}

/** One csv line of ffprobe; side data of a packet follow it in the same line and in lines of their own, which give undefined. */
export const parsePacket = (line: string): readonly [number, Packet] | undefined => {
  const [index, pts, duration, flags] = line.split(',')
  if (index === undefined || flags === undefined || !/^\d+$/.test(index) || !/^[K_][D_]/.test(flags)) return undefined
  const packet = { pts: integer(pts), duration: integer(duration) ?? 0, key: flags[0] === 'K', discard: flags[1] === 'D' }
  return [Number(index), packet]
}

const integer = (text: string | undefined): number | undefined => (text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined)
