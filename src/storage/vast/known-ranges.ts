import type { Scalar } from '../../core/predicate.ts'
import { MAX_NS, MIN_NS } from '../../core/timestamp.ts'
import type { TableName } from '../schema.ts'
import { tableFacts } from '../table-facts.ts'
import { pinnedBy } from './column-terms.ts'
import { keyText } from './row-keys.ts'
import type { ColumnTerm, SourceRow } from './row-source.ts'

/** Where a query looks: a stretch of a key's last column, an integer, whose other columns are fixed. Both bounds included. */
export interface KeyRange {
  /** Table and fixed columns. */
  readonly timeline: string
  readonly column: string
  readonly low: bigint
  readonly high: bigint
}

/** The range that the terms say, if they say nothing else. */
export const rangeOf = (table: TableName, where: readonly ColumnTerm[]): KeyRange | undefined => {
  const { key, kinds } = tableFacts(table)
  const column = key.at(-1) ?? ''
  if (key.length < 2 || kinds.get(column) !== 'int64') return undefined
  const pins: Scalar[] = []
  let [low, high] = [MIN_NS, MAX_NS]
  for (const term of where) {
    const at = key.indexOf(term.column)
    if (term.column === column) {
      const bounds = boundsOf(term)
      if (!bounds) return undefined
      if (bounds.low > low) low = bounds.low
      if (bounds.high < high) high = bounds.high
    } else {
      const value = pinnedBy(term)
      if (at < 0 || value === undefined || pins[at] !== undefined) return undefined
      pins[at] = value
    }
  }
  for (let i = 0; i < key.length - 1; i++) if (pins[i] === undefined) return undefined
  return { timeline: `${table} ${keyText(pins)}`, column, low, high }
}

/** The place of one key. */
export const rangeOfKey = (table: TableName, key: readonly Scalar[]): KeyRange | undefined => {
  const { key: columns } = tableFacts(table)
  const at = key.at(-1)
  if (columns.length < 2 || typeof at !== 'bigint') return undefined
  return { timeline: `${table} ${keyText(key.slice(0, -1))}`, column: columns.at(-1) ?? '', low: at, high: at }
}

const boundsOf = ({ anyOf: [condition, ...others] }: ColumnTerm): { readonly low: bigint; readonly high: bigint } | undefined => {
  if (others.length > 0 || condition?.kind !== 'compare' || typeof condition.value !== 'bigint') return undefined
  if (condition.op === '>=') return { low: condition.value, high: MAX_NS }
  if (condition.op === '<=') return { low: MIN_NS, high: condition.value }
  return undefined
}

interface Known {
  readonly low: bigint
  readonly high: bigint
  readonly columns: ReadonlySet<string>
  /** All rows of the range; undefined when some may be missing, or nobody could tell. */
  readonly rows: Promise<readonly SourceRow[] | undefined>
}

/** Ranges that are remembered. */
const MOST_RANGES = 5000
/** Rows of one: those of a long listing are not needed again. */
const MOST_ROWS = 100

/** Stretches of timelines that were read whole from one snapshot, or are just being read: what lies inside them needs no request. */
export class KnownRanges {
  readonly #timelines = new Map<string, Known[]>()
  #count = 0

  /** The rows of the range with these columns at least; undefined when it has to be read. */
  async rows(range: KeyRange, columns: readonly string[]): Promise<readonly SourceRow[] | undefined> {
    for (const known of this.#timelines.get(range.timeline)?.toReversed() ?? []) {
      if (known.low > range.low || known.high < range.high || !columns.every((column) => known.columns.has(column))) continue
      const rows = await known.rows
      if (rows) return rows.filter((row) => (row[range.column] as bigint) >= range.low && (row[range.column] as bigint) <= range.high)
    }
    return undefined
  }

  /** Remembers what a query of the range with this limit gives. */
  keep(range: KeyRange, columns: readonly string[], limit: number, answer: Promise<readonly SourceRow[]>): void {
    if (this.#count === MOST_RANGES || !columns.includes(range.column)) return
    this.#count += 1
    const rows = answer.then(
      (found) => (found.length < limit && found.length <= MOST_ROWS ? found : undefined),
      () => undefined,
    )
    const { timeline, low, high } = range
    this.#timelines.getOrInsertComputed(timeline, () => []).push({ low, high, columns: new Set(columns), rows })
  }
}
