import path from 'node:path'
import type { Clock } from '../../core/clock.ts'
import { TamsError } from '../../core/errors.ts'
import type { MediaStore, StoredObject } from '../media.ts'
import { createDirectories } from './directories.ts'
import { type DiskFs, diskError, ifPresent, nodeFs, syncDirectory } from './disk-fs.ts'
import { createKeyLock } from './key-lock.ts'
import { locate, SIDECAR_SUFFIX, TEMPORARY } from './layout.ts'
import { listObjects } from './list.ts'
import { clampRange, findVersion, type OpenObject, onEnd, openObject, pathOf } from './read.ts'
import { toStoredObject } from './sidecar.ts'
import { sweepTemporaryFiles } from './temporary-files.ts'
import { createMediaUrls, type MediaMethod, type Verification } from './urls.ts'
import { type DiskPutOptions, writeObject } from './write.ts'

export interface DiskStoreOptions {
  /** Made when missing. Belongs to this engine alone, and one process writes below it. */
  readonly root: string
  readonly storageId: string
  /** Signs the URLs; the same for all processes that serve them. */
  readonly secret: string
  readonly clock: Clock
  /** Where unsigned URLs begin, without a trailing slash. Unset: there are none. */
  readonly publicBaseUrl?: string | undefined
  /** Uploads are refused while less is free. Default: 0, never. */
  readonly lowWaterBytes?: number | undefined
  readonly fs?: DiskFs
}

/** What the route that serves the bytes needs beyond `MediaStore`. */
export interface DiskStore extends MediaStore {
  /** Whether anybody may read without a signature. */
  readonly publicReads: boolean
  verify(method: MediaMethod, key: string, query: URLSearchParams): Verification
  put(key: string, body: ReadableStream<Uint8Array>, options: DiskPutOptions): Promise<StoredObject>
  /** The file with the object's bytes and nothing else, for zero-copy sending. It may be replaced until the object is registered. */
  locate(key: string): Promise<(StoredObject & { readonly path: string }) | undefined>
  /** To be closed by the caller. */
  open(key: string): Promise<OpenObject | undefined>
}

/** Rejects with `unavailable` when the root cannot be used. Removes what broken uploads of former processes left. */
export const createDiskStore = async (options: DiskStoreOptions): Promise<DiskStore> => {
  const { storageId, clock, publicBaseUrl, fs = nodeFs } = options
  const root = path.resolve(options.root)
  const urls = createMediaUrls(options)
  const directories = createDirectories(fs, root)
  const lock = createKeyLock()
  const nowMs = () => Number(clock.nowUs() / 1000n)
  const writing = { fs, root, directories, lock, lowWaterBytes: options.lowWaterBytes ?? 0, nowMs }
  const fileOf = (key: string) => pathOf(root, locate(key))

  const attempt = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw diskError(error, what)
    }
  }

  const deleteObject = (key: string): Promise<void> =>
    lock(key, async () => {
      const file = fileOf(key)
      // Data first: a sidecar alone is no object.
      const removed = [
        await ifPresent(fs.unlink(file).then(() => true)),
        await ifPresent(fs.unlink(`${file}${SIDECAR_SUFFIX}`).then(() => true)),
      ]
      if (removed.includes(true)) await syncDirectory(fs, path.dirname(file))
    })

  await attempt(`Directory ${root} could not be opened`, async () => {
    await fs.mkdir(root, { recursive: true })
    await syncDirectory(fs, path.dirname(root))
    await directories.ensure(TEMPORARY)
    await sweepTemporaryFiles(fs, root)
  })

  return {
    storageId,
    publicReads: publicBaseUrl !== undefined,
    verify: urls.verify,
    uploadUrl: async (key, uploadOptions) => urls.upload(key, uploadOptions),
    downloadUrl: urls.download,
    plainUrl: (key) => urls.plain(key),
    put: (key, body, putOptions) => attempt('The object could not be stored', () => writeObject(writing, key, body, putOptions)),

    get: (key, getOptions = {}) =>
      attempt('The object could not be read', async () => {
        getOptions.signal?.throwIfAborted()
        const opened = await openObject(fs, fileOf(key), key)
        if (opened === undefined) return undefined
        const { stream, close, ...object } = opened
        try {
          return { ...object, body: onEnd(stream(clampRange(getOptions.range, object.size)), close) }
        } catch (error) {
          await close()
          throw error
        }
      }),

    head: (key) =>
      attempt('The object could not be looked up', async () => {
        const version = await findVersion(fs, fileOf(key), key)
        return version && toStoredObject(version)
      }),

    locate: (key) =>
      attempt('The object could not be looked up', async () => {
        const file = fileOf(key)
        const version = await findVersion(fs, file, key)
        return version && { ...toStoredObject(version), path: file }
      }),

    open: (key) => attempt('The object could not be opened', () => openObject(fs, fileOf(key), key)),

    delete: (keys, signal) =>
      attempt('Objects could not be deleted', async () => {
        for (const key of keys) {
          signal?.throwIfAborted()
          await deleteObject(key)
        }
      }),

    list: ({ after, signal }) => listObjects(fs, root, after, signal),

    check: () =>
      attempt('The media directory cannot be used', async () => {
        const names = await ifPresent(fs.readdir(path.join(root, TEMPORARY)))
        if (names === undefined) throw new TamsError('unavailable', `The media directory ${root} is gone`)
      }),
  }
}
