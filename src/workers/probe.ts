import { randomUUID } from 'node:crypto'
import { eq } from '../core/predicate.ts'
import type { MediaStore } from '../storage/media.ts'
import type { Tables } from '../storage/tables.ts'

const READS = 50
const WRITES = 10
const MEDIA_BYTES = 1024 * 1024

export interface TablesProbe {
  /** Medians, in milliseconds. */
  readonly readMs: number
  readonly writeMs: number
}

/** How long a look-up and a durable write take. Leaves nothing. */
export const probeTables = async (tables: Tables): Promise<TablesProbe> => {
  const name = `probe ${randomUUID()}`
  const readMs = await median(READS, () => tables.read((tx) => tx.find('meta', [name])))
  const writeMs = await median(WRITES, (value) =>
    tables.write(async (tx) => {
      await tx.lock([`meta:${name}`])
      await tx.put('meta', [{ name, value: String(value) }])
    }),
  )
  await tables.write((tx) => tx.delete('meta', eq('name', name)))
  return { readMs, writeMs }
}

export interface MediaProbe {
  /** Bytes per second. */
  readonly write: number
  readonly read: number
}

/** Puts, gets and deletes one object. What comes back has to be what was put. */
export const probeMedia = async (store: MediaStore): Promise<MediaProbe> => {
  const key = `tams-probe-${randomUUID()}`
  const bytes = crypto.getRandomValues(new Uint8Array(65_536))
  const body = new Blob(Array.from({ length: MEDIA_BYTES / bytes.length }, () => bytes))
  try {
    const [written] = await timed(() => store.put(key, body.stream(), { contentType: 'application/octet-stream' }))
    const [read, back] = await timed(async () => new Uint8Array(await new Response((await store.get(key))?.body).arrayBuffer()))
    if (Bun.hash(back) !== Bun.hash(await body.arrayBuffer())) throw new Error('what was read is not what was written')
    return { write: MEDIA_BYTES / (written / 1000), read: MEDIA_BYTES / (read / 1000) }
  } finally {
    await store.delete([key])
  }
}

const timed = async <T>(work: () => Promise<T>): Promise<readonly [ms: number, value: T]> => {
  const startedAt = performance.now()
  const value = await work()
  return [performance.now() - startedAt, value]
}

const median = async (times: number, work: (index: number) => Promise<unknown>): Promise<number> => {
  const all: number[] = []
  for (let index = 0; index < times; index++) all.push((await timed(() => work(index)))[0])
  return all.sort((a, b) => a - b)[times >> 1] ?? 0
}
