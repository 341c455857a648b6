import { createHash } from 'node:crypto'
import type { CopySource, MediaStore, ObjectMetadata, StoredObject } from '../storage/media.ts'

export class CopyDiffers extends Error {
  constructor() {
    super('the copy differs from its original')
    this.name = 'CopyDiffers'
  }
}

export interface CopyOptions {
  readonly metadata?: ObjectMetadata
  readonly signal?: AbortSignal
}

/**
 * Copies an object from one backend to another in the best way that the target has, and compares: by what was sent where the bytes
 * came through here, else by entity tag, else by reading both. Throws when the original is not there, and `CopyDiffers`.
 */
export const copyMedia = async (
  from: MediaStore,
  fromKey: string,
  to: MediaStore,
  toKey: string,
  options: CopyOptions,
): Promise<StoredObject> => {
  const { signal } = options
  const object = await from.head(fromKey, signal)
  if (!object) throw new Error('the bytes of the object are not there')
  const read = async (start: number, readSignal = signal): Promise<ReadableStream<Uint8Array>> => {
    const range = start > 0 && { range: { start, end: object.size } }
    const found = await from.get(fromKey, { ...range, ...(readSignal && { signal: readSignal }) })
    if (!found) throw new Error('the bytes of the object are not there')
    return found.body
  }
  const putOptions = { ...options, contentType: object.contentType }
  const tap = hashTap()
  const source: CopySource = {
    store: from,
    key: fromKey,
    object,
    open: async (start, openSignal) => (start === 0 ? tap.through(await read(0, openSignal)) : read(start, openSignal)),
  }
  const copy = to.copyFrom
    ? await to.copyFrom(toKey, source, putOptions)
    : await using(await source.open(0), (body) => to.put(toKey, body, putOptions))
  if (copy.size !== object.size) throw new CopyDiffers()
  const sent = tap.whole(object.size)
  if (sent !== undefined) await compareWithHash(to, toKey, sent, signal)
  else if (!isSameTag(copy.etag, object.etag)) await compareWithHash(to, toKey, await digest(await read(0)), signal)
  return copy
}

// Tags of one service that names the bytes by their hash; where it does not, two objects never have the same.
const isSameTag = (a: string, b: string): boolean => /^"[0-9a-f]{32}(-\d+)?"$/.test(a) && a === b

/** Throws `CopyDiffers` unless the bytes under `key` have this SHA-256, in hexadecimal. */
export const compareWithHash = async (store: MediaStore, key: string, sha256: string, signal?: AbortSignal): Promise<void> => {
  const copy = await store.get(key, signal ? { signal } : {})
  if (!copy) throw new Error('the copy is not there')
  if ((await digest(copy.body)) !== sha256) throw new CopyDiffers()
}

/** Gives the bytes to `use`, and what it gives, with the SHA-256 of the bytes in hexadecimal. */
export const hashing = async <T>(
  use: (body: ReadableStream<Uint8Array>) => Promise<T>,
  body: ReadableStream<Uint8Array>,
): Promise<[T, string]> => {
  const tap = hashTap()
  return [await using(tap.through(body), use), tap.digest()]
}

const using = async <T>(body: ReadableStream<Uint8Array>, use: (body: ReadableStream<Uint8Array>) => Promise<T>): Promise<T> => {
  try {
    return await use(body)
  } catch (error) {
    // A backend that failed early has not read it: what holds the source open must be let go. Fails where it has been cancelled already.
    await body.cancel(error).catch(() => undefined)
    throw error
  }
}

const hashTap = () => {
  let hash = createHash('sha256')
  let seen = 0
  return {
    through(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
      hash = createHash('sha256')
      seen = 0
      return body.pipeThrough(
        new TransformStream<Uint8Array, Uint8Array>({
          transform(chunk, controller) {
            hash.update(chunk)
            seen += chunk.length
            controller.enqueue(chunk)
          },
        }),
      )
    },
    digest: () => hash.digest('hex'),
    /** undefined unless `size` bytes came through. Both end the computation. */
    whole: (size: number) => (seen === size && size > 0 ? hash.digest('hex') : undefined),
  }
}

export const digest = async (body: ReadableStream<Uint8Array>): Promise<string> => {
  const hash = createHash('sha256')
  for await (const chunk of body) hash.update(chunk)
  return hash.digest('hex')
}
