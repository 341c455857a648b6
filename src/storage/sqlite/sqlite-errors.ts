import { SQLiteError } from 'bun:sqlite'
import { TamsError } from '../../core/errors.ts'

const codeOf = (error: unknown): string => (error instanceof SQLiteError ? (error.code ?? '') : '')

/** Another connection writes, or holds what this one needs for a moment. */
export const isBusy = (error: unknown): boolean => codeOf(error).startsWith('SQLITE_BUSY') || codeOf(error).startsWith('SQLITE_LOCKED')

export const isExistingKey = (error: unknown): boolean =>
  codeOf(error) === 'SQLITE_CONSTRAINT_PRIMARYKEY' || codeOf(error) === 'SQLITE_CONSTRAINT_ROWID'

/** What the caller can act on as a `TamsError`, anything else as it is. */
export const translate = (error: unknown, doing: string): unknown => {
  const code = codeOf(error)
  if (code === '') return error
  if (code === 'SQLITE_FULL') return new TamsError('storage_full', `No room left while ${doing}`, { cause: error })
  if (isBusy(error)) return new TamsError('unavailable', `The store was busy while ${doing}`, { cause: error })
  if (/^SQLITE_(IOERR|CANTOPEN|READONLY|PROTOCOL|NOMEM)/.test(code))
    return new TamsError('unavailable', `The store failed while ${doing}`, { cause: error })
  return error
}
