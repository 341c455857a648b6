import { type ErrorCode, TamsError } from '../../src/core/errors.ts'
import { type Scope, scopeClaim } from '../../src/domain/scope.ts'

const BASIC = 'Basic realm="tams", charset="UTF-8"'
const BEARER = 'Bearer realm="tams"'

/** A refusal of credentials with the headers that tell a client what to do about it. */
export class Refusal extends TamsError {
  constructor(
    code: ErrorCode,
    message: string,
    readonly headers: Readonly<Record<string, string>>,
  ) {
    super(code, message)
    this.name = 'Refusal'
  }
}

const unauthorized = (message: string, bearer: string): Refusal =>
  new Refusal('unauthorized', message, { 'www-authenticate': `${bearer}, ${BASIC}` })

/** RFC 6750 3.1: no error code for a request that carries nothing. */
export const missingCredentials = (): Refusal =>
  unauthorized('Credentials are required: Basic, Bearer or the parameter access_token', BEARER)

/** The same for a name that nobody has and for a wrong password. */
export const wrongPassword = (): Refusal => unauthorized('The name or the password is wrong', BEARER)

/** Published clients take this as the sign to renew their token. */
export const invalidToken = (): Refusal =>
  unauthorized(
    'The token is not valid: unknown, expired or revoked, or made for another service',
    `${BEARER}, error="invalid_token", error_description="The token is not valid"`,
  )

/** RFC 6750 3.1. */
export const insufficientScope = (scope: Scope | 'any'): Refusal => {
  const wanted = scope === 'any' ? '' : `, scope="${scopeClaim(scope)}"`
  const message = scope === 'any' ? 'These credentials have no scope of this service' : `This needs the scope ${scopeClaim(scope)}`
  return new Refusal('forbidden', message, { 'www-authenticate': `${BEARER}, error="insufficient_scope"${wanted}` })
}

export const tooManyFailures = (retryAfterSeconds: number): Refusal =>
  new Refusal('too_many_requests', 'Too many failed attempts to log in from this address', { 'retry-after': String(retryAfterSeconds) })
