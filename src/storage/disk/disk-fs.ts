import * as node from 'node:fs/promises'
import { isTamsError, TamsError } from '../../core/errors.ts'

export interface FileFacts {
  readonly size: number
  readonly mtimeMs: number
}

export interface DiskFile {
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>
  write(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesWritten: number }>
  stat(): Promise<FileFacts>
  utimes(atimeSeconds: number, mtimeSeconds: number): Promise<void>
  sync(): Promise<void>
  close(): Promise<void>
}

/** The system calls of the engine, so that tests can make each of them fail. Rejects with errors that have an errno `code`. */
export interface DiskFs {
  open(path: string, flags: 'r' | 'wx'): Promise<DiskFile>
  stat(path: string): Promise<FileFacts>
  readFile(path: string, encoding: 'utf8'): Promise<string>
  rename(from: string, to: string): Promise<void>
  link(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  mkdir(path: string, options?: { readonly recursive: true }): Promise<unknown>
  readdir(path: string): Promise<string[]>
  statfs(path: string): Promise<{ readonly bavail: number; readonly bsize: number }>
}

export const nodeFs: DiskFs = node

export const errorCode = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined

/** Gives undefined where there is no such file or directory. */
export const ifPresent = async <T>(work: Promise<T>): Promise<T | undefined> => {
  try {
    return await work
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? '')) return undefined
    throw error
  }
}

/** Makes a rename, link or unlink in the directory outlast a power cut. */
export const syncDirectory = async (fs: DiskFs, path: string): Promise<void> => {
  const handle = await fs.open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** The engine's failures in the words of `MediaStore`; what is no failure of the file system stays as it is. */
export const diskError = (error: unknown, what: string): unknown => {
  const code = errorCode(error)
  if (isTamsError(error) || code === undefined || !/^E[A-Z0-9]+$/.test(code)) return error
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new TamsError('storage_full', `${what}: no room is left in the media store`, { cause: error })
  return new TamsError('unavailable', `${what}: the media store failed (${code})`, { cause: error })
}
