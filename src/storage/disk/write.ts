import { invalid, TamsError } from '../../core/errors.ts'
import type { PutOptions, StoredObject } from '../media.ts'
import type { Directories } from './directories.ts'
import { type DiskFile, type DiskFs, errorCode, ifPresent, syncDirectory } from './disk-fs.ts'
import type { KeyLock } from './key-lock.ts'
import { locate, SIDECAR_SUFFIX } from './layout.ts'
import { findVersion, pathOf } from './read.ts'
import { printSidecar, toStoredObject, type Version } from './sidecar.ts'
import { checkSpace } from './space.ts'
import { temporaryPath } from './temporary-files.ts'
import { checkContentType } from './urls.ts'

export interface DiskPutOptions extends PutOptions {
  /** Bytes announced (`Content-Length`); a body of another length is refused with `invalid`. */
  readonly size?: number
  /** Asked after the last byte and before the object becomes visible; when it throws, nothing is left. */
  readonly beforeCommit?: () => Promise<void>
}

export interface Writing {
  readonly fs: DiskFs
  readonly root: string
  readonly directories: Directories
  readonly lock: KeyLock
  readonly lowWaterBytes: number
  nowMs(): number
}

const SPACE_CHECK_BYTES = 64 * 1024 * 1024

/**
 * Temporary file, sync, rename of sidecar and data, sync of the directory. The data's rename is the moment the object is there;
 * what fails before it leaves nothing behind. One process writes below a root.
 */
export const writeObject = async (
  writing: Writing,
  key: string,
  body: ReadableStream<Uint8Array>,
  options: DiskPutOptions,
): Promise<StoredObject> => {
  const { fs, root } = writing
  const file = pathOf(root, locate(key))
  const temporary = temporaryPath(root)
  let handle: DiskFile | undefined
  try {
    checkContentType(options.contentType)
    const md5 = decodeMd5(options.md5)
    if (options.ifAbsent && (await findVersion(fs, file, key))) throw existing(key)
    await checkSpace(fs, root, writing.lowWaterBytes, options.size ?? 0)
    const data = await fs.open(temporary, 'wx')
    handle = data
    const received = await receive(writing, data, body, options)
    if (options.size !== undefined && received.size !== options.size) {
      throw invalid('body', `has ${received.size} bytes where Content-Length announced ${options.size}`)
    }
    if (md5 !== undefined && md5 !== received.md5) throw invalid('Content-MD5', 'does not match the bytes that arrived')
    const version = { size: received.size, md5: received.md5, content_type: options.contentType }
    return await writing.lock(key, async () => {
      await options.beforeCommit?.()
      return commit(writing, key, { data, temporary, version, ifAbsent: options.ifAbsent ?? false })
    })
  } catch (error) {
    if (errorCode(error) === 'ENOENT') writing.directories.forget()
    // Both fail when they are done already; the first error is the one to tell.
    await body.cancel(error).catch(() => undefined)
    await fs.unlink(temporary).catch(() => undefined)
    throw error
  } finally {
    await handle?.close().catch(() => undefined)
  }
}

const existing = (key: string): TamsError => new TamsError('exists', `There is an object already: ${key}`)

/** `Content-MD5` as hexadecimal. */
const decodeMd5 = (base64: string | undefined): string | undefined => {
  if (base64 === undefined) return undefined
  if (!/^[A-Za-z0-9+/]{22}==$/.test(base64)) throw invalid('Content-MD5', 'is not the base64 text of 16 bytes')
  return Buffer.from(base64, 'base64').toString('hex')
}

