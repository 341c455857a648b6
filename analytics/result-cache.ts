import type { Answer } from './service.ts'

interface Entry {
  readonly answer: Answer
  readonly versions: Readonly<Record<string, string>>
  readonly expiresUs: bigint
  readonly cells: number
}

/** Answers, kept for a short time; whoever takes one makes sure that the versions it rests on are still those of the store. */
export class ResultCache {
  private readonly entries = new Map<string, Entry>()
  private cells = 0
  private hits = 0
  private misses = 0

  constructor(
    private readonly ttlUs: bigint,
    /** Cells of all answers together. */
    private readonly maxCells: number,
  ) {}

  find(key: string, nowUs: bigint): Entry | undefined {
    const entry = this.entries.get(key)
    if (entry && entry.expiresUs <= nowUs) this.remove(key)
    return entry && entry.expiresUs > nowUs ? entry : undefined
  }

  count(hit: boolean): void {
    if (hit) this.hits++
    else this.misses++
  }

  keep(key: string, answer: Answer, versions: Readonly<Record<string, string>>, nowUs: bigint): void {
    this.remove(key)
    // An empty answer takes room as well, and a cell with a list more than others.
    const cells = 16 + answer.table.columns.length * answer.table.rows.length + nestedCells(answer)
    if (cells > this.maxCells / 4) return
    this.entries.set(key, { answer, versions, expiresUs: nowUs + this.ttlUs, cells })
    this.cells += cells
    for (const oldest of this.entries.keys()) {
      if (this.cells <= this.maxCells) return
      this.remove(oldest)
    }
  }

  remove(key: string): void {
    const entry = this.entries.get(key)
    if (!entry) return
    this.entries.delete(key)
    this.cells -= entry.cells
  }

  clear(): void {
    this.entries.clear()
    this.cells = 0
  }

  statistics() {
    return {
      results: this.entries.size,
      cells: this.cells,
      max_cells: this.maxCells,
      ttl_seconds: Number(this.ttlUs) / 1e6,
      hits: this.hits,
      misses: this.misses,
    }
  }
}

const nestedCells = ({ table }: Answer): number =>
  table.rows.reduce((sum, row) => sum + row.reduce((inRow: number, cell) => inRow + (Array.isArray(cell) ? cell.length * 4 : 0), 0), 0)
