// What a server can do follows from its version: `Server: vast <major>.<minor>.<patch>.<protocol>`.
import { NotSupportedVersion, UnsupportedServer } from './errors.ts'

export type ServerVersion = readonly [major: number, minor: number, patch: number, protocol: number]

/** Reads the `Server` header. Anything but VAST with four numbers: `UnsupportedServer`. */
export const parseServer = (header: string | undefined): ServerVersion => {
  const match = /^vast (\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(header ?? '')
  if (match !== null) return [Number(match[1]), Number(match[2]), Number(match[3]), Number(match[4])]
  if (header?.startsWith('vast') === false) throw new UnsupportedServer(`the server calls itself ${JSON.stringify(header)}, not VAST`)
  throw new UnsupportedServer(`the server does not say its version (${JSON.stringify(header ?? null)}): the cluster is too old, upgrade it`)
}

/** Features and the first version that has them. */
export const FEATURES = {
  'row ids from insert': [5, 1],
  'choosing a projection in a query': [5, 1],
  'row ids chosen by the client': [5, 1],
  'imports table': [5, 2],
  'sorted tables': [5, 3],
  'time zones of timestamps': [5, 4],
  'sort marks in the column listing': [5, 5],
  'listing column names only': [5, 5],
  'partitioned tables': [5, 5],
  'blob expansion': [5, 5],
  'vector index': [5, 5],
} as const satisfies Record<string, readonly number[]>

export type Feature = keyof typeof FEATURES

export const hasFeature = (version: ServerVersion, feature: Feature): boolean => {
  const needed: readonly number[] = FEATURES[feature]
  const at = needed.findIndex((part, i) => part !== version[i])
  return at < 0 || (version[at] ?? 0) > (needed[at] ?? 0)
}

/** Throws `NotSupportedVersion` when the server is too old; no request is made. */
export const requireFeature = (version: ServerVersion, feature: Feature): void => {
  if (!hasFeature(version, feature))
    throw new NotSupportedVersion(`${feature}: needs server ${FEATURES[feature].join('.')}, this one is ${version.join('.')}`)
}
