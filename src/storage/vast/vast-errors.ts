import { type ErrorCode, TamsError } from '../../core/errors.ts'
import {
  Conflict,
  ConnectionFailed,
  Forbidden,
  InsufficientCapacity,
  InternalServerError,
  NotFound,
  QueryFailed,
  RequestTimeout,
  ServiceUnavailable,
  SlowDown,
  TimedOut,
  TooWideRow,
  TransactionNotActive,
  UnexpectedStatus,
} from '../../vastdb/index.ts'

type Failure = abstract new (...args: never[]) => Error

/** What a caller of `Tables` can act on. A conflict that outlasts the retries is one of "busy"; a transaction the cluster forgot, of "away". */
const CODES: readonly (readonly [Failure, ErrorCode])[] = [
  [TimedOut, 'timeout'],
  [RequestTimeout, 'timeout'],
  [InsufficientCapacity, 'storage_full'],
  [TooWideRow, 'too_large'],
  [Conflict, 'unavailable'],
  [ConnectionFailed, 'unavailable'],
  [SlowDown, 'unavailable'],
  [ServiceUnavailable, 'unavailable'],
  [InternalServerError, 'unavailable'],
  [QueryFailed, 'unavailable'],
  [Forbidden, 'unavailable'],
  [NotFound, 'unavailable'],
  [TransactionNotActive, 'unavailable'],
  [UnexpectedStatus, 'unavailable'],
]

/** The failure of `doing` in the words of `Tables`; anything that is not the cluster's comes back as it is. */
export const translate = (error: unknown, doing: string): unknown => {
  const code = CODES.find(([failure]) => error instanceof failure)?.[1]
  if (code === undefined || !(error instanceof Error)) return error
  return new TamsError(code, `The VAST Database failed while ${doing}: ${error.message}`, { cause: error })
}
