import type { Scalar } from '../../core/predicate.ts'
import type { TableName } from '../schema.ts'
import { tableFacts } from '../table-facts.ts'
import type { Change, ChangeBuffer } from './change-buffer.ts'
import { pinnedBy, rowTest } from './column-terms.ts'
import { keyText, pinnedKeys, rowKeyText } from './row-keys.ts'
import type { ColumnTerm, RowQuery, RowSource, SourceRow } from './row-source.ts'

/** A snapshot with changes upon it, the later layer over the earlier one: what a work sees of its own writes and of those before it. */
export class BufferedSource implements RowSource {
  /**
   * @param layers Earliest first.
   * @param onFind Hears of each look-up of a key, before it is made.
   */
  constructor(
    private readonly base: RowSource,
    private readonly layers: readonly ChangeBuffer[],
    private readonly onFind: (table: TableName, text: string) => void = () => {},
  ) {}

  async *rows(table: TableName, query: RowQuery): AsyncGenerator<readonly SourceRow[]> {
    const keys = pinnedKeys(table, query.where)
    if (keys) {
      const found = await Promise.all(keys.map((key) => this.find(table, key)))
      const rows = found.filter((row) => row !== undefined).filter(rowTest(query.where))
      if (rows.length > 0) yield query.limit === undefined ? rows : rows.slice(0, query.limit)
      return
    }
    const changes = this.#changesOf(table, query.where)
    if (changes.size === 0) return yield* this.base.rows(table, query)
    let left = query.limit ?? Number.POSITIVE_INFINITY
    for await (const rows of this.base.rows(table, throughChanges(table, query, changes.size))) {
      const unchanged = rows.filter((row) => !changes.has(rowKeyText(table, row))).slice(0, left)
      left -= unchanged.length
      if (unchanged.length > 0) yield unchanged
      if (left === 0) return
    }
    const passes = rowTest(query.where)
    const changed: SourceRow[] = []
    for (const { row } of changes.values()) if (row && changed.length < left && passes(row)) changed.push(row)
    if (changed.length > 0) yield changed
  }

  async find(table: TableName, key: readonly Scalar[]): Promise<SourceRow | undefined> {
    const text = keyText(key)
    this.onFind(table, text)
    for (const layer of this.layers.toReversed()) {
      const change = layer.get(table, text)
      if (change) return change.row
    }
    return this.base.find(table, key)
  }

  async count(table: TableName, where: readonly ColumnTerm[], atMost?: number): Promise<number> {
    if (this.layers.every((layer) => layer.of(table).size === 0)) return this.base.count(table, where, atMost)
    const query: RowQuery = { columns: tableFacts(table).key, where, ...(atMost === undefined ? {} : { limit: atMost }) }
    let count = 0
    for await (const rows of this.rows(table, query)) count += rows.length
    return count
  }

  // A copy: another work of the batch may end while this one reads, and a row would come twice.
  #changesOf(table: TableName, where: readonly ColumnTerm[]): ReadonlyMap<string, Change> {
    const term = where.find(({ column }) => column === tableFacts(table).key[0])
    const first = term && pinnedBy(term)
    const changes = new Map<string, Change>()
    for (const layer of this.layers) for (const [key, change] of layer.of(table, first)) changes.set(key, change)
    return changes
  }
}

/** The query that leaves enough rows when those that are changed are taken out of it. */
const throughChanges = (table: TableName, query: RowQuery, changes: number): RowQuery => {
  const columns = [...new Set([...query.columns, ...tableFacts(table).key])]
  return query.limit === undefined ? { ...query, columns } : { ...query, columns, limit: query.limit + changes }
}
