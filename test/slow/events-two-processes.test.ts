import { afterAll, expect, test } from 'bun:test'
import path from 'node:path'
import { startEmulator } from '../emulators/vast/index.ts'
import type { Json } from '../support/answers.ts'
import { videoFlow } from '../support/fixtures.ts'
import { openReceiver } from '../support/receiver.ts'
import { eventually, type ServiceProcess, startService, temporaryDirectory } from '../support/service-process.ts'

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
  const acknowledged: { readonly flow: string; readonly label: string }[] = []
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

  const logged: Json[] = []
  for (let page: string | null = ''; page !== null; ) {
    const answer: Response = await second.call('GET', `/events?type=flows/updated&limit=1000${page && `&page=${page}`}`)
    logged.push(...((await answer.json()) as Json[]))
    page = answer.headers.get('x-paging-nextkey')
  }
  const committed = logged.map(({ event }) => (event as Json).flow as Json)
  const last = committed.at(-1)?.label
  // The lease of a killed process runs out after half a minute.
  await eventually('the last event at the receiver', async () =>
    receiver.received.some(({ body }) => (body.event.flow as Json).label === last) ? true : undefined,
  )
  const arrived = new Map<string, Json>()
  for (const { headers, body } of receiver.received) {
    const id = headers.get('webhook-id') ?? ''
    if (!arrived.has(id)) arrived.set(id, body.event.flow as Json)
  }
  const labelsOf = (items: Iterable<Json>, flow: string) => [...items].filter(({ id }) => id === flow).map(({ label }) => label)
  for (const { id } of flows) {
    expect(labelsOf(arrived.values(), id)).toEqual(labelsOf(committed, id))
    const mine = acknowledged.filter(({ flow }) => flow === id).map(({ label }) => label)
    expect(labelsOf(committed, id)).toEqual(expect.arrayContaining(mine))
  }
  console.log(
    `${committed.length} events of two processes, ${receiver.received.length} deliveries, ${receiver.received.length - arrived.size} repeated`,
  )
})
