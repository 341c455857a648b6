import type { RecordBatch } from 'apache-arrow'
import { and, everything, isIn, type Predicate } from '../src/core/predicate.ts'
import type { ColumnName, TableName } from '../src/storage/schema.ts'
import type { ReadTx } from '../src/storage/tables.ts'
import { type DatasetRequest, datasetOf, loadColumns } from './datasets.ts'
import type { Query } from './engine.ts'
import type { FlowColumn, Loaded } from './engine-protocol.ts'
import { isEverything } from './filters.ts'
import type { FlowDifference } from './flow-index.ts'
import type { RemoteEngine } from './remote-engine.ts'
import type { Step } from './steps.ts'
import type { Entry, TableEntries } from './table-entries.ts'
import { differing, keyOf, linkColumns } from './table-keys.ts'

export interface LoadRequest extends DatasetRequest {
  readonly besideTrash: boolean
}

/** What a load rests on. */
export interface LoadBase {
  /** Of every table that the rows depend on, as of the transaction. */
  readonly versions: Readonly<Record<string, string>>
  readonly flows: Entry | undefined
  /** Load all, whatever is there. */
  readonly refresh: boolean
  readonly signal: AbortSignal
}

export interface StepBase extends Omit<LoadBase, 'refresh'> {
  readonly key: string
  readonly views: Readonly<Record<string, string>>
  readonly besideTrash: boolean
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

/** Makes entries: of all rows that a request wants, of those that have changed, or of a query over what is there. */
export class TableLoader {
  rowsLoaded = 0
  /** Loads of only what had changed. */
  increments = 0
  private names = 0

  constructor(
    private readonly engine: RemoteEngine,
    private readonly entries: TableEntries,
  ) {}

  async load(tx: ReadTx, request: LoadRequest, base: LoadBase): Promise<Entry> {
    const change = base.refresh ? undefined : await this.changeOf(request, base)
    const entry = change ? await this.loadChange(tx, request, base, change) : await this.loadWhole(tx, request, base)
    this.rowsLoaded += entry.rowsScanned
    return entry
  }

  async make(tx: ReadTx, step: Step, { key, versions, views, flows, besideTrash, signal }: StepBase): Promise<Entry> {
    const query = { sql: step.sql, views: { ...views }, timeoutMs: STEP_TIMEOUT_MS }
    const flow = step.kind === 'late' ? linking(datasetOf(step.request.dataset).link, flows) : undefined
    const table =
      step.kind !== 'late'
        ? await this.engine.derive(
            { ...query, ...(step.bind && { parameters: step.bind }), name: this.name('t'), repeated: step.kind === 'repeated' },
            signal,
          )
        : await this.scan(tx, { ...step.request, besideTrash }, await this.idLists(step.column, query, signal), flow, signal)
    const { select, rowsScanned, bytes } = table
    this.rowsLoaded += rowsScanned
    return this.entries.add({ key, rowsKey: key, versions, table, select, rowsScanned, bytes })
  }

  private async loadWhole(tx: ReadTx, request: LoadRequest, { versions, flows, signal }: LoadBase): Promise<Entry> {
    const { link } = datasetOf(request.dataset)
    const numbers = link === 'numbers flows'
    if (link !== undefined && !numbers && !flows) throw new Error(`${request.dataset} was asked for before its flows`)
    const few = link === undefined || numbers ? undefined : pushedFlows(request, flows)
    const index = this.name('i')
    const { like, same } = numbers ? this.entries.likeFlows(rowsKeyOf(request), versions) : { same: false }
    const flow: FlowColumn | undefined = numbers ? { kind: 'numbering', index, like: like?.index } : linking(link, flows)
    const table = await this.scan(tx, request, [few ? isIn('flow_id', few) : everything], flow, signal)
    return this.entries.add({
      key: keyOf(request),
      rowsKey: rowsKeyOf(request),
      versions,
      table,
      select: table.select,
      rowsScanned: table.rowsScanned,
      bytes: table.bytes,
      ...(numbers && { index, numbering: same ? like?.numbering : index, flowIds: table.flowIds, hides: table.hides }),
      ...(flow?.kind === 'linking' && flows && { flows, numbering: flows.numbering }),
    })
  }

