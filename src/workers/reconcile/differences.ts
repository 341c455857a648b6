import { eq } from '../../core/predicate.ts'
import { compareText } from '../../core/text-order.ts'
import type { ListedObject, MediaStore } from '../../storage/media.ts'
import type { Row } from '../../storage/schema.ts'
import type { Tables } from '../../storage/tables.ts'

/** A key at which the backend and its index do not say the same. Each was asked at a moment of its own: it has to be confirmed. */
export interface Difference {
  readonly key: string
  readonly listed: ListedObject | undefined
  readonly record: Row<'object_instances'> | undefined
}

export interface Seen {
  listed: number
  records: number
  /** Listed outside our part of the backend: somebody else's. */
  foreign: number
}

const PAGE = 1000

/** Both walked in key order, a page of each in memory. `ours`: how the keys of this program begin. */
export async function* differences(
  tables: Tables,
  store: MediaStore,
  ours: string,
  seen: Seen,
  signal: AbortSignal | undefined,
): AsyncGenerator<Difference> {
  const objects = store.list(signal ? { signal } : {})[Symbol.asyncIterator]()
  const records = listRecords(tables, store.storageId)
  try {
    let [listed, record] = [await nextListed(), await nextRecord()]
    while (listed || record) {
      signal?.throwIfAborted()
      const order = !listed ? 1 : !record ? -1 : compareText(listed.key, record.media_key)
      if (order < 0 && listed) {
        if (listed.key.startsWith(ours)) yield { key: listed.key, listed, record: undefined }
        else seen.foreign++
      } else if (order > 0 && record) {
        yield { key: record.media_key, listed: undefined, record }
      } else if (listed && record && record.size !== BigInt(listed.size)) {
        yield { key: listed.key, listed, record }
      }
      ;[listed, record] = [order <= 0 ? await nextListed() : listed, order >= 0 ? await nextRecord() : record]
    }
  } finally {
    await objects.return?.()
  }

  async function nextListed(): Promise<ListedObject | undefined> {
    const { done, value } = await objects.next()
    if (done) return undefined
    seen.listed++
    return value
  }

  async function nextRecord(): Promise<Row<'object_instances'> | undefined> {
    const { done, value } = await records.next()
    if (done) return undefined
    seen.records++
    return value
  }
}

async function* listRecords(tables: Tables, storageId: string): AsyncGenerator<Row<'object_instances'>, undefined> {
  const query = { where: eq('storage_id', storageId), limit: PAGE }
  let page = await tables.read((tx) => tx.list('object_instances', query))
  for (;;) {
    yield* page.rows
    const { after } = page
    if (!after) return undefined
    page = await tables.read((tx) => tx.list('object_instances', { ...query, after }))
  }
}
