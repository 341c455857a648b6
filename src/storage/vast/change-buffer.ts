import type { Scalar } from '../../core/predicate.ts'
import type { TableName } from '../schema.ts'
import type { LogEntry } from '../tables.ts'
import { firstCell, keyText } from './row-keys.ts'
import type { SourceRow } from './row-source.ts'

/** What is to become of the row with one key. */
export interface Change {
  /** The `$row_id` of the row that the transaction's snapshot has under this key; absent where it has none, or as long as nobody has looked. */
  readonly rowId: bigint | undefined
  /** The whole row as it shall be; absent when it goes. */
  readonly row: SourceRow | undefined
  /** Which cells are set, where `rowId` and `row` are both there. */
  readonly columns: ReadonlySet<string>
  /** How many works had been merged when the row was first read; it may have been changed since. */
  readonly basis: number
}

/** A key of which nobody has looked whether the snapshot has a row there. */
export interface Unseen {
  readonly table: TableName
  readonly key: readonly Scalar[]
  readonly text: string
  /** A row was inserted there: none may be there. */
  readonly isNew: boolean
}

type Changes = Map<string, Change>
const newChanges = (): Changes => new Map()
const addTo = (groups: Map<string, Changes>, key: string, change: Change): void => {
  groups.getOrInsertComputed(firstCell(key), newChanges).set(key, change)
}
const NONE: ReadonlyMap<string, Change> = new Map()

/** Tables of rows with keys that nobody else makes: nobody collides there, and nothing has to be looked up before they are inserted. */
export const OWN_KEYS: ReadonlySet<TableName> = new Set(['audit', 'auth_log', 'changes', 'event_log', 'outbox'])

/** Changes that others do not see yet: rows by table and key, entries of the log, and which tables are touched. */
export class ChangeBuffer {
  readonly log: LogEntry[] = []
  readonly touched = new Set<TableName>()
  readonly unseen: Unseen[] = []
  readonly #tables = new Map<TableName, Changes>()
  /** The same by the first column of the key, for tables that were asked for like that: works on other flows need not look at them. */
  readonly #byFirst = new Map<TableName, Map<string, Changes>>()

  get(table: TableName, key: string): Change | undefined {
    return this.#tables.get(table)?.get(key)
  }

  /** The changes of a table, or only those of keys that begin with this value. */
  of(table: TableName, first?: Scalar): ReadonlyMap<string, Change> {
    const all = this.#tables.get(table)
    if (first === undefined || !all) return all ?? NONE
    const groups = this.#byFirst.getOrInsertComputed(table, () => {
      const made = new Map<string, Changes>()
      for (const [key, change] of all) addTo(made, key, change)
      return made
    })
    return groups.get(keyText([first])) ?? NONE
  }

  set(table: TableName, key: string, change: Change): void {
    this.#tables.getOrInsertComputed(table, newChanges).set(key, change)
    const groups = this.#byFirst.get(table)
    if (groups) addTo(groups, key, change)
  }

  tables(): Iterable<readonly [TableName, ReadonlyMap<string, Change>]> {
    return this.#tables
  }

  /** Names of the rows that are changed. */
  rowNames(): readonly string[] {
    return [...this.#tables].flatMap(([table, rows]) => (OWN_KEYS.has(table) ? [] : [...rows.keys()].map((key) => `${table} ${key}`)))
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

  /** How many works have been merged. */
  get count(): number {
    return this.#count
  }

  /**
   * Takes the changes of a work over, or names a row that another work has changed since this one read it (they share no lock): then
   * nothing is taken, and the work has to run again.
   */
  merge(changes: ChangeBuffer): string | undefined {
    for (const [table, rows] of changes.tables())
      for (const [key, { basis }] of rows) if ((this.#numbers.get(table)?.get(key) ?? 0) > basis) return `${table} ${key}`
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
    this.buffer.unseen.push(...changes.unseen)
    return undefined
  }
}
