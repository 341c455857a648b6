import type { ReadTx, Tables } from '../src/storage/tables.ts'
import { type DatasetRequest, tablesRead } from './datasets.ts'
import type { RemoteEngine } from './remote-engine.ts'
import type { Step } from './steps.ts'
import { type Entry, TableEntries } from './table-entries.ts'
import { differing, hasDeletedRows, isLinked, keyOf, textOf, versionsOf, withFlows } from './table-keys.ts'
import { TableLoader } from './table-loader.ts'

/** Tables loaded for one query, all of one snapshot. Until `release` they stay. */
export interface Lease {
  /** What each dataset's name stands for in SQL. */
  readonly views: Readonly<Record<string, string>>
  /** Version of every table that the answer depends on, as of the snapshot. */
  readonly versions: Readonly<Record<string, string>>
  /** Rows and bytes that were scanned for this query; 0 where all was loaded already. */
  readonly rowsScanned: number
  readonly bytesLoaded: number
  readonly loadMs: number
  readonly hits: number
  readonly misses: number
  release(): void
}

export interface TableCacheStatistics {
  readonly tables: number
  readonly bytes: number
  readonly max_bytes: number
  readonly hits: number
  readonly misses: number
  readonly evictions: number
  readonly rows_loaded: number
  /** Misses that only what had changed was loaded for. */
  readonly increments: number
}

/** Loaded tables, reused while the versions of what they came from are unchanged. */
export class TableCache {
  private readonly entries: TableEntries
  private readonly loader: TableLoader
  private loading: Promise<unknown> = Promise.resolve()
  private hits = 0
  private misses = 0

  constructor(
    engine: RemoteEngine,
    private readonly tables: Pick<Tables, 'read'>,
    private readonly maxBytes: number,
  ) {
    this.entries = new TableEntries(engine, maxBytes)
    this.loader = new TableLoader(engine, this.entries)
  }

  async acquire(
    requests: readonly DatasetRequest[],
    steps: readonly Step[],
    options: { readonly refresh: boolean; readonly signal: AbortSignal },
  ): Promise<Lease> {
    const wanted = withFlows(requests)
    if (!options.refresh) {
      const lease = await this.tables.read((tx) => this.collect(tx, wanted, steps, undefined))
      if (lease) return lease
    }
    // One load at a time: two queries that need the same table load it once, and memory is not taken twice.
    const before = this.loading
    const done = Promise.withResolvers<void>()
    this.loading = done.promise
    try {
      await before
      options.signal.throwIfAborted()
      const lease = await this.tables.read((tx) => this.collect(tx, wanted, steps, options))
      if (!lease) throw new Error('nothing was loaded')
      await this.entries.evict()
      return lease
    } finally {
      done.resolve()
    }
  }

  statistics(): TableCacheStatistics {
    return {
      tables: this.entries.size,
      bytes: this.entries.bytes,
      max_bytes: this.maxBytes,
      hits: this.hits,
      misses: this.misses,
      evictions: this.entries.evictions,
      rows_loaded: this.loader.rowsLoaded,
      increments: this.loader.increments,
    }
  }

  /** Drops what no query uses, in their turn with loads. */
  async clear(): Promise<void> {
    const cleared = this.loading.then(() => this.entries.shrink(0))
    this.loading = cleared.catch(() => {})
    await cleared
  }

  /** Without `loading`, undefined as soon as something would have to be loaded. */
  private async collect(
    tx: ReadTx,
    requests: readonly DatasetRequest[],
    steps: readonly Step[],
    loading: { readonly refresh: boolean; readonly signal: AbortSignal } | undefined,
  ): Promise<Lease | undefined> {
    const besideTrash = await hasDeletedRows(tx)
    const late = steps.flatMap((step) => (step.kind === 'late' ? [step.request] : []))
    const versions = await versionsOf(tx, [...requests, ...late], besideTrash)
    const held: Entry[] = []
    const views: Record<string, string> = {}
    let flows: Entry | undefined
    let rowsScanned = 0
    let bytesLoaded = 0
    let hits = 0
    const began = performance.now()
    const release = (): void => {
      for (const entry of held.splice(0)) this.entries.free(entry)
    }
    const hold = (name: string, entry: Entry, found: boolean): void => {
      if (found) hits++
      else {
        rowsScanned += entry.rowsScanned
        bytesLoaded += entry.bytes
      }
      this.entries.hold(entry)
      held.push(entry)
      if (entry.index !== undefined) flows = entry
      views[name] = entry.select
    }
    const take = async (request: DatasetRequest): Promise<boolean> => {
      const own = Object.fromEntries([...tablesRead(request, besideTrash)].map((table) => [table, versions[table] ?? '']))
      const found = loading?.refresh ? undefined : this.find(request, own, flows)
      if (found) hold(request.dataset, found, true)
      else if (loading)
        hold(request.dataset, await this.loader.load(tx, { ...request, besideTrash }, { versions: own, flows, ...loading }), false)
      else return false
      return true
    }
    // A step rests on all that is there before it, by whatever that was made of.
    const carryOut = async (step: Step): Promise<boolean> => {
      const own = step.kind === 'late' ? keyOf(step.request) : textOf(step.bind ?? {})
      const key = JSON.stringify([step.name, step.sql, own, held.map((entry) => textOf([entry.key, entry.numbering])).sort()])
      const kept = loading?.refresh ? undefined : this.entries.get(key)
      const found = kept && differing(kept.versions, versions).length === 0 ? kept : undefined
      if (found) hold(step.name, found, true)
      else if (loading) {
        const { signal } = loading
        hold(step.name, await this.loader.make(tx, step, { key, versions, views, flows, besideTrash, signal }), false)
      } else return false
      return true
    }
    const all = async (some: readonly DatasetRequest[]): Promise<boolean> => {
      // All have ended before anything is released, also where one fails.
      const taken = await Promise.allSettled(some.map(take))
      return taken.every((each) => {
        if (each.status === 'rejected') throw each.reason
        return each.value
      })
    }
    try {
      const isFlows = ({ dataset }: DatasetRequest): boolean => dataset === 'flows'
      // What belongs to flows needs their numbering; otherwise scans may run side by side.
      const complete = (await all(requests.filter(isFlows))) && (await all(requests.filter((each) => !isFlows(each))))
      let made = complete
      for (const step of steps) made &&= await carryOut(step)
      if (!made) {
        release()
        return undefined
      }
    } catch (error) {
      release()
      throw error
    }
    this.hits += hits
    const misses = requests.length + steps.length - hits
    this.misses += misses
    return { views, versions, rowsScanned, bytesLoaded, loadMs: performance.now() - began, hits, misses, release }
  }

  private find(request: DatasetRequest, versions: Readonly<Record<string, string>>, flows: Entry | undefined): Entry | undefined {
    const entry = this.entries.get(keyOf(request))
    if (!entry || differing(entry.versions, versions).length > 0) return undefined
    return isLinked(request) && entry.numbering !== flows?.numbering ? undefined : entry
  }
}
