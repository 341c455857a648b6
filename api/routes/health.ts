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
      probe(() => tables.check()),
      ...backends.map(({ store }) => probe(() => store.check())),
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

  const answer = async (request: Request) => {
    const health = await examine()
    return json(request, health, { status: health.status === 'healthy' ? 200 : 503 })
  }

  return new Elysia({ prefix: '/health' })
    .get('', ({ request }) => answer(request), { detail: operation('GET_health') })
    .get('/live', ({ request }) => json(request, { status: 'healthy' }), { detail: operation('GET_health-live') })
    .get('/ready', ({ request }) => answer(request), { detail: operation('GET_health-ready') })
}

const UNKNOWN: DependencyHealth = { status: 'unhealthy', reason: 'not examined' }

const probe = async (check: () => Promise<void>): Promise<DependencyHealth> => {
  try {
    await check()
    return { status: 'healthy' }
  } catch (error) {
    return { status: 'unhealthy', reason: error instanceof Error ? error.message : String(error) }
  }
}
