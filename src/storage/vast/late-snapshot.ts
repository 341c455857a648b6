import type { RecordBatch } from 'apache-arrow'
import type { Scalar } from '../../core/predicate.ts'
import type { TableName } from '../schema.ts'
import { tableFacts } from '../table-facts.ts'
import { among, pinnedBy, rowTest } from './column-terms.ts'
import { guardOf, REMEMBERED } from './guards.ts'
import { lockSlot } from './lock-rows.ts'
import { collected, type MergedQueries } from './merged-queries.ts'
import type { ReadSnapshot } from './read-snapshots.ts'
import type { RowCache } from './row-cache.ts'
import { keyText, pinnedKeys, rowKeyText } from './row-keys.ts'
import type { ColumnTerm, RowQuery, RowSource, SourceRow } from './row-source.ts'

/** What many late snapshots have in common. */
export interface ReadingTools {
  readonly cache: RowCache
  readonly lockSlots: number
  /** Each request the state of its moment. */
  readonly now: RowSource
  /** `now`, where what is asked for in one turn is one request. */
  readonly merged: MergedQueries
  readonly acquire: () => Promise<ReadSnapshot>
}

/** Something that was read had changed before: nothing of this run counts. */
export class StaleRead extends Error {
  constructor() {
    super('what was remembered has changed meanwhile')
    this.name = 'StaleRead'
  }
}

/** Reads without a transaction: a long work would lose too much if it had to run again. */
const MOST_OUTSIDE = 4

/**
 * One state of the store for one work, which takes a transaction only when it has to. Rows of flows and objects that are remembered come from memory, and
 * segments of such a flow are read without a transaction. Each rests on a stamp that its lock row had before. Whoever changes such rows gives the lock
 * row another stamp (`guards.ts`), so if all stamps are still the same afterwards, everything was as it is then. They are compared when
 * the work has ended, or in the transaction that it needs for a read of another kind; all later reads are made in that.
 */
export class LateSnapshot implements RowSource {
  readonly #used = new Map<number, bigint>()
  /** Ends of the reads that were made without the transaction. */
  readonly #outside: Promise<void>[] = []
  /** Rows to remember that were read in the transaction, by slot and name. */
  readonly #found = new Map<number, Map<string, SourceRow>>()
  #snapshot: Promise<ReadSnapshot> | undefined
  #check: Promise<void> | undefined
  #stale = false
  #readsTimeline = false

  /** @param remembers Whether to use what is remembered; if not, the first read begins the transaction. */
  constructor(
    private readonly tools: ReadingTools,
    private readonly remembers: boolean,
  ) {}

  async *rows(table: TableName, query: RowQuery): AsyncGenerator<readonly SourceRow[]> {
    const keys = REMEMBERED.has(table) ? pinnedKeys(table, query.where) : undefined
    const known = keys && this.#known(table, query, keys)
    if (known) return yield known
    const flow = table === 'segments' ? flowOf(query.where) : undefined
    const slot = flow === undefined ? undefined : this.#slotOf('segments', flow)
    if (slot !== undefined) this.#readsTimeline = true
    const outside = slot === undefined ? undefined : this.#readOutside(slot, query)
    if (outside) return yield await outside
    const { source } = await this.#enter()
    const check = this.#checked(source, table, keys)
    for await (const rows of source.rows(table, query)) {
      await check
      if (keys) for (const row of rows) this.#note(table, row)
      yield rows
    }
    await check
  }

