import path from 'node:path'
import type { StoredObject } from '../media.ts'
import { createDirectories } from './directories.ts'
import { type DiskFs, diskError, errorCode, ifPresent, nodeFs, syncDirectory } from './disk-fs.ts'
import { locate, SIDECAR_SUFFIX, TEMPORARY } from './layout.ts'
import { findVersion, pathOf } from './read.ts'
import { toStoredObject } from './sidecar.ts'
import { temporaryPath } from './temporary-files.ts'

export interface CloneOptions {
  /** Roots of this engine. */
  readonly from: string
  readonly to: string
  /** Hard links where both are on one file system: no bytes are copied, and both lose them with the disk. */
  readonly link: boolean
  readonly fs?: DiskFs
}

/** More than a client that uploads again and again can keep up. */
const TRIES = 5

/**
 * Gives what brings single objects of one root below another one, with their times: whole and durable or not there. One that is there
 * already is left as it is, so that a broken-off run goes on. undefined when there is no such object. Files are never changed once they
 * have their name, so that a link is as good as a copy.
 */
export const createCloner = ({ from, to, link, fs = nodeFs }: CloneOptions): ((key: string) => Promise<StoredObject | undefined>) => {
  const directories = createDirectories(fs, to)

  const bring = async (source: string, target: string): Promise<boolean> => {
    if (link) {
      try {
        await fs.link(source, target)
        return true
      } catch (error) {
        if (errorCode(error) === 'ENOENT') return false
        // Another file system, or one without links.
        if (!['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP'].includes(errorCode(error) ?? '')) throw error
      }
    }
    return (await ifPresent(copyFile(fs, source, target).then(() => true))) ?? false
  }

  const clone = async (key: string): Promise<StoredObject | undefined> => {
    const location = locate(key)
    const source = pathOf(from, location)
    const target = pathOf(to, location)
    const wanted = await findVersion(fs, source, key)
    if (!wanted) return undefined
    const known = await findVersion(fs, target, key)
    if (known?.md5 === wanted.md5 && known.size === wanted.size && known.modified_ms === wanted.modified_ms) return toStoredObject(known)
    await directories.ensure(TEMPORARY)
    await directories.ensure(location.directory)
    const temporary = temporaryPath(to)
    try {
      // Data first: a sidecar written meanwhile also describes the version before it.
      if (!(await bring(source, temporary)) || !(await bring(`${source}${SIDECAR_SUFFIX}`, `${temporary}${SIDECAR_SUFFIX}`)))
        return undefined
      const version = await findVersion(fs, temporary, key)
      if (!version) return undefined
      await fs.rename(`${temporary}${SIDECAR_SUFFIX}`, `${target}${SIDECAR_SUFFIX}`)
      await fs.rename(temporary, target)
      await syncDirectory(fs, path.dirname(target))
      return toStoredObject(version)
    } finally {
      // A rename to another name of the same file leaves both.
      for (const left of [temporary, `${temporary}${SIDECAR_SUFFIX}`]) await ifPresent(fs.unlink(left))
    }
  }

  return async (key) => {
    try {
      for (let tries = 1; ; tries++) {
        const cloned = await clone(key)
        if (cloned || tries === TRIES || !(await findVersion(fs, pathOf(from, locate(key)), key))) return cloned
      }
    } catch (error) {
      throw diskError(error, 'The object could not be copied')
    }
  }
}

const CHUNK_BYTES = 1024 * 1024

/** With its times, synced. */
const copyFile = async (fs: DiskFs, source: string, target: string): Promise<void> => {
  const input = await fs.open(source, 'r')
  try {
    const output = await fs.open(target, 'wx')
    try {
      const { mtimeMs } = await input.stat()
      const buffer = new Uint8Array(CHUNK_BYTES)
      for (let position = 0; ; ) {
        const { bytesRead } = await input.read(buffer, 0, buffer.length, position)
        if (bytesRead === 0) break
        for (let written = 0; written < bytesRead; )
          written += (await output.write(buffer, written, bytesRead - written, position + written)).bytesWritten
        position += bytesRead
      }
      await output.utimes(mtimeMs / 1000, mtimeMs / 1000)
      await output.sync()
    } finally {
      await output.close()
    }
  } finally {
    await input.close()
  }
}
