import { expect } from 'bun:test'
import type { Json } from './answers.ts'
import type { Receiver } from './receiver.ts'
import { eventually, type ServiceProcess } from './service-process.ts'

/** A label of a flow whose PUT was answered with 204. */
export interface Acknowledged {
  readonly flow: string
  readonly label: string
}

/**
 * Waits until the last of the logged changes has been delivered. Then the receiver has every one at least once and, repetitions left out, in
 * the order of the log for each flow, and what was acknowledged is in the log. Gives how many there were.
 */
export const checkDeliveries = async (
  service: ServiceProcess,
  receiver: Receiver,
  flows: readonly string[],
  acknowledged: readonly Acknowledged[],
): Promise<string> => {
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
  for (const id of flows) {
    expect(labelsOf(first.values(), id)).toEqual(labelsOf(committed, id))
    const mine = acknowledged.filter(({ flow }) => flow === id).map(({ label }) => label)
    expect(labelsOf(committed, id)).toEqual(expect.arrayContaining(mine))
  }
  const deliveries = receiver.received.length
  return `${committed.length} events, ${deliveries} deliveries, ${deliveries - first.size} of them repeated`
}
