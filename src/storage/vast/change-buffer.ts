import type { TableName } from '../schema.ts'
import type { LogEntry } from '../tables.ts'
import type { SourceRow } from './row-source.ts'

/** What is to become of the row with one key. */
export interface Change {
  /** The `$row_id` of the row that the transaction's snapshot has under this key; absent where it has none. */
  readonly rowId: bigint | undefined
  /** The whole row as it shall be; absent when it goes. */
  readonly row: SourceRow | undefined
  /** Which cells are set, where `rowId` and `row` are both there. */
  readonly columns: ReadonlySet<string>
  /** The number of the change of an earlier work that this one was made upon; 0 for the snapshot. */
  readonly basis: number
}

type Changes = Map<string, Change>
const NONE: ReadonlyMap<string, Change> = new Map()

/** Changes that others do not see yet: rows by table and key, entries of the log, and which tables are touched. */
export class ChangeBuffer {
  readonly log: LogEntry[] = []
  readonly touched = new Set<TableName>()
  readonly #tables = new Map<TableName, Changes>()

  get(table: TableName, key: string): Change | undefined {
    return this.#tables.get(table)?.get(key)
  }

  of(table: TableName): ReadonlyMap<string, Change> {
    return this.#tables.get(table) ?? NONE
  }

  set(table: TableName, key: string, change: Change): void {
    this.#tables.getOrInsertComputed(table, () => new Map()).set(key, change)
  }

  tables(): Iterable<readonly [TableName, ReadonlyMap<string, Change>]> {
    return this.#tables
  }

  get isEmpty(): boolean {
    return this.#tables.size === 0 && this.log.length === 0
  }
}

/** The changes of the works of a batch that have succeeded, in the order in which they did. */
export class MergedChanges {
  readonly buffer = new ChangeBuffer()
  readonly #numbers = new Map<TableName, Map<string, number>>()
  #count = 0

  /** The number of the work that changed the row last; 0 for none. */
  numberOf(table: TableName, key: string): number {
    return this.#numbers.get(table)?.get(key) ?? 0
  }

  /**
   * Takes the changes of a work over, or refuses: then another work has changed one of its rows meanwhile (they share no lock), and it
   * has to run again.
   */
  merge(changes: ChangeBuffer): boolean {
    for (const [table, rows] of changes.tables()) for (const [key, { basis }] of rows) if (this.numberOf(table, key) !== basis) return false
    this.#count += 1
    for (const [table, rows] of changes.tables()) {
      const numbers = this.#numbers.getOrInsertComputed(table, () => new Map())
      for (const [key, change] of rows) {
        this.buffer.set(table, key, change)
        numbers.set(key, this.#count)
      }
    }
    for (const table of changes.touched) this.buffer.touched.add(table)
    this.buffer.log.push(...changes.log)
    return true
  }
}
