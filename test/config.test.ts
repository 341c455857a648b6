import { describe, expect, test } from 'bun:test'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type VariableName, variableNames } from '../src/config/variables.ts'
import { type Config, ConfigError, describeConfig, envExample, readConfig } from '../src/config.ts'
import type { Settings } from '../src/domain/deps.ts'

type Env = Readonly<Record<string, string>>

const problemsOf = (env: Env): readonly string[] => {
  try {
    readConfig(env)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

const vast: Env = { VAST_ENDPOINT: 'http://10.0.0.1', VAST_ACCESS_KEY: 'key', VAST_SECRET_KEY: 'secret', VAST_BUCKET: 'db-bucket' }
const s3: Env = { S3_BUCKET_NAME: 'media-bucket', S3_ACCESS_KEY_ID: 'key', S3_SECRET_ACCESS_KEY: 'secret' }
const oidc: Env = { AUTH_OIDC_ISSUER: 'https://issuer.example.com', AUTH_OIDC_AUDIENCE: 'store' }
const id = '6a0b0c0d-1111-4222-8333-444455556666'

interface Case {
  readonly good: string
  /** What the good value becomes. */
  readonly becomes: unknown
  readonly of: (config: Config) => unknown
  readonly bad: readonly string[]
  readonly with?: Env
}

const on = (of: Case['of']): Case => ({ good: 'true', becomes: true, of, bad: ['yes', '1', 'constructor'] })

const cases: Record<VariableName, Case> = {
  HOST: { good: '::1', becomes: '::1', of: (c) => c.host, bad: ['300.1.1.1', 'a b', '-x'] },
  PORT: { good: '9000', becomes: 9000, of: (c) => c.port, bad: ['65536', '-1', '80.5', 'http'] },
  TAMS_DATA_DIR: { good: '/var/lib/tams data', becomes: '/var/lib/tams data', of: (c) => c.dataDir, bad: ['  ', 'a\nb'] },
  PUBLIC_BASE_URL: {
    good: 'https://tams.example.com/store/',
    becomes: 'https://tams.example.com/store',
    of: (c) => c.publicBaseUrl,
    bad: ['tams.example.com', 'ftp://x', 'https://u:p@x', 'https://x/?a=1', 'https://x/#a', 'https://'],
  },
  TRUST_PROXY: on((c) => c.trustProxy),
  TAMS_STRICT: on((c) => c.strict),
  TAMS_INSECURE: on((c) => c.insecure),
  BASE_PATH: { good: '/x-tams/v8.2', becomes: '/x-tams/v8.2', of: (c) => c.basePath, bad: ['x-tams', '/', '/a/', '/a b', '/../a', '/a?b'] },
  SECRET_KEY: { good: 'k'.repeat(32), becomes: 'k'.repeat(32), of: (c) => c.secretKey, bad: ['k'.repeat(31), `${'k'.repeat(32)} k`] },
  LOG_LEVEL: { good: 'debug', becomes: 'debug', of: (c) => c.logLevel, bad: ['verbose', 'INFO'] },
  LOG_FORMAT: { good: 'pretty', becomes: 'pretty', of: (c) => c.logFormat, bad: ['xml'] },
  CORS_ORIGINS: {
    good: 'https://a.example.com, http://localhost:3000',
    becomes: ['https://a.example.com', 'http://localhost:3000'],
    of: (c) => c.corsOrigins,
    bad: ['a.example.com', 'https://a.example.com/path', 'https://a.example.com,', '*,https://a.example.com'],
  },
  BODY_LIMIT: { good: '1 MiB', becomes: 2 ** 20, of: (c) => c.bodyLimit, bad: ['0', '1 MB', '-1', 'large'] },
  MIN_FREE_SPACE: { good: '1 GiB', becomes: 2 ** 30, of: (c) => c.minFreeSpace, bad: ['-1', '1 GB', 'none'] },
  RATE_LIMIT: { good: '600/m', becomes: { requests: 600, perSeconds: 60 }, of: (c) => c.rateLimit, bad: ['600', '0/s', '5/d', 'on'] },
  AUTH_REQUIRED: { good: 'true', becomes: 'on', of: (c) => c.auth.mode, bad: ['yes', '1'] },
  AUTH_OIDC_ISSUER: {
    good: 'https://login.example.com/tenant/',
    becomes: 'https://login.example.com/tenant/',
    of: (c) => c.auth.oidc?.issuer,
    bad: ['login.example.com', 'https://u:p@login.example.com', 'https://login.example.com/?a=1'],
    with: oidc,
  },
  AUTH_OIDC_AUDIENCE: {
    good: 'tams, https://tams.example.com',
    becomes: ['tams', 'https://tams.example.com'],
    of: (c) => c.auth.oidc?.audiences,
    bad: ['a b', 'a\tb'],
    with: oidc,
  },
  AUTH_OIDC_ALGORITHMS: {
    good: 'ES512',
    becomes: ['ES512'],
    of: (c) => c.auth.oidc?.algorithms,
    bad: ['none', 'HS256', 'RS256,HS256', 'rs256'],
    with: oidc,
  },
  AUTH_SCOPE_CLAIM: { good: 'scp', becomes: 'scp', of: (c) => c.auth.oidc?.scopeClaim, bad: ['a b'], with: oidc },
  PAGE_LIMIT_DEFAULT: { good: '1000', becomes: 1000, of: (c) => c.pageLimitDefault, bad: ['0', '1001', '3e1', '30.0'] },
  PAGE_LIMIT_MAX: { good: '30', becomes: 30, of: (c) => c.pageLimitMax, bad: ['0', 'all'] },
  FLOW_STORAGE_DEFAULT_LIMIT: { good: '10', becomes: 10, of: (c) => c.flowStorageDefaultLimit, bad: ['0', 'ten'] },
  MIN_OBJECT_TIMEOUT: {
    good: '7200:500000000',
    becomes: 7200.5,
    of: (c) => c.minObjectTimeout,
    bad: ['299:999999999', '3600', '1h', '-3600:0'],
  },
  REQUIRE_UPLOADED_OBJECTS: on((c) => c.requireUploadedObjects),
  ASYNC_DELETION_THRESHOLD: { good: '0', becomes: 0, of: (c) => c.asyncDeletionThreshold, bad: ['-1', 'never'] },
  SOFT_DELETE_DEFAULT: { good: 'FALSE', becomes: false, of: (c) => c.softDeleteDefault, bad: ['no'] },
  SOFT_DELETE_RETENTION: { good: '12h', becomes: 12 * 3_600_000, of: (c) => c.softDeleteRetentionMs, bad: ['30 days', '-1d', 'd', '1.5d'] },
  EVENT_RETENTION: { good: '2d', becomes: 2 * 86_400_000, of: (c) => c.eventRetentionMs, bad: ['0', 'week'] },
  AUDIT_RETENTION: { good: '10m', becomes: 600_000, of: (c) => c.auditRetentionMs, bad: ['1s', '1y'] },
  GET_URLS_MAX_COUNT: { good: '2', becomes: 2, of: (c) => c.getUrlsMaxCount, bad: ['0', 'all'] },
  WEBHOOK_ALLOWED_HOSTS: {
    good: 'localhost, 10.0.0.7,::1',
    becomes: ['localhost', '10.0.0.7', '::1'],
    of: (c) => c.webhookAllowedHosts,
    bad: ['http://localhost', 'a,,b', 'a b'],
  },
  VAST_ENDPOINT: {
    good: 'http://10.0.0.1, https://vast.example.com:8443/',
    becomes: ['http://10.0.0.1', 'https://vast.example.com:8443'],
    of: (c) => c.vast?.endpoints,
    bad: ['10.0.0.1', 'http://a;http://b', 'http://a,'],
    with: vast,
  },
  VAST_ACCESS_KEY: { good: 'AKIA', becomes: 'AKIA', of: (c) => c.vast?.accessKey, bad: ['', 'a b'], with: vast },
  VAST_SECRET_KEY: { good: 'abc/+=', becomes: 'abc/+=', of: (c) => c.vast?.secretKey, bad: ['', 'a b'], with: vast },
  VAST_BUCKET: { good: 'metadata', becomes: 'metadata', of: (c) => c.vast?.bucket, bad: ['', 'a', 'Data', 'a/b'], with: vast },
  VAST_SCHEMA: { good: 'media/tams', becomes: 'media/tams', of: (c) => c.vast?.schema, bad: ['/tams', 'a//b', '..'], with: vast },
  VAST_SSL_VERIFY: { good: 'false', becomes: false, of: (c) => c.vast?.sslVerify, bad: ['off'], with: vast },
  VAST_TIMEOUT: { good: '1500ms', becomes: 1500, of: (c) => c.vast?.timeoutMs, bad: ['0', '1 s', 'long'], with: vast },
  VAST_SINGLE_WRITER: { ...on((c) => c.vast?.singleWriter), with: vast },
  ENABLE_TABLE_PROJECTIONS: { ...on((c) => c.vast?.enableProjections), with: vast },
  STORAGE_CONFIG: { good: './backends.json', becomes: './backends.json', of: (c) => c.storageConfigFile, bad: [' ', 'a\tb'] },
  DEFAULT_STORAGE_BACKEND_ID: { good: id, becomes: id, of: (c) => c.defaultStorageBackendId, bad: [id.toUpperCase(), 'main'] },
  TAMS_STORAGE_PATH: { good: 'media/tams', becomes: 'media/tams', of: (c) => c.storagePath, bad: ['/tams', 'tams/', '../x', 'a b'] },
  MEDIA_PUBLIC_BASE_URL: {
    good: 'https://cdn.example.com/media',
    becomes: 'https://cdn.example.com/media',
    of: (c) => c.mediaPublicBaseUrl,
    bad: ['cdn.example.com'],
  },
  S3_ENDPOINT_URL: {
    good: 'http://127.0.0.1:9000',
    becomes: 'http://127.0.0.1:9000',
    of: (c) => c.s3?.endpointUrl,
    bad: ['s3://bucket', 'a b', 'http://h/?x'],
    with: s3,
  },
  S3_ACCESS_KEY_ID: { good: 'AKIA', becomes: 'AKIA', of: (c) => c.s3?.accessKeyId, bad: ['', 'a b'], with: s3 },
  S3_SECRET_ACCESS_KEY: { good: 'abc/+=', becomes: 'abc/+=', of: (c) => c.s3?.secretAccessKey, bad: ['', 'a b'], with: s3 },
  S3_BUCKET_NAME: { good: 'tams-media', becomes: 'tams-media', of: (c) => c.s3?.bucket, bad: ['', 'Media', 'm', '-media'], with: s3 },
  S3_REGION: { good: 'eu-west-2', becomes: 'eu-west-2', of: (c) => c.s3?.region, bad: ['eu west'], with: s3 },
  S3_USE_SSL: {
    good: 'false',
    becomes: 'http://minio:9000',
    of: (c) => c.s3?.endpointUrl,
    bad: ['no'],
    with: { ...s3, S3_ENDPOINT_URL: 'minio:9000' },
  },
  S3_PRESIGNED_URL_UPLOAD_TIMEOUT: { good: '10m', becomes: 600, of: (c) => c.uploadUrlTimeout, bad: ['29', '8d', 'soon'] },
  S3_PRESIGNED_URL_DOWNLOAD_TIMEOUT: { good: '30', becomes: 30, of: (c) => c.downloadUrlTimeout, bad: ['29s', '8d', '3600:0'] },
  S3_SERVER_SIDE_ENCRYPTION: { good: 'aws:kms', becomes: 'aws:kms', of: (c) => c.s3?.serverSideEncryption, bad: ['aes'], with: s3 },
  ANALYTICS_MEMORY_LIMIT: { good: '512MiB', becomes: 2 ** 29, of: (c) => c.analytics.memoryLimitBytes, bad: ['1024', '80%'] },
  ANALYTICS_THREADS: { good: '3', becomes: 3, of: (c) => c.analytics.threads, bad: ['0', 'auto'] },
  ANALYTICS_QUERY_TIMEOUT: { good: '500ms', becomes: 500, of: (c) => c.analytics.queryTimeoutMs, bad: ['0', 'none'] },
  ANALYTICS_ROW_LIMIT: { good: '10', becomes: 10, of: (c) => c.analytics.rowLimit, bad: ['0', '1k'] },
  ANALYTICS_CACHE_TTL: { good: '0', becomes: 0, of: (c) => c.analytics.cacheTtlMs, bad: ['-1', 'off'] },
  SLOW_QUERY_MS: { good: '250', becomes: 250, of: (c) => c.analytics.slowQueryMs, bad: ['250ms', '-1'] },
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    good: 'http://127.0.0.1:4318',
    becomes: 'http://127.0.0.1:4318',
    of: (c) => c.otlpEndpoint,
    bad: ['127.0.0.1:4318'],
  },
}

describe('a variable', () => {
  test.each(variableNames.map((name) => [name, cases[name]] as const))('%s is read', (name, { good, becomes, of, with: others }) => {
    expect(of(readConfig({ ...others, [name]: good }))).toEqual(becomes)
    expect(of(readConfig({ ...others }))).not.toEqual(becomes)
  })

  const bad = variableNames.flatMap((name) => cases[name].bad.map((value) => [name, value, cases[name].with ?? {}] as const))
  test.each(bad)('%s=%j is refused by a message that names it', (name, value, others) => {
    const problems = problemsOf({ ...others, [name]: value })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toStartWith(`${name}: expected `)
  })
})

describe('the configuration of an empty environment', () => {
  const config = readConfig({})

  test('has the documented defaults', () => {
    expect(config).toMatchObject({
      ...{ host: '127.0.0.1', port: 8000, dataDir: './data', publicBaseUrl: undefined, trustProxy: false, strict: false, insecure: false },
      ...{
        basePath: '',
        auth: { mode: 'if-any', oidc: undefined },
        secretKey: undefined,
        logLevel: 'info',
        logFormat: 'auto',
        corsOrigins: '*',
        bodyLimit: 16 * 2 ** 20,
      },
      ...{ rateLimit: undefined, pageLimitDefault: 30, pageLimitMax: 1000, flowStorageDefaultLimit: 100, minObjectTimeout: 3600 },
      ...{ requireUploadedObjects: false, asyncDeletionThreshold: 1000, softDeleteDefault: true, softDeleteRetentionMs: 30 * 86_400_000 },
      ...{ eventRetentionMs: 7 * 86_400_000, auditRetentionMs: 365 * 86_400_000, getUrlsMaxCount: 5, webhookAllowedHosts: [] },
      ...{ vast: undefined, s3: undefined, storageConfigFile: undefined, defaultStorageBackendId: undefined, storagePath: 'tams' },
      ...{ mediaPublicBaseUrl: undefined, uploadUrlTimeout: 3600, downloadUrlTimeout: 3600, otlpEndpoint: undefined },
      analytics: {
        memoryLimitBytes: 2 ** 30,
        threads: undefined,
        queryTimeoutMs: 30_000,
        rowLimit: 100_000,
        cacheTtlMs: 60_000,
        slowQueryMs: 1000,
      },
    })
  })

  test('has the defaults of a cluster and of S3 where those are named', () => {
    expect(readConfig({ ...vast, ...s3 })).toMatchObject({
      vast: { schema: 'tams', sslVerify: true, timeoutMs: 30_000, singleWriter: false, enableProjections: undefined },
      s3: { region: 'us-east-1', endpointUrl: 'https://s3.us-east-1.amazonaws.com', serverSideEncryption: undefined },
    })
  })

  test('is frozen', () => {
    expect(Object.isFrozen(config)).toBe(true)
    expect(Object.isFrozen(config.analytics)).toBe(true)
    expect(Object.isFrozen(config.variables)).toBe(true)
  })

  test('holds what the rules need', () => {
    const settings: Settings = config
    expect(settings.pageLimitDefault).toBe(30)
  })

  test('is the same when variables are empty texts', () => {
    expect(readConfig(Object.fromEntries(variableNames.map((name) => [name, ''])))).toEqual(config)
  })
})

describe('the configuration is refused', () => {
  test('with every problem at once', () => {
    expect(problemsOf({ PORT: 'x', LOG_LEVEL: 'y', PAGE_LIMIT_MAX: '0' }).map((problem) => problem.split(':')[0])).toEqual([
      'PORT',
      'LOG_LEVEL',
      'PAGE_LIMIT_MAX',
    ])
    expect(() => readConfig({ PORT: 'x', LOG_LEVEL: 'y' })).toThrow(/PORT: expected .*, not "x"\n {2}LOG_LEVEL: expected .*, not "y"/)
  })

  test('without repeating a secret', () => {
    expect(problemsOf({ SECRET_KEY: 'too-short' }).join()).not.toContain('too-short')
  })

  test('for an address beyond loopback without authentication, unless TAMS_INSECURE says so [12-M2]', () => {
    for (const host of ['0.0.0.0', '192.168.1.2', '::', 'tams.example.com']) {
      expect(problemsOf({ HOST: host, AUTH_REQUIRED: 'false' }).join()).toStartWith('AUTH_REQUIRED: expected true, because HOST is')
      expect(readConfig({ HOST: host }).auth.mode).toBe('on')
      expect(readConfig({ HOST: host, TAMS_INSECURE: 'true' }).auth.mode).toBe('if-any')
      expect(readConfig({ HOST: host, TAMS_INSECURE: 'true', AUTH_REQUIRED: 'false' }).auth.mode).toBe('off')
    }
    for (const host of ['127.0.0.1', '127.8.0.1', 'localhost', '::1']) expect(readConfig({ HOST: host }).auth.mode).toBe('if-any')
  })

  test('for an issuer whose tokens may be for anybody, or that nobody is asked about', () => {
    expect(problemsOf({ AUTH_OIDC_ISSUER: 'https://a.example.com' })).toEqual([
      'AUTH_OIDC_AUDIENCE: expected a value, because AUTH_OIDC_ISSUER is set',
    ])
    expect(problemsOf({ ...oidc, AUTH_REQUIRED: 'false' })).toEqual(['AUTH_REQUIRED: expected true, because AUTH_OIDC_ISSUER is set'])
    expect(readConfig(oidc).auth).toMatchObject({ mode: 'on', oidc: { algorithms: ['RS256', 'PS256', 'ES256'], scopeClaim: 'scope' } })
  })

  test('for a default page larger than the largest', () => {
    expect(problemsOf({ PAGE_LIMIT_MAX: '20' })).toEqual(['PAGE_LIMIT_DEFAULT: expected at most PAGE_LIMIT_MAX, which is 20, not 30'])
  })

  test('for objects that expire before the shorter of their URLs', () => {
    expect(problemsOf({ MIN_OBJECT_TIMEOUT: '300:0' }).join()).toStartWith('MIN_OBJECT_TIMEOUT: expected at least')
    expect(problemsOf({ MIN_OBJECT_TIMEOUT: '300:0', S3_PRESIGNED_URL_UPLOAD_TIMEOUT: '300' })).toEqual([])
  })

  test('for half of a cluster or of S3, naming what is missing', () => {
    expect(problemsOf({ VAST_BUCKET: 'db-bucket' })).toEqual([
      'VAST_ENDPOINT: expected a value, because VAST_BUCKET is set',
      'VAST_ACCESS_KEY: expected a value, because VAST_BUCKET is set',
      'VAST_SECRET_KEY: expected a value, because VAST_BUCKET is set',
    ])
    expect(problemsOf({ S3_ENDPOINT_URL: 'http://minio' })).toEqual(['S3_BUCKET_NAME: expected a value, because S3_ENDPOINT_URL is set'])
  })
})

describe('the effective values', () => {
  test('name every variable, say which are defaults and mask secrets', () => {
    const secrets = { SECRET_KEY: 's'.repeat(40), ...vast, VAST_SECRET_KEY: 'hidden-1', VAST_ACCESS_KEY: 'hidden-2' }
    const text = describeConfig(readConfig({ ...secrets, PORT: '9000' }))
    for (const name of variableNames) expect(text).toMatch(new RegExp(`^${name}=`, 'm'))
    expect(text).toMatch(/^PORT=9000$/m)
    expect(text).toMatch(/^LOG_LEVEL=info {2}\(default\)$/m)
    expect(text).toMatch(/^BASE_PATH= {2}\(not set\)$/m)
    expect(text).toMatch(/^SECRET_KEY=\*\*\*$/m)
    expect(text).not.toMatch(/sss|hidden/)
  })
})

describe('.env.example', () => {
  const root = join(import.meta.dir, '..')

  test('is what the table of variables says', async () => {
    expect(await readFile(join(root, '.env.example'), 'utf8')).toBe(envExample())
  })

  test('changes nothing when all of it is uncommented', () => {
    const lines = envExample().matchAll(/^#([A-Z][A-Z0-9_]*)=(.*)$/gm)
    const env = Object.fromEntries([...lines].map(([, name, value]) => [name, value]))
    expect(Object.keys(env).sort()).toEqual([...variableNames].sort())
    const { variables: _, ...config } = readConfig(env)
    const { variables: __, ...defaults } = readConfig({})
    expect(config).toEqual(defaults)
  })
})