  async find(table: TableName, key: readonly Scalar[]): Promise<SourceRow | undefined> {
    const keys = REMEMBERED.has(table) ? [key] : undefined
    const known = keys && this.#known(table, { columns: tableFacts(table).columnNames, where: [] }, keys)
    if (known) return known[0]
    const { source } = await this.#enter()
    const [row] = await Promise.all([source.find(table, key), this.#checked(source, table, keys)])
    if (row && keys) this.#note(table, row)
    return row
  }

  async count(table: TableName, where: readonly ColumnTerm[], atMost?: number): Promise<number> {
    const { source } = await this.#enter()
    const [count] = await Promise.all([source.count(table, where, atMost), this.#checked(source)])
    return count
  }

  async *batches(table: TableName, query: RowQuery): AsyncGenerator<RecordBatch> {
    const { source } = await this.#enter()
    await this.#checked(source)
    yield* source.batches?.(table, query) ?? []
  }

  /** Whether all that was read is one state: after the work has ended, also with an error, which may come from a mixture. */
  async isOneState(): Promise<boolean> {
    if (this.#snapshot) {
      const { source } = await this.#snapshot
      await this.#checked(source)?.catch((error: unknown) => {
        if (!(error instanceof StaleRead)) throw error
      })
    } else if (this.#used.size > 0) {
      const slots = [...this.#used.keys()]
      const query: RowQuery = { columns: ['slot', 'version'], where: [among('slot', slots)], limit: slots.length + 1 }
      const rows = await (this.tools.merged.rows('locks', query) ?? collected(this.tools.now.rows('locks', query)))
      const stamps = new Map(rows.map((row) => [Number(row.slot), BigInt(row.version ?? 0)]))
      this.#compare((slot) => stamps.get(slot))
    }
    return !this.#stale
  }

  /** Ends the transaction, if there is one. What a page of segments has read in it is remembered before. */
  async end(): Promise<void> {
    const snapshot = await this.#snapshot?.catch(() => undefined)
    if (!snapshot) return
    try {
      if (this.#readsTimeline && !this.#stale) await this.#remember(snapshot.source)
    } finally {
      snapshot.release()
    }
  }

  #slotOf(table: TableName, first: Scalar): number {
    return lockSlot(guardOf(table, first), this.tools.lockSlots)
  }

  /** The rows, if all of them are remembered with the columns that are wanted. */
  #known(table: TableName, query: RowQuery, keys: readonly (readonly Scalar[])[]): readonly SourceRow[] | undefined {
    if (!this.remembers || this.#snapshot || query.rowIds) return undefined
    const columns = [...query.columns, ...query.where.map(({ column }) => column)]
    const found: SourceRow[] = []
    const slots = new Set<number>()
    for (const key of keys) {
      const slot = this.#slotOf(table, key[0] as Scalar)
      const row = this.tools.cache.row(slot, nameOf(table, keyText(key)))
      if (!row || !columns.every((column) => column in row)) return undefined
      slots.add(slot)
      found.push(row)
    }
    for (const slot of slots) this.#use(slot, this.tools.cache.stamp(slot))
    return found.filter(rowTest(query.where)).slice(0, query.limit)
  }

  #use(slot: number, stamp: bigint | undefined): void {
    const before = this.#used.get(slot) ?? stamp
    if (stamp === undefined || before !== stamp) this.#refuse()
    this.#used.set(slot, stamp)
  }

  #refuse(): never {
    this.#stale = true
    throw new StaleRead()
  }

  /** Undefined when it has to be read in a transaction. */
  #readOutside(slot: number, query: RowQuery): Promise<readonly SourceRow[]> | undefined {
    if (!this.remembers || this.#snapshot || query.limit === undefined || query.large || query.rowIds) return undefined
    if (this.#outside.length === MOST_OUTSIDE) return undefined
    // Before the request: what it finds may be newer.
    const stamp = this.#used.get(slot) ?? this.tools.cache.stamp(slot)
    if (stamp === undefined) return undefined
    this.#used.set(slot, stamp)
    const answer = this.tools.merged.rows('segments', query) ?? collected(this.tools.now.rows('segments', query))
    this.#outside.push(
      answer.then(
        () => undefined,
        () => undefined,
      ),
    )
    return answer
  }

  #enter(): Promise<ReadSnapshot> {
    this.#snapshot ??= this.#begin()
    return this.#snapshot
  }

  // A read that is still under way could see more than the snapshot, in which the stamps are compared.
  async #begin(): Promise<ReadSnapshot> {
    await Promise.all(this.#outside)
    return this.tools.acquire()
  }

  /** Compares the stamps, once. Those of rows that are about to be read come with the same request, so that these can be remembered. */
  #checked(source: RowSource, table?: TableName, keys: readonly (readonly Scalar[])[] = []): Promise<void> | undefined {
    if (this.#used.size === 0) return undefined
    if (!this.#check) {
      this.#check = this.#compareIn(source)
      if (table) for (const key of keys) stampIn(source, this.#slotOf(table, key[0] as Scalar)).catch(() => undefined)
    }
    this.#check.catch(() => undefined)
    return this.#check
  }

  async #compareIn(source: RowSource): Promise<void> {
    const stamps = new Map(await Promise.all([...this.#used.keys()].map(async (slot) => [slot, await stampIn(source, slot)] as const)))
    if (!this.#compare((slot) => stamps.get(slot))) this.#refuse()
  }

  #compare(stampOf: (slot: number) => bigint | undefined): boolean {
    const { cache } = this.tools
    for (const [slot, stamp] of this.#used) {
      if (stampOf(slot) === stamp) continue
      this.#stale = true
      if (cache.stamp(slot) === stamp) cache.drop(slot)
    }
    if (!this.#stale) for (const slot of this.#used.keys()) cache.hit(slot)
    return !this.#stale
  }

  #note(table: TableName, row: SourceRow): void {
    const { key } = tableFacts(table)
    if (!key.every((column) => column in row)) return
    const rows = this.#found.getOrInsertComputed(this.#slotOf(table, row[key[0] ?? ''] as Scalar), () => new Map())
    const name = nameOf(table, rowKeyText(table, row))
    rows.set(name, { ...rows.get(name), ...row })
  }

  async #remember(source: RowSource): Promise<void> {
    const { cache } = this.tools
    const wanted = [...this.#found].filter(([slot]) => cache.wants(slot))
    await Promise.all(
      wanted.map(async ([slot, rows]) => {
        const stamp = await stampIn(source, slot)
        for (const [name, row] of rows) cache.put(slot, stamp, name, row)
      }),
    )
  }
}

const nameOf = (table: TableName, key: string): string => `${table} ${key}`

/** The flow whose segments the terms ask for, if it is one. */
const flowOf = (where: readonly ColumnTerm[]): Scalar | undefined => {
  const term = where.find(({ column }) => column === 'flow_id')
  return term && pinnedBy(term)
}

const stampIn = async (snapshot: RowSource, slot: number): Promise<bigint> => {
  const row = await snapshot.find('locks', [slot])
  if (!row) throw new Error(`the table locks has no row ${slot}: the schema was not made by this program`)
  return BigInt(row.version ?? 0)
}
