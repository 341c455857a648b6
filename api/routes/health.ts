import { hostname } from 'node:os'
import { Elysia } from 'elysia'
import { toMicroseconds } from '../../src/core/clock.ts'
import { type ErrorCode, isTamsError, TamsError } from '../../src/core/errors.ts'
import type { DatabaseEndpoint, Deps } from '../../src/domain/deps.ts'
import type { Log } from '../../src/telemetry/log.ts'
import { operation } from '../openapi/operation.ts'
import { json } from '../reply.ts'

interface DependencyHealth {
  readonly status: 'healthy' | 'unhealthy'
  readonly reason?: string
}

/**
 * `/health`: 503 only when something that is needed is away. `/health/live` and `/health/ready` for orchestrators. Anybody may ask, so that
 * what an engine says of its failure goes to the log, and a fixed sentence into the answer.
 */
export const healthRoutes = ({ tables, backends, clock, serviceVersion, databaseEndpoints, log }: Deps & { readonly log: Log }) => {
  const startedMs = performance.now()
  const sick = new Set<string>()

  const probe = async (name: string, check: (signal: AbortSignal) => Promise<void>): Promise<DependencyHealth> => {
    const error = await failureOf(check)
    if (error === undefined) {
      if (sick.delete(name)) log.info({ dependency: name }, 'a dependency is healthy again')
      return { status: 'healthy' }
    }
    if (!sick.has(name)) log.warn({ dependency: name, err: error }, 'a dependency is unhealthy')
    sick.add(name)
    return { status: 'unhealthy', reason: (isTamsError(error) ? REASONS[error.code] : undefined) ?? 'it failed' }
  }

  const examine = async () => {
    const [database, ...stores] = await Promise.all([
      probe('database', (signal) => tables.check(signal)),
      ...backends.map(({ info, store }) => probe(`storage ${info.id}`, (signal) => store.check(signal))),
    ])
    const storage = backends.map(({ info }, index) => ({
      id: info.id,
      ...(info.label && { label: info.label }),
      ...(stores[index] ?? UNKNOWN),
    }))
    const healthy = database.status === 'healthy' && storage.every((store) => store.status === 'healthy')
    const status: DependencyHealth['status'] = healthy ? 'healthy' : 'unhealthy'
    return {
      status,
      timestamp: toMicroseconds(clock.nowUs()),
      version: serviceVersion,
      system: {
        host: hostname(),
        uptime_seconds: Math.round((performance.now() - startedMs) / 1000),
        memory_bytes: process.memoryUsage.rss(),
      },
      dependencies: {
        database: { ...database, ...(databaseEndpoints && { endpoints: databaseEndpoints().map(told) }) },
        storage,
      },
    }
  }

  // Anybody may ask: one examination at a time serves all who wait for it.
  let examination: ReturnType<typeof examine> | undefined
  const answer = async (request: Request) => {
    examination ??= examine().finally(() => {
      examination = undefined
    })
    const health = await examination
    return json(request, health, { status: health.status === 'healthy' ? 200 : 503 })
  }

  return new Elysia({ prefix: '/health' })
    .get('', ({ request }) => answer(request), { detail: operation('GET_health') })
    .get('/live', ({ request }) => json(request, { status: 'healthy' }), { detail: operation('GET_health-live') })
    .get('/ready', ({ request }) => answer(request), { detail: operation('GET_health-ready') })
}

const UNKNOWN: DependencyHealth = { status: 'unhealthy', reason: 'not examined' }

const REASONS: Partial<Record<ErrorCode, string>> = {
  unavailable: 'it does not answer, or refuses what it is asked',
  timeout: 'it does not answer in time',
  storage_full: 'it has no room left for new data',
}

const LIMIT_MS = 5000

/** What the check failed with; undefined when it succeeded. */
const failureOf = async (check: (signal: AbortSignal) => Promise<void>): Promise<unknown> => {
  const limit = AbortSignal.timeout(LIMIT_MS)
  const expired = new Promise<never>((_, reject) =>
    limit.addEventListener('abort', () => reject(new TamsError('timeout', `no answer within ${LIMIT_MS} ms`)), { once: true }),
  )
  try {
    await Promise.race([check(limit), expired])
    return undefined
  } catch (error) {
    return error ?? new Error('a check failed without saying how')
  }
}

const told = ({ url, state, latencyMs, requests, failures }: DatabaseEndpoint) => ({
  url,
  state,
  ...(latencyMs.read !== undefined && { read_ms: rounded(latencyMs.read) }),
  ...(latencyMs.write !== undefined && { write_ms: rounded(latencyMs.write) }),
  requests,
  failures,
})

const rounded = (ms: number): number => Math.round(ms * 100) / 100
