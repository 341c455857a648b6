import { TamsError } from '../../core/errors.ts'
import type { DiskFs } from './disk-fs.ts'

/** Throws `storage_full` when less than `lowWaterBytes` would be left after `wanted` bytes more: room for the metadata store beside us. */
export const checkSpace = async (fs: DiskFs, root: string, lowWaterBytes: number, wanted: number): Promise<void> => {
  if (lowWaterBytes <= 0) return
  const { bavail, bsize } = await fs.statfs(root)
  if (bavail * bsize - wanted < lowWaterBytes) {
    throw new TamsError('storage_full', 'The media store takes no more uploads: its disk is nearly full', {
      detail: { free_bytes: bavail * bsize, low_water_bytes: lowWaterBytes },
    })
  }
}
