import { isIP } from 'node:net'
import type { RateLimit } from './config/parsers.ts'
import { type EffectiveVariable, readVariables } from './config/read.ts'
import type { Values } from './config/variables.ts'

export { describeConfig, envExample } from './config/describe.ts'
export type { RateLimit } from './config/parsers.ts'

/** The environment, read once. Names with a unit are in it; `variables` has every variable as text, secrets masked. */
export interface Config {
  readonly host: string
  readonly port: number
  readonly dataDir: string
  readonly publicBaseUrl: string | undefined
  readonly trustProxy: boolean
  readonly strict: boolean
  readonly insecure: boolean
  /** `''`, or begins with a slash and ends without one. */
  readonly basePath: string
  readonly secretKey: string | undefined
  readonly auth: AuthConfig
  readonly logLevel: Values['LOG_LEVEL']
  readonly logFormat: Values['LOG_FORMAT']
  readonly corsOrigins: '*' | readonly string[]
  /** Bytes. */
  readonly bodyLimit: number
  /** Bytes. */
  readonly minFreeSpace: number
  readonly rateLimit: RateLimit | undefined
  readonly pageLimitDefault: number
  readonly pageLimitMax: number
  readonly flowStorageDefaultLimit: number
  /** Seconds. */
  readonly minObjectTimeout: number
  readonly requireUploadedObjects: boolean
  readonly asyncDeletionThreshold: number
  readonly softDeleteDefault: boolean
  readonly softDeleteRetentionMs: number
  readonly eventRetentionMs: number
  readonly auditRetentionMs: number
  readonly getUrlsMaxCount: number
  readonly webhookAllowedHosts: readonly string[]
  readonly vast: VastConfig | undefined
  readonly storageConfigFile: string | undefined
  readonly defaultStorageBackendId: string | undefined
  readonly storagePath: string
  readonly mediaPublicBaseUrl: string | undefined
  /** Seconds, on every backend. */
  readonly uploadUrlTimeout: number
  /** Seconds, on every backend. */
  readonly downloadUrlTimeout: number
  readonly s3: S3Config | undefined
  readonly analytics: AnalyticsConfig
  readonly otlpEndpoint: string | undefined
  readonly variables: readonly EffectiveVariable[]
}

export interface AuthConfig {
  /** Whether credentials are asked for; `if-any`: once there are users or tokens. */
  readonly mode: 'on' | 'off' | 'if-any'
  readonly oidc: OidcConfig | undefined
}

export interface OidcConfig {
  /** As it is written. */
  readonly issuer: string
  readonly audiences: readonly string[]
  readonly algorithms: readonly string[]
  readonly scopeClaim: string
}

export interface VastConfig {
  readonly endpoints: readonly string[]
  readonly accessKey: string
  readonly secretKey: string
  readonly bucket: string
  readonly schema: string
  readonly sslVerify: boolean
  readonly timeoutMs: number
  readonly singleWriter: boolean
  /** undefined: where the cluster has no sorted tables. */
  readonly enableProjections: boolean | undefined
}

export interface S3Config {
  /** With a scheme. */
  readonly endpointUrl: string
  /** undefined, like the secret: the default credential chain of the AWS SDK. */
  readonly accessKeyId: string | undefined
  readonly secretAccessKey: string | undefined
  readonly bucket: string
  readonly region: string
  readonly serverSideEncryption: Values['S3_SERVER_SIDE_ENCRYPTION']
}

export interface AnalyticsConfig {
  readonly memoryLimitBytes: number
  /** undefined: one less than there are cores. */
  readonly threads: number | undefined
  readonly queryTimeoutMs: number
  readonly rowLimit: number
  readonly cacheTtlMs: number
  readonly slowQueryMs: number
}

