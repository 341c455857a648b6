// Failures that a caller can tell apart. A server's answer becomes one of the status classes; the rest is decided on this side.
import { decodeError } from './wire/xml.ts'

export interface ErrorContext {
  /** `GET /bucket/schema/table?data`. */
  readonly operation?: string
  /** HTTP status. */
  readonly status?: number
  /** `Code` of the error body. */
  readonly code?: string | undefined
  readonly requestId?: string | undefined
  readonly cause?: unknown
}

/** Base of everything that this library throws on purpose. */
export class VastError extends Error {
  override readonly name: string = 'VastError'
  readonly operation: string | undefined
  readonly status: number | undefined
  readonly code: string | undefined
  readonly requestId: string | undefined

  constructor(message: string, context: ErrorContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause })
    this.operation = context.operation
    this.status = context.status
    this.code = context.code
    this.requestId = context.requestId
  }
}

/** 400. */
export class BadRequest extends VastError {
  override readonly name: string = 'BadRequest'
}
/** A type, or any status with code `TabularUnsupportedColumnType`. */
export class NotSupportedSchema extends VastError {
  override readonly name = 'NotSupportedSchema'
}
/** 403: wrong key, or no permission. */
export class Forbidden extends VastError {
  override readonly name = 'Forbidden'
}
/** 404: bucket, schema, table, column or transaction. */
export class NotFound extends VastError {
  override readonly name: string = 'NotFound'
}
/** 405. */
export class MethodNotAllowed extends VastError {
  override readonly name = 'MethodNotAllowed'
}
/** 408. */
export class RequestTimeout extends VastError {
  override readonly name = 'RequestTimeout'
}
/** 409: a write conflict (roll the transaction back), a schema that is not empty, a bucket that is not a database. */
export class Conflict extends VastError {
  override readonly name = 'Conflict'
}
/** 500. */
export class InternalServerError extends VastError {
  override readonly name = 'InternalServerError'
}
/** 501. */
export class NotImplemented extends VastError {
  override readonly name = 'NotImplemented'
}
/** 503 with code `SlowDown`: retried. */
export class SlowDown extends VastError {
  override readonly name = 'SlowDown'
}
/** 503 without it: not retried. */
export class ServiceUnavailable extends VastError {
  override readonly name = 'ServiceUnavailable'
}
/** 507. */
export class InsufficientCapacity extends VastError {
  override readonly name = 'InsufficientCapacity'
}
/** A status that the protocol does not know; a proxy in between, perhaps. */
export class UnexpectedStatus extends VastError {
  override readonly name = 'UnexpectedStatus'
}
/** The connection failed. `sent` says whether the server may have acted on the request. */
export class ConnectionFailed extends VastError {
  override readonly name = 'ConnectionFailed'
  /** False only when no connection came about, so that nothing can have happened. */
  readonly sent: boolean
  constructor(message: string, context: ErrorContext & { readonly sent: boolean }) {
    super(message, context)
    this.sent = context.sent
  }
}
/** No answer, or no further byte of one, within the time limit. Not retried. */
export class TimedOut extends VastError {
  override readonly name = 'TimedOut'
}
/** The answer of a query ended with the failed marker. */
export class QueryFailed extends VastError {
  override readonly name = 'QueryFailed'
}
/** An answer that the protocol does not allow. `cause` has the byte, when bytes were the reason. */
export class ProtocolError extends VastError {
  override readonly name = 'ProtocolError'
}
/** The server is not VAST, or too old to say its version. */
export class UnsupportedServer extends VastError {
  override readonly name = 'UnsupportedServer'
}
/** The server's version does not have this feature; no request was made. */
export class NotSupportedVersion extends VastError {
  override readonly name = 'NotSupportedVersion'
}
/** This library does not do that; no request was made. */
export class NotSupportedCommand extends VastError {
  override readonly name = 'NotSupportedCommand'
}
/** A request that would be larger than the server takes; none was made. */
export class TooLargeRequest extends VastError {
  override readonly name: string = 'TooLargeRequest'
}
/** One row, or one cell, that does not fit into a request. */
export class TooWideRow extends TooLargeRequest {
  override readonly name = 'TooWideRow'
}
/** The transaction has been committed or rolled back. */
export class TransactionNotActive extends VastError {
  override readonly name = 'TransactionNotActive'
}
/** The answer to a commit was lost: it may or may not have been applied. Read back to find out; never repeat the writes blindly. */
export class CommitUncertain extends VastError {
  override readonly name = 'CommitUncertain'
}
/** An argument that cannot be right; no request was made. */
export class InvalidArgument extends VastError {
  override readonly name = 'InvalidArgument'
}

type StatusClass = new (message: string, context: ErrorContext) => VastError

const BY_STATUS: Readonly<Record<number, StatusClass>> = {
  400: BadRequest,
  403: Forbidden,
  404: NotFound,
  405: MethodNotAllowed,
  408: RequestTimeout,
  409: Conflict,
  500: InternalServerError,
  501: NotImplemented,
  503: ServiceUnavailable,
  507: InsufficientCapacity,
}

const classOf = (status: number, code: string | undefined): StatusClass => {
  if (code === 'TabularUnsupportedColumnType') return NotSupportedSchema
  if (status === 503 && code === 'SlowDown') return SlowDown
  return BY_STATUS[status] ?? UnexpectedStatus
}

/** The error of an answer with any status but 200. */
export const errorOfAnswer = (operation: string, status: number, body: string): VastError => {
  const { code, message, requestId } = decodeError(body)
  const detail = [code, message].filter((part) => part !== undefined && part !== '').join(': ')
  return new (classOf(status, code))(`${operation}: ${status}${detail === '' ? '' : ` ${detail}`}`, { operation, status, code, requestId })
}
