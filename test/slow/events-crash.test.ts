import { afterAll, expect, test } from 'bun:test'
import type { Json } from '../support/answers.ts'
import { videoFlow } from '../support/fixtures.ts'
import { openReceiver } from '../support/receiver.ts'
import { eventually, type ServiceProcess, startService, temporaryDirectory } from '../support/service-process.ts'

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

  const acknowledged: { readonly flow: string; readonly label: string }[] = []
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

  const logged: Json[] = []
  for (let page: string | null = ''; page !== null; ) {
    const answer: Response = await service.call('GET', `/events?type=flows/updated&limit=1000${page && `&page=${page}`}`)
    logged.push(...((await answer.json()) as Json[]))
    page = answer.headers.get('x-paging-nextkey')
  }
  const committed = logged.map(({ event }) => (event as Json).flow as Json)
  const last = committed.at(-1)?.label
  await eventually('the last event at the receiver', async () =>
    receiver.received.some(({ body }) => (body.event.flow as Json).label === last) ? true : undefined,
  )

  const first = new Map<string, Json>()
  for (const { headers, body } of receiver.received) {
    const id = headers.get('webhook-id') ?? ''
    if (!first.has(id)) first.set(id, body.event.flow as Json)
  }
  const labelsOf = (items: Iterable<Json>, flow: string) => [...items].filter(({ id }) => id === flow).map(({ label }) => label)
  for (const { id } of flows) {
    expect(labelsOf(first.values(), id)).toEqual(labelsOf(committed, id))
    const mine = acknowledged.filter(({ flow }) => flow === id).map(({ label }) => label)
    expect(labelsOf(committed, id)).toEqual(expect.arrayContaining(mine))
  }
  const duplicates = receiver.received.length - first.size
  console.log(`${committed.length} events, ${KILLS} kills, ${receiver.received.length} deliveries, ${duplicates} of them repeated`)
  await service.end('SIGTERM')
})
