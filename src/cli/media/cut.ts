import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { CliError } from '../cli-error.ts'
import { linesOf, run } from './process.ts'

export interface CutRequest {
  readonly input: string
  /** Streams of the input to copy, in this order; cuts count packets of the first of them. */
  readonly streams: readonly number[]
  /** Numbers of packets before which a new segment begins, ascending. */
  readonly cuts: readonly number[]
  /** Seconds added to every time, so that none is negative in the transport stream. */
  readonly shiftSeconds: number
  readonly dir: string
}

/** Linux limits one argument of a program to 128 KiB. */
const ARGUMENT_LIMIT = 120_000

/**
 * Copies streams unchanged into MPEG-TS files, cut where asked, and gives the path of each as soon as it is complete. Times are
 * those of the input plus the shift, so that files of several cuts of one input share a timeline.
 */
export async function* cut({ input, streams, cuts, shiftSeconds, dir }: CutRequest): AsyncGenerator<string> {
  const list = cuts.join(',')
  if (list.length > ARGUMENT_LIMIT)
    throw new CliError(`${cuts.length + 1} segments are too many for one run; choose longer --segment-seconds`)
  const command = [
    ...['ffmpeg', '-hide_banner', '-loglevel', 'error', '-nostdin', '-copyts', '-i', input],
    ...streams.flatMap((index) => ['-map', `0:${index}`]),
    ...['-c', 'copy', '-f', 'segment', '-segment_format', 'mpegts'],
    ...(cuts.length === 0 ? ['-segment_time', String(2 ** 31)] : ['-segment_frames', list]),
    ...['-segment_list', 'pipe:1', '-segment_list_type', 'csv', '-muxdelay', '0', '-muxpreload', '0'],
    ...['-avoid_negative_ts', 'disabled', '-output_ts_offset', String(shiftSeconds), join(dir, '%08d.ts')],
  ]
  for await (const line of linesOf(command)) {
    const [name] = line.split(',')
    if (name) yield join(dir, name)
  }
}

export interface TranscodeRequest {
  readonly input: string
  readonly output: string
  readonly streams: readonly { readonly index: number; readonly encode: 'video' | 'audio' | undefined }[]
  readonly segmentSeconds: string
}

/** Encodes the streams that are asked for (H.264 with a key frame at each segment, AAC) and copies the others, into one file. */
export const transcode = async ({ input, output, streams, segmentSeconds }: TranscodeRequest): Promise<void> => {
  const partial = `${output}.part`
  await run([
    ...['ffmpeg', '-hide_banner', '-loglevel', 'error', '-nostdin', '-y', '-i', input],
    ...streams.flatMap(({ index }) => ['-map', `0:${index}`]),
    ...streams.flatMap(({ encode }, i) => [`-c:${i}`, encode === 'video' ? 'libx264' : encode === 'audio' ? 'aac' : 'copy']),
    ...['-force_key_frames', `expr:gte(t,n_forced*${segmentSeconds})`, '-f', 'mp4', partial],
  ])
  await rename(partial, output)
}
