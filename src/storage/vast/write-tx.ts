import { TamsError } from '../../core/errors.ts'
import type { Predicate, Scalar } from '../../core/predicate.ts'
import { checkRow, checkSet } from '../check-row.ts'
import type { Row, TableName } from '../schema.ts'
import { type TableFacts, tableFacts } from '../table-facts.ts'
import type { InsertOptions, LogEntry, ReadTx, WriteTx } from '../tables.ts'
import { BufferedSource } from './buffered-source.ts'
import { type Change, ChangeBuffer, type MergedChanges, OWN_KEYS } from './change-buffer.ts'
import { columnsOf, compile, split } from './compile-predicate.ts'
import { keepAll } from './evaluate.ts'
import type { Hints } from './hints.ts'
import { LogSource } from './log-source.ts'
import { nextTurn } from './next-turn.ts'
import { VastReadTx } from './read-tx.ts'
import { keyText } from './row-keys.ts'
import { ROW_ID, type SourceRow } from './row-source.ts'
import type { SharedReads } from './shared-reads.ts'
import { translate } from './vast-errors.ts'
import { RunAgain, type WorkLocks } from './work-locks.ts'

export interface WriteTxOptions {
  /** The snapshot that all works of the batch share. */
  readonly snapshot: SharedReads
  /** What works of the batch that have succeeded have changed. */
  readonly merged: MergedChanges
  readonly locks: WorkLocks
  readonly hints: Hints
  /** An insert without the lock that its table demands throws. */
  readonly checkLocks: boolean
  /** Reads the log as it is, also while entries wait for their numbers. */
  readonly anyLog: boolean
  /** Whether keys are looked at before rows are inserted there, or all together before the batch is sent. */
  readonly looksFirst: boolean
  /** The work takes these locks; not necessarily at once. Throws `RunAgain` where it cannot have them in this batch. */
  readonly onLock: (keys: readonly string[]) => void
  /** The work is going to take these locks. */
  readonly onExpect: (keys: readonly string[]) => void
  /** Reads are under way that the work does not wait for. */
  readonly onPrefetch: (reading: Promise<unknown>) => void
}

/** What a work may do: it reads the batch's snapshot and what works before it have changed, and its own changes stay in a buffer. */
export class VastWriteTx extends VastReadTx implements WriteTx {
  readonly changes: ChangeBuffer
  readonly locks = new Set<string>()
  /** Set when nothing of this run may be kept, whatever the work makes of the error. */
  again: RunAgain | undefined
  /** How many works had been merged when a row was first looked up, by table and key. */
  readonly #firstRead: ReadonlyMap<string, number>
  /** `$row_id`s that the snapshot has under the keys of rows to insert or put. */
  readonly #stored = new Map<TableName, Map<string, bigint>>()
  #locking: Promise<void> = Promise.resolve()

  constructor(private readonly options: WriteTxOptions) {
    const changes = new ChangeBuffer()
    const firstRead = new Map<string, number>()
    const onFind = (table: TableName, text: string) => firstRead.getOrInsertComputed(`${table} ${text}`, () => options.merged.count)
    const buffered = new BufferedSource(options.snapshot, [options.merged.buffer, changes], onFind)
    const source = options.anyLog
      ? buffered
      : new LogSource(buffered, (reason) => {
          this.again = reason
        })
    super(source, options.hints)
    this.changes = changes
    this.#firstRead = firstRead
  }

