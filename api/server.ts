import { createAnalytics } from '../analytics/routes.ts'
import packageJson from '../package.json' with { type: 'json' }
import type { Config } from '../src/config.ts'
import { AccessCounts } from '../src/domain/access-counts.ts'
import { EventFeed } from '../src/domain/event-feed.ts'
import { openStores } from '../src/open-stores.ts'
import { createLog, type Log } from '../src/telemetry/log.ts'
import { createMetrics } from '../src/telemetry/metrics.ts'
import { startAccessFlush } from '../src/workers/access-flush.ts'
import { guardedFetch } from '../src/workers/guarded-fetch.ts'
import { startWorkers } from '../src/workers/index.ts'
import { endServiceLeases } from '../src/workers/lease.ts'
import { startStoreTotals } from '../src/workers/store-totals.ts'
import { createApp } from './app.ts'
import { startAuthentication } from './auth/start.ts'
import { observedBoth } from './observed-calls.ts'
import { isServerFailure } from './plugins/errors.ts'
import { tracedTables } from './traced-tables.ts'

/** Requests in progress get this long when the service is told to end. */
const GRACE_MS = 15_000

export interface RunningService {
  readonly url: string
  /** Answers what is in progress, then closes the stores. Safe to call twice. */
  stop(): Promise<void>
}

/** Starts the service. SIGTERM and SIGINT end it gracefully; a second one at once. */
export const serve = async (config: Config): Promise<RunningService> => {
  const log = createLog({ level: config.logLevel, format: config.logFormat })
  const metrics = createMetrics()
  const traces = config.otlpEndpoint === undefined ? undefined : await openTraces(config.otlpEndpoint, log)
  const stores = await openStores(config, {
    serving: true,
    observer: traces ? observedBoth(metrics, traces) : metrics,
    onFinding: ({ id, label }, { check, severity, message }) =>
      log[severity === 'info' ? 'info' : 'warn']({ storage_id: id, label, check }, message),
    onWarning: (message, detail) => log.warn(detail, message),
  })
  const tables = traces ? tracedTables(stores.tables, traces, config.vast ? 'vast' : 'sqlite') : stores.tables
  const authentication = await startAuthentication({ ...config.auth, host: config.host }, { ...stores, tables, log }).catch(
    closeAndThrow(stores),
  )
  const deps = {
    tables,
    databaseEndpoints: stores.databaseEndpoints,
    checkSpace: stores.checkSpace,
    backends: stores.backends,
    clock: stores.clock,
    settings: config,
    serviceVersion,
    log,
    metrics,
    ...(traces && { traces }),
    feed: new EventFeed(stores.tables),
    accesses: new AccessCounts(stores),
    request: guardedFetch({ allowedHosts: config.webhookAllowedHosts }),
  }
  const analytics = createAnalytics({ tables, clock: stores.clock, options: config.analytics, log })
  const app = createApp({
    ...deps,
    analytics,
    ...(authentication && { authentication }),
    stores: stores.served,
    http: {
      trustProxy: config.trustProxy,
      basePath: config.basePath,
      corsOrigins: config.corsOrigins,
      bodyLimit: config.bodyLimit,
      ...(config.publicBaseUrl !== undefined && { publicBaseUrl: config.publicBaseUrl }),
    },
  })
  if (config.vast && !config.secretKey)
    log.warn({}, 'SECRET_KEY is not set: replicas make one each, and refuse the media URLs and tokens of one another')
  const server = await listen(app, config).catch(closeAndThrow(stores))
  const url = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${server.port}`
  const accessFlush = startAccessFlush(deps.accesses, log)
  if (stores.databaseEndpoints) metrics.endpoints(stores.databaseEndpoints)
  deps.metrics.connections(() => server.pendingRequests + server.pendingWebSockets)
  const totals = startStoreTotals(stores.tables, log, deps.metrics.totals)
  if (stores.servedAlone) await endServiceLeases(stores.tables)
  const workers = startWorkers({
    ...deps,
    baseUrl: config.publicBaseUrl ?? url,
    eventRetentionMs: config.eventRetentionMs,
    softDeleteRetentionMs: config.softDeleteRetentionMs,
    auditRetentionMs: config.auditRetentionMs,
  })
  if (!authentication && config.insecure)
    log.warn({ host: config.host }, 'TAMS_INSECURE is set: everybody who reaches this address may do everything')
  else if (!authentication && (config.trustProxy || config.publicBaseUrl !== undefined))
    log.warn({}, 'There is no authentication: everybody who reaches this service through a proxy may do everything')

  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> => {
    stopped ??= (async () => {
      log.info({}, 'stopping')
      deps.feed.close()
      const graceful = server.stop()
      await Promise.race([graceful, Bun.sleep(GRACE_MS)])
      await server.stop(true)
      await accessFlush.stop()
      await authentication?.close()
      await totals.stop()
      await analytics.close()
      await workers.stop()
      await stores.close()
      await traces?.close()
      log.info({}, 'stopped')
      await log.flush()
    })()
    return stopped
  }
  onSignal(stop)
  log.info({ url, data: config.dataDir, version: packageJson.version }, 'listening')
  return { url, stop }
}

const serviceVersion = packageJson.version

// OpenTelemetry takes as long to load as the rest of the telemetry: only where it is used.
const openTraces = async (endpoint: string, log: Log) =>
  (await import('../src/telemetry/traces.ts')).createTraces({ endpoint, serviceVersion, isFailure: isServerFailure, log })

const closeAndThrow =
  (stores: { close(): Promise<void> }) =>
  async (error: unknown): Promise<never> => {
    await stores.close()
    throw error
  }

const listen = async (app: ReturnType<typeof createApp>, { host, port }: Config) => {
  try {
    app.listen({ hostname: host, port })
  } catch (cause) {
    throw new Error(`The service could not listen on ${host}:${port}: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
  if (!app.server) throw new Error(`The service could not listen on ${host}:${port}`)
  return app.server
}

const onSignal = (stop: () => Promise<void>): void => {
  let asked = false
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      if (asked) process.exit(130)
      asked = true
      stop().then(
        () => process.exit(0),
        () => process.exit(1),
      )
    })
}
