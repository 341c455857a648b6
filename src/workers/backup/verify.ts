import type { MediaStore } from '../../storage/media.ts'
import type { Tables } from '../../storage/tables.ts'
import { type Brought, type Place, placesIn } from './bring.ts'

export interface VerifyOptions {
  /** Every byte is read and compared with the checksum that was kept with it. */
  readonly bytes: boolean
  readonly signal?: AbortSignal | undefined
}

/** Throws unless `to` has what `snapshot` refers to, but for `expected.without` records, and nothing else is counted. */
export const verifyPlace = async (
  snapshot: Tables,
  { storageId, to }: Pick<Place, 'storageId' | 'to'>,
  expected: Readonly<Brought>,
  { bytes, signal }: VerifyOptions,
): Promise<void> => {
  const found: Brought = { objects: 0, bytes: 0, without: 0 }
  for await (const page of placesIn(snapshot, storageId))
    for (const { media_key } of page) {
      signal?.throwIfAborted()
      const object = await to.head(media_key, signal)
      if (!object) {
        found.without++
        continue
      }
      found.objects++
      found.bytes += object.size
      if (bytes) await compareBytes(to, media_key, object.etag)
    }
  for (const name of ['objects', 'bytes', 'without'] as const)
    if (found[name] !== expected[name])
      throw new Error(`Storage backend ${storageId}: ${name} should be ${expected[name]}, and ${found[name]} were found`)
}

const compareBytes = async (store: MediaStore, key: string, etag: string): Promise<void> => {
  const object = await store.get(key)
  const hash = new Bun.CryptoHasher('md5')
  for await (const chunk of object?.body ?? []) hash.update(chunk)
  if (`"${hash.digest('hex')}"` !== etag) throw new Error(`The bytes of ${key} are not those that were stored: their checksum differs`)
}
