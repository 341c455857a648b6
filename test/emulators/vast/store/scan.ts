import type { Field } from 'apache-arrow'
import { ROW_GROUP } from '../../../../src/vastdb/wire/query-headers.ts'
import { type Chunk, rowFrom, rowIdAt } from './chunk.ts'
import { type KeyBounds, keyBounds, keyRows } from './key-index.ts'
import { bindRows, type Cells, type Predicate, plainCells } from './predicate.ts'
import type { RowView, Selection } from './view.ts'

/** A column of the table by its id, or the row ids. */
export type ScanColumn = number | 'row-id'

export interface RowRange {
  /** The first row id that counts. */
  readonly from: number
  /** How many rows at most. */
  readonly limit: number
  /** Which row groups: every `shares`-th run of `size` groups, beginning with run `share`. */
  readonly groups: { readonly share: number; readonly shares: number; readonly size: number }
}

export interface Filtered {
  readonly fields: readonly Field[]
  readonly columns: readonly ScanColumn[]
  readonly filter: Predicate
  /** Column ids of the table's sorting key; empty without one. */
  readonly sortKey: readonly number[]
}

export interface Found {
  readonly selections: readonly Selection[]
  readonly count: number
  /** The row id of the next match; `undefined` when there is none. */
  readonly next: number | undefined
}

const testOf = (view: RowView, chunk: Chunk, { fields, columns, filter }: Filtered): ((row: number) => boolean) => {
  const idCells: Cells = { at: (row) => BigInt(rowIdAt(chunk, row)) }
  const plain = bindRows(
    filter,
    (number) => {
      const column = columns[number]
      if (column === undefined || column === 'row-id') return idCells
      const data = chunk.columns.get(column)
      return data === undefined ? undefined : plainCells(data)
    },
    fields,
  )
  const touched = view.touched(chunk)
  if (touched.size === 0) return plain
  const changed = bindRows(
    filter,
    (number) => {
      const column = columns[number]
      return column === undefined || column === 'row-id' ? idCells : { at: (row) => view.cell(chunk, row, column) }
    },
    fields,
  )
  return (row) => (touched.has(row) ? view.changeOf(chunk, row) !== 'deleted' && changed(row) : plain(row))
}

type Take = (row: number) => boolean

/** Calls `take` for every matching row of a chunk, ascending, until it answers false. */
const eachMatch = (
  view: RowView,
  chunk: Chunk,
  filtered: Filtered,
  { from, groups }: RowRange,
  bounds: KeyBounds | undefined,
  take: Take,
): boolean => {
  const { share, shares, size } = groups
  const first = rowFrom(chunk, from)
  if (first >= chunk.rows) return true
  const test = testOf(view, chunk, filtered)
  const runRows = ROW_GROUP * size
  const runOf = (row: number) => Math.floor(rowIdAt(chunk, row) / runRows)
  const candidates = bounds === undefined ? undefined : keyRows(chunk, filtered.sortKey, bounds)
  if (candidates !== undefined) {
    for (const row of candidates) if (row >= first && runOf(row) % shares === share && test(row) && !take(row)) return false
    return true
  }
  for (let row = first; row < chunk.rows; ) {
    const run = runOf(row)
    const end = Math.min(chunk.rows, rowFrom(chunk, (run + 1) * runRows))
    if (run % shares === share) for (let at = row; at < end; at++) if (test(at) && !take(at)) return false
    row = end
  }
  return true
}

const boundsOf = ({ filter, columns, sortKey }: Filtered): KeyBounds | undefined => {
  if (sortKey.length === 0) return undefined
  const key = sortKey.map((id) => columns.indexOf(id))
  return keyBounds(
    filter,
    key.map((column) => (column < 0 ? undefined : column)),
  )
}

const overlapping = (chunks: readonly Chunk[]): boolean => chunks.some((chunk, i) => chunk.firstRowId <= (chunks[i - 1]?.lastRowId ?? -1))

/** The first matching rows of a share of the table, in the order of their ids. */
export const scan = (view: RowView, filtered: Filtered, range: RowRange): Found => {
  const chunks = view.chunks()
  const bounds = boundsOf(filtered)
  if (overlapping(chunks)) return scanUnordered(view, chunks, filtered, range)
  const selections: Selection[] = []
  let count = 0
  let next: number | undefined
  for (const chunk of chunks) {
    if (chunk.lastRowId < range.from) continue
    const rows: number[] = []
    const whole = eachMatch(view, chunk, filtered, range, bounds, (row) => {
      if (count === range.limit) {
        next = rowIdAt(chunk, row)
        return false
      }
      rows.push(row)
      count += 1
      return true
    })
    if (rows.length > 0) selections.push({ chunk, rows: Uint32Array.from(rows) })
    if (!whole) break
  }
  return { selections, count, next }
}

/** Ids chosen by clients come in any order: all matches are sorted before the limit counts. */
const scanUnordered = (view: RowView, chunks: readonly Chunk[], filtered: Filtered, range: RowRange): Found => {
  const matches: { readonly chunk: Chunk; readonly row: number; readonly id: number }[] = []
  for (const chunk of chunks)
    eachMatch(view, chunk, filtered, range, undefined, (row) => {
      matches.push({ chunk, row, id: rowIdAt(chunk, row) })
      return true
    })
  matches.sort((a, b) => a.id - b.id)
  const taken = matches.slice(0, range.limit)
  return {
    selections: taken.map(({ chunk, row }) => ({ chunk, rows: Uint32Array.of(row) })),
    count: taken.length,
    next: matches[range.limit]?.id,
  }
}
