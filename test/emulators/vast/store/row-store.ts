import type { Data, DataType } from 'apache-arrow'
import { type Chunk, rowIdAt, rowOf, type Version } from './chunk.ts'
import { RowView } from './view.ts'

/** Chunks of fewer rows are merged with their neighbours, as soon as so many of about one size lie side by side … */
const SMALL_CHUNK = 8192
const MERGE_ALIKE = 8
/** … or so many of any size. */
const MERGE_FROM = 48

/** One more for eight times as many rows: on its way into a large chunk a row is copied a few times. */
const sizeOf = ({ rows }: Chunk): number => Math.floor(Math.log2(rows) / 3)

/** Small, and every open snapshot sees the same of it. */
const isSettled = (chunk: Chunk, oldestSnapshot: number): boolean =>
  chunk.rows < SMALL_CHUNK &&
  !chunk.clientIds &&
  chunk.commit <= oldestSnapshot &&
  chunk.versions.values().every((versions) => (versions.at(-1)?.commit ?? 0) <= oldestSnapshot)

const isDead = ({ rows, versions }: Chunk): boolean =>
  versions.size === rows && versions.values().every((each) => each.at(-1)?.change === 'deleted')

/** Neighbours of one kind. */
function* runsOf(chunks: readonly Chunk[], kindOf: (chunk: Chunk) => unknown): Generator<readonly Chunk[]> {
  let from = 0
  for (let at = 1; at <= chunks.length; at++) {
    const [first, next] = [chunks[from], chunks[at]]
    if (first !== undefined && next !== undefined && kindOf(first) === kindOf(next)) continue
    yield chunks.slice(from, at)
    from = at
  }
}

/** The committed rows of one table, in versions. Names and columns of the table are none of its business. */
export class RowStore {
  readonly id: number
  /** Committed, by first row id. */
  chunks: readonly Chunk[] = []
  #nextRowId = 0
  /** Rows ever inserted, for statistics. */
  inserted = 0

  constructor(id: number) {
    this.id = id
  }

  /** Row ids are given out at once and never twice, whether the transaction commits or not. */
  allocate(rows: number): number {
    const first = this.#nextRowId
    this.#nextRowId += rows
    return first
  }

  /** Takes note of ids that were given out elsewhere. */
  reserve(lastRowId: number): void {
    this.#nextRowId = Math.max(this.#nextRowId, lastRowId + 1)
  }

  add(chunk: Chunk, commit: number): void {
    chunk.commit = commit
    this.reserve(chunk.lastRowId)
    this.inserted += chunk.rows
    const last = this.chunks.at(-1)
    const chunks = [...this.chunks, chunk]
    this.chunks = last !== undefined && last.firstRowId > chunk.firstRowId ? chunks.sort((a, b) => a.firstRowId - b.firstRowId) : chunks
  }

  /** The newest version of a committed row; `undefined` when it is as it was inserted. */
  newest(rowId: number): { readonly chunk: Chunk; readonly row: number; readonly version: Version | undefined } | undefined {
    for (const chunk of this.chunks) {
      if (rowId < chunk.firstRowId || rowId > chunk.lastRowId) continue
      const row = rowOf(chunk, rowId)
      if (row !== undefined) return { chunk, row, version: chunk.versions.get(row)?.at(-1) }
    }
    return undefined
  }

  /** Adds a version; those that no open snapshot can see any more are dropped. */
  addVersion(rowId: number, version: Version, oldestSnapshot: number): void {
    const found = this.newest(rowId)
    if (found === undefined) throw new Error(`row ${rowId} of store ${this.id} is not there`)
    const { chunk, row } = found
    const before = chunk.versions.get(row) ?? []
    const needed = before.findLastIndex(({ commit }) => commit <= oldestSnapshot)
    const { change } = version
    const base = before.at(-1)?.change
    const whole = change === 'deleted' || base === undefined || base === 'deleted' ? change : new Map([...base, ...change])
    chunk.versions.set(row, [...before.slice(Math.max(0, needed)), { commit: version.commit, change: whole }])
  }

  /** Merges small chunks and drops dead rows, where every open snapshot sees the same. `typeOf` gives the type of a column id. */
  compact(oldestSnapshot: number, typeOf: (column: number) => DataType | undefined): void {
    const settled = new Set(this.chunks.filter((chunk) => isSettled(chunk, oldestSnapshot)))
    const merged = (run: readonly Chunk[], least: number): readonly Chunk[] =>
      run.length >= least && run.every((chunk) => settled.has(chunk)) ? this.#merge(run, typeOf) : run
    const alive = this.chunks.filter((chunk) => !settled.has(chunk) || !isDead(chunk))
    const chunks = [...runsOf(alive, (chunk) => settled.has(chunk))].flatMap((run) =>
      run.length >= MERGE_FROM ? merged(run, MERGE_FROM) : [...runsOf(run, sizeOf)].flatMap((alike) => merged(alike, MERGE_ALIKE)),
    )
    if (chunks.length < this.chunks.length) this.chunks = chunks
  }

  #merge(chunks: readonly Chunk[], typeOf: (column: number) => DataType | undefined): Chunk[] {
    const view = new RowView(this, Number.POSITIVE_INFINITY)
    const kept = chunks.map((chunk) => ({
      chunk,
      rows: Uint32Array.from({ length: chunk.rows }, (_, row) => row).filter((row) => view.changeOf(chunk, row) !== 'deleted'),
    }))
    const rowIds = Float64Array.from(kept.flatMap(({ chunk, rows }) => Array.from(rows, (row) => rowIdAt(chunk, row))))
    const [firstRowId, lastRowId] = [rowIds[0], rowIds.at(-1)]
    if (firstRowId === undefined || lastRowId === undefined) return []
    const ids = new Set(chunks.flatMap((chunk) => [...chunk.columns.keys(), ...changedColumns(chunk)]))
    const columns = new Map<number, Data>()
    for (const id of ids) {
      // A dropped column has no type any more, but an open snapshot may still read its cells.
      const type = typeOf(id) ?? chunks.find((chunk) => chunk.columns.has(id))?.columns.get(id)?.type
      if (type === undefined) continue
      columns.set(id, view.column(kept, id, type))
    }
    const gapless = lastRowId - firstRowId + 1 === rowIds.length
    return [
      {
        rows: rowIds.length,
        firstRowId,
        lastRowId,
        rowIds: gapless ? undefined : rowIds,
        clientIds: false,
        columns,
        commit: Math.max(...chunks.map(({ commit }) => commit)),
        versions: new Map(),
      },
    ]
  }
}

const changedColumns = (chunk: Chunk): number[] =>
  [...chunk.versions.values()].flatMap((versions) => versions.flatMap(({ change }) => (change === 'deleted' ? [] : [...change.keys()])))