  async lock(keys: readonly string[]): Promise<void> {
    this.assertOpen()
    try {
      this.options.onLock(keys)
    } catch (error) {
      if (error instanceof RunAgain) this.again = error
      throw error
    }
    const locking = this.#locking.then(() => this.options.locks.acquire(this, keys))
    this.#locking = locking.catch((error: unknown) => {
      if (error instanceof RunAgain) this.again = error
    })
    await locking
    for (const key of keys) this.locks.add(key)
  }

  prefetch(reads: (tx: ReadTx) => Promise<unknown>, locks: readonly string[]): void {
    this.assertOpen()
    // At once: lock rows are asked for in one query after the other.
    this.options.onExpect(locks)
    // Not for a work that turns out to have to wait for another batch.
    const reading = nextTurn().then(() => (this.again ? undefined : reads(new VastReadTx(this.options.snapshot, this.hints))))
    this.options.onPrefetch(reading)
  }

  async insert<N extends TableName>(
    table: N,
    rows: readonly Row<N>[],
    { vacant = OWN_KEYS.has(table) }: InsertOptions = {},
  ): Promise<void> {
    await this.#write(async () => {
      const facts = this.#checked(table, rows)
      const keys = rows.map((row) => keyOf(facts, row))
      const { count } = this.options.merged
      const texts = keys.map(keyText)
      if (!vacant) await this.#look(table, keys, texts, true)
      const seen = new Set<string>()
      const at = texts.findIndex((text) => seen.size === seen.add(text).size || this.#isThere(table, text))
      if (at >= 0) throw new TamsError('exists', `A row of ${table} with the key (${keys[at]?.join(', ')}) is there already`)
      this.#place(facts, rows, texts, count)
      // An entry that gets its number was in the log before, and marks put together are what they were.
      if (rows.length > 0 && table !== 'event_log' && table !== 'changes') this.changes.touched.add(table)
    })
  }

  async put<N extends TableName>(table: N, rows: readonly Row<N>[]): Promise<void> {
    await this.#write(async () => {
      const facts = this.#checked(table, rows)
      const keys = rows.map((row) => keyOf(facts, row))
      const { count } = this.options.merged
      const texts = keys.map(keyText)
      await this.#look(table, keys, texts, false)
      this.#place(facts, rows, texts, count)
      if (rows.length > 0) this.changes.touched.add(table)
    })
  }

  async update<N extends TableName>(table: N, where: Predicate, set: Partial<Row<N>>): Promise<number> {
    return this.#write(async () => {
      checkSet(table, set)
      const facts = tableFacts(table)
      const { count } = this.options.merged
      const found = await this.#matching(facts, where, facts.columnNames)
      for (const row of found) {
        const text = keyText(keyOf(facts, row))
        const columns = new Set(Object.keys(set)).union(this.#change(table, text)?.columns ?? NO_COLUMNS)
        this.#set(table, text, { row: { ...row, ...(set as SourceRow) }, columns }, row[ROW_ID], count)
      }
      if (found.length > 0) this.changes.touched.add(table)
      return found.length
    })
  }

  async delete<N extends TableName>(table: N, where: Predicate): Promise<number> {
    return this.#write(async () => {
      const facts = tableFacts(table)
      const { count } = this.options.merged
      const found = await this.#matching(facts, where, facts.key)
      for (const row of found) this.#set(table, keyText(keyOf(facts, row)), { row: undefined, columns: NO_COLUMNS }, row[ROW_ID], count)
      if (found.length > 0 && table !== 'changes') this.changes.touched.add(table)
      return found.length
    })
  }

  async append(entries: readonly LogEntry[]): Promise<void> {
    await this.#write(async () => {
      for (const entry of entries) checkRow('event_log', { ...entry, seq: 0n })
      this.changes.log.push(...entries)
      if (entries.length > 0) this.changes.touched.add('event_log')
    })
  }

  // What is written in this batch has no version yet. One that equals nothing is safe: it only makes a cache miss.
  override async version(table: TableName): Promise<string> {
    const stored = await super.version(table)
    const touched = this.changes.touched.has(table) || this.options.merged.buffer.touched.has(table)
    return touched ? `${stored}+${crypto.randomUUID()}` : stored
  }

  async #write<T>(action: () => Promise<T>): Promise<T> {
    this.assertOpen()
    try {
      return await action()
    } catch (error) {
      throw translate(error, 'writing')
    }
  }

  #checked(table: TableName, rows: readonly unknown[]): TableFacts {
    const facts = tableFacts(table)
    for (const row of rows as readonly SourceRow[]) {
      checkRow(table, row)
      const lock = this.options.checkLocks ? facts.lock?.(row) : undefined
      if (lock !== undefined && !this.locks.has(lock)) throw new Error(`an insert into ${table} needs the lock ${lock} first`)
    }
    return facts
  }

  /** Finds out what the snapshot has under these keys, or leaves it for later. */
  async #look(table: TableName, keys: readonly (readonly Scalar[])[], texts: readonly string[], isNew: boolean): Promise<void> {
    if (!this.options.looksFirst) {
      for (const [i, key] of keys.entries()) {
        const text = texts[i] ?? ''
        if (!this.#change(table, text)) this.changes.unseen.push({ table, key, text, isNew })
      }
      return
    }
    const found = await Promise.all(keys.map((key) => this.options.snapshot.locate(table, key)))
    const ids = this.#stored.getOrInsertComputed(table, () => new Map())
    for (const [i, id] of found.entries()) if (id !== undefined) ids.set(texts[i] ?? '', id)
    this.assertOpen()
  }

  /** What this work, or one before it, has made of the row. */
  #change(table: TableName, text: string): Change | undefined {
    return this.changes.get(table, text) ?? this.options.merged.buffer.get(table, text)
  }

  #isThere(table: TableName, text: string): boolean {
    const change = this.#change(table, text)
    return change ? change.row !== undefined : this.#stored.get(table)?.has(text) === true
  }

  #place(facts: TableFacts, rows: readonly unknown[], texts: readonly string[], count: number): void {
    const columns = facts.cellNames
    for (const [i, row] of (rows as readonly SourceRow[]).entries()) {
      const text = texts[i] ?? ''
      this.#set(facts.name, text, { row: { ...row }, columns }, this.#stored.get(facts.name)?.get(text), count)
    }
  }

  /**
   * @param stored The `$row_id` of the row as it was read, in case that nobody has changed it before.
   * @param count How many works had been merged when it was read, unless it was read before.
   */
  #set(table: TableName, text: string, next: Pick<Change, 'row' | 'columns'>, stored: bigint | undefined, count: number): void {
    const change = this.#change(table, text)
    const rowId = change ? change.rowId : stored
    const basis = this.changes.get(table, text)?.basis ?? this.#firstRead.get(`${table} ${text}`) ?? count
    this.changes.set(table, text, { ...next, rowId, basis })
  }

  async #matching(facts: TableFacts, where: Predicate, columns: readonly string[]): Promise<readonly SourceRow[]> {
    const { terms, rest, never } = split(facts, compile(facts, where))
    if (never) return []
    const found: SourceRow[] = []
    const query = { columns: [...new Set([...columns, ...rest.flatMap(columnsOf)])], where: terms, rowIds: true }
    for await (const chunk of this.source.rows(facts.name, query)) found.push(...(await keepAll(this.source, rest, chunk)))
    this.assertOpen()
    return found
  }
}

const NO_COLUMNS: ReadonlySet<string> = new Set()

const keyOf = (facts: TableFacts, row: object): readonly Scalar[] =>
  facts.key.map((column) => (row as Record<string, Scalar>)[column] as Scalar)
