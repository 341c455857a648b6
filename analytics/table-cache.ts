import { and, isIn } from '../src/core/predicate.ts'
import type { ColumnName, TableName } from '../src/storage/schema.ts'
import type { ReadTx, Tables } from '../src/storage/tables.ts'
import { type DatasetRequest, datasetOf, loadColumns, tablesRead } from './datasets.ts'
import { type Engine, memoryFailure } from './engine.ts'
import { FlowIndex } from './flow-index.ts'
import { type LoadedTable, load } from './load.ts'

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
}

interface Entry {
  readonly key: string
  readonly version: string
  readonly table: LoadedTable
  readonly index: FlowIndex | undefined
  users: number
  lastUse: number
}

// A filter that leaves few flows goes into the scan of what belongs to them; above this it would be longer than useful.
const PUSHED_FLOWS = 500

/** Loaded tables, reused while the versions of what they came from are unchanged. */
export class TableCache {
  private readonly entries = new Map<string, Entry>()
  private readonly retired = new Set<Entry>()
  private loading: Promise<unknown> = Promise.resolve()
  private uses = 0
  private names = 0
  private hits = 0
  private misses = 0
  private evictions = 0
  private rowsLoaded = 0

  constructor(
    private readonly engine: Engine,
    private readonly tables: Pick<Tables, 'read'>,
    private readonly maxBytes: number,
  ) {}

  async acquire(requests: readonly DatasetRequest[], options: { readonly refresh: boolean; readonly signal: AbortSignal }): Promise<Lease> {
    const wanted = withFlows(requests)
    if (!options.refresh) {
      const lease = await this.tables.read((tx) => this.collect(tx, wanted, undefined))
      if (lease) return lease
    }
    // One load at a time: two queries that need the same table load it once, and memory is not taken twice.
    const before = this.loading
    const done = Promise.withResolvers<void>()
    this.loading = done.promise
    try {
      await before
      options.signal.throwIfAborted()
      const lease = await this.tables.read((tx) => this.collect(tx, wanted, options))
      if (!lease) throw new Error('nothing was loaded')
      await this.evict()
      return lease
    } catch (error) {
      throw memoryFailure(error) ?? error
    } finally {
      done.resolve()
    }
  }

  statistics(): TableCacheStatistics {
    return {
      tables: this.entries.size + this.retired.size,
      bytes: this.bytes(),
      max_bytes: this.maxBytes,
      hits: this.hits,
      misses: this.misses,
      evictions: this.evictions,
      rows_loaded: this.rowsLoaded,
    }
  }

  /** Drops what no query uses, in their turn with loads. */
  async clear(): Promise<void> {
    const cleared = this.loading.then(() => this.shrink(0))
    this.loading = cleared.catch(() => {})
    await cleared
  }

  /** Without `loading`, undefined as soon as something would have to be loaded. */
  private async collect(
    tx: ReadTx,
    requests: readonly DatasetRequest[],
    loading: { readonly refresh: boolean; readonly signal: AbortSignal } | undefined,
  ): Promise<Lease | undefined> {
    const versions = await versionsOf(tx, requests)
    const held: Entry[] = []
    const views: Record<string, string> = {}
    let index: FlowIndex | undefined
    let rowsScanned = 0
    let bytesLoaded = 0
    let hits = 0
    const began = performance.now()
    const release = (): void => {
      for (const entry of held.splice(0)) this.free(entry)
    }
    try {
      for (const request of requests) {
        const version = [...tablesRead(request)].map((table) => versions[table]).join(' ')
        const found = loading?.refresh ? undefined : this.find(request, version)
        if (!found && !loading) {
          release()
          return undefined
        }
        const entry = found ?? (await this.load(tx, request, version, index, loading?.signal))
        if (found) hits++
        else {
          rowsScanned += entry.table.rowsScanned
          bytesLoaded += entry.table.bytes
        }
        entry.users++
        entry.lastUse = ++this.uses
        held.push(entry)
        index = entry.index ?? index
        views[request.dataset] = entry.table.select
      }
    } catch (error) {
      release()
      throw error
    }
    this.hits += hits
    this.misses += requests.length - hits
    const loadMs = performance.now() - began
    return { views, versions, rowsScanned, bytesLoaded, loadMs, hits, misses: requests.length - hits, release }
  }

  private find(request: DatasetRequest, version: string): Entry | undefined {
    const entry = this.entries.get(keyOf(request))
    return entry?.version === version ? entry : undefined
  }

