// What one transaction sees of a table's rows: what was committed when it began, and its own changes on top.
import type { Data, DataType } from 'apache-arrow'
import { dataOf } from '../../../../src/vastdb/wire/build.ts'
import { type Value, valueAt } from '../../../../src/vastdb/wire/values.ts'
import { type Part, takeParts } from '../wire/take.ts'
import { type Change, type Chunk, rowIdAt, rowOf } from './chunk.ts'
import type { RowStore } from './row-store.ts'

/** Rows of one chunk, ascending, in one state of the view. */
export interface Selection {
  readonly chunk: Chunk
  readonly rows: Uint32Array
}

/** Row numbers of a chunk. */
interface Rows {
  /** At least as many as there are; 0 only where there is none. */
  readonly size: number
  has(row: number): boolean
  keys(): Iterable<number>
}

const NONE: Rows = new Set<number>()
const FIRST = Uint32Array.of(0)

/** Not a set of its own: one of them may be long, and queries ask for few. */
const either = (a: Rows, b: Rows): Rows => ({
  size: a.size + b.size,
  has: (row) => a.has(row) || b.has(row),
  keys: () => new Set([...a.keys(), ...b.keys()]),
})

export class RowView {
  readonly store: RowStore
  readonly #snapshot: number
  /** The transaction's own: rows it inserted, and by row id what it made of any row. */
  readonly inserted: Chunk[] = []
  readonly changes = new Map<number, Change>()
  /** `changes` by chunk, for one state of the store: commits of others may merge chunks while this transaction is open. */
  #changed = new Map<Chunk, Set<number>>()
  #changedFor: readonly Chunk[] | undefined
  readonly #selected = new WeakMap<Selection, readonly (readonly [number, ReadonlyMap<number, Value>])[]>()
  #visible: readonly Chunk[] = []
  #visibleFor: readonly Chunk[] | undefined

  constructor(store: RowStore, snapshot: number) {
    this.store = store
    this.#snapshot = snapshot
  }

