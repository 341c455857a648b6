import type { Metrics } from '../src/telemetry/metrics.ts'
import type { Traces } from '../src/telemetry/traces.ts'

type Observer = Pick<Metrics, 'vastRequest' | 's3Operation'>

/** Told of each call to another server: counts it, and makes it a span of the request that it was made for. */
export const observedBoth = (metrics: Observer, traces: Pick<Traces, 'called'>): Observer => ({
  vastRequest(call) {
    metrics.vastRequest(call)
    const { method, command, status, seconds } = call
    traces.called({
      name: `VAST ${method} ${command ?? 'bucket'}`,
      attributes: { 'db.system.name': 'vast', ...(status !== undefined && { 'http.response.status_code': status }) },
      seconds,
      failed: status === undefined || status >= 400,
    })
  },
  s3Operation(operation, seconds, succeeded) {
    metrics.s3Operation(operation, seconds, succeeded)
    const attributes = { 'rpc.system': 'aws-api', 'rpc.service': 'S3', 'rpc.method': operation }
    traces.called({ name: `S3 ${operation}`, attributes, seconds, failed: !succeeded })
  },
})
