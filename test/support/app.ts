import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createAnalytics } from '../../analytics/routes.ts'
import { type AppDeps, createApp } from '../../api/app.ts'
import { Authentication, type AuthenticationDeps } from '../../api/auth/authentication.ts'
import { tracedTables } from '../../api/traced-tables.ts'
import type { Clock } from '../../src/core/clock.ts'
import { AccessCounts } from '../../src/domain/access-counts.ts'
import type { Settings } from '../../src/domain/deps.ts'
import { EventFeed } from '../../src/domain/event-feed.ts'
import type { StorageBackend } from '../../src/domain/storage-backend.ts'
import { EVENT_TYPES } from '../../src/domain/webhook-schema.ts'
import { createDiskStore } from '../../src/storage/disk/index.ts'
import type { MediaStore } from '../../src/storage/media.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import type { Traces } from '../../src/telemetry/traces.ts'
import { guardedFetch } from '../../src/workers/guarded-fetch.ts'
import { type Answer, checkAnswer, checkHead, readAnswer } from './answers.ts'
import { openTestTables } from './engines.ts'

export const origin = 'http://localhost'

/** Starts at a fixed moment, moves on by one microsecond with each look and by `advance`. */
export interface TestClock extends Clock {
  advance(seconds: number): void
}

const testClock = (): TestClock => {
  let now = BigInt(Date.UTC(2026, 0, 2, 3, 4, 5)) * 1000n
  return {
    nowUs: () => ++now,
    advance(seconds) {
      now += BigInt(seconds) * 1_000_000n
    },
  }
}

/** `TAMS_TEST_STRICT=false` and `TAMS_TEST_SOFT=false` turn over what the tests that do not say otherwise run with. */
export const strictByDefault = process.env.TAMS_TEST_STRICT !== 'false'
const softByDefault = process.env.TAMS_TEST_SOFT !== 'false'

export const testSettings: Settings = {
  strict: strictByDefault,
  pageLimitDefault: 30,
  pageLimitMax: 1000,
  flowStorageDefaultLimit: 10,
  minObjectTimeout: 3600,
  requireUploadedObjects: false,
  asyncDeletionThreshold: 1000,
  softDeleteDefault: softByDefault,
  getUrlsMaxCount: 5,
  storagePath: 'tams',
  webhookAllowedHosts: [],
  uploadUrlTimeout: 3600,
  downloadUrlTimeout: 3600,
}

export const primaryStorage = '5b1b4b5e-59d6-4f0a-8a51-6d0b1d2f8a01'
export const secondaryStorage = '60af2ab4-e8a5-4c65-a09b-d35983680315'

/** Two backends: labels and tags are what the filters of the tests ask for. */
export const standardBackends: readonly StorageBackend[] = [
  {
    id: primaryStorage,
    label: 'primary',
    store_type: 'http_object_store',
    provider: 'example',
    region: 'north',
    availability_zone: 'north-a',
    store_product: 'disk',
    default_storage: true,
    tags: { site: 'salford', tier: ['hot', 'online'] },
  },
  {
    id: secondaryStorage,
    label: 'secondary',
    store_type: 'http_object_store',
    provider: 'example',
    store_product: 'disk',
    tags: { site: 'london' },
  },
]

export interface AppOptions {
  readonly settings?: Partial<Settings>
  readonly http?: Partial<AppDeps['http']>
  readonly backends?: readonly StorageBackend[]
  /** Stores of other engines, by the id of their backend. */
  readonly media?: Readonly<Record<string, MediaStore>>
  /** Absent: nobody is asked for credentials. */
  readonly authentication?: Pick<AuthenticationDeps, 'oidc'>
  /** Absent: nothing is traced. To be closed by the test. */
  readonly traces?: Traces
  /** As of a store whose disk may be full. */
  readonly checkSpace?: () => Promise<void>
  /** Given every log line of level info and above; `errors` stays empty then. */
  readonly onLog?: (line: string) => void
}

export interface RequestOptions {
  /** Sent as JSON; a string only when `raw`. */
  readonly body?: unknown
  /** The body as it goes over the wire. */
  readonly raw?: string | Uint8Array<ArrayBuffer>
  readonly headers?: Readonly<Record<string, string>>
  /** false: do not also send the same request as HEAD (when the state may change in between). */
  readonly head?: boolean
}

export interface TestApp {
  /** One request, its answer checked against the specification (`checkAnswer`); a GET is followed by the same HEAD. */
  request(method: string, path: string, options?: RequestOptions): Promise<Answer>
  /** Without any check. `url` may be absolute: a signed URL. */
  fetch(url: string, init?: RequestInit): Promise<Response>
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Answer>
  put(path: string, body: unknown): Promise<Answer>
  post(path: string, body?: unknown): Promise<Answer>
  delete(path: string): Promise<Answer>
  /** Types of the log's events, those that webhooks carry, that concern one of these flows and sources, oldest first. */
  events(...ids: readonly string[]): Promise<string[]>
  readonly deps: AppDeps
  /** Where its files are. */
  readonly directory: string
  readonly clock: TestClock
  /** Log lines of level error so far. */
  readonly errors: readonly string[]
  /** The same app on a socket of 127.0.0.1; closed with the app. */
  listen(): number
  close(): Promise<void>
}