const receive = async (writing: Writing, data: DiskFile, body: ReadableStream<Uint8Array>, { signal }: DiskPutOptions) => {
  const hash = new Bun.CryptoHasher('md5')
  const reader = body.getReader()
  // Wakes a read that waits for a client; the check behind each read gives the reason.
  const wake = () => void reader.cancel(signal?.reason).catch(() => undefined)
  signal?.addEventListener('abort', wake, { once: true })
  let size = 0
  let checkAt = SPACE_CHECK_BYTES
  try {
    for (;;) {
      signal?.throwIfAborted()
      const { done, value } = await nextChunk(reader)
      signal?.throwIfAborted()
      if (done) return { size, md5: hash.digest('hex') }
      hash.update(value)
      // The next chunk is asked for only when this one is written: a slow disk slows the sender, not the process.
      for (let written = 0; written < value.length; ) {
        written += (await data.write(value, written, value.length - written, size + written)).bytesWritten
      }
      size += value.length
      if (size >= checkAt) {
        await checkSpace(writing.fs, writing.root, writing.lowWaterBytes, 0)
        checkAt = size + SPACE_CHECK_BYTES
      }
    }
  } finally {
    signal?.removeEventListener('abort', wake)
    reader.releaseLock()
  }
}

const nextChunk = async (reader: ReadableStreamDefaultReader<Uint8Array>) => {
  try {
    return await reader.read()
  } catch (cause) {
    throw new TamsError('invalid', 'body: the upload broke off before its end', { field: 'body', cause })
  }
}

interface Upload {
  readonly data: DiskFile
  readonly temporary: string
  readonly version: Omit<Version, 'modified_ms'>
  readonly ifAbsent: boolean
}

const commit = async (writing: Writing, key: string, { data, temporary, version, ifAbsent }: Upload): Promise<StoredObject> => {
  const { fs, root, directories } = writing
  const location = locate(key)
  const file = pathOf(root, location)
  const sidecarFile = `${file}${SIDECAR_SUFFIX}`
  const directory = pathOf(root, { ...location, name: '' })

  const previous = await findVersion(fs, file, key)
  if (previous && ifAbsent) throw existing(key)
  // Later than the version it replaces: the sidecar tells them apart by it.
  const stamped: Version = { ...version, modified_ms: Math.max(writing.nowMs(), (previous?.modified_ms ?? 0) + 1) }
  await data.utimes(stamped.modified_ms / 1000, stamped.modified_ms / 1000)
  await data.sync()

  await directories.ensure(location.directory)
  const leftOver = (await ifPresent(fs.stat(sidecarFile))) !== undefined
  await writeSidecar(writing, sidecarFile, printSidecar({ key, versions: previous ? [stamped, previous] : [stamped] }))
  try {
    // A file system may make the two renames durable in either order; an older sidecar must not meet the new data.
    if (leftOver) await syncDirectory(fs, directory)
    if (ifAbsent && (await ifPresent(fs.stat(file))) === undefined) await linkNew(fs, temporary, file, key)
    else await fs.rename(temporary, file)
  } catch (error) {
    if (!previous) await fs.unlink(sidecarFile).catch(() => undefined)
    throw error
  }
  await syncDirectory(fs, directory)
  return toStoredObject(stamped)
}

const writeSidecar = async (writing: Writing, sidecarFile: string, text: string): Promise<void> => {
  const { fs } = writing
  const temporary = temporaryPath(writing.root)
  const bytes = new TextEncoder().encode(text)
  try {
    const handle = await fs.open(temporary, 'wx')
    try {
      for (let written = 0; written < bytes.length; ) {
        written += (await handle.write(bytes, written, bytes.length - written, written)).bytesWritten
      }
      await handle.sync()
    } finally {
      await handle.close()
    }
    await fs.rename(temporary, sidecarFile)
  } catch (error) {
    await fs.unlink(temporary).catch(() => undefined)
    throw error
  }
}

/** A rename that does not replace. */
const linkNew = async (fs: DiskFs, temporary: string, file: string, key: string): Promise<void> => {
  try {
    await fs.link(temporary, file)
  } catch (error) {
    throw errorCode(error) === 'EEXIST' ? existing(key) : error
  }
  await fs.unlink(temporary).catch(() => undefined)
}
