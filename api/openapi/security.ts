import { SCOPES, scopeClaim } from '../../src/domain/scope.ts'
import { needOf } from '../auth/scopes.ts'

/** The three alternatives of the specification, under its names (tams-behaviour.md section 12). */
export const securitySchemes = {
  basic_auth: { type: 'http', scheme: 'basic', description: 'Name and password of a user.' },
  bearer_token_auth: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: `An access token of the OpenID Connect issuer that the service trusts, with scopes among ${SCOPES.map((scope) => `\`${scopeClaim(scope)}\``).join(', ')}; or a token of this service.`,
  },
  url_token_auth: { type: 'apiKey', in: 'query', name: 'access_token', description: 'The same tokens, where no header can be sent.' },
} as const

/** Any of the three, with the scope that the operation asks for; nothing for operations that are open. */
export const securityOf = (method: string, path: string): Record<string, string[]>[] => {
  const need = needOf(method.toUpperCase(), path)
  if (need === 'open') return []
  return Object.keys(securitySchemes).map((name) => ({ [name]: need === 'any' ? [] : [scopeClaim(need)] }))
}