/** The whole service on the embedded engines in a temporary directory, not listening. */
export const openApp = async (options: AppOptions = {}): Promise<TestApp> => {
  const root = await mkdtemp(path.join(tmpdir(), 'tams-api-'))
  const clock = testClock()
  const errors: string[] = []
  const { onLog } = options
  const destination = { write: (line: string) => (onLog ? onLog(line) : void errors.push(line)) }
  const log = createLog({ level: onLog ? 'info' : 'error', format: 'json', destination })
  const tables = await openTestTables({ directory: root, checkLocks: true, clock })
  const infos = options.backends ?? standardBackends
  const stores = await Promise.all(
    infos.map(({ id }) =>
      createDiskStore({ root: path.join(root, 'media', id), storageId: id, secret: 'a secret of the tests, 32 bytes..', clock }),
    ),
  )
  const analytics = createAnalytics({ tables, clock })
  const authentication = options.authentication && new Authentication({ tables, clock, log, ...options.authentication })
  const deps: AppDeps = {
    ...(authentication && { authentication }),
    ...(options.checkSpace && { checkSpace: options.checkSpace }),
    ...(options.traces && { traces: options.traces }),
    analytics,
    tables: options.traces ? tracedTables(tables, options.traces, 'sqlite') : tables,
    stores,
    backends: infos.flatMap((info, index) => {
      const store = options.media?.[info.id] ?? stores[index]
      return store ? [{ info, store }] : []
    }),
    clock,
    settings: { ...testSettings, ...options.settings },
    serviceVersion: '0.0.0-test',
    log,
    metrics: createMetrics(),
    request: guardedFetch({ allowedHosts: options.settings?.webhookAllowedHosts ?? [] }),
    feed: new EventFeed(tables),
    accesses: new AccessCounts({ tables, clock }),
    http: { trustProxy: false, basePath: '', corsOrigins: '*', bodyLimit: 16 * 1024 * 1024, ...options.http },
  }
  const app = createApp(deps)
  let port: number | undefined

  const handle = (url: string, init?: RequestInit): Promise<Response> =>
    Promise.resolve(app.handle(new Request(url.startsWith('http') ? url : `${origin}${url}`, init)))

  const request = async (
    method: string,
    target: string,
    { body, raw, headers = {}, head = true }: RequestOptions = {},
  ): Promise<Answer> => {
    const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body))
    const init: RequestInit = {
      method,
      headers: payload === undefined ? headers : { 'content-type': 'application/json', ...headers },
      ...(payload === undefined ? {} : { body: payload }),
    }
    const answer = await readAnswer(await handle(target, init))
    const pathname = new URL(target, origin).pathname
    const basePath = deps.http.basePath
    const local = basePath !== '' && pathname.startsWith(`${basePath}/`) ? pathname.slice(basePath.length) : pathname
    try {
      checkAnswer(method, local, answer)
    } catch (cause) {
      throw new Error(`${cause instanceof Error ? cause.message : cause}\n${answer.status >= 500 ? errors.slice(-2).join('') : ''}`)
    }
    if (method === 'GET' && head) checkHead(target, answer, await readAnswer(await handle(target, { ...init, method: 'HEAD' })))
    return answer
  }

  return {
    directory: root,
    request,
    fetch: handle,
    get: (target, headers) => request('GET', target, headers ? { headers } : {}),
    put: (target, body) => request('PUT', target, { body }),
    post: (target, body) => request('POST', target, { body }),
    delete: (target) => request('DELETE', target),
    events: async (...ids) => {
      const rows = await tables.read((tx) => tx.readLog(0n, 100_000))
      const concerns = (id: string | null) => id !== null && ids.includes(id)
      const ofWebhooks = (type: string) => EVENT_TYPES.some((each) => each === type)
      return rows.filter((row) => ofWebhooks(row.type) && (concerns(row.flow_id) || concerns(row.source_id))).map((row) => row.type)
    },
    deps,
    clock,
    errors,
    listen() {
      if (port === undefined) {
        app.listen({ port: 0, hostname: '127.0.0.1' })
        port = app.server?.port
      }
      if (port === undefined) throw new Error('the app does not listen')
      return port
    },
    close: async () => {
      deps.feed.close()
      if (port !== undefined) await app.stop(true)
      await authentication?.close()
      await analytics.close()
      await tables.close()
      await rm(root, { recursive: true, force: true })
    },
  }
}
