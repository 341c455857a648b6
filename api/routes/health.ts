import { hostname } from 'node:os'
import { Elysia } from 'elysia'
import { toMicroseconds } from '../../src/core/clock.ts'
import type { Deps } from '../../src/domain/deps.ts'
import { operation } from '../openapi/operation.ts'
import { json } from '../reply.ts'

interface DependencyHealth {
  readonly status: 'healthy' | 'unhealthy'
  readonly reason?: string
}

/** `/health`: 503 only when something that is needed is away. `/health/live` and `/health/ready` for orchestrators. */
export const healthRoutes = ({ tables, backends, clock, serviceVersion }: Deps) => {
  const startedMs = performance.now()

  const examine = async () => {
    const [database, ...stores] = await Promise.all([
      probe((signal) => tables.check(signal)),
      ...backends.map(({ store }) => probe((signal) => store.check(signal))),
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
      dependencies: { database, storage },
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

const LIMIT_MS = 5000

const probe = async (check: (signal: AbortSignal) => Promise<void>): Promise<DependencyHealth> => {
  const limit = AbortSignal.timeout(LIMIT_MS)
  const expired = new Promise<never>((_, reject) =>
    limit.addEventListener('abort', () => reject(new Error(`no answer within ${LIMIT_MS} ms`)), { once: true }),
  )
  try {
    await Promise.race([check(limit), expired])
    return { status: 'healthy' }
  } catch (error) {
    return { status: 'unhealthy', reason: error instanceof Error ? error.message : String(error) }
  }
}
