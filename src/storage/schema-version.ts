import { TamsError } from '../core/errors.ts'

/** Grows with every change of `schema.ts`. */
export const SCHEMA_VERSION = 1
/** The oldest program that may use a store written by this one: grows only when old programs would do harm. */
export const MIN_READER_VERSION = 1

/** Rows of `meta` that every store has. A newer program may have raised them. */
export const VERSION_ROWS = { schema_version: SCHEMA_VERSION, min_reader_version: MIN_READER_VERSION } as const

/** Throws `conflict` for a store that a newer program has closed to this one. */
export const refuseNewer = (stored: (name: keyof typeof VERSION_ROWS) => number): void => {
  const needed = stored('min_reader_version')
  if (needed <= SCHEMA_VERSION) return
  throw new TamsError(
    'conflict',
    `The store has schema version ${stored('schema_version')}, which needs a program of version ${needed} or later; this one knows version ${SCHEMA_VERSION}`,
  )
}
