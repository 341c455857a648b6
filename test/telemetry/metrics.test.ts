import { expect, test } from 'bun:test'
import { ERRORS } from '../../src/core/errors.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'

const linesOf = async (metrics: ReturnType<typeof createMetrics>) => (await metrics.text()).split('\n')

test('answers are counted by method, template and status, their time by method and template', async () => {
  const metrics = createMetrics()
  metrics.answered({ method: 'GET', route: '/flows/:flowId', status: 200, seconds: 0.004 })
  metrics.answered({ method: 'GET', route: '/flows/:flowId', status: 404, seconds: 0.2 })
  const lines = await linesOf(metrics)
  expect(lines).toContain('tams_http_requests_total{method="GET",route="/flows/:flowId",status="200"} 1')
  expect(lines).toContain('tams_http_requests_total{method="GET",route="/flows/:flowId",status="404"} 1')
  expect(lines).toContain('tams_http_request_duration_seconds_bucket{le="0.005",method="GET",route="/flows/:flowId"} 1')
  expect(lines).toContain('tams_http_request_duration_seconds_count{method="GET",route="/flows/:flowId"} 2')
})

test.each([
  ['PUT', '/flows/:flowId', 201, 'tams_flow_operations_total{operation="create"} 1'],
  ['PUT', '/flows/:flowId/label', 204, 'tams_flow_operations_total{operation="update"} 1'],
  ['DELETE', '/flows/:flowId', 204, 'tams_flow_operations_total{operation="delete"} 1'],
  ['HEAD', '/sources', 200, 'tams_source_operations_total{operation="read"} 1'],
  ['POST', '/flows/:flowId/segments', 201, 'tams_segment_operations_total{operation="create"} 1'],
])('%s %s with %d is one operation', async (method, route, status, line) => {
  const metrics = createMetrics()
  metrics.answered({ method, route, status, seconds: 0 })
  expect(await linesOf(metrics)).toContain(line)
})

test('a request that failed is no operation', async () => {
  const metrics = createMetrics()
  metrics.answered({ method: 'PUT', route: '/flows/:flowId', status: 400, seconds: 0 })
  metrics.failed('invalid')
  const lines = await linesOf(metrics)
  expect(lines.filter((line) => line.startsWith('tams_flow_operations_total'))).toEqual([])
  expect(lines).toContain('tams_errors_total{type="invalid"} 1')
})

test('every type of error is there before the first', async () => {
  const lines = await linesOf(createMetrics())
  for (const type of Object.keys(ERRORS)) expect(lines).toContain(`tams_errors_total{type="${type}"} 0`)
})

test('tries of webhooks are counted by the class of the answer', async () => {
  const metrics = createMetrics()
  for (const status of [200, 204, 503, undefined]) metrics.webhookAttempt(status)
  const lines = await linesOf(metrics)
  expect(lines).toContain('tams_webhook_attempts_total{outcome="2xx"} 2')
  expect(lines).toContain('tams_webhook_attempts_total{outcome="5xx"} 1')
  expect(lines).toContain('tams_webhook_attempts_total{outcome="no_answer"} 1')
})

test('connections are asked for when the figures are read', async () => {
  const metrics = createMetrics()
  let open = 3
  metrics.connections(() => open)
  expect(await linesOf(metrics)).toContain('tams_active_connections 3')
  open = 4
  expect(await linesOf(metrics)).toContain('tams_active_connections 4')
})

test('requests to the servers of the stores are counted by operation and outcome, endpoints by address', async () => {
  const metrics = createMetrics()
  metrics.vastRequest({ method: 'GET', command: 'data', status: 200, seconds: 0.003 })
  metrics.vastRequest({ method: 'HEAD', command: undefined, status: undefined, seconds: 0.003 })
  metrics.s3Operation('PutObject', 0.2, false)
  metrics.endpoints(() => [{ url: 'http://10.0.0.1', state: 'down', latencyMs: { read: 4, write: undefined }, failures: 3 }])
  const lines = await linesOf(metrics)
  expect(lines).toContain('tams_vast_query_duration_seconds_count{operation="GET data",outcome="2xx"} 1')
  expect(lines).toContain('tams_vast_query_duration_seconds_count{operation="HEAD bucket",outcome="no_answer"} 1')
  expect(lines).toContain('tams_s3_operation_duration_seconds_count{operation="PutObject",outcome="error"} 1')
  expect(lines).toContain('tams_vast_endpoint_up{endpoint="http://10.0.0.1"} 0')
  expect(lines).toContain('tams_vast_endpoint_read_seconds{endpoint="http://10.0.0.1"} 0.004')
  expect(lines.filter((line) => line.startsWith('tams_vast_endpoint_write_seconds{'))).toEqual([])
})
