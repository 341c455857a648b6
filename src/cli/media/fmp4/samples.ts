import { CliError } from '../../cli-error.ts'
import { type Box, boxesIn, childrenOf, descend, viewOf } from './boxes.ts'
import type { InitTrack, SampleDefaults } from './init.ts'

/** A coded frame. Times in ticks of its track, which stay far below 2^53. */
export interface Sample {
  readonly dts: number
  /** Presentation less decoding time; may be negative. */
  readonly offset: number
  readonly duration: number
  /** ISO/IEC 14496-12 section 8.8.3.1: whether it depends on others and is a key frame. */
  readonly flags: number
  readonly data: Uint8Array
}

const BASE_IS_MOOF = 0x02_0000
const TFHD = { baseOffset: 0x1, description: 0x2, duration: 0x8, size: 0x10, flags: 0x20 } as const
const TRUN = { dataOffset: 0x1, firstFlags: 0x4, duration: 0x100, size: 0x200, flags: 0x400, offset: 0x800 } as const

/** The samples of a fragment by track id: `moof` and the `mdat` that follows it, each a whole box (section 8.8). */
export const readFragment = (moof: Uint8Array, mdat: Uint8Array, tracks: readonly InitTrack[]): ReadonlyMap<number, readonly Sample[]> => {
  const [root] = boxesIn(moof)
  const samples = new Map<number, Sample[]>()
  for (const traf of root ? childrenOf(moof, root, 'traf') : []) {
    const { id, defaults } = readHeader(moof, descend(moof, traf, 'tfhd'), tracks)
    let dts = baseTime(moof, descend(moof, traf, 'tfdt'))
    const list = samples.get(id) ?? []
    samples.set(id, list)
    for (const trun of childrenOf(moof, traf, 'trun')) {
      for (const sample of readRun(moof, trun, mdat, { dts, defaults })) {
        list.push(sample)
        dts = sample.dts + sample.duration
      }
    }
  }
  return samples
}

// 0: version, flags (24 bits)   4: track   then, each where its flag is set: offset (uint64), description, duration, size, flags
const readHeader = (moof: Uint8Array, { bodyAt }: Box, tracks: readonly InitTrack[]) => {
  const view = viewOf(moof)
  const flags = view.getUint32(bodyAt) & 0xff_ffff
  const id = view.getUint32(bodyAt + 4)
  const track = tracks.find((candidate) => candidate.id === id)
  if (!track) throw new CliError(`a fragment has the track ${id}, which the init segment does not declare`)
  if ((flags & TFHD.baseOffset) !== 0 || (flags & BASE_IS_MOOF) === 0)
    throw new CliError('a fragment counts its data from the beginning of the file, not from its own')
  let at = bodyAt + 8 + (flags & TFHD.description ? 4 : 0)
  const next = (flag: number, otherwise: number): number => {
    if ((flags & flag) === 0) return otherwise
    at += 4
    return view.getUint32(at - 4)
  }
  const duration = next(TFHD.duration, track.defaults.duration)
  const size = next(TFHD.size, track.defaults.size)
  return { id, defaults: { duration, size, flags: next(TFHD.flags, track.defaults.flags) } }
}

// 0: version, flags   4: decoding time of the first sample (uint32, uint64 in version 1)
export const baseTime = (moof: Uint8Array, { bodyAt }: Box): number => {
  const view = viewOf(moof)
  return moof[bodyAt] === 1 ? Number(view.getBigUint64(bodyAt + 4)) : view.getUint32(bodyAt + 4)
}

interface RunStart {
  readonly dts: number
  readonly defaults: SampleDefaults
}

// 0: version, flags (24 bits)   4: number of samples   then: offset of the data (int32), flags of the first; then for each sample
// duration, size, flags, time offset (int32); all where their flag is set
function* readRun(moof: Uint8Array, { bodyAt }: Box, mdat: Uint8Array, { dts, defaults }: RunStart): Generator<Sample> {
  const view = viewOf(moof)
  const flags = view.getUint32(bodyAt) & 0xff_ffff
  const count = view.getUint32(bodyAt + 4)
  let at = bodyAt + 8
  const next = (flag: number, otherwise: number): number => {
    if ((flags & flag) === 0) return otherwise
    at += 4
    return view.getUint32(at - 4)
  }
  if ((flags & TRUN.dataOffset) === 0) throw new CliError('a run of samples does not say where its data are')
  // From the first byte of moof, which mdat follows at once.
  let dataAt = next(TRUN.dataOffset, 0) - moof.length
  const firstFlags = next(TRUN.firstFlags, defaults.flags)
  for (let i = 0; i < count; i++) {
    const duration = next(TRUN.duration, defaults.duration)
    const size = next(TRUN.size, defaults.size)
    const own = next(TRUN.flags, i === 0 ? firstFlags : defaults.flags)
    const offset = next(TRUN.offset, 0) | 0
    if (dataAt < 0 || dataAt + size > mdat.length) throw new CliError(`sample ${i} of a fragment lies outside its data`)
    yield { dts, offset, duration, flags: own, data: mdat.subarray(dataAt, dataAt + size) }
    dataAt += size
    dts += duration
  }
}
