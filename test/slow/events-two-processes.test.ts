import { afterAll, expect, test } from 'bun:test'
import path from 'node:path'
import { startEmulator } from '../emulators/vast/index.ts'
import { videoFlow } from '../support/fixtures.ts'
import { type Acknowledged, checkDeliveries } from '../support/label-changes.ts'
import { openReceiver } from '../support/receiver.ts'
import { type ServiceProcess, startService, temporaryDirectory } from '../support/service-process.ts'

const CHANGES = 600
const FLOWS = 6
const KEYS = { accessKey: 'test', secretKey: 'test' }

const closing: (() => Promise<unknown>)[] = []
afterAll(async () => {
  for (const close of closing.reverse()) await close()
})

test('of two processes on one VAST store both show all events, and webhooks get each at least once and in order, also when one is killed', async () => {
  const emulator = await startEmulator({ port: 0, buckets: ['tams'], credentials: KEYS })
  closing.push(() => emulator.close())
  const receiver = openReceiver()
  closing.push(() => receiver.close())
  const directory = await temporaryDirectory()
  closing.push(() => directory.remove())
  const start = async (name: string): Promise<ServiceProcess> => {
    const service = await startService(path.join(directory.path, name), {
      VAST_ENDPOINT: emulator.url,
      VAST_ACCESS_KEY: KEYS.accessKey,
      VAST_SECRET_KEY: KEYS.secretKey,
      VAST_BUCKET: 'tams',
      SECRET_KEY: 'one-secret-for-both-of-the-processes',
      WEBHOOK_ALLOWED_HOSTS: '127.0.0.1',
    })
    closing.push(() => service.end('SIGKILL'))
    return service
  }
  const first = await start('first')
  const second = await start('second')
  const flows = Array.from({ length: FLOWS }, () => videoFlow())
  for (const flow of flows) expect((await first.call('PUT', `/flows/${flow.id}`, flow)).status).toBe(201)
  const made = await second.call('POST', '/service/webhooks', { url: receiver.url, events: ['flows/updated'] })
  expect(made.status).toBe(201)

  let living = [first, second]
  let next = 0
  const acknowledged: Acknowledged[] = []
  const write = async (flow: string): Promise<void> => {
    while (next < CHANGES) {
      const number = next++
      const label = String(number).padStart(6, '0')
      const service = living[number % living.length]
      const answer = await service?.call('PUT', `/flows/${flow}/label`, label).catch(() => undefined)
      if (answer?.status === 204) acknowledged.push({ flow, label })
      // The first one has held the lease of deliveries from the start.
      if (number === CHANGES / 2) {
        living = [second]
        await first.end('SIGKILL')
      }
    }
  }
  await Promise.all(flows.map(({ id }) => write(id)))

  // The lease of a killed process runs out after half a minute.
  const ids = flows.map(({ id }) => id)
  console.log(`two processes: ${await checkDeliveries(second, receiver, ids, acknowledged)}`)
})
