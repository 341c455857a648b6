import { Elysia } from 'elysia'
import type { Clock } from '../../src/core/clock.ts'
import { toMicroseconds } from '../../src/core/clock.ts'
import { type ErrorCode, isTamsError, TamsError } from '../../src/core/errors.ts'
import type { Log } from '../../src/telemetry/log.ts'
import { Refusal } from '../auth/challenge.ts'
import { json } from '../reply.ts'
import { logged } from '../request-context.ts'
import { allowedMethods, type KnownRoute } from '../route-methods.ts'

export const STATUS = {
  invalid: 400,
  overlap: 400,
  unauthorized: 401,
  forbidden: 403,
  read_only: 403,
  not_found: 404,
  method_not_allowed: 405,
  exists: 409,
  conflict: 409,
  too_large: 413,
  unsupported_media_type: 415,
  range_not_satisfiable: 416,
  unprocessable: 422,
  too_many_requests: 429,
  internal: 500,
  unavailable: 503,
  timeout: 504,
  storage_full: 507,
} satisfies Record<ErrorCode, number>

/** Not an answer to what a client has asked for: the service, or what it depends on, is at fault. */
export const isServerFailure = (error: unknown): boolean => !isTamsError(error) || STATUS[error.code] >= 500

const RETRY_AFTER_SECONDS = '5'

export interface ErrorOptions {
  readonly log: Log
  readonly clock: Clock
  /** Told the type of every failure. */
  readonly onFailure?: (type: ErrorCode) => void
  /** All routes of the app, once it is put together. */
  readonly routes: readonly KnownRoute[]
}

/** Every failure ends here: the status of its code, a body `{type, summary, time, message}`, and details in the log only. */
export const errors = ({ log, clock, routes, onFailure }: ErrorOptions) =>
  new Elysia({ name: 'plugin.errors' }).onError({ as: 'global' }, function answerError({ code, error, request, set }) {
    const failure = asTamsError(code, error, request, routes)
    onFailure?.(failure.code)
    const status = STATUS[failure.code]
    set.status = status
    if (failure.code === 'internal') log.error({ ...logged(request), err: error }, 'request failed')
    else if (status >= 500) log.warn({ ...logged(request), err: failure, ...failure.detail }, 'request could not be served')
    const headers: Record<string, string> = {}
    if (failure.code === 'unavailable' || failure.code === 'too_many_requests') headers['retry-after'] = RETRY_AFTER_SECONDS
    if (failure instanceof Refusal) Object.assign(headers, failure.headers)
    if (failure.code === 'method_not_allowed') headers.allow = allowedMethods(routes, request).join(', ')
    const body = { type: failure.code, summary: failure.message, time: toMicroseconds(clock.nowUs()), message: failure.message }
    return json(request, body, { status, headers })
  })

const asTamsError = (code: unknown, error: unknown, request: Request, routes: readonly KnownRoute[]): TamsError => {
  if (isTamsError(error)) return error
  if (code === 'NOT_FOUND') {
    const allowed = allowedMethods(routes, request)
    return allowed.length === 0
      ? new TamsError('not_found', 'There is nothing at this path')
      : new TamsError('method_not_allowed', `${request.method} is not defined here; ${allowed.join(', ')} are`)
  }
  if (code === 'PARSE' || code === 'VALIDATION') return new TamsError('invalid', 'The request could not be read', { cause: error })
  return new TamsError('internal', 'The request failed for a reason of the server; its log has the details', { cause: error })
}