/** Why the service does not start: one line for each variable at fault, which it names. */
export class ConfigError extends Error {
  constructor(readonly problems: readonly string[]) {
    super(`The configuration is not usable:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
    this.name = 'ConfigError'
  }
}

/** The only reader of the environment. Throws a ConfigError that lists everything that is wrong. */
export const readConfig = (env: Readonly<Record<string, string | undefined>>): Config => {
  const { values, variables, problems } = readVariables(env)
  if (!values) throw new ConfigError(problems)
  const vast = vastConfig(values)
  const s3 = s3Config(values)
  const auth = authConfig(values)
  const broken = [...auth.problems, ...vast.problems, ...s3.problems, ...brokenRules(values)]
  if (broken.length > 0 || !auth.config) throw new ConfigError(broken)
  return Object.freeze({
    host: values.HOST,
    port: values.PORT,
    dataDir: values.TAMS_DATA_DIR,
    publicBaseUrl: values.PUBLIC_BASE_URL,
    trustProxy: values.TRUST_PROXY,
    strict: values.TAMS_STRICT,
    insecure: values.TAMS_INSECURE,
    basePath: values.BASE_PATH ?? '',
    secretKey: values.SECRET_KEY,
    auth: auth.config,
    logLevel: values.LOG_LEVEL,
    logFormat: values.LOG_FORMAT,
    corsOrigins: values.CORS_ORIGINS,
    bodyLimit: values.BODY_LIMIT,
    minFreeSpace: values.MIN_FREE_SPACE,
    rateLimit: values.RATE_LIMIT ?? undefined,
    pageLimitDefault: values.PAGE_LIMIT_DEFAULT,
    pageLimitMax: values.PAGE_LIMIT_MAX,
    flowStorageDefaultLimit: values.FLOW_STORAGE_DEFAULT_LIMIT,
    minObjectTimeout: values.MIN_OBJECT_TIMEOUT,
    requireUploadedObjects: values.REQUIRE_UPLOADED_OBJECTS,
    asyncDeletionThreshold: values.ASYNC_DELETION_THRESHOLD,
    softDeleteDefault: values.SOFT_DELETE_DEFAULT,
    softDeleteRetentionMs: values.SOFT_DELETE_RETENTION,
    eventRetentionMs: values.EVENT_RETENTION,
    auditRetentionMs: values.AUDIT_RETENTION,
    getUrlsMaxCount: values.GET_URLS_MAX_COUNT,
    webhookAllowedHosts: values.WEBHOOK_ALLOWED_HOSTS ?? [],
    vast: vast.config,
    storageConfigFile: values.STORAGE_CONFIG,
    defaultStorageBackendId: values.DEFAULT_STORAGE_BACKEND_ID,
    storagePath: values.TAMS_STORAGE_PATH,
    mediaPublicBaseUrl: values.MEDIA_PUBLIC_BASE_URL,
    uploadUrlTimeout: values.S3_PRESIGNED_URL_UPLOAD_TIMEOUT / 1000,
    downloadUrlTimeout: values.S3_PRESIGNED_URL_DOWNLOAD_TIMEOUT / 1000,
    s3: s3.config,
    analytics: Object.freeze({
      memoryLimitBytes: values.ANALYTICS_MEMORY_LIMIT,
      threads: values.ANALYTICS_THREADS,
      queryTimeoutMs: values.ANALYTICS_QUERY_TIMEOUT,
      rowLimit: values.ANALYTICS_ROW_LIMIT,
      cacheTtlMs: values.ANALYTICS_CACHE_TTL,
      slowQueryMs: values.SLOW_QUERY_MS,
    }),
    otlpEndpoint: values.OTEL_EXPORTER_OTLP_ENDPOINT,
    variables,
  })
}

interface Section<T> {
  readonly config: T | undefined
  readonly problems: readonly string[]
}

// What is listened to by others asks for credentials, unless somebody says twice that it should not.
const authConfig = (values: Values): Section<AuthConfig> => {
  const { AUTH_REQUIRED: required, AUTH_OIDC_ISSUER: issuer, AUTH_OIDC_AUDIENCE: audiences, TAMS_INSECURE: insecure, HOST: host } = values
  const problems = [...halfSet({ AUTH_OIDC_ISSUER: issuer, AUTH_OIDC_AUDIENCE: audiences })]
  const isExposed = !isLoopback(host) && !insecure
  if (required === false && isExposed)
    problems.push(`AUTH_REQUIRED: expected true, because HOST is ${host}, no loopback address (TAMS_INSECURE=true overrides)`)
  if (required === false && issuer !== undefined) problems.push('AUTH_REQUIRED: expected true, because AUTH_OIDC_ISSUER is set')
  const oidc =
    issuer !== undefined && audiences
      ? Object.freeze({ issuer, audiences, algorithms: values.AUTH_OIDC_ALGORITHMS, scopeClaim: values.AUTH_SCOPE_CLAIM })
      : undefined
  const isOn = required ?? (isExposed || oidc !== undefined)
  return { config: Object.freeze({ mode: isOn ? 'on' : required === false ? 'off' : 'if-any', oidc }), problems }
}

// A section is on when its first variable is set. Half a section is a mistake: silently taking the embedded store instead
// would put data where nobody looks for it.
const vastConfig = (values: Values): Section<VastConfig> => {
  const { VAST_ENDPOINT: endpoints, VAST_ACCESS_KEY: accessKey, VAST_SECRET_KEY: secretKey, VAST_BUCKET: bucket } = values
  const problems = halfSet({ VAST_ENDPOINT: endpoints, VAST_ACCESS_KEY: accessKey, VAST_SECRET_KEY: secretKey, VAST_BUCKET: bucket })
  if (!endpoints || !accessKey || !secretKey || !bucket) return { config: undefined, problems }
  const config = Object.freeze({
    endpoints,
    accessKey,
    secretKey,
    bucket,
    schema: values.VAST_SCHEMA,
    sslVerify: values.VAST_SSL_VERIFY,
    timeoutMs: values.VAST_TIMEOUT,
    singleWriter: values.VAST_SINGLE_WRITER,
    enableProjections: values.ENABLE_TABLE_PROJECTIONS,
  })
  return { config, problems }
}

const s3Config = (values: Values): Section<S3Config> => {
  const { S3_BUCKET_NAME: bucket, S3_ACCESS_KEY_ID: accessKeyId, S3_SECRET_ACCESS_KEY: secretAccessKey } = values
  const keys = halfSet({ S3_ACCESS_KEY_ID: accessKeyId, S3_SECRET_ACCESS_KEY: secretAccessKey })
  if (!bucket) {
    const set = (['S3_ENDPOINT_URL', 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'] as const).filter((name) => values[name] !== undefined)
    const missing =
      set.length > 0 ? [`S3_BUCKET_NAME: expected a value, because ${set.join(' and ')} ${set.length === 1 ? 'is' : 'are'} set`] : []
    return { config: undefined, problems: [...missing, ...keys] }
  }
  const both =
    values.STORAGE_CONFIG === undefined ? [] : ['S3_BUCKET_NAME: cannot come together with STORAGE_CONFIG, which names the buckets']
  const problems = [...keys, ...both]
  const endpoint = values.S3_ENDPOINT_URL ?? `https://s3.${values.S3_REGION}.amazonaws.com`
  const config = Object.freeze({
    endpointUrl: endpoint.includes('://') ? endpoint : `${values.S3_USE_SSL ? 'https' : 'http'}://${endpoint}`,
    accessKeyId,
    secretAccessKey,
    bucket,
    region: values.S3_REGION,
    serverSideEncryption: values.S3_SERVER_SIDE_ENCRYPTION,
  })
  return { config, problems }
}

const halfSet = (section: Readonly<Record<string, unknown>>): readonly string[] => {
  const set = Object.keys(section).filter((name) => section[name] !== undefined)
  if (set.length === 0) return []
  return Object.keys(section)
    .filter((name) => section[name] === undefined)
    .map((name) => `${name}: expected a value, because ${set.join(' and ')} ${set.length === 1 ? 'is' : 'are'} set`)
}

const brokenRules = (values: Values): readonly string[] => {
  const problems: string[] = []
  if (values.PAGE_LIMIT_DEFAULT > values.PAGE_LIMIT_MAX) {
    problems.push(
      `PAGE_LIMIT_DEFAULT: expected at most PAGE_LIMIT_MAX, which is ${values.PAGE_LIMIT_MAX}, not ${values.PAGE_LIMIT_DEFAULT}`,
    )
  }
  // min_presigned_url_timeout of GET /service is the shorter of the two and may not exceed min_object_timeout (`service` schema).
  const minPresignedMs = Math.min(values.S3_PRESIGNED_URL_UPLOAD_TIMEOUT, values.S3_PRESIGNED_URL_DOWNLOAD_TIMEOUT)
  if (minPresignedMs > values.MIN_OBJECT_TIMEOUT * 1000) {
    problems.push(
      'MIN_OBJECT_TIMEOUT: expected at least the shorter of S3_PRESIGNED_URL_UPLOAD_TIMEOUT and S3_PRESIGNED_URL_DOWNLOAD_TIMEOUT, ' +
        `which is ${minPresignedMs / 1000} s`,
    )
  }
  return problems
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
