import { CliError } from '../../cli-error.ts'
import { floorDiv, NS_PER_SECOND } from '../rational.ts'
import { boxesIn, childrenOf, descend, viewOf } from './boxes.ts'
import type { InitTrack } from './init.ts'
import { baseTime } from './samples.ts'

/** Moves the fragments of a run of objects on the timeline and numbers them anew, so that behind one init segment they are one file. */
export class FragmentRetimer {
  private sequence = 0

  constructor(private readonly tracks: readonly InitTrack[]) {}

  /** Changes `moof`, a whole box, in place: every time in it by `deltaNs`, rounded to the nearest tick of its track. */
  retime(moof: Uint8Array, deltaNs: bigint): void {
    const [root] = boxesIn(moof)
    if (!root) return
    const view = viewOf(moof)
    for (const header of childrenOf(moof, root, 'mfhd')) view.setUint32(header.bodyAt + 4, ++this.sequence)
    for (const traf of childrenOf(moof, root, 'traf')) {
      const id = view.getUint32(descend(moof, traf, 'tfhd').bodyAt + 4)
      const track = this.tracks.find((candidate) => candidate.id === id)
      if (!track) throw new CliError(`a fragment has the track ${id}, which the init segment does not declare`)
      const time = descend(moof, traf, 'tfdt')
      const moved = BigInt(baseTime(moof, time)) + nsToTicks(deltaNs, track.timescale)
      const isLong = moof[time.bodyAt] === 1
      if (moved < 0n || (!isLong && moved >= 2n ** 32n))
        throw new CliError(`a fragment of track ${id} would begin at tick ${moved}, which its header cannot hold`)
      if (isLong) view.setBigUint64(time.bodyAt + 4, moved)
      else view.setUint32(time.bodyAt + 4, Number(moved))
    }
  }
}

const nsToTicks = (ns: bigint, timescale: number): bigint => floorDiv(2n * ns * BigInt(timescale) + NS_PER_SECOND, 2n * NS_PER_SECOND)