  /** The chunks with visible rows, by their first row id. */
  chunks(): readonly Chunk[] {
    if (this.#visibleFor === this.store.chunks) return this.#visible
    const committed = this.store.chunks.filter((chunk) => chunk.commit <= this.#snapshot)
    this.#visible = [...committed, ...this.inserted].sort((a, b) => a.firstRowId - b.firstRowId)
    this.#visibleFor = this.store.chunks
    return this.#visible
  }

  insert(chunk: Chunk): void {
    this.inserted.push(chunk)
    this.#visibleFor = undefined
  }

  /** What became of a row since it was inserted, as far as this transaction sees. */
  changeOf(chunk: Chunk, row: number): Change | undefined {
    const base =
      chunk.versions.size === 0 ? undefined : chunk.versions.get(row)?.findLast((version) => version.commit <= this.#snapshot)?.change
    const own = this.changes.size === 0 ? undefined : this.changes.get(rowIdAt(chunk, row))
    if (own === undefined || own === 'deleted') return own ?? base
    return base === undefined || base === 'deleted' ? own : new Map([...base, ...own])
  }

  /** Row numbers of `chunk` that may differ from what was inserted. */
  touched(chunk: Chunk): Rows {
    const own = this.#changedRows(chunk)
    if (chunk.versions.size === 0) return own ?? NONE
    return own === undefined ? chunk.versions : either(chunk.versions, own)
  }

  /** The chunk and number of a visible row that is not deleted. */
  find(rowId: number): { readonly chunk: Chunk; readonly row: number } | undefined {
    const found = this.#locate(rowId)
    return found !== undefined && this.changeOf(found.chunk, found.row) !== 'deleted' ? found : undefined
  }

  change(chunk: Chunk, row: number, change: Change): void {
    const rowId = rowIdAt(chunk, row)
    const before = this.changes.get(rowId)
    this.changes.set(rowId, change === 'deleted' || before === undefined || before === 'deleted' ? change : new Map([...before, ...change]))
    if (this.#changedFor === this.store.chunks) this.#note(chunk, row)
  }

  #note(chunk: Chunk, row: number): void {
    const rows = this.#changed.get(chunk)
    if (rows === undefined) this.#changed.set(chunk, new Set([row]))
    else rows.add(row)
  }

  #changedRows(chunk: Chunk): ReadonlySet<number> | undefined {
    if (this.changes.size === 0) return undefined
    if (this.#changedFor !== this.store.chunks) {
      this.#changed = new Map()
      this.#changedFor = this.store.chunks
      for (const rowId of this.changes.keys()) {
        const found = this.#locate(rowId)
        if (found !== undefined) this.#note(found.chunk, found.row)
      }
    }
    return this.#changed.get(chunk)
  }

  #locate(rowId: number): { readonly chunk: Chunk; readonly row: number } | undefined {
    for (const chunk of this.chunks()) {
      if (rowId < chunk.firstRowId || rowId > chunk.lastRowId) continue
      const row = rowOf(chunk, rowId)
      if (row !== undefined) return { chunk, row }
    }
    return undefined
  }

  /** How many rows there are. */
  count(): number {
    let count = 0
    for (const chunk of this.chunks()) {
      count += chunk.rows
      for (const row of this.touched(chunk).keys()) if (this.changeOf(chunk, row) === 'deleted') count -= 1
    }
    return count
  }

  /** Whether the client chooses the row ids. */
  get clientIds(): boolean {
    return this.chunks().some((chunk) => chunk.clientIds)
  }

  /** One cell, changes included. */
  cell(chunk: Chunk, row: number, column: number): Value {
    const change = this.changeOf(chunk, row)
    const changed = change === undefined || change === 'deleted' ? undefined : change.get(column)
    if (changed !== undefined) return changed
    const data = chunk.columns.get(column)
    return data === undefined ? null : valueAt(data, row)
  }

  /** A column of the selected rows, changes included. */
  column(selections: readonly Selection[], column: number, type: DataType): Data {
    return takeParts(
      type,
      selections.flatMap((selection) => this.#parts(selection, column, type)),
    )
  }

  #parts(selection: Selection, column: number, type: DataType): Part | Part[] {
    const { chunk, rows } = selection
    const data = chunk.columns.get(column)
    const cells = this.#changedCells(selection, column)
    if (cells.size === 0) return { data, rows }
    const cellAt = (row: number, at: number): Value => {
      const cell = cells.get(at)
      return cell !== undefined ? cell : data === undefined ? null : valueAt(data, row)
    }
    if (cells.size > 16) return { data: dataOf(type, Array.from(rows, cellAt)), rows: Uint32Array.from(rows, (_, at) => at) }
    const parts: Part[] = []
    let from = 0
    for (const [at, cell] of cells) {
      if (at > from) parts.push({ data, rows: rows.subarray(from, at) })
      parts.push({ data: dataOf(type, [cell]), rows: FIRST })
      from = at + 1
    }
    if (from < rows.length) parts.push({ data, rows: rows.subarray(from) })
    return parts
  }

  /** Cells of one column that differ from what was inserted, by their place in the selection, ascending. */
  #changedCells(selection: Selection, column: number): ReadonlyMap<number, Value> {
    const cells = new Map<number, Value>()
    for (const [at, change] of this.#changesIn(selection)) {
      const cell = change.get(column)
      if (cell !== undefined) cells.set(at, cell)
    }
    return cells
  }

  /** What became of the selected rows, by their place in the selection; looked up once for all columns. */
  #changesIn(selection: Selection): readonly (readonly [number, ReadonlyMap<number, Value>])[] {
    return this.#selected.getOrInsertComputed(selection, ({ chunk, rows }) => {
      const touched = this.touched(chunk)
      if (touched.size === 0) return []
      return Array.from(rows).flatMap((row, at) => {
        const change = touched.has(row) ? this.changeOf(chunk, row) : undefined
        return change === undefined || change === 'deleted' ? [] : [[at, change] as const]
      })
    })
  }
}
