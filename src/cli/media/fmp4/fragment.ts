import { makeBox, viewOf, words } from './boxes.ts'
import type { Sample } from './samples.ts'

export interface TrackSamples {
  readonly trackId: number
  readonly samples: readonly [Sample, ...Sample[]]
}

/**
 * One movie fragment with the samples of each track behind each other: `moof` and `mdat`, ISO/IEC 14496-12 section 8.8. It stands
 * alone behind the init segment: offsets count from its own beginning, and nothing rests on defaults of the init segment.
 */
export const writeFragment = (sequence: number, tracks: readonly TrackSamples[]): Uint8Array => {
  const headerOf = (offsets: readonly number[]): Uint8Array =>
    makeBox('moof', makeBox('mfhd', words(0, sequence)), ...tracks.map((track, i) => trackFragment(track, offsets[i] ?? 0)))
  // The size of the header does not depend on the offsets in it.
  let at = headerOf([]).length + 8
  const offsets = tracks.map(({ samples }) => {
    const here = at
    at += samples.reduce((sum, { data }) => sum + data.length, 0)
    return here
  })
  return Buffer.concat([headerOf(offsets), makeBox('mdat', ...tracks.flatMap(({ samples }) => samples.map(({ data }) => data)))])
}

const trackFragment = ({ trackId, samples }: TrackSamples, dataOffset: number): Uint8Array => {
  const [first, second] = samples
  const common = second ?? first
  // Defaults for durations and flags: base is moof (0x020000), duration (0x8), flags (0x20).
  const header = makeBox('tfhd', words(0x02_0028, trackId, common.duration, common.flags))
  const time = new Uint8Array(12)
  time[0] = 1
  viewOf(time).setBigUint64(4, BigInt(first.dts))
  return makeBox('traf', header, makeBox('tfdt', time), makeBox('trun', run(samples, common, dataOffset)))
}

/** See `readRun` for the layout. */
const run = (samples: TrackSamples['samples'], common: Sample, dataOffset: number): Uint8Array => {
  const [first, ...rest] = samples
  const durations = samples.some(({ duration }) => duration !== common.duration)
  const flags = rest.some((sample) => sample.flags !== common.flags)
  const firstFlags = !flags && first.flags !== common.flags
  const offsets = samples.some(({ offset }) => offset !== 0)
  const version = samples.some(({ offset }) => offset < 0) ? 1 : 0
  const present = 0x201 | (firstFlags ? 0x4 : 0) | (durations ? 0x100 : 0) | (flags ? 0x400 : 0) | (offsets ? 0x800 : 0)
  const values = [version * 2 ** 24 + present, samples.length, dataOffset]
  if (firstFlags) values.push(first.flags)
  for (const sample of samples) {
    if (durations) values.push(sample.duration)
    values.push(sample.data.length)
    if (flags) values.push(sample.flags)
    if (offsets) values.push(sample.offset)
  }
  return words(...values)
}
