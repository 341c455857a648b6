import { and, eq, isIn } from '../core/predicate.ts'
import type { Row } from '../storage/schema.ts'
import type { ReadTx, WriteTx } from '../storage/tables.ts'
import type { Deps } from './deps.ts'
import type { GetUrlItem } from './get-urls.ts'

/** Pairs of object and flow remembered between two flushes; above it accesses to further pairs are only counted as missed. */
const MOST_PAIRS = 20_000
/** In one transaction: other writers wait no longer than a few milliseconds. */
const PAIRS_AT_ONCE = 250

/** Reads of bytes do not tell through which flow they were found, nor does the page of an object: these are counted under `''`. */
export const NO_FLOW = ''

interface Count {
  signed: number
  reads: number
  bytes: number
  /** Microseconds since the Unix epoch. */
  lastUs: bigint
}

interface ReadCount extends Count {
  readonly storageId: string
  readonly key: string
}

interface Change extends Count {
  readonly flowId: string
  readonly objectId: string
}

/**
 * How often media objects are asked for (`object_access`): URLs signed and bytes served by this process. Counting is memory only and
 * bounded; `flush` writes. A crash loses what was counted since the last flush. Reads that go to S3 directly are not seen.
 */
export class AccessCounts {
  private signed = new Map<string, Map<string, Count>>()
  private reads = new Map<string, ReadCount>()
  private pairs = 0
  private flushing: Promise<void> = Promise.resolve()
  /** Accesses that were not counted because too many different objects were asked for between two flushes. */
  missed = 0

  constructor(
    private readonly deps: Pick<Deps, 'tables' | 'clock'>,
    private readonly mostPairs = MOST_PAIRS,
  ) {}

  /** Gives what counts the pre-signed URLs of objects shown for a flow; one for a whole page. */
  signedFor(flowId: string): (objectId: string, urls: readonly GetUrlItem[]) => void {
    const lastUs = this.deps.clock.nowUs()
    let objects = this.signed.get(flowId)
    return (objectId, urls) => {
      let signed = 0
      for (const { presigned } of urls) if (presigned === true) signed++
      if (signed === 0) return
      const count = objects?.get(objectId)
      if (count) {
        count.signed += signed
        count.lastUs = lastUs
      } else if (this.pairs >= this.mostPairs) this.missed += signed
      else {
        objects ??= this.of(flowId)
        objects.set(objectId, { signed, reads: 0, bytes: 0, lastUs })
        this.pairs++
      }
    }
  }

  /** A GET of an object's bytes was answered with so many. */
  served(key: string, storageId: string, bytes: number): void {
    const name = `${storageId} ${key}`
    const lastUs = this.deps.clock.nowUs()
    const count = this.reads.get(name)
    if (count) {
      count.reads++
      count.bytes += bytes
      count.lastUs = lastUs
    } else if (this.pairs >= this.mostPairs) this.missed++
    else {
      this.reads.set(name, { storageId, key, signed: 0, reads: 1, bytes, lastUs })
      this.pairs++
    }
  }

  /** Writes what was counted so far, in transactions of bounded size. What could not be written is kept for the next time. */
  flush(): Promise<void> {
    const flushed = this.flushing.then(() => this.write())
    this.flushing = flushed.catch(() => {})
    return flushed
  }

  private async write(): Promise<void> {
    const { signed, reads } = this
    this.signed = new Map()
    this.reads = new Map()
    this.pairs = 0
    const left = [...reads.values()]
    const changes = Array.from(signed, ([flowId, objects]) =>
      Array.from(objects, ([objectId, count]) => ({ flowId, objectId, ...count })),
    ).flat()
    try {
      while (left.length > 0) {
        const part = left.slice(0, PAIRS_AT_ONCE)
        changes.push(...(await this.deps.tables.read((tx) => objectsRead(tx, part))))
        left.splice(0, part.length)
      }
      while (changes.length > 0) {
        const part = changes.slice(0, PAIRS_AT_ONCE)
        await this.deps.tables.write((tx) => addCounts(tx, part))
        changes.splice(0, part.length)
      }
    } catch (error) {
      for (const each of left) this.keepRead(each)
      for (const each of changes) this.keepChange(each)
      throw error
    }
  }

  private of(flowId: string): Map<string, Count> {
    const objects = this.signed.get(flowId) ?? new Map<string, Count>()
    this.signed.set(flowId, objects)
    return objects
  }

  private keepRead(count: ReadCount): void {
    const name = `${count.storageId} ${count.key}`
    const known = this.reads.get(name)
    if (known) addTo(known, count)
    else if (this.room(count)) this.reads.set(name, count)
  }

  private keepChange({ flowId, objectId, ...count }: Change): void {
    const objects = this.of(flowId)
    const known = objects.get(objectId)
    if (known) addTo(known, count)
    else if (this.room(count)) objects.set(objectId, count)
  }

  private room({ signed, reads }: Count): boolean {
    if (this.pairs < this.mostPairs) {
      this.pairs++
      return true
    }
    this.missed += signed + reads
    return false
  }
}

const addTo = (count: Count, more: Count): void => {
  count.signed += more.signed
  count.reads += more.reads
  count.bytes += more.bytes
  if (more.lastUs > count.lastUs) count.lastUs = more.lastUs
}

/** Which objects the bytes were of. */
const objectsRead = async (tx: ReadTx, reads: readonly ReadCount[]): Promise<Change[]> => {
  const changes: Change[] = []
  for (const { storageId, key, ...count } of reads) {
    const instance = await tx.find('object_instances', [storageId, key])
    if (instance) changes.push({ flowId: NO_FLOW, objectId: instance.object_id, ...count })
  }
  return changes
}

const addCounts = async (tx: WriteTx, changes: readonly Change[]): Promise<void> => {
  await tx.lock(['object_access'])
  const byFlow = Map.groupBy(changes, ({ flowId }) => flowId)
  for (const [flowId, ofFlow] of byFlow) {
    const ids = [...new Set(ofFlow.map(({ objectId }) => objectId))]
    const { rows: objects } = await tx.list('objects', {
      columns: ['id'],
      where: and(isIn('id', ids), eq('deletion_id', '')),
      limit: ids.length,
    })
    const { rows: before } = await tx.list('object_access', {
      where: and(isIn('object_id', ids), eq('flow_id', flowId)),
      limit: ids.length,
    })
    // An object that was deleted meanwhile leaves no row behind.
    const rows = new Map(objects.map(({ id }): [string, Row<'object_access'>] => [id, noAccess(id, flowId)]))
    for (const row of before) if (rows.has(row.object_id)) rows.set(row.object_id, row)
    for (const { objectId, signed, reads, bytes, lastUs } of ofFlow) {
      const row = rows.get(objectId)
      if (!row) continue
      row.signed_count += BigInt(signed)
      row.read_count += BigInt(reads)
      row.read_bytes += BigInt(bytes)
      if (lastUs > row.last_access) row.last_access = lastUs
    }
    await tx.put('object_access', [...rows.values()])
  }
}

const noAccess = (object_id: string, flow_id: string): Row<'object_access'> => ({
  object_id,
  flow_id,
  signed_count: 0n,
  read_count: 0n,
  read_bytes: 0n,
  last_access: 0n,
})
