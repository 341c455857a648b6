import { TamsError } from '../../core/errors.ts'
import { type DiskFs, nodeFs } from './disk-fs.ts'

const NO_UPLOADS = 'The media store takes no more uploads: its disk is nearly full'

/** Throws `storage_full` when less than `lowWaterBytes` would be left after `wanted` bytes more: room for the metadata store beside us. */
export const checkSpace = async (
  fs: DiskFs,
  root: string,
  lowWaterBytes: number,
  wanted: number,
  refusal: string = NO_UPLOADS,
): Promise<void> => {
  if (lowWaterBytes <= 0) return
  const { bavail, bsize } = await fs.statfs(root)
  if (bavail * bsize - wanted < lowWaterBytes) {
    throw new TamsError('storage_full', refusal, { detail: { free_bytes: bavail * bsize, low_water_bytes: lowWaterBytes } })
  }
}

export interface SpaceOptions {
  /** On the file system that is looked at. */
  readonly directory: string
  readonly lowWaterBytes: number
  /** What callers are told. */
  readonly refusal: string
  readonly fs?: DiskFs
  /** Milliseconds, from wherever. */
  readonly nowMs?: () => number
}

/** Writers fill no more than a part of a sensible mark in that time. */
const GOOD_FOR_MS = 100

/** The same look for many callers: each is good for a tenth of a second. */
export const createSpaceCheck = ({ directory, lowWaterBytes, refusal, fs = nodeFs, nowMs = () => performance.now() }: SpaceOptions) => {
  let checked: Promise<void> = Promise.resolve()
  let until = Number.NEGATIVE_INFINITY
  return (): Promise<void> => {
    const now = nowMs()
    if (now >= until) {
      until = now + GOOD_FOR_MS
      checked = checkSpace(fs, directory, lowWaterBytes, 0, refusal)
      // Whoever asks hears of it; when nobody does, nobody is harmed.
      checked.catch(() => undefined)
    }
    return checked
  }
}
