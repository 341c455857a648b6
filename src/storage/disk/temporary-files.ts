import { randomUUID } from 'node:crypto'
import path from 'node:path'
import { type DiskFs, ifPresent } from './disk-fs.ts'
import { TEMPORARY } from './layout.ts'

/** In the root's file system, so that a rename is enough; named after the process that writes it. */
export const temporaryPath = (root: string): string => path.join(root, TEMPORARY, `${process.pid}-${randomUUID()}`)

/**
 * Removes what uploads of ended processes left. Files of another living process stay: the command line opens the directory of a
 * running service. Own ones are from a former process with the same id (in a container it is always 1).
 */
export const sweepTemporaryFiles = async (fs: DiskFs, root: string): Promise<void> => {
  for (const name of await fs.readdir(path.join(root, TEMPORARY))) {
    const pid = Number(/^(\d+)-/.exec(name)?.[1] ?? process.pid)
    if (pid === process.pid || !isAlive(pid)) await ifPresent(fs.unlink(path.join(root, TEMPORARY, name)))
  }
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it lives, and is somebody else's.
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
