import path from 'node:path'
import { TamsError } from '../../core/errors.ts'
import type { ByteRange, StoredObject } from '../media.ts'
import { type DiskFile, type DiskFs, type FileFacts, ifPresent } from './disk-fs.ts'
import { type Location, SIDECAR_SUFFIX } from './layout.ts'
import { parseSidecar, type Sidecar, toStoredObject, type Version, versionOf } from './sidecar.ts'

export const pathOf = (root: string, { directory, name }: Location): string => path.join(root, directory, name)

export const readSidecar = async (fs: DiskFs, file: string): Promise<Sidecar | undefined> => {
  const text = await ifPresent(fs.readFile(`${file}${SIDECAR_SUFFIX}`, 'utf8'))
  return text === undefined ? undefined : parseSidecar(text)
}

/** undefined unless data file and sidecar are there, agree, and are this key's. */
export const findVersion = async (fs: DiskFs, file: string, key: string, known?: FileFacts): Promise<Version | undefined> => {
  const facts = known ?? (await ifPresent(fs.stat(file)))
  if (facts === undefined) return undefined
  const sidecar = await readSidecar(fs, file)
  return sidecar?.key === key ? versionOf(sidecar, facts) : undefined
}

/** One version of an object, held open: a replacement or deletion meanwhile does not change what is read. */
export interface OpenObject extends StoredObject {
  /** The bytes of a range inside the object. Several may be read one after the other or at once. */
  stream(range: ByteRange): ReadableStream<Uint8Array>
  /** Safe to repeat. */
  close(): Promise<void>
}

export const openObject = async (fs: DiskFs, file: string, key: string): Promise<OpenObject | undefined> => {
  const handle = await ifPresent(fs.open(file, 'r'))
  if (handle === undefined) return undefined
  try {
    const version = await findVersion(fs, file, key, await handle.stat())
    if (version !== undefined) {
      let closed: Promise<void> | undefined
      const close = () => {
        closed ??= handle.close()
        return closed
      }
      return { ...toStoredObject(version), stream: (range) => streamRange(handle, range), close }
    }
  } catch (error) {
    await handle.close()
    throw error
  }
  await handle.close()
  return undefined
}

const CHUNK_BYTES = 256 * 1024

const streamRange = (handle: DiskFile, range: ByteRange): ReadableStream<Uint8Array> => {
  let position = range.start
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const wanted = Math.min(CHUNK_BYTES, range.end - position)
        if (wanted > 0) {
          const buffer = new Uint8Array(wanted)
          const { bytesRead } = await handle.read(buffer, 0, wanted, position)
          if (bytesRead === 0) throw new TamsError('internal', `A media file ended at byte ${position}, before byte ${range.end}`)
          position += bytesRead
          controller.enqueue(buffer.subarray(0, bytesRead))
        }
        if (position >= range.end) controller.close()
      },
    },
    { highWaterMark: 0 },
  )
}

/** `stream`, and `ended` once when it was read to its end, failed or was cancelled. */
export const onEnd = (stream: ReadableStream<Uint8Array>, ended: () => Promise<void>): ReadableStream<Uint8Array> => {
  const reader = stream.getReader()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read()
          if (!done) return controller.enqueue(value)
        } catch (error) {
          await ended()
          throw error
        }
        await ended()
        controller.close()
      },
      async cancel(reason) {
        await reader.cancel(reason)
        await ended()
      },
    },
    { highWaterMark: 0 },
  )
}

/** The range cut to the object. Throws `range_not_satisfiable` when none of it is inside. */
export const clampRange = (range: ByteRange | undefined, size: number): ByteRange => {
  if (range === undefined) return { start: 0, end: size }
  const end = Math.min(range.end, size)
  if (range.start >= 0 && range.start < end) return { start: range.start, end }
  throw new TamsError('range_not_satisfiable', `Bytes ${range.start} to ${range.end} are not in an object of ${size} bytes`)
}
