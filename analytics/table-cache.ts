import type { RecordBatch } from 'apache-arrow'
import { and, everything, isIn, type Predicate } from '../src/core/predicate.ts'
import type { ColumnName, TableName } from '../src/storage/schema.ts'
import type { ReadTx, Tables } from '../src/storage/tables.ts'
import { type DatasetRequest, datasetOf, loadColumns, tablesRead } from './datasets.ts'
import type { Query } from './engine.ts'
import type { FlowColumn, Loaded } from './engine-protocol.ts'
import { isEverything } from './filters.ts'
import type { FlowDifference } from './flow-index.ts'
import type { RemoteEngine } from './remote-engine.ts'
import type { Step } from './steps.ts'
import { differing, hasDeletedRows, isLinked, keyOf, linkColumns, textOf, versionsOf, withFlows } from './table-keys.ts'

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

interface Entry {
  readonly key: string
  /** The same for entries of the same rows with other columns. */
  readonly rowsKey: string
  /** Grows from entry to entry. */
  readonly loaded: number
  readonly versions: Readonly<Record<string, string>>
  /** Absent where nothing had to be loaded beside `under`. */
  readonly table: Loaded | undefined
  readonly select: string
  readonly rowsScanned: number
  readonly bytes: number
  /** Which numbers flows have here. Entries of one lease have the same. */
  readonly numbering?: string | undefined
  /** Of flows: the name of their index, whether segments of theirs are hidden, and their ids where they are few. */
  readonly index?: string
  readonly hides?: boolean | undefined
  readonly flowIds?: readonly string[] | undefined
  /** Of what belongs to flows: these. */
  readonly flows?: Entry
  /** Of an increment: what the rest of the rows is. */
  readonly under?: Entry
  /** Leases, and entries that rest on this one. */
  users: number
  lastUse: number
}

