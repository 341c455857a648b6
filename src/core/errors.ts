/**
 * The closed list of failures a caller can act on. `api/plugins/errors.ts` maps each to a status;
 * the code is also the `type` of an error body and a metric label.
 */
export type ErrorCode =
  | 'invalid' // malformed or rule-breaking input
  | 'overlap' // a segment would overlap another one of its flow
  | 'unauthorized' // no or bad credentials
  | 'forbidden' // the principal may not
  | 'read_only' // the flow is read-only
  | 'not_found'
  | 'method_not_allowed'
  | 'exists' // a row with this key is there already
  | 'conflict' // the state of the resource forbids the request
  | 'too_large' // a body or cell above its limit
  | 'unsupported_media_type'
  | 'range_not_satisfiable'
  | 'unprocessable' // well-formed, but cannot be carried out as it stands (a query in SQL)
  | 'too_many_requests'
  | 'storage_full' // no room left; reads go on
  | 'unavailable' // a dependency is away or busy: try again
  | 'timeout'
  | 'internal' // a bug or an outage; never shown in detail

export interface ErrorOptions {
  /** The member, parameter or header at fault, as the client wrote it: `essence_parameters.frame_width`. */
  readonly field?: string
  readonly cause?: unknown
  /** Further members for a log line; never sent to clients. */
  readonly detail?: Readonly<Record<string, unknown>>
}

/** A failure the caller can act on; `message` is written for them and names the field and the reason. */
export class TamsError extends Error {
  readonly code: ErrorCode
  readonly field: string | undefined
  readonly detail: Readonly<Record<string, unknown>> | undefined

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'TamsError'
    this.code = code
    this.field = options.field
    this.detail = options.detail
  }
}

/** `invalid` with the field in front of the reason, so that every 400 names both. */
export const invalid = (field: string, reason: string, cause?: unknown): TamsError =>
  new TamsError('invalid', `${field}: ${reason}`, { field, cause })

export const notFound = (what: string): TamsError => new TamsError('not_found', `${what} was not found`)

export const isTamsError = (error: unknown, code?: ErrorCode): error is TamsError =>
  error instanceof TamsError && (code === undefined || error.code === code)