  private async load(
    tx: ReadTx,
    request: DatasetRequest,
    version: string,
    flows: FlowIndex | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Entry> {
    const { link, table, live } = datasetOf(request.dataset)
    const numbering = link === 'numbers flows' ? new FlowIndex() : undefined
    if (link !== undefined && !numbering && !flows) throw new Error(`${request.dataset} was asked for before its flows`)
    const belonging = linkColumns(link)
    const few = link === undefined || numbering ? undefined : pushedFlows(request, flows)
    const where = and(live, request.where, ...(few ? [isIn('flow_id', few)] : []))
    const scanned = [...new Set([...request.columns, ...belonging])] as ColumnName<TableName>[]
    const loaded = await load(this.engine, {
      name: `t${++this.names}`,
      columns: loadColumns(request.dataset, request.columns),
      derived: numbering?.numbering ?? (link === undefined ? undefined : flows?.linking(link === 'of flows, hiding')),
      batches: tx.scan(table as TableName, { columns: scanned, where, ...(signal && { signal }) }),
    })
    this.rowsLoaded += loaded.rowsScanned
    const entry: Entry = { key: keyOf(request), version, table: loaded, index: numbering, users: 0, lastUse: ++this.uses }
    const former = this.entries.get(entry.key)
    this.entries.set(entry.key, entry)
    if (former) this.retire(former)
    return entry
  }

  private bytes(): number {
    return [...this.entries.values(), ...this.retired].reduce((sum, { table }) => sum + table.bytes, 0)
  }

  private evict(): Promise<void> {
    return this.shrink(this.maxBytes)
  }

  private async shrink(maxBytes: number): Promise<void> {
    const idle = [...this.entries.values()].filter(({ users }) => users === 0).sort((a, b) => a.lastUse - b.lastUse)
    const victims: Entry[] = []
    let bytes = this.bytes()
    for (const entry of idle) {
      if (bytes <= maxBytes) break
      this.entries.delete(entry.key)
      this.evictions++
      bytes -= entry.table.bytes
      victims.push(entry)
    }
    // All are out of reach before the first is dropped: nobody takes one in between.
    for (const { table } of victims) await table.drop()
  }

  private free(entry: Entry): void {
    entry.users--
    if (entry.users > 0) return
    if (this.retired.has(entry)) this.retire(entry)
    else this.evict().catch(() => {})
  }

  private retire(entry: Entry): void {
    if (entry.users > 0) this.retired.add(entry)
    else {
      this.retired.delete(entry)
      // Nobody waits for it; a failure would be of the database as a whole, which the next query reports.
      entry.table.drop().catch(() => {})
    }
  }
}

const LINKS = ['flow_id', 'timeline_id'] as const

const linkColumns = (link: string | undefined): readonly string[] => {
  if (link === undefined) return []
  if (link === 'numbers flows') return ['id', 'timeline_id', 'hidden']
  return link === 'of flows, hiding' ? [...LINKS, 'start_ns'] : LINKS
}

// Filtering by flows only helps where there is such a filter: else all flows would be named.
const pushedFlows = (request: DatasetRequest, flows: FlowIndex | undefined): readonly string[] | undefined =>
  isEverything(request) ? undefined : flows?.idsUpTo(PUSHED_FLOWS)

const isEverything = ({ flows }: DatasetRequest): boolean => flows.kind === 'and' && flows.terms.length === 0

/**
 * With the flows in front of what belongs to them. One query can have only one numbering, so where it asks for flows itself, the
 * linked datasets belong to those.
 */
const withFlows = (requests: readonly DatasetRequest[]): readonly DatasetRequest[] => {
  const linked = requests.find(({ dataset }) => datasetOf(dataset).link?.startsWith('of flows'))
  const own = requests.find(({ dataset }) => dataset === 'flows')
  const flows: DatasetRequest | undefined =
    own ?? (linked && { dataset: 'flows', columns: [], where: linked.flows, flows: { kind: 'and', terms: [] } })
  const rest = requests
    .filter(({ dataset }) => dataset !== 'flows')
    .map((request) => (datasetOf(request.dataset).link && flows ? { ...request, flows: flows.where } : request))
  return flows ? [flows, ...rest] : rest
}

const keyOf = ({ dataset, columns, where, flows }: DatasetRequest): string =>
  JSON.stringify([dataset, [...columns].sort(), where, flows], (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value))

const versionsOf = async (tx: ReadTx, requests: readonly DatasetRequest[]): Promise<Record<string, string>> => {
  const tables = new Set(requests.flatMap((request) => [...tablesRead(request)]))
  const versions: Record<string, string> = {}
  for (const table of tables) versions[table] = await tx.version(table)
  return versions
}