  /** What has changed since the rows were loaded, where that can be told from the flows and is little; undefined otherwise. */
  private async changeOf(request: LoadRequest, { versions, flows }: LoadBase): Promise<Change | undefined> {
    const { link, table, mutable } = datasetOf(request.dataset)
    const former = this.entries.get(keyOf(request))
    const under = former?.under ?? former
    if (!under?.flows?.index || !flows?.index || link === undefined) return undefined
    if (request.columns.some((column) => mutable?.includes(column))) return undefined
    if (differing(under.versions, versions).some((name) => name !== table && name !== 'flows')) return undefined
    const difference = await this.engine.compare(under.flows.index, flows.index, PUSHED_FLOWS)
    if (!difference || difference.segments > under.rowsScanned * INCREMENT_SHARE) return undefined
    return { under, flows, difference }
  }

  private async loadChange(
    tx: ReadTx,
    request: LoadRequest,
    { versions, signal }: LoadBase,
    { under, flows, difference: { changed, former } }: Change,
  ): Promise<Entry> {
    this.entries.hold(under)
    try {
      const flow = linking(datasetOf(request.dataset).link, flows)
      const table = changed.length === 0 ? undefined : await this.scan(tx, request, [isIn('flow_id', changed)], flow, signal)
      this.increments++
      const kept = former.length === 0 ? under.select : `select * from (${under.select}) where flow not in (${former.join(', ')})`
      return this.entries.add({
        key: keyOf(request),
        rowsKey: rowsKeyOf(request),
        versions,
        numbering: flows.numbering,
        table,
        select: table ? `${kept} union all by name ${table.select}` : kept,
        rowsScanned: table?.rowsScanned ?? 0,
        bytes: table?.bytes ?? 0,
        under,
      })
    } finally {
      this.entries.free(under)
    }
  }

  /** Conditions that together choose the rows with the ids that a query gives. */
  private async idLists(column: string, query: Omit<Query, 'maxRows'>, signal: AbortSignal): Promise<readonly Predicate[]> {
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
    signal: AbortSignal,
  ): Promise<Loaded> {
    const { link, table, live, liveBesideTrash } = datasetOf(request.dataset)
    const where = and(request.besideTrash && liveBesideTrash ? liveBesideTrash : live, request.where)
    const columns = [
      ...new Set([...request.columns, ...linkColumns(link, flow?.kind === 'linking' && flow.hiding)]),
    ] as ColumnName<TableName>[]
    return this.engine.load(
      { name: this.name('t'), columns: loadColumns(request.dataset, request.columns), flow, idsUpTo: PUSHED_FLOWS },
      scanParts(parts, (part) => tx.scan(table as TableName, { columns, where: and(where, part), signal })),
    )
  }

  private name(beginning: string): string {
    return `${beginning}${++this.names}`
  }
}

interface Change {
  readonly under: Entry
  readonly flows: Entry
  readonly difference: FlowDifference
}

const rowsKeyOf = (request: DatasetRequest): string => keyOf({ ...request, columns: [] })

async function* scanParts(
  parts: readonly Predicate[],
  scan: (part: Predicate) => AsyncIterable<RecordBatch>,
): AsyncGenerator<RecordBatch, void, undefined> {
  for (const part of parts) yield* scan(part)
}

// Filtering by flows only helps where there is such a filter: else all flows would be named.
const pushedFlows = (request: DatasetRequest, flows: Entry | undefined): readonly string[] | undefined =>
  isEverything(request.flows) ? undefined : flows?.flowIds

const linking = (link: string | undefined, flows: Entry | undefined): FlowColumn | undefined =>
  link === undefined || flows?.index === undefined
    ? undefined
    : { kind: 'linking', index: flows.index, hiding: link === 'of flows, hiding' && flows.hides === true }
