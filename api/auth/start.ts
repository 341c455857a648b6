import type { Clock } from '../../src/core/clock.ts'
import { credentialsExist } from '../../src/domain/credentials.ts'
import type { Tables } from '../../src/storage/tables.ts'
import type { Log } from '../../src/telemetry/log.ts'
import { Authentication } from './authentication.ts'
import type { OidcOptions } from './oidc.ts'

export interface StartOptions {
  /** `if-any`: once there are users or tokens. */
  readonly mode: 'on' | 'off' | 'if-any'
  readonly oidc: OidcOptions | undefined
  readonly host: string
}

/**
 * Whether the service asks for credentials, decided at start; undefined: it does not. Throws where it should and nobody could log in
 * (tams-behaviour.md section 12: no authentication is for development only).
 */
export const startAuthentication = async (
  { mode, oidc, host }: StartOptions,
  deps: { readonly tables: Tables; readonly clock: Clock; readonly log: Log },
): Promise<Authentication | undefined> => {
  const exist = await credentialsExist(deps.tables)
  if (mode === 'off' || (mode === 'if-any' && !exist)) {
    if (exist) deps.log.warn({}, 'AUTH_REQUIRED is false: nobody is asked for credentials, although there are users or tokens')
    return undefined
  }
  if (!exist && !oidc)
    throw new Error(
      `HOST ${host}: credentials are asked for, and nobody has any. Make a user (tams users add NAME --scope admin) or a token (tams tokens create NAME --scope admin), or set AUTH_OIDC_ISSUER; TAMS_INSECURE=true serves everybody`,
    )
  if (oidc && /^http:/i.test(oidc.issuer))
    deps.log.warn({ issuer: oidc.issuer }, 'AUTH_OIDC_ISSUER is not https: whoever is on the way to it can make tokens')
  return new Authentication({ ...deps, oidc })
}
