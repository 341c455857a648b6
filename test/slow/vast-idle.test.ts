import { afterAll, expect, test } from 'bun:test'
import { systemClock } from '../../src/core/clock.ts'
import { EventFeed } from '../../src/domain/event-feed.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { guardedFetch } from '../../src/workers/guarded-fetch.ts'
import { startWorkers } from '../../src/workers/index.ts'
import { startEmulator } from '../emulators/vast/index.ts'
import { openReplicas } from '../storage/vast/stores.ts'
import { testSettings } from '../support/app.ts'

const DAY_MS = 86_400_000
const clock = systemClock()
const log = createLog({ level: 'silent', format: 'json', destination: { write: () => undefined } })
const emulator = await startEmulator()
afterAll(() => emulator.close())

const requests = (): number => [...emulator.requests.values()].reduce((sum, count) => sum + count, 0)

test('a process in which nothing happens makes a handful of requests in a second', async () => {
  const [one, other] = await openReplicas(emulator, 2)
  if (!one || !other) throw new Error('two replicas')
  const feed = new EventFeed(one)
  const listening = new AbortController()
  const workers = startWorkers({
    tables: one,
    clock,
    log,
    backends: [],
    settings: testSettings,
    serviceVersion: 'test',
    request: guardedFetch({ allowedHosts: [] }),
    baseUrl: 'http://store.example.com',
    metrics: createMetrics(),
    eventRetentionMs: DAY_MS,
    auditRetentionMs: DAY_MS,
    softDeleteRetentionMs: DAY_MS,
  })
  const listener = feed.next(0n, DAY_MS, listening.signal)
  // All of them have their leases and have looked.
  await Bun.sleep(1500)
  const before = requests()
  await Bun.sleep(2000)
  // Two looks of the watch each second, and those who look by time: it was 130.
  expect(requests() - before).toBeLessThanOrEqual(20)
  listening.abort()
  await listener
  feed.close()
  await workers.stop()
  await Promise.all([one.close(), other.close()])
}, 60_000)