// A filter that leaves few flows goes into the scan of what belongs to them; above this it would be longer than useful.
const PUSHED_FLOWS = 500
// Above so many a scan of all rows is no slower than looking each of them up.
const LATE_IDS = 300_000
const IDS_OF_A_SCAN = 30_000
// The signal ends it in time.
const STEP_TIMEOUT_MS = 2 ** 31 - 1
/** Above this share of the rows an increment saves little. */
const INCREMENT_SHARE = 0.25

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
  private increments = 0

  constructor(
    private readonly engine: RemoteEngine,
    private readonly tables: Pick<Tables, 'read'>,
    private readonly maxBytes: number,
  ) {}

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
      await this.evict()
      return lease
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
      increments: this.increments,
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
      for (const entry of held.splice(0)) this.free(entry)
    }
    const hold = (name: string, entry: Entry, found: boolean): void => {
      if (found) hits++
      else {
        rowsScanned += entry.rowsScanned
        bytesLoaded += entry.bytes
      }
      entry.users++
      entry.lastUse = ++this.uses
      held.push(entry)
      if (entry.index !== undefined) flows = entry
      views[name] = entry.select
    }
    const take = async (request: DatasetRequest): Promise<boolean> => {
      const own = Object.fromEntries([...tablesRead(request, besideTrash)].map((table) => [table, versions[table] ?? '']))
      const found = loading?.refresh ? undefined : this.find(request, own, flows)
      if (!found && !loading) return false
      hold(request.dataset, found ?? (await this.load(tx, { ...request, besideTrash }, own, flows, loading)), found !== undefined)
      return true
    }
    // A step rests on all that is there before it, by whatever that was made of.
    const carryOut = async (step: Step): Promise<boolean> => {
      const own = step.kind === 'late' ? keyOf(step.request) : textOf(step.bind ?? {})
      const key = JSON.stringify([step.name, step.sql, own, held.map((entry) => textOf([entry.key, entry.numbering])).sort()])
      const kept = loading?.refresh ? undefined : this.entries.get(key)
      const found = kept && differing(kept.versions, versions).length === 0 ? kept : undefined
      if (!found && !loading) return false
      const entry = found ?? (await this.make(tx, step, { key, versions, views, flows, besideTrash }, loading?.signal))
      hold(step.name, entry, found !== undefined)
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

  /** Flows chosen by the same condition, whatever their columns: of the same snapshot, or the latest. */
  private likeFlows(
    request: DatasetRequest,
    versions: Readonly<Record<string, string>>,
  ): { readonly like?: Entry; readonly same: boolean } {
    const key = keyOf({ ...request, columns: [] })
    const alike = [...this.entries.values(), ...this.retired].filter((entry) => entry.index !== undefined && entry.rowsKey === key)
    const same = alike.find((entry) => differing(entry.versions, versions).length === 0)
    const like = same ?? alike.sort((a, b) => b.loaded - a.loaded)[0]
    return { ...(like && { like }), same: same !== undefined }
  }

  private async load(
    tx: ReadTx,
    request: LoadRequest,
    versions: Readonly<Record<string, string>>,
    flows: Entry | undefined,
    loading: { readonly refresh: boolean; readonly signal: AbortSignal } | undefined,
  ): Promise<Entry> {
    const key = keyOf(request)
    const former = this.entries.get(key)
    const change = loading?.refresh ? undefined : await this.changeOf(request, versions, former, flows)
    const entry = change
      ? await this.loadIncrement(tx, request, versions, change, loading?.signal)
      : await this.loadWhole(tx, request, versions, flows, loading?.signal)
    this.rowsLoaded += entry.rowsScanned
    this.entries.set(key, entry)
    if (former) this.retire(former)
    return entry
  }

  private async loadWhole(
    tx: ReadTx,
    request: LoadRequest,
    versions: Readonly<Record<string, string>>,
    flows: Entry | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Entry> {
    const { link } = datasetOf(request.dataset)
    const numbers = link === 'numbers flows'
    if (link !== undefined && !numbers && !flows) throw new Error(`${request.dataset} was asked for before its flows`)
    const few = link === undefined || numbers ? undefined : pushedFlows(request, flows)
    const index = `i${++this.names}`
    const { like, same } = numbers ? this.likeFlows(request, versions) : { same: false }
    const flow: FlowColumn | undefined = numbers ? { kind: 'numbering', index, like: like?.index } : linking(link, flows)
    const table = await this.scan(tx, request, [few ? isIn('flow_id', few) : everything], flow, signal)
    if (flow?.kind === 'linking' && flows) flows.users++
    return {
      ...this.entryOf(request, versions),
      table,
      select: table.select,
      rowsScanned: table.rowsScanned,
      bytes: table.bytes,
      ...(numbers && { index, numbering: same ? like?.numbering : index, flowIds: table.flowIds, hides: table.hides }),
      ...(flow?.kind === 'linking' && flows && { flows, numbering: flows.numbering }),
    }
  }

  private entryOf(request: DatasetRequest, versions: Readonly<Record<string, string>>) {
    const order = ++this.uses
    return { key: keyOf(request), rowsKey: keyOf({ ...request, columns: [] }), loaded: order, versions, users: 0, lastUse: order }
  }

  /** What has changed since the rows were loaded, where that can be told from the flows and is little; undefined otherwise. */
  private async changeOf(
    request: DatasetRequest,
    versions: Readonly<Record<string, string>>,
    former: Entry | undefined,
    flows: Entry | undefined,
  ): Promise<Change | undefined> {
    const { link, table, mutable } = datasetOf(request.dataset)
    const base = former?.under ?? former
    if (!base?.flows?.index || !flows?.index || link === undefined) return undefined
    if (request.columns.some((column) => mutable?.includes(column))) return undefined
    if (differing(base.versions, versions).some((name) => name !== table && name !== 'flows')) return undefined
    const difference = await this.engine.compare(base.flows.index, flows.index, PUSHED_FLOWS)
    if (!difference || difference.segments > base.rowsScanned * INCREMENT_SHARE) return undefined
    return { base, flows, difference }
  }

  private async loadIncrement(
    tx: ReadTx,
    request: LoadRequest,
    versions: Readonly<Record<string, string>>,
    { base, flows, difference: { changed, former } }: Change,
    signal: AbortSignal | undefined,
  ): Promise<Entry> {
    const flow = linking(datasetOf(request.dataset).link, flows)
    const table = changed.length === 0 ? undefined : await this.scan(tx, request, [isIn('flow_id', changed)], flow, signal)
    base.users++
    this.increments++
    const kept = former.length === 0 ? base.select : `select * from (${base.select}) where flow not in (${former.join(', ')})`
    return {
      ...this.entryOf(request, versions),
      numbering: flows.numbering,
      table,
      select: table ? `${kept} union all by name ${table.select}` : kept,
      rowsScanned: table?.rowsScanned ?? 0,
      bytes: table?.bytes ?? 0,
      under: base,
    }
  }

  private async make(
    tx: ReadTx,
    step: Step,
    { key, versions, views, flows, besideTrash }: StepBase,
    signal: AbortSignal | undefined,
  ): Promise<Entry> {
    const query = { sql: step.sql, views: { ...views }, timeoutMs: STEP_TIMEOUT_MS }
    const flow = step.kind === 'late' ? linking(datasetOf(step.request.dataset).link, flows) : undefined
    const table =
      step.kind === 'derived'
        ? await this.engine.derive({ ...query, ...(step.bind && { parameters: step.bind }), name: `t${++this.names}` }, signal)
        : await this.scan(tx, { ...step.request, besideTrash }, await this.idLists(step.column, query, signal), flow, signal)
    const { select, rowsScanned, bytes } = table
    const order = ++this.uses
    const former = this.entries.get(key)
    const entry: Entry = { key, rowsKey: key, loaded: order, versions, users: 0, lastUse: order, table, select, rowsScanned, bytes }
    this.rowsLoaded += rowsScanned
    this.entries.set(key, entry)
    if (former) this.retire(former)
    return entry
  }

  /** Conditions that together choose the rows with the ids that a query gives. */
  private async idLists(column: string, query: Omit<Query, 'maxRows'>, signal: AbortSignal | undefined): Promise<readonly Predicate[]> {
    const { rows } = await this.engine.query({ ...query, maxRows: LATE_IDS + 1, signal })
    if (rows.length > LATE_IDS) return [everything]
    const ids = rows.map(([id]) => String(id)).sort()
    return Array.from({ length: Math.ceil(ids.length / IDS_OF_A_SCAN) }, (_, i) =>
      isIn(column, ids.slice(i * IDS_OF_A_SCAN, (i + 1) * IDS_OF_A_SCAN)),
    )
  }

  /** `parts`: conditions of which each row fulfils one at most. */
  private scan(
    tx: ReadTx,
    request: LoadRequest,
    parts: readonly Predicate[],
    flow: FlowColumn | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Loaded> {
    const { link, table, live, liveBesideTrash } = datasetOf(request.dataset)
    const where = and(request.besideTrash && liveBesideTrash ? liveBesideTrash : live, request.where)
    const columns = [
      ...new Set([...request.columns, ...linkColumns(link, flow?.kind === 'linking' && flow.hiding)]),
    ] as ColumnName<TableName>[]
    return this.engine.load(
      { name: `t${++this.names}`, columns: loadColumns(request.dataset, request.columns), flow, idsUpTo: PUSHED_FLOWS },
      scanParts(parts, (part) => tx.scan(table as TableName, { columns, where: and(where, part), ...(signal && { signal }) })),
    )
  }

  private bytes(): number {
    return [...this.entries.values(), ...this.retired].reduce((sum, { bytes }) => sum + bytes, 0)
  }

  private evict(): Promise<void> {
    return this.shrink(this.maxBytes)
  }

  private async shrink(maxBytes: number): Promise<void> {
    const victims: Entry[] = []
    let bytes = this.bytes()
    while (bytes > maxBytes) {
      // Flows become idle when the last that rests on them goes.
      const [entry] = [...this.entries.values()].filter(({ users }) => users === 0).sort((a, b) => a.lastUse - b.lastUse)
      if (!entry) break
      this.entries.delete(entry.key)
      this.evictions++
      victims.push(entry)
      this.letGo(entry)
      bytes = this.bytes()
    }
    // All are out of reach before the first is dropped: nobody takes one in between.
    for (const entry of victims) await this.drop(entry)
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
      this.letGo(entry)
      // Nobody waits for it; a failure would be of the database as a whole, which the next query reports.
      this.drop(entry).catch(() => {})
    }
  }

  /** What the entry rests on may go as well. */
  private letGo({ flows, under }: Entry): void {
    for (const entry of [flows, under]) {
      if (!entry) continue
      entry.users--
      if (entry.users === 0 && this.retired.has(entry)) this.retire(entry)
    }
  }

  private async drop({ table, index }: Entry): Promise<void> {
    if (table) await this.engine.drop(table.name)
    if (index !== undefined) await this.engine.dropIndex(index)
  }
}

interface LoadRequest extends DatasetRequest {
  readonly besideTrash: boolean
}

interface StepBase {
  readonly key: string
  readonly versions: Readonly<Record<string, string>>
  readonly views: Readonly<Record<string, string>>
  readonly flows: Entry | undefined
  readonly besideTrash: boolean
}

async function* scanParts(
  parts: readonly Predicate[],
  scan: (part: Predicate) => AsyncIterable<RecordBatch>,
): AsyncGenerator<RecordBatch, void, undefined> {
  for (const part of parts) yield* scan(part)
}

interface Change {
  readonly base: Entry
  readonly flows: Entry
  readonly difference: FlowDifference
}

// Filtering by flows only helps where there is such a filter: else all flows would be named.
const pushedFlows = (request: DatasetRequest, flows: Entry | undefined): readonly string[] | undefined =>
  isEverything(request.flows) ? undefined : flows?.flowIds

const linking = (link: string | undefined, flows: Entry | undefined): FlowColumn | undefined =>
  link === undefined || flows?.index === undefined
    ? undefined
    : { kind: 'linking', index: flows.index, hiding: link === 'of flows, hiding' && flows.hides === true }
