import path from 'node:path'
import { type DiskFs, errorCode, syncDirectory } from './disk-fs.ts'

export interface Directories {
  /** Makes the directory with all above it (below the root) durable. */
  ensure(directory: string): Promise<void>
  /** After a failure: somebody may have removed a directory. */
  forget(): void
}

/** Each directory is made and synced once in the life of the process. */
export const createDirectories = (fs: DiskFs, root: string): Directories => {
  const made = new Map<string, Promise<void>>()

  const make = async (directory: string): Promise<void> => {
    const parent = path.dirname(directory)
    if (parent !== '.') await ensure(parent)
    try {
      await fs.mkdir(path.join(root, directory))
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error
    }
    // Also when it was there: whoever made it may not have got so far.
    await syncDirectory(fs, path.join(root, parent))
  }

  const ensure = (directory: string): Promise<void> => {
    const known = made.get(directory)
    if (known) return known
    const making = make(directory)
    made.set(directory, making)
    making.catch(() => made.delete(directory))
    return making
  }

  return { ensure, forget: () => made.clear() }
}
