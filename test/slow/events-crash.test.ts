import { afterAll, expect, test } from 'bun:test'
import type { Json } from '../support/answers.ts'
import { videoFlow } from '../support/fixtures.ts'
import { type Acknowledged, checkDeliveries } from '../support/label-changes.ts'
import { openReceiver } from '../support/receiver.ts'
import { type ServiceProcess, startService, temporaryDirectory } from '../support/service-process.ts'

const directory = await temporaryDirectory()
const receiver = openReceiver()
afterAll(async () => {
  await receiver.close()
  await directory.remove()
})

const CHANGES = 10_000
const FLOWS = 8
const KILLS = 10

test('every event is delivered at least once and in order, whenever the service is killed, and none of what did not commit', async () => {
  const start = () => startService(directory.path, { WEBHOOK_ALLOWED_HOSTS: '127.0.0.1', LOG_LEVEL: 'info' })
  let service: ServiceProcess = await start()
  const flows = Array.from({ length: FLOWS }, () => videoFlow())
  for (const flow of flows) expect((await service.call('PUT', `/flows/${flow.id}`, flow)).status).toBe(201)
  const made = await service.call('POST', '/service/webhooks', { url: receiver.url, events: ['flows/updated'] })
  const webhook = (await made.json()) as Json

  const acknowledged: Acknowledged[] = []
  const killAt = Array.from({ length: KILLS }, (_, index) => Math.floor(((index + Math.random()) * CHANGES) / KILLS))
  let next = 0
  let restarting: Promise<void> | undefined
  const restart = async () => {
    await service.end('SIGKILL')
    service = await start()
    restarting = undefined
  }
  const write = async (flow: string): Promise<void> => {
    while (next < CHANGES) {
      await restarting
      const label = String(next++).padStart(6, '0')
      const answer = await service.call('PUT', `/flows/${flow}/label`, label).catch(() => undefined)
      if (answer?.status === 204) acknowledged.push({ flow, label })
      if (!restarting && killAt.length > 0 && next >= (killAt[0] ?? 0)) {
        killAt.shift()
        // For a while nothing can be delivered either.
        receiver.answer = killAt.length % 3 === 1 ? () => new Response(null, { status: 503 }) : () => new Response('ok')
        restarting = restart()
      }
    }
  }
  await Promise.all(flows.map(({ id }) => write(id)))
  await restarting
  receiver.answer = () => new Response('ok')
  const again = await service.call('PUT', `/service/webhooks/${webhook.id}`, { ...webhook, status: 'created' })
  expect(again.status).toBe(201)

  const ids = flows.map(({ id }) => id)
  console.log(`${KILLS} kills, ${await checkDeliveries(service, receiver, ids, acknowledged)}`)
  await service.end('SIGTERM')
})
