import type { PageReader } from './images.ts'

// B-trees of indexes, as which SQLite keeps tables without rowid: https://www.sqlite.org/fileformat2.html#b_tree_pages

const INTERIOR = 2
const LEAF = 10
const LEAF_HEADER_BYTES = 8
const INTERIOR_HEADER_BYTES = 12
const CHILD_BYTES = 4
// 2^32 pages of two cells at least.
const MOST_LEVELS = 40

class TreePage {
  readonly bytes: Buffer
  interior = false
  cells = 0
  /** A page of n cells has 2n + 1 steps: child, cell, child, … Of a leaf only the cells. */
  step = 0
  end = 0

  constructor(private readonly reader: PageReader) {
    this.bytes = Buffer.allocUnsafeSlow(reader.images.pageSize)
  }

  load(page: number): void {
    this.reader.read(page, this.bytes)
    const type = this.bytes[0]
    if (type !== LEAF && type !== INTERIOR) throw new Error(`page ${page} of the store is none of a table without rowid`)
    this.interior = type === INTERIOR
    this.cells = this.bytes.readUInt16BE(3)
    this.step = 0
    this.end = this.interior ? 2 * this.cells + 1 : this.cells
  }

  /** Where the payload of a cell begins: its length, then itself. */
  payload(cell: number): number {
    const at = (this.interior ? INTERIOR_HEADER_BYTES : LEAF_HEADER_BYTES) + 2 * cell
    const start = (((this.bytes[at] ?? 0) << 8) | (this.bytes[at + 1] ?? 0)) + (this.interior ? CHILD_BYTES : 0)
    if (start >= this.reader.images.usable) throw new Error('a page of the store has a cell beyond its end')
    return start
  }

  /** The last child has no cell. */
  child(number: number): number {
    return this.bytes.readUInt32BE(number < this.cells ? this.payload(number) - CHILD_BYTES : LEAF_HEADER_BYTES)
  }
}

/** A part of a tree: all below a page, or (`cell` from 0) one cell of a page that has children. */
export interface TreePart {
  readonly page: number
  readonly cell: number
}

const WHOLE = -1

/** Walks parts of a tree in the order of the key, cell by cell. */
export class TreeWalk {
  /** Of the cell at hand, until the next step. */
  bytes: Buffer = Buffer.alloc(0)
  at = 0
  private readonly levels: TreePage[] = []
  private depth = -1

  constructor(private readonly reader: PageReader) {}

  begin({ page, cell }: TreePart): void {
    this.depth = -1
    const top = this.enter(page)
    if (cell === WHOLE) return
    top.step = 2 * cell + 1
    top.end = top.step + 1
  }

  /** Whether there is another cell. */
  next(): boolean {
    while (this.depth >= 0) {
      const level = this.levels[this.depth] as TreePage
      const { step } = level
      if (step >= level.end) {
        this.depth--
        continue
      }
      level.step++
      if (level.interior && step % 2 === 0) {
        this.enter(level.child(step / 2))
        continue
      }
      this.bytes = level.bytes
      this.at = level.payload(level.interior ? (step - 1) / 2 : step)
      return true
    }
    return false
  }

  private enter(page: number): TreePage {
    if (++this.depth >= MOST_LEVELS) throw new Error('the pages of the store form no tree')
    let level = this.levels[this.depth]
    if (!level) {
      level = new TreePage(this.reader)
      this.levels.push(level)
    }
    level.load(page)
    return level
  }
}

/** Parts of about the same size that together are the tree, in order: `least` of them or more, where it has levels enough. */
export const partsOf = (reader: PageReader, root: number, least: number): readonly TreePart[] => {
  const page = new TreePage(reader)
  let parts: readonly TreePart[] = [{ page: root, cell: WHOLE }]
  for (let level = 0; parts.length < least && level < MOST_LEVELS; level++) {
    let finer = 0
    const next = parts.flatMap((part) => {
      if (part.cell !== WHOLE) return [part]
      page.load(part.page)
      if (!page.interior) return [part]
      finer++
      return Array.from({ length: 2 * page.cells + 1 }, (_, step) =>
        step % 2 === 0 ? { page: page.child(step / 2), cell: WHOLE } : { page: part.page, cell: (step - 1) / 2 },
      )
    })
    if (finer === 0) break
    parts = next
  }
  return parts
}
