import type { RecordBatch } from 'apache-arrow'
import type { Scalar } from '../../core/predicate.ts'
import type { TableName } from '../schema.ts'
import { tableFacts } from '../table-facts.ts'
import { among } from './column-terms.ts'
import { type KeyRange, KnownRanges, rangeOf, rangeOfKey } from './known-ranges.ts'
import { collected, MergedQueries } from './merged-queries.ts'
import { nextTurn } from './next-turn.ts'
import { keyText, rowKeyText } from './row-keys.ts'
import { type ColumnTerm, ROW_ID, type RowQuery, type RowSource, type SourceRow } from './row-source.ts'

type Key = readonly Scalar[]

interface Round {
  /** Keys to look up, by their text. */
  readonly keys: Map<string, Key>
  readonly found: Promise<ReadonlyMap<string, SourceRow>>
}

/** What a look-up brings: the row, or only its key and `$row_id`. */
type Extent = 'row' | 'place'

/** Keys of one query. */
const MOST_KEYS = 1000

/**
 * One snapshot, read by many works at once: the keys that they look up at the same time become one query per table, and a row that was looked up is
 * remembered, with its `$row_id`. So are, on request, the stretches of a timeline that were read whole.
 */
export class SharedReads implements RowSource {
  readonly batches?: (table: TableName, query: RowQuery) => AsyncIterable<RecordBatch>
  readonly #known = new Map<string, Map<string, Promise<SourceRow | undefined>>>()
  readonly #rounds = new Map<string, Round>()
  readonly #merged: MergedQueries
  readonly #ranges: KnownRanges | undefined

  /** @param remembersRanges For many short works upon one snapshot that come by the same places again. */
  constructor(
    private readonly snapshot: RowSource,
    { remembersRanges = false } = {},
  ) {
    this.#merged = new MergedQueries(snapshot)
    this.#ranges = remembersRanges ? new KnownRanges() : undefined
    if (snapshot.batches) this.batches = snapshot.batches.bind(snapshot)
  }

  async *rows(table: TableName, query: RowQuery): AsyncGenerator<readonly SourceRow[]> {
    const range = this.#ranges && query.limit !== undefined && !query.rowIds ? rangeOf(table, query.where) : undefined
    if (range) return yield await this.#inRange(table, query, range)
    const merged = this.#merged.rows(table, query)
    if (merged) yield await merged
    else yield* this.snapshot.rows(table, query)
  }

  async #inRange(table: TableName, query: RowQuery, range: KeyRange): Promise<readonly SourceRow[]> {
    // With the whole key: who has changes upon the snapshot needs it.
    const columns = [...new Set([...query.columns, ...tableFacts(table).key])]
    const known = await this.#ranges?.rows(range, columns)
    if (known) return known.slice(0, query.limit)
    const asked = { ...query, columns }
    const answer = this.#merged.rows(table, asked) ?? collected(this.snapshot.rows(table, asked))
    this.#ranges?.keep(range, columns, query.limit ?? 0, answer)
    return answer
  }

  count(table: TableName, where: readonly ColumnTerm[], atMost?: number): Promise<number> {
    return this.snapshot.count(table, where, atMost)
  }

  find(table: TableName, key: Key): Promise<SourceRow | undefined> {
    return this.#lookUp(table, 'row', key)
  }

  /** The `$row_id` of the row with this key, if there is one. */
  async locate(table: TableName, key: Key): Promise<bigint | undefined> {
    const whole = this.#known.get(`row ${table}`)?.get(keyText(key))
    if (!whole && (await this.#liesInGap(table, key))) return undefined
    const row = await (whole ?? this.#lookUp(table, 'place', key))
    return row?.[ROW_ID]
  }

  /** Whether a stretch that was read has no row there. */
  async #liesInGap(table: TableName, key: Key): Promise<boolean> {
    const range = this.#ranges && rangeOfKey(table, key)
    return range !== undefined && (await this.#ranges?.rows(range, [range.column]))?.length === 0
  }

  #lookUp(table: TableName, extent: Extent, key: Key): Promise<SourceRow | undefined> {
    const name = `${extent} ${table}`
    const known = this.#known.getOrInsertComputed(name, () => new Map())
    return known.getOrInsertComputed(keyText(key), (text) => {
      const round = this.#round(name, table, extent)
      round.keys.set(text, key)
      return round.found.then((rows) => rows.get(text))
    })
  }

  #round(name: string, table: TableName, extent: Extent): Round {
    const open = this.#rounds.get(name)
    if (open && open.keys.size < MOST_KEYS) return open
    const keys: Round['keys'] = new Map()
    const found = nextTurn().then(() => {
      if (this.#rounds.get(name)?.keys === keys) this.#rounds.delete(name)
      return this.#load(table, extent, [...keys.values()])
    })
    // Each of the look-ups hears of a failure; the round itself has nobody who listens.
    found.catch(() => undefined)
    const round = { keys, found }
    this.#rounds.set(name, round)
    return round
  }

  /** The rows with these keys. For keys of several columns more is asked for than is wanted: each column is compared by itself. */
  async #load(table: TableName, extent: Extent, keys: readonly Key[]): Promise<ReadonlyMap<string, SourceRow>> {
    const { key: keyColumns, columnNames } = tableFacts(table)
    const where = keyColumns.map((column, i) => among(column, [...new Set(keys.flatMap((key) => key[i] ?? []))]))
    const columns = extent === 'row' ? columnNames : keyColumns
    const found = new Map<string, SourceRow>()
    for (const row of await collected(this.snapshot.rows(table, { columns, where, rowIds: true }))) found.set(rowKeyText(table, row), row)
    return found
  }
}
