import type { RecordBatch } from 'apache-arrow'
import type { Scalar } from '../../core/predicate.ts'
import type { TableName } from '../schema.ts'
import { tableFacts } from '../table-facts.ts'
import { among } from './column-terms.ts'
import { MergedQueries } from './merged-queries.ts'
import { nextTurn } from './next-turn.ts'
import { keyText, rowKeyText } from './row-keys.ts'
import type { ColumnTerm, RowQuery, RowSource, SourceRow } from './row-source.ts'

interface Round {
  /** Keys to look up, by their text. */
  readonly keys: Map<string, readonly Scalar[]>
  readonly found: Promise<ReadonlyMap<string, SourceRow>>
}

/** Keys of one query. */
const MOST_KEYS = 1000

/**
 * One snapshot, read by many works at once: the keys that they look up at the same time become one query per table, and a row that was looked up is
 * remembered, with its `$row_id`.
 */
export class SharedReads implements RowSource {
  readonly batches?: (table: TableName, query: RowQuery) => AsyncIterable<RecordBatch>
  readonly #known = new Map<TableName, Map<string, Promise<SourceRow | undefined>>>()
  readonly #rounds = new Map<TableName, Round>()

  readonly #merged: MergedQueries

  constructor(private readonly snapshot: RowSource) {
    this.#merged = new MergedQueries(snapshot)
    if (snapshot.batches) this.batches = snapshot.batches.bind(snapshot)
  }

  async *rows(table: TableName, query: RowQuery): AsyncGenerator<readonly SourceRow[]> {
    const merged = this.#merged.rows(table, query)
    if (merged) yield await merged
    else yield* this.snapshot.rows(table, query)
  }

  count(table: TableName, where: readonly ColumnTerm[], atMost?: number): Promise<number> {
    return this.snapshot.count(table, where, atMost)
  }

  find(table: TableName, key: readonly Scalar[]): Promise<SourceRow | undefined> {
    const known = this.#known.getOrInsertComputed(table, () => new Map())
    return known.getOrInsertComputed(keyText(key), (text) => {
      const round = this.#round(table)
      round.keys.set(text, key)
      return round.found.then((rows) => rows.get(text))
    })
  }

  #round(table: TableName): Round {
    const open = this.#rounds.get(table)
    if (open && open.keys.size < MOST_KEYS) return open
    const keys: Round['keys'] = new Map()
    const found = nextTurn().then(() => {
      if (this.#rounds.get(table)?.keys === keys) this.#rounds.delete(table)
      return this.#load(table, [...keys.values()])
    })
    // Each of the look-ups hears of a failure; the round itself has nobody who listens.
    found.catch(() => undefined)
    const round = { keys, found }
    this.#rounds.set(table, round)
    return round
  }

  /** The rows with these keys. For keys of several columns more is asked for than is wanted: each column is compared by itself. */
  async #load(table: TableName, keys: readonly (readonly Scalar[])[]): Promise<ReadonlyMap<string, SourceRow>> {
    const { key: keyColumns, columnNames: columns } = tableFacts(table)
    const where = keyColumns.map((column, i) => among(column, [...new Set(keys.flatMap((key) => key[i] ?? []))]))
    const found = new Map<string, SourceRow>()
    for await (const rows of this.snapshot.rows(table, { columns, where, rowIds: true }))
      for (const row of rows) found.set(rowKeyText(table, row), row)
    return found
  }
}
