import { writeTags } from '../../domain/tags.ts'
import type { Tables, WriteTx } from '../../storage/tables.ts'
import type { SeedBatch } from './rows.ts'

/** Batches on their way at a time: the store commits them together, and the next one is made meanwhile. */
const IN_FLIGHT = 3

/** Writes batches in order, each in one transaction, and reports the segments written so far. */
export const writeSeed = async (tables: Tables, batches: Iterable<SeedBatch>, report: (segments: number) => void): Promise<void> => {
  const pending: Promise<void>[] = []
  let written = 0
  for (const batch of batches) {
    const done = tables
      .write((tx) => insert(tx, batch))
      .then(() => {
        written += batch.segments.length
        report(written)
      })
    // Waited for below; without this a failure before that would count as unhandled.
    done.catch(() => {})
    pending.push(done)
    if (pending.length >= IN_FLIGHT) await pending.shift()
  }
  await Promise.all(pending)
}

const insert = async (tx: WriteTx, batch: SeedBatch): Promise<void> => {
  await tx.lock(locksOf(batch))
  await tx.insert('sources', batch.sources)
  await tx.insert('flows', batch.flows)
  await tx.insert('collections', batch.collections)
  for (const { entity, id, tags } of batch.tags) await writeTags(tx, entity, id, {}, tags)
  await tx.insert('segments', batch.segments)
  await tx.insert('objects', batch.objects)
  await tx.insert('object_refs', batch.object_refs)
  await tx.insert('object_instances', batch.object_instances)
  await tx.insert('object_access', batch.object_access)
}

const locksOf = (batch: SeedBatch): string[] => [
  ...batch.sources.map(({ id }) => `source:${id}`),
  ...batch.flows.map(({ id }) => `flow:${id}`),
  ...new Set(batch.segments.map(({ flow_id }) => flow_id)).values().map((id) => `flow:${id}`),
  ...batch.object_refs.map(({ object_id }) => `object:${object_id}`),
]
