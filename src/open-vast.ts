import type { VastConfig } from './config.ts'
import type { Clock } from './core/clock.ts'
import { type OpenVastOptions, openVastTables, type VastTables } from './storage/vast/index.ts'
import {
  Conflict,
  ConnectionFailed,
  Forbidden,
  NotFound,
  NotSupportedVersion,
  ProtocolError,
  requireFeature,
  TimedOut,
  UnexpectedStatus,
  UnsupportedServer,
  VastClient,
} from './vastdb/index.ts'

/** At the start nobody waits for a cluster that is away: the service ends with the reason and is started again by whoever runs it. */
const FIRST_LOOK = { maxTries: 2, maxTimeMs: 5_000, maxWaitMs: 1_000 }

/** A client of the cluster that the configuration names. Failures say which variable is at fault and what to do. */
export const connectVast = async (vast: VastConfig): Promise<VastClient> => {
  try {
    const client = await VastClient.connect({
      endpoints: vast.endpoints,
      accessKey: vast.accessKey,
      secretKey: vast.secretKey,
      bucket: vast.bucket,
      tls: { verify: vast.sslVerify },
      timeoutMs: vast.timeoutMs,
      retry: FIRST_LOOK,
    })
    requireFeature(client.version, 'row ids from insert')
    return client
  } catch (error) {
    throw explained(error, vast, [...ON_CONNECTING, ...AT_ANY_TIME])
  }
}

/** The tables on that cluster, made or completed. Failures say what is at fault and what to do. */
export const openVast = async (
  vast: VastConfig,
  clock: Clock,
  log: WarningLog = () => {},
  onAnswer?: OpenVastOptions['onAnswer'],
): Promise<VastTables> => {
  // The engine has patience with a cluster; a mistake in the configuration should be told at once.
  const client = await connectVast(vast)
  client.close()
  const { sslVerify: tlsVerify, ...options } = vast
  try {
    return await openVastTables({ ...options, tlsVerify, clock, log, onAnswer })
  } catch (error) {
    throw explained(error, vast)
  }
}

export type WarningLog = (message: string, detail: Readonly<Record<string, unknown>>) => void

type Failure = abstract new (...args: never[]) => Error

type Explanations = readonly (readonly [Failure, (vast: VastConfig) => string])[]

/** Later these statuses have other reasons. */
const ON_CONNECTING: Explanations = [
  [NotFound, ({ bucket }) => `VAST_BUCKET: the cluster has no bucket ${bucket}. Create it as a database bucket, or correct the name`],
  [Conflict, ({ bucket }) => `VAST_BUCKET: ${bucket} is no database bucket. Create one, or correct the name`],
]

const AT_ANY_TIME: Explanations = [
  [
    Forbidden,
    ({ bucket }) =>
      `VAST_ACCESS_KEY, VAST_SECRET_KEY: the cluster refuses them for the bucket ${bucket}. Check both keys, that their owner may use this bucket, and this machine's clock`,
  ],
  [
    UnsupportedServer,
    ({ endpoints }) =>
      `VAST_ENDPOINT: what answers at ${endpoints.join(', ')} is no VAST cluster of a version that tells it. Correct the address, or upgrade the cluster to 5.1 or later`,
  ],
  [
    NotSupportedVersion,
    () => 'VAST_ENDPOINT: the cluster is too old. Upgrade it to 5.1 or later; from 5.3 on it has sorted tables, which are quicker',
  ],
  [
    ConnectionFailed,
    ({ endpoints }) =>
      `VAST_ENDPOINT: no connection to ${endpoints.join(', ')}. Check the addresses and the network; for a certificate that this machine does not know, install its authority or set VAST_SSL_VERIFY=false`,
  ],
  [TimedOut, ({ endpoints, timeoutMs }) => `VAST_ENDPOINT: no answer from ${endpoints.join(', ')} in ${timeoutMs} ms (VAST_TIMEOUT)`],
  [
    ProtocolError,
    ({ endpoints }) => `VAST_ENDPOINT: what answers at ${endpoints.join(', ')} does not speak the protocol of the VAST Database`,
  ],
  [UnexpectedStatus, ({ endpoints }) => `VAST_ENDPOINT: something else than a VAST cluster answers at ${endpoints.join(', ')}`],
]

/** What to tell the operator: the variable at fault and what to do; the words of the cluster are the cause. Anything else comes back as it is. */
export const explained = (error: unknown, vast: VastConfig, explanations: Explanations = AT_ANY_TIME): unknown => {
  for (const failure of causes(error)) {
    const explain = explanations.find(([kind]) => failure instanceof kind)?.[1]
    if (explain) return new Error(explain(vast), { cause: error })
  }
  return error
}

const causes = function* (error: unknown): Generator<Error> {
  for (let each = error; each instanceof Error; each = each.cause) yield each
}
