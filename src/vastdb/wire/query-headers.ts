// The headers of QueryData: which share of a table, how many parallel readers in it, and from where each goes on.
import { type Headers, headerFlag, headerInteger, headerText } from './headers.ts'
import { WireError } from './wire-error.ts'

/** The cursor of a sub-split that has no more rows: 2^48 - 1. */
export const FINISHED = 0xffff_ffff_ffffn
/** A split id that asks how much a query would read instead of reading it. */
export const ESTIMATE_SPLIT = 0xffff_fffc
/** Rows of a row group, the unit in which tables are dealt to splits. */
export const ROW_GROUP = 65_536

export interface Split {
  readonly index: number
  readonly total: number
  /** Consecutive row groups that one reader takes. 8 is needed for projections. */
  readonly rowGroups: number
}

export interface QueryHeaders {
  readonly split: Split
  readonly subsplits: number
  /** One cursor per sub-split: 0 first, then the next row id of its last chunk, `FINISHED` when done. */
  readonly cursors: readonly bigint[]
  readonly sortedProjections: boolean
  /** Row budget of each sub-split in this answer. */
  readonly limitRows?: number | undefined
  /** Lower goes first. */
  readonly priority?: number | undefined
  /** Asks for zstd bodies that save at least this many percent. */
  readonly zstdSavings?: number | undefined
}

export const encodeQueryHeaders = (query: QueryHeaders): Record<string, string> => ({
  'tabular-split': `${query.split.index},${query.split.total},${query.split.rowGroups}`,
  'tabular-num-of-subsplits': String(query.subsplits),
  'tabular-request-format': 'string',
  'tabular-response-format': 'string',
  'tabular-enable-sorted-projections': query.sortedProjections ? 'True' : 'False',
  ...Object.fromEntries(query.cursors.map((cursor, i) => [`tabular-start-row-id-${i}`, `${i},${cursor}`])),
  ...(query.limitRows === undefined ? {} : { 'tabular-limit-rows': String(query.limitRows) }),
  ...(query.priority === undefined ? {} : { 'tabular-schedule-id': String(query.priority) }),
  ...(query.zstdSavings === undefined ? {} : { 'tabular-compression-params': `1,${query.zstdSavings},1` }),
})

const integers = (headers: Headers, name: string, count: number): bigint[] => {
  const text = headerText(headers, name) ?? ''
  const parts = text.split(',').map((part) => part.trim())
  if (parts.length !== count || parts.some((part) => !/^\d{1,20}$/.test(part)))
    throw new WireError(`header ${name}`, 0, `expected ${count} unsigned integers, found ${JSON.stringify(text)}`)
  return parts.map(BigInt)
}

/** Reads the headers of a query. A sub-split without a start header is finished (JVM clients leave those out). */
export const decodeQueryHeaders = (headers: Headers): QueryHeaders => {
  const [index = 0n, total = 1n, rowGroups = 8n] = integers(headers, 'tabular-split', 3)
  const subsplits = Number(headerInteger(headers, 'tabular-num-of-subsplits') ?? 1n)
  if (subsplits < 1 || subsplits > 64) throw new WireError('header tabular-num-of-subsplits', 0, `expected 1 to 64, found ${subsplits}`)
  const cursors = Array.from({ length: subsplits }, (_, i) => {
    const name = `tabular-start-row-id-${i}`
    return headerText(headers, name) === undefined ? FINISHED : (integers(headers, name, 2)[1] ?? FINISHED)
  })
  const limit = headerInteger(headers, 'tabular-limit-rows')
  const priority = headerText(headers, 'tabular-schedule-id')
  const compression = headerText(headers, 'tabular-compression-params')
  return {
    split: { index: Number(index), total: Number(total), rowGroups: Number(rowGroups) },
    subsplits,
    cursors,
    sortedProjections: headerFlag(headers, 'tabular-enable-sorted-projections'),
    limitRows: limit === undefined ? undefined : Number(limit),
    priority: priority === undefined ? undefined : Number(priority),
    zstdSavings: compression?.startsWith('1,') ? Number(compression.split(',')[1]) : undefined,
  }
}
