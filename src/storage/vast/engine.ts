import { TamsError } from '../../core/errors.ts'
import { type Database, splitsFor, type Table as TableHandle, type VastClient } from '../../vastdb/index.ts'
import type { Row, TableName } from '../schema.ts'
import { TableWatch } from '../table-watch.ts'
import { ChangesLook } from './changes-look.ts'
import { Hints } from './hints.ts'
import { RowCache } from './row-cache.ts'
import { ONE_SHARE, type Shares } from './shares.ts'
import { SnapshotSource } from './snapshot-source.ts'

/** Statistics change slowly: they only say in how many shares a scan is read. */
const STATS_MS = 60_000
/** A table from which on a scan is worth spreading over all endpoints. */
const SPREAD_ROWS = 1_000_000n
/** What one reader takes at a time: a smaller table has work for one only, and each reader more answers with all columns, be they empty. */
const READER_ROWS = 524_288n
const READERS = 4

/** A connected cluster with our tables in one of its schemas. */
export class VastEngine {
  readonly hints = new Hints()
  /** What reads of this process remember. */
  readonly rowCache = new RowCache()
  /** Which tables have changed. */
  readonly watch: TableWatch
  readonly #changes: ChangesLook
  readonly #shares = new Map<TableName, { readonly atMs: number; readonly shares: Promise<Shares> }>()

  constructor(
    readonly client: VastClient,
    readonly schema: string,
    private readonly handles: ReadonlyMap<TableName, TableHandle>,
    /** Rows of `locks`. */
    readonly lockSlots: number,
    /** Milliseconds of any steady clock. */
    private readonly nowMs: () => number,
  ) {
    this.#changes = new ChangesLook(new SnapshotSource(this, client.database))
    this.watch = new TableWatch({ look: () => this.#changes.look(), sleep: Bun.sleep })
  }

  /** This process has committed changes with these marks. */
  committed(marks: readonly Row<'changes'>[]): void {
    this.#changes.note(marks)
    this.watch.touch(marks.map(({ table_name: table }) => table as TableName))
  }

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
