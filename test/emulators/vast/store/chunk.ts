import type { Data } from 'apache-arrow'
import type { Value } from '../../../../src/vastdb/wire/values.ts'

/** New cells of a row by column id, or `deleted`. */
export type Change = ReadonlyMap<number, Value> | 'deleted'

/** What a committed transaction made of a row. Cells add up: a version holds those of the versions before it too. */
export interface Version {
  readonly commit: number
  readonly change: Change
}

/** Rows that were inserted together, column by column. Once committed they never change; what happens to them later stands in `versions`. */
export interface Chunk {
  readonly rows: number
  readonly firstRowId: number
  readonly lastRowId: number
  /** Ascending; absent when the ids run from `firstRowId` without a gap. */
  readonly rowIds?: Float64Array | undefined
  /** The ids came from the client, as values of `vastdb_rowid`. */
  readonly clientIds: boolean
  /** By column id. A column that is not here is null in every row. */
  readonly columns: Map<number, Data>
  /** The commit that published the rows; Infinity before. */
  commit: number
  /** By row number, oldest first. */
  readonly versions: Map<number, Version[]>
}

export const rowIdAt = (chunk: Chunk, row: number): number => chunk.rowIds?.[row] ?? chunk.firstRowId + row

/** The first row whose id is `rowId` or more; `chunk.rows` when there is none. */
export const rowFrom = (chunk: Chunk, rowId: number): number => {
  if (rowId <= chunk.firstRowId) return 0
  if (chunk.rowIds === undefined) return Math.min(rowId - chunk.firstRowId, chunk.rows)
  let low = 0
  let high = chunk.rows
  while (low < high) {
    const middle = (low + high) >> 1
    if ((chunk.rowIds[middle] ?? 0) < rowId) low = middle + 1
    else high = middle
  }
  return low
}

/** The row with this id. */
export const rowOf = (chunk: Chunk, rowId: number): number | undefined => {
  const row = rowFrom(chunk, rowId)
  return row < chunk.rows && rowIdAt(chunk, row) === rowId ? row : undefined
}
