import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { ERRORS } from '../core/errors.ts'

/** One request that was answered. Every member takes few values: a label never comes from a client. */
export interface AnsweredRequest {
  /** A known HTTP method, or `other`. */
  readonly method: string
  /** The template of the route, or `unmatched`. */
  readonly route: string
  readonly status: number
  readonly seconds: number
}

/** What the store holds, without what is deleted. */
export interface StoreTotals {
  readonly sources: number
  readonly flows: number
  readonly segments: number
  /** Of objects whose size is known. */
  readonly bytes: number
}

/** Events that active webhooks have still to look at, all together, and since when the oldest of them waits. */
export interface WebhookBacklog {
  readonly events: number
  readonly oldestSeconds: number
}

export interface Metrics {
  readonly contentType: string
  answered(request: AnsweredRequest): void
  /** `type` of the error document. */
  failed(type: string): void
  totals(totals: StoreTotals): void
  backlog(backlog: WebhookBacklog): void
  /** The status of the receiver's answer; undefined where none came. */
  webhookAttempt(status: number | undefined): void
  /** One request to a VAST endpoint: `GET data`, `POST rows` … */
  vastRequest(request: { method: string; command: string | undefined; status: number | undefined; seconds: number }): void
  /** One operation on S3 with all its attempts: `GetObject` … */
  s3Operation(operation: string, seconds: number, succeeded: boolean): void
  /** Asked whenever the figures are read. */
  endpoints(read: () => readonly EndpointFigures[]): void
  connections(count: () => number): void
  /** The text exposition format of Prometheus. */
  text(): Promise<string>
}

/** One address of the metadata store. */
export interface EndpointFigures {
  readonly url: string
  readonly state: 'up' | 'down'
  /** Moving averages. */
  readonly latencyMs: { readonly read: number | undefined; readonly write: number | undefined }
  readonly failures: number
}

/** From a fraction of a millisecond (a look-up by key) to a report over everything. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** The figures of one process, under the names that product dashboards use. */
export const createMetrics = (): Metrics => {
  const registry = new Registry()
  const registers = [registry]
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Counter({ name, help, labelNames, registers })
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers })

  const requests = counter('tams_http_requests_total', 'HTTP requests answered', ['method', 'route', 'status'])
  const durations = new Histogram({
    name: 'tams_http_request_duration_seconds',
    help: 'From the arrival of a request to its answer',
    labelNames: ['method', 'route'],
    buckets: SECONDS,
    registers,
  })
  const errors = counter('tams_errors_total', 'Requests that failed, by the type of the error', ['type'])
  // From the start: the first of a series that was not there is no increase to Prometheus.
  for (const type of Object.keys(ERRORS)) errors.inc({ type }, 0)
  const operations = {
    source: counter('tams_source_operations_total', 'Successful requests for sources', ['operation']),
    flow: counter('tams_flow_operations_total', 'Successful requests for flows', ['operation']),
    segment: counter('tams_segment_operations_total', 'Successful requests for segments', ['operation']),
  }
  const sources = gauge('tams_sources_total', 'Sources in the store')
  const flows = gauge('tams_flows_total', 'Flows in the store')
  const segments = gauge('tams_segments_total', 'Segments in the store')
  const bytes = gauge('tams_storage_bytes_total', 'Bytes of media objects whose size is known')
  const backlogEvents = gauge('tams_webhook_backlog_events', 'Events that active webhooks have still to look at, all together')
  const backlogAge = gauge('tams_webhook_oldest_undelivered_seconds', 'Age of the oldest of them')
  const attempts = counter('tams_webhook_attempts_total', 'Tries to deliver to webhooks', ['outcome'])
  const vastRequests = new Histogram({
    name: 'tams_vast_query_duration_seconds',
    help: 'Requests to the VAST Database, until the head of the answer',
    labelNames: ['operation', 'outcome'],
    buckets: SECONDS,
    registers,
  })
  const s3Operations = new Histogram({
    name: 'tams_s3_operation_duration_seconds',
    help: 'Operations on S3 with all their attempts, until the head of the answer',
    labelNames: ['operation', 'outcome'],
    buckets: SECONDS,
    registers,
  })
  const endpoints = { read: (): readonly EndpointFigures[] => [] }
  const endpointGauge = (name: string, help: string, value: (endpoint: EndpointFigures) => number | undefined) =>
    new Gauge({
      name,
      help,
      labelNames: ['endpoint'],
      registers,
      collect() {
        for (const endpoint of endpoints.read()) {
          const found = value(endpoint)
          if (found !== undefined) this.set({ endpoint: endpoint.url }, found)
        }
      },
    })
  endpointGauge('tams_vast_endpoint_up', '1 while requests are sent there', ({ state }) => Number(state === 'up'))
  endpointGauge('tams_vast_endpoint_failures', 'Requests that failed there since the start', ({ failures }) => failures)
  endpointGauge('tams_vast_endpoint_read_seconds', 'Moving average of reads', ({ latencyMs: { read } }) => read && read / 1000)
  endpointGauge('tams_vast_endpoint_write_seconds', 'Moving average of writes', ({ latencyMs: { write } }) => write && write / 1000)
  const openConnections = { count: () => 0 }
  new Gauge({
    name: 'tams_active_connections',
    help: 'Requests in progress and open WebSockets',
    registers,
    collect() {
      this.set(openConnections.count())
    },
  })

  return {
    contentType: registry.contentType,
    answered({ method, route, status, seconds }) {
      requests.inc({ method, route, status })
      durations.observe({ method, route }, seconds)
      const entity = status < 400 ? entityOf(route) : undefined
      if (entity) operations[entity].inc({ operation: operationOf(method, status) })
    },
    failed: (type) => errors.inc({ type }),
    totals(found) {
      sources.set(found.sources)
      flows.set(found.flows)
      segments.set(found.segments)
      bytes.set(found.bytes)
    },
    backlog({ events, oldestSeconds }) {
      backlogEvents.set(events)
      backlogAge.set(oldestSeconds)
    },
    webhookAttempt: (status) => attempts.inc({ outcome: outcomeOf(status) }),
    vastRequest: ({ method, command, status, seconds }) =>
      vastRequests.observe({ operation: `${method} ${command ?? 'bucket'}`, outcome: outcomeOf(status) }, seconds),
    s3Operation: (operation, seconds, succeeded) => s3Operations.observe({ operation, outcome: succeeded ? 'ok' : 'error' }, seconds),
    endpoints(read) {
      endpoints.read = read
    },
    connections(count) {
      openConnections.count = count
    },
    text: () => registry.metrics(),
  }
}

const outcomeOf = (status: number | undefined): string => (status === undefined ? 'no_answer' : `${Math.floor(status / 100)}xx`)

const entityOf = (route: string): 'source' | 'flow' | 'segment' | undefined => {
  if (route.startsWith('/flows')) return route.includes('/segments') ? 'segment' : 'flow'
  return route.startsWith('/sources') ? 'source' : undefined
}

const operationOf = (method: string, status: number): string => {
  if (method === 'DELETE') return 'delete'
  if (method === 'GET' || method === 'HEAD') return 'read'
  return status === 201 ? 'create' : 'update'
}
