/**
 * The closed list of failures a caller can act on, and what each says. `api/plugins/errors.ts` maps each to a status; the code is also
 * the `type` of an error body and a metric label. `docs/ERRORS.md` tells clients what to do.
 */
export const ERRORS = {
  invalid: 'malformed or rule-breaking input',
  overlap: 'a segment would overlap another one of its flow',
  unauthorized: 'no or bad credentials',
  forbidden: 'the principal may not',
  read_only: 'the flow is read-only',
  not_found: 'there is no such resource, or the principal may not see it',
  method_not_allowed: 'the path has other methods',
  exists: 'there is one with this id already',
  conflict: 'the state of the resource forbids the request',
  too_large: 'a body or a value above its limit',
  unsupported_media_type: 'the body is of another type than the request takes',
  range_not_satisfiable: 'none of the bytes asked for are there',
  unprocessable: 'well-formed, but cannot be carried out as it stands (a query in SQL)',
  too_many_requests: 'more requests than this client may make',
  storage_full: 'no room is left for what the request adds; reads and deletions go on',
  unavailable: 'a dependency is away or busy',
  timeout: 'the work took too long',
  internal: 'a mistake or an outage of the server, of which only its log tells more',
} as const

export type ErrorCode = keyof typeof ERRORS

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
