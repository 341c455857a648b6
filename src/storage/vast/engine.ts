import { TamsError } from '../../core/errors.ts'
import { type Database, splitsFor, type Table as TableHandle, type VastClient } from '../../vastdb/index.ts'
import type { TableName } from '../schema.ts'
import { Hints } from './hints.ts'

/** Statistics change slowly: they only say in how many shares a scan is read. */
const STATS_MS = 60_000
/** A table from which on a scan is worth spreading over all endpoints. */
const SPREAD_ROWS = 1_000_000n
/** What one reader takes at a time: a smaller table has work for one only, and each reader more answers with all columns, be they empty. */
const READER_ROWS = 524_288n
const READERS = 4

/** In how many parts a query is read: at a time from here, and inside the cluster. */
export interface Shares {
  readonly splits: number
  readonly subsplits: number
}

export const ONE_SHARE: Shares = { splits: 1, subsplits: 1 }

/** A connected cluster with our tables in one of its schemas. */
export class VastEngine {
  readonly hints = new Hints()
  readonly #shares = new Map<TableName, { readonly atMs: number; readonly shares: Promise<Shares> }>()

  constructor(
    readonly client: VastClient,
    readonly schema: string,
    private readonly handles: ReadonlyMap<TableName, TableHandle>,
    /** Rows of `locks`. */
    readonly lockSlots: number,
    /** Milliseconds of any steady clock. */
    private readonly nowMs: () => number,
  ) {}

  /** What queries and changes of a table are addressed with. */
  handle(table: TableName): TableHandle {
    const handle = this.handles.get(table)
    if (!handle) throw new TamsError('internal', `table ${table} was not opened`)
    return handle
  }

  /** The shares of a scan of the table. */
  shares(database: Database, table: TableName): Promise<Shares> {
    const known = this.#shares.get(table)
    const now = this.nowMs()
    if (known && now - known.atMs < STATS_MS) return known.shares
    const shares = database.stats(this.handle(table)).then(({ numRows }) => {
      if (numRows < READER_ROWS) return ONE_SHARE
      return { splits: numRows < SPREAD_ROWS ? 1 : Math.max(splitsFor(numRows), this.client.health().length), subsplits: READERS }
    })
    this.#shares.set(table, { atMs: now, shares })
    shares.catch(() => this.#shares.delete(table))
    return shares
  }
}
