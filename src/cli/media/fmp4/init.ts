import { CliError } from '../../cli-error.ts'
import { type Box, boxesIn, childrenOf, descend, viewOf } from './boxes.ts'

/** A track as the init segment (`ftyp` and `moov`) declares it; ISO/IEC 14496-12 sections 8.3, 8.4 and 8.8.3. */
export interface InitTrack {
  readonly id: number
  /** Ticks per second of its times. */
  readonly timescale: number
  readonly defaults: SampleDefaults
}

export interface SampleDefaults {
  readonly duration: number
  readonly size: number
  readonly flags: number
}

/** The tracks of an init segment in the order in which it has them. */
export const readInit = (bytes: Uint8Array): readonly InitTrack[] => {
  const moov = [...boxesIn(bytes)].find(({ type }) => type === 'moov')
  if (!moov) throw new CliError('no init segment of fragmented MP4: it has no moov box')
  const defaults = new Map(childrenOf(bytes, descend(bytes, moov, 'mvex'), 'trex').map((box) => readDefaults(bytes, box)))
  return childrenOf(bytes, moov, 'trak').map((trak) => {
    const id = trackId(bytes, descend(bytes, trak, 'tkhd'))
    return { id, timescale: timescale(bytes, descend(bytes, trak, 'mdia', 'mdhd')), defaults: defaults.get(id) ?? NO_DEFAULTS }
  })
}

const NO_DEFAULTS: SampleDefaults = { duration: 0, size: 0, flags: 0 }

// 0: version, flags   4: track   8: description   12: duration   16: size   20: flags
const readDefaults = (bytes: Uint8Array, { bodyAt }: Box): readonly [number, SampleDefaults] => {
  const view = viewOf(bytes)
  const [track, duration, size, flags] = [4, 12, 16, 20].map((at) => view.getUint32(bodyAt + at)) as [number, number, number, number]
  return [track, { duration, size, flags }]
}

// Behind version and flags two times, 32 bits each in version 0 and 64 in version 1, in both boxes.
const behindTimes = (bytes: Uint8Array, { bodyAt }: Box): number => viewOf(bytes).getUint32(bodyAt + (bytes[bodyAt] === 1 ? 20 : 12))

const trackId = behindTimes
const timescale = behindTimes
