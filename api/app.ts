import { Elysia } from 'elysia'
import { type Analytics, analyticsRoutes } from '../analytics/routes.ts'
import type { Deps } from '../src/domain/deps.ts'
import type { EventFeed } from '../src/domain/event-feed.ts'
import { createDomain } from '../src/domain/index.ts'
import { uploadGuard } from '../src/domain/uploads.ts'
import type { Log } from '../src/telemetry/log.ts'
import type { Metrics } from '../src/telemetry/metrics.ts'
import type { Traces } from '../src/telemetry/traces.ts'
import type { GuardedFetch } from '../src/workers/guarded-fetch.ts'
import { tryDelivery } from '../src/workers/webhook-request.ts'
import { Access } from './auth/access.ts'
import type { Authentication } from './auth/authentication.ts'
import { documentation } from './openapi/documentation.ts'
import { accessLog } from './plugins/access-log.ts'
import { authentication, type RouteNeeds, routeNeeds } from './plugins/authentication.ts'
import { cors } from './plugins/cors.ts'
import { errors } from './plugins/errors.ts'
import { honestHost } from './plugins/honest-host.ts'
import { countRequests } from './plugins/metrics.ts'
import { securityHeaders } from './plugins/security-headers.ts'
import { space } from './plugins/space.ts'
import { strictWrites } from './plugins/strict-writes.ts'
import { traceRequests } from './plugins/traces.ts'
import { contextMaker, type HttpSettings } from './request-context.ts'
import type { KnownRoute } from './route-methods.ts'
import { adminRoutes } from './routes/admin.ts'
import { auditRoutes } from './routes/audit.ts'
import { collectionRoutes } from './routes/collections.ts'
import { deletionRequestRoutes } from './routes/deletion-requests.ts'
import { directFlowRoutes } from './routes/direct-flows.ts'
import { directObjectRoutes } from './routes/direct-objects.ts'
import { directSourceRoutes } from './routes/direct-sources.ts'
import { eventRoutes } from './routes/events.ts'
import { flowPropertyRoutes } from './routes/flow-properties.ts'
import { flowRoutes } from './routes/flows.ts'
import { healthRoutes } from './routes/health.ts'
import { mediaRoutes, type ServedStore } from './routes/media.ts'
import { metricsRoutes } from './routes/metrics.ts'
import { objectRoutes } from './routes/objects.ts'
import { profileRoutes } from './routes/profiles.ts'
import { segmentTagRoutes } from './routes/segment-tags.ts'
import { segmentRoutes } from './routes/segments.ts'
import { serviceRoutes } from './routes/service.ts'
import { sourceRoutes } from './routes/sources.ts'
import { trashRoutes } from './routes/trash.ts'
import { webhookToolRoutes } from './routes/webhook-tools.ts'
import { webhookRoutes } from './routes/webhooks.ts'

export interface AppDeps extends Deps {
  readonly log: Log
  readonly metrics: Metrics
  /** Absent: nothing is traced. To be closed by whoever made it. */
  readonly traces?: Traces
  /** Those of the backends whose bytes this program serves itself. */
  readonly stores: readonly ServedStore[]
  readonly http: HttpSettings
  /** Absent: nobody is asked who they are, and everybody may do everything. To be closed by whoever made it. */
  readonly authentication?: Authentication
  /** Requests to URLs that clients have named. */
  readonly request: GuardedFetch
  /** For readers of live events; to be closed by whoever made it. */
  readonly feed: EventFeed
  /** Absent: there are no reports. To be closed by whoever made it. */
  readonly analytics?: Analytics
  /** Rejects with `storage_full` while writes are to be refused. Absent: never. */
  readonly checkSpace?: (() => Promise<void>) | undefined
}

/** The whole service, not listening. */
export const createApp = (deps: AppDeps) => {
  const { log, clock, http } = deps
  const { strict } = deps.settings
  const routeDeps = { domain: createDomain(deps), http, strict, contextOf: contextMaker(http, !deps.authentication) }
  const access = deps.authentication && new Access(deps.authentication, http)
  const extensions = () =>
    new Elysia()
      .use(eventRoutes({ ...routeDeps, deps, feed: deps.feed, ...(access && { watch: access.watch }) }))
      .use(webhookToolRoutes({ ...routeDeps, send: ({ webhook, message }, signal) => tryDelivery(deps, webhook, message, signal) }))
      .use(adminRoutes(routeDeps))
      .use(trashRoutes(routeDeps))
      .use(directSourceRoutes(routeDeps))
      .use(directFlowRoutes(routeDeps))
      .use(directObjectRoutes(routeDeps))
      .use(collectionRoutes(routeDeps))
      .use(auditRoutes(routeDeps))
      .use(segmentTagRoutes(routeDeps))
      .use(deps.analytics ? analyticsRoutes(deps.analytics) : new Elysia())

  const resources = () =>
    new Elysia()
      .use(serviceRoutes(routeDeps))
      .use(profileRoutes(routeDeps))
      .use(webhookRoutes(routeDeps))
      .use(sourceRoutes(routeDeps))
      .use(flowRoutes(routeDeps))
      .use(flowPropertyRoutes(routeDeps))
      .use(segmentRoutes(routeDeps))
      .use(objectRoutes(routeDeps))
      .use(deletionRequestRoutes(routeDeps))
      .use(healthRoutes(deps))
      .use(metricsRoutes(deps.metrics))
      .use(mediaRoutes({ stores: deps.stores, mayUpload: uploadGuard(deps), onRead: (...read) => deps.accesses?.served(...read) }))
      .use(documentation({ version: deps.serviceVersion, http, strict }))
      .use(strict ? new Elysia() : extensions())

  const routes: KnownRoute[] = []
  const needs: RouteNeeds = new Map()
  const app = new Elysia({ precompile: true, normalize: false, serve: { maxRequestBodySize: Number.MAX_SAFE_INTEGER } })
    .use(accessLog(log))
    .use(deps.traces ? traceRequests(deps.traces, http.basePath) : new Elysia())
    .use(countRequests(deps.metrics, http.basePath))
    .use(securityHeaders())
    .use(honestHost())
    .use(cors(http.corsOrigins))
    .use(errors({ log, clock, routes, onFailure: deps.metrics.failed }))
    .use(strictWrites(http.basePath))
    .use(access ? authentication({ access, trustProxy: http.trustProxy, needs }) : new Elysia())
    .use(deps.checkSpace ? space({ check: deps.checkSpace, needs }) : new Elysia())
    .use(resources())
  if (http.basePath !== '') app.group(http.basePath, (below) => below.use(resources()))
  routes.push(...app.routes)
  for (const [route, need] of routeNeeds(app.routes, http.basePath)) needs.set(route, need)
  return app
}
