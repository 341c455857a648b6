import { readSync } from 'node:fs'

/** Descriptors of a store's files, which are closed by who opened them (`open-files.ts`). */
export interface StoreFiles {
  readonly database: number
  readonly wal: number
  /** The wal-index, beside the WAL. */
  readonly index: number
}

/** What every page holds in one snapshot, for as long as somebody keeps that snapshot open. */
export interface PageImages {
  /** Equal texts: the same snapshot. */
  readonly commit: string
  readonly files: StoreFiles
  readonly pageSize: number
  /** Bytes of a page that the b-tree may use. */
  readonly usable: number
  readonly pages: number
  /** Where in the WAL those pages are that the database file does not have yet. */
  readonly inWal: ReadonlyMap<number, number>
}

export class PageReader {
  constructor(readonly images: PageImages) {}

  /** `page`: its number, from 1. */
  read(page: number, into: Uint8Array): void {
    const { files, pageSize, pages, inWal } = this.images
    if (!(page >= 1 && page <= pages)) throw new Error(`the store refers to page ${page} of ${pages}`)
    const frame = inWal.get(page)
    const got =
      frame === undefined
        ? readSync(files.database, into, 0, pageSize, (page - 1) * pageSize)
        : readSync(files.wal, into, 0, pageSize, frame)
    if (got !== pageSize) throw new Error(`page ${page} of the store ends after ${got} bytes`)
  }
}
