import type { Parser } from './parsers.ts'
import * as as from './parsers.ts'

export type Group = 'service' | 'authentication' | 'API' | 'VAST' | 'media' | 'analytics' | 'telemetry'

export interface Variable<T> {
  readonly group: Group
  readonly type: Parser<T>
  /** As it would be written in the environment. */
  readonly default?: string
  readonly secret?: true
  readonly help: string
}

const SECOND = 1000
const MAX_PRESIGNED = 7 * 86_400 * SECOND // Signature Version 4 allows no more

/** Asymmetric ones only: with a shared secret the public key would do as one. */
const SIGNATURES = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const

/** Every setting of the service, in the order of the documentation: names and defaults are fixed. */
export const variables = {
  HOST: { group: 'service', type: as.host, default: '127.0.0.1', help: 'Address to listen on.' },
  PORT: { group: 'service', type: as.integer(0, 65_535), default: '8000', help: 'Port to listen on; 0 takes a free one.' },
  TAMS_DATA_DIR: {
    group: 'service',
    type: as.text,
    default: './data',
    help: 'Directory of the SQLite file, the secret key and embedded media.',
  },
  PUBLIC_BASE_URL: {
    group: 'service',
    type: as.url,
    help: 'Where clients reach the service, if not at the address they name in their requests.',
  },
  TRUST_PROXY: { group: 'service', type: as.boolean, default: 'false', help: 'Believe X-Forwarded-* headers.' },
  TAMS_STRICT: { group: 'service', type: as.boolean, default: 'false', help: 'Only what the TAMS specification has; no extensions.' },
  TAMS_INSECURE: { group: 'service', type: as.boolean, default: 'false', help: 'Allow to listen beyond loopback without authentication.' },
  BASE_PATH: { group: 'service', type: as.basePath, help: 'Path below which the API also answers, such as /x-tams/v8.2.' },
  SECRET_KEY: {
    group: 'service',
    type: as.key,
    secret: true,
    help: 'Signs media URLs and own tokens; the same on all replicas. Made at first start and kept in the data directory.',
  },
  LOG_LEVEL: {
    group: 'service',
    type: as.oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
    default: 'info',
    help: 'Least severe level that is logged.',
  },
  LOG_FORMAT: {
    group: 'service',
    type: as.oneOf('auto', 'json', 'pretty'),
    default: 'auto',
    help: 'auto is pretty on a terminal, json elsewhere.',
  },
  CORS_ORIGINS: { group: 'service', type: as.origins, default: '*', help: 'Origins of web pages that may call the API.' },
  BODY_LIMIT: { group: 'service', type: as.size(1024), default: '16 MiB', help: 'Largest JSON body.' },
  MIN_FREE_SPACE: {
    group: 'service',
    type: as.size(0),
    default: '64 MiB',
    help: 'With less room on the disk of the data directory or of media, writes are refused (507) and reads and deletions go on; 0: never.',
  },
  RATE_LIMIT: { group: 'service', type: as.rateLimit, default: 'off', help: 'Requests that one client may make.' },

  AUTH_REQUIRED: {
    group: 'authentication',
    type: as.boolean,
    help: 'Ask for credentials; unset means true beyond loopback, with an issuer, and once there are users or tokens.',
  },
  AUTH_OIDC_ISSUER: { group: 'authentication', type: as.issuer, help: 'OpenID Connect issuer whose access tokens are accepted.' },
  AUTH_OIDC_AUDIENCE: {
    group: 'authentication',
    type: as.listOf(as.word),
    help: 'Whom its tokens have to be made for: aud, or client_id in tokens without aud.',
  },
  AUTH_OIDC_ALGORITHMS: {
    group: 'authentication',
    type: as.listOf(as.oneOf(...SIGNATURES)),
    default: 'RS256,PS256,ES256',
    help: 'Signature algorithms that its tokens may have.',
  },
  AUTH_SCOPE_CLAIM: {
    group: 'authentication',
    type: as.word,
    default: 'scope',
    help: 'Claim that holds the scopes, such as tams-api/read.',
  },

  PAGE_LIMIT_DEFAULT: { group: 'API', type: as.integer(1, 100_000), default: '30', help: 'Items on a page without limit=.' },
  PAGE_LIMIT_MAX: { group: 'API', type: as.integer(1, 100_000), default: '1000', help: 'Most items on a page.' },
  FLOW_STORAGE_DEFAULT_LIMIT: { group: 'API', type: as.integer(1, 100_000), default: '100', help: 'Objects allocated without limit.' },
  MIN_OBJECT_TIMEOUT: {
    group: 'API',
    type: as.timestamp(300),
    default: '3600:0',
    help: 'How long an allocated object waits for its first segment.',
  },
  REQUIRE_UPLOADED_OBJECTS: { group: 'API', type: as.boolean, default: 'false', help: 'Refuse a segment whose bytes are not there yet.' },
  ASYNC_DELETION_THRESHOLD: {
    group: 'API',
    type: as.integer(0, 1_000_000),
    default: '1000',
    help: 'A deletion of more segments becomes a delete request.',
  },
  SOFT_DELETE_DEFAULT: { group: 'API', type: as.boolean, default: 'true', help: 'Whether DELETE without soft_delete= keeps the record.' },
  SOFT_DELETE_RETENTION: { group: 'API', type: as.duration(0), default: '30d', help: 'How long soft-deleted records are kept.' },
  EVENT_RETENTION: { group: 'API', type: as.duration(60 * SECOND), default: '7d', help: 'How long events are kept.' },
  AUDIT_RETENTION: { group: 'API', type: as.duration(60 * SECOND), default: '365d', help: 'How long the audit trail is kept.' },
  GET_URLS_MAX_COUNT: {
    group: 'API',
    type: as.integer(1, 1000),
    default: '5',
    help: 'Most URLs for one object after filtering, those of the default backend first.',
  },
  WEBHOOK_ALLOWED_HOSTS: { group: 'API', type: as.listOf(as.host), help: 'Webhook targets allowed although private or loopback.' },

  VAST_ENDPOINT: {
    group: 'VAST',
    type: as.listOf(as.url),
    help: 'The cluster that holds the metadata; unset means SQLite in the data directory.',
  },
  VAST_ACCESS_KEY: { group: 'VAST', type: as.word, secret: true, help: 'Access key of the cluster.' },
  VAST_SECRET_KEY: { group: 'VAST', type: as.word, secret: true, help: 'Secret key of the cluster.' },
  VAST_BUCKET: { group: 'VAST', type: as.bucket, help: 'Database bucket.' },
  VAST_SCHEMA: { group: 'VAST', type: as.path, default: 'tams', help: 'Schema of the tables.' },
  VAST_SSL_VERIFY: { group: 'VAST', type: as.boolean, default: 'true', help: "Check the cluster's certificate." },
  VAST_TIMEOUT: { group: 'VAST', type: as.duration(SECOND), default: '30s', help: 'Time limit of one request to the cluster.' },
  VAST_SINGLE_WRITER: {
    group: 'VAST',
    type: as.boolean,
    default: 'false',
    help: 'Only one replica writes: serve without proof of conflict detection.',
  },
  ENABLE_TABLE_PROJECTIONS: {
    group: 'VAST',
    type: as.boolean,
    help: 'Make projections of the tables; unset means true where the cluster has no sorted tables.',
  },

  STORAGE_CONFIG: { group: 'media', type: as.text, help: 'JSON file that lists several storage backends.' },
  DEFAULT_STORAGE_BACKEND_ID: { group: 'media', type: as.uuid, help: 'Backend for objects whose client names none.' },
  TAMS_STORAGE_PATH: { group: 'media', type: as.path, default: 'tams', help: 'First part of the key of every object.' },
  MEDIA_PUBLIC_BASE_URL: { group: 'media', type: as.url, help: 'Where unsigned media URLs begin (presigned=false).' },
  S3_ENDPOINT_URL: { group: 'media', type: as.endpoint, help: 'S3 service; unset means AWS in S3_REGION.' },
  S3_ACCESS_KEY_ID: { group: 'media', type: as.word, secret: true, help: 'Access key of the S3 service.' },
  S3_SECRET_ACCESS_KEY: { group: 'media', type: as.word, secret: true, help: 'Secret key of the S3 service.' },
  S3_BUCKET_NAME: { group: 'media', type: as.bucket, help: 'Bucket for media; unset means files in the data directory.' },
  S3_REGION: { group: 'media', type: as.word, default: 'us-east-1', help: 'Region that signatures name.' },
  S3_USE_SSL: {
    group: 'media',
    type: as.boolean,
    default: 'true',
    help: 'Whether an S3_ENDPOINT_URL without a scheme is reached by https.',
  },
  S3_PRESIGNED_URL_UPLOAD_TIMEOUT: {
    group: 'media',
    type: as.duration(30 * SECOND, MAX_PRESIGNED),
    default: '3600',
    help: 'How long upload URLs are valid, on every backend.',
  },
  S3_PRESIGNED_URL_DOWNLOAD_TIMEOUT: {
    group: 'media',
    type: as.duration(30 * SECOND, MAX_PRESIGNED),
    default: '3600',
    help: 'How long download URLs are valid, on every backend.',
  },
  S3_SERVER_SIDE_ENCRYPTION: {
    group: 'media',
    type: as.oneOf('AES256', 'aws:kms', 'aws:kms:dsse'),
    help: 'Encryption that uploads ask for.',
  },

  ANALYTICS_MEMORY_LIMIT: { group: 'analytics', type: as.size(2 ** 26), default: '1 GiB', help: 'Memory of the analytics engine.' },
  ANALYTICS_THREADS: { group: 'analytics', type: as.integer(1, 1024), help: 'Threads of the analytics engine; unset means cores - 1.' },
  ANALYTICS_QUERY_TIMEOUT: {
    group: 'analytics',
    type: as.duration(SECOND / 10),
    default: '30s',
    help: 'Time limit of one report or query.',
  },
  ANALYTICS_ROW_LIMIT: { group: 'analytics', type: as.integer(1, 100_000_000), default: '100000', help: 'Most rows of an SQL query.' },
  ANALYTICS_CACHE_TTL: { group: 'analytics', type: as.duration(0), default: '60s', help: 'How long results are kept; 0 keeps none.' },
  SLOW_QUERY_MS: {
    group: 'analytics',
    type: as.integer(0, 3_600_000),
    default: '1000',
    help: 'Queries that take longer (ms) are logged as slow.',
  },

  OTEL_EXPORTER_OTLP_ENDPOINT: {
    group: 'telemetry',
    type: as.url,
    help: 'OTLP over HTTP: traces are sent to /v1/traces below it; without it nothing is traced.',
  },
} as const satisfies Record<string, Variable<unknown>>

export type VariableName = keyof typeof variables

type Parsed<V> = V extends { readonly type: Parser<infer T> } ? (V extends { readonly default: string } ? T : T | undefined) : never

/** What the environment says, by the variables' own names. */
export type Values = { readonly [N in VariableName]: Parsed<(typeof variables)[N]> }

export const variableNames = Object.keys(variables) as readonly VariableName[]

export const definitionOf = (name: VariableName): Variable<unknown> => variables[name]
