import { CliError } from '../../cli-error.ts'
import type { ProbedStream } from '../probe.ts'
import { bytesOf } from '../process.ts'
import { boxesOf } from './boxes.ts'
import { type TrackSamples, writeFragment } from './fragment.ts'
import { type InitTrack, readInit } from './init.ts'
import { readFragment, type Sample } from './samples.ts'

export interface FragmentCutRequest {
  readonly input: string
  /** Streams of the input to copy, in this order; cuts count packets of the first of them. */
  readonly streams: readonly ProbedStream[]
  /** Numbers of packets before which a new segment begins, ascending. */
  readonly cuts: readonly number[]
  /** Seconds added to every time: decoding times in MP4 cannot be negative. */
  readonly shiftSeconds: number
}

/** What comes out: the init segment (`ftyp`, `moov`) first, then the segments, each one `moof` and `mdat`. */
export type CutPart =
  | { readonly kind: 'init'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'segment'
      readonly bytes: Uint8Array
      /** Of the first stream: earliest presentation time in ticks, ticks per second, number of frames. */
      readonly firstPts: number
      readonly timescale: number
      readonly frames: number
    }

/**
 * Copies streams unchanged into fragmented MP4. ffmpeg says what belongs into the init segment and into each sample; where a
 * fragment begins is decided here, since ffmpeg cuts at key frames or by duration only. Of the other streams a segment has what is
 * decoded before the first stream's next segment begins.
 */
export async function* cutFragments({ input, streams, cuts, shiftSeconds }: FragmentCutRequest): AsyncGenerator<CutPart> {
  const command = [
    ...['ffmpeg', '-hide_banner', '-loglevel', 'error', '-nostdin', '-copyts', '-i', input],
    ...streams.flatMap(({ index }) => ['-map', `0:${index}`]),
    ...['-c', 'copy', '-map_chapters', '-1', '-avoid_negative_ts', 'disabled', '-output_ts_offset', String(shiftSeconds)],
    // Debian's 5.1 does not insert it by itself where the moov is delayed.
    ...streams.flatMap(({ codec_name }, i) => (codec_name === 'aac' ? [`-bsf:${i}`, 'aac_adtstoasc'] : [])),
    // The moov needs the first packets (AC-3, AAC out of a transport stream). Bit-exact: the next run makes the same init segment.
    ...['-fflags', '+bitexact+autobsf', '-strict', 'experimental', '-write_tmcd', '0', '-use_editlist', '0', '-f', 'mp4'],
    ...['-movflags', 'delay_moov+default_base_moof+frag_discont+skip_trailer', '-frag_duration', '1000000', 'pipe:1'],
  ]
  const init: Uint8Array[] = []
  let slicer: Slicer | undefined
  let moof: Uint8Array | undefined
  for await (const { type, bytes } of boxesOf(bytesOf(command))) {
    if (type === 'ftyp' || type === 'moov') init.push(bytes)
    else if (type === 'moof') moof = bytes
    else if (type === 'mdat' && moof) {
      if (!slicer) {
        const whole = Buffer.concat(init)
        slicer = new Slicer(readInit(whole), cuts)
        yield { kind: 'init', bytes: whole }
      }
      slicer.add(moof, bytes)
      moof = undefined
      yield* slicer.complete()
    }
  }
  if (!slicer) throw new CliError(`ffmpeg copied nothing of ${input}`)
  yield slicer.last()
}

/** Holds samples until a segment is complete. */
class Slicer {
  private readonly pending: Map<number, Sample[]>
  /** Samples of the leading track in segments given away. */
  private given = 0
  private segments = 0

  constructor(
    private readonly tracks: readonly InitTrack[],
    private readonly cuts: readonly number[],
  ) {
    this.pending = new Map(tracks.map(({ id }) => [id, []]))
  }

  add(moof: Uint8Array, mdat: Uint8Array): void {
    for (const [id, samples] of readFragment(moof, mdat, this.tracks)) {
      const held = this.pending.get(id)
      for (const sample of samples) held?.push(sample)
    }
  }

  /** Segments behind which a sample of the leading track is there already: only then is all of them known. */
  *complete(): Generator<CutPart> {
    for (let cut = this.cuts[this.segments]; cut !== undefined; cut = this.cuts[this.segments]) {
      const next = this.samplesOf(this.leading)[cut - this.given]
      if (!next) return
      yield this.take((track, samples) => samples.findIndex(({ dts }) => dts * this.leading.timescale >= next.dts * track.timescale))
    }
  }

  last(): CutPart {
    return this.take(() => -1)
  }

  private get leading(): InitTrack {
    const [first] = this.tracks
    if (!first) throw new CliError('the init segment declares no track')
    return first
  }

  private samplesOf({ id }: InitTrack): Sample[] {
    return this.pending.get(id) ?? []
  }

  /** Takes the samples of each track before the one with the number that `endOf` gives; −1: all. */
  private take(endOf: (track: InitTrack, samples: readonly Sample[]) => number): CutPart {
    const parts = this.tracks.flatMap((track): TrackSamples[] => {
      const samples = this.samplesOf(track)
      const end = endOf(track, samples)
      const [first, ...rest] = samples.splice(0, end < 0 ? samples.length : end)
      return first ? [{ trackId: track.id, samples: [first, ...rest] }] : []
    })
    const leading = parts.find(({ trackId }) => trackId === this.leading.id)?.samples ?? []
    this.given += leading.length
    this.segments++
    return {
      kind: 'segment',
      bytes: writeFragment(this.segments, parts),
      firstPts: leading.reduce((min, { dts, offset }) => Math.min(min, dts + offset), Infinity),
      timescale: this.leading.timescale,
      frames: leading.length,
    }
  }
}
