import { fstatSync, readSync } from 'node:fs'
import type { PageImages, StoreFiles } from './images.ts'

// The formats of the WAL and of its index: https://www.sqlite.org/walformat.html

const VERSION = 3_007_000
const HEADER_BYTES = 48
const CHECKED_BYTES = 40
const BACKFILLED_AT = 2 * HEADER_BYTES
const SALT_BYTES = 8
const WAL_HEADER_BYTES = 32
const FRAME_HEADER_BYTES = 24

/** Where the WAL ended at one moment, and whether a reader that began then needs it. */
interface WalState {
  /** Equal texts: the same commit is the last one. */
  readonly commit: string
  readonly salt: Buffer
  /** Of the database; 0 while the WAL is empty. */
  readonly pages: number
  /** Frames that count, and 0 where the database file has all of them. */
  readonly frames: number
}

/** undefined while somebody writes the index, or where it is none that this program knows. */
const lookAtWal = ({ index }: StoreFiles): WalState | undefined => {
  const bytes = Buffer.alloc(BACKFILLED_AT + 4)
  if (readSync(index, bytes, 0, bytes.length, 0) !== bytes.length) return undefined
  const header = bytes.subarray(0, HEADER_BYTES)
  // In the order of the processor, of which Bun knows only one.
  const word = (at: number): number => bytes.readUInt32LE(at)
  // Written second copy first, read first copy first: equal ones are of one moment.
  if (!header.equals(bytes.subarray(HEADER_BYTES, 2 * HEADER_BYTES))) return undefined
  if (word(0) !== VERSION || bytes[12] !== 1 || !isChecked(word)) return undefined
  const last = word(16)
  return {
    commit: header.toString('latin1'),
    salt: Buffer.from(bytes.subarray(32, 32 + SALT_BYTES)),
    pages: word(20),
    frames: word(BACKFILLED_AT) === last ? 0 : last,
  }
}

const isChecked = (word: (at: number) => number): boolean => {
  let a = 0
  let b = 0
  for (let at = 0; at < CHECKED_BYTES; at += 8) {
    a = (a + word(at) + b) >>> 0
    b = (b + word(at + 4) + a) >>> 0
  }
  return a === word(CHECKED_BYTES) && b === word(CHECKED_BYTES + 4)
}

const ATTEMPTS = 4

/**
 * The pages of a connection's latest snapshot.
 *
 * Its transaction keeps them: no frame that it needs is overwritten, and the database file gets no page that is newer. (A reader that
 * needs the WAL holds a read mark, up to which checkpoints may go; one that does not holds checkpoints off.)
 */
export class SnapshotPages {
  private state: WalState | undefined
  private known: PageImages | undefined

  constructor(private readonly files: StoreFiles | undefined) {}

  /** `begin`: ends the transaction before, begins one and reads something. It may be called again, where others commit meanwhile. */
  take(begin: () => void): void {
    const { files } = this
    this.state = undefined
    this.known = undefined
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const before = files && lookAtWal(files)
      begin()
      const after = files && lookAtWal(files)
      if (!files) return
      if (!before || !after || before.commit !== after.commit || before.frames !== after.frames) continue
      this.state = before
      return
    }
  }

  /** undefined where others commit all the time, and where there is no WAL that this program can read. */
  get images(): PageImages | undefined {
    if (this.files && this.state) this.known ??= imagesOf(this.files, this.state)
    return this.known
  }
}

// A scan that lasts long can keep the WAL from being begun anew: then SQLite reads what comes after it.
const MOST_FRAMES = 200_000

/** undefined where the WAL is not the one of that state, or a very long one. */
const imagesOf = (files: StoreFiles, { commit, salt, pages, frames }: WalState): PageImages | undefined => {
  if (frames > MOST_FRAMES) return undefined
  const first = Buffer.alloc(DATABASE_HEADER_BYTES)
  if (readSync(files.database, first, 0, first.length, 0) !== first.length) return undefined
  const pageSize = sizeOf(first.readUInt16BE(PAGE_SIZE_AT))
  const inWal = new Map<number, number>()
  const header = Buffer.alloc(FRAME_HEADER_BYTES)
  for (let frame = 0, at = WAL_HEADER_BYTES; frame < frames; frame++, at += FRAME_HEADER_BYTES + pageSize) {
    if (readSync(files.wal, header, 0, FRAME_HEADER_BYTES, at) !== FRAME_HEADER_BYTES) return undefined
    if (!header.subarray(8, 8 + SALT_BYTES).equals(salt)) return undefined
    inWal.set(header.readUInt32BE(0), at + FRAME_HEADER_BYTES)
  }
  // An empty WAL does not tell.
  const all = pages || fstatSync(files.database).size / pageSize
  return { commit, files, pageSize, usable: pageSize - (first[RESERVED_AT] as number), pages: all, inWal }
}

// Neither changes while the WAL is in use: https://www.sqlite.org/fileformat2.html#the_database_header
const DATABASE_HEADER_BYTES = 100
const PAGE_SIZE_AT = 16
// 65,536 does not fit.
const sizeOf = (stored: number): number => (stored === 1 ? 65_536 : stored)

// Bytes that each page keeps at its end for extensions.
const RESERVED_AT = 20
