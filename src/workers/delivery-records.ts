import { eq, isIn } from '../core/predicate.ts'
import { listAll } from '../domain/list-all.ts'
import type { Row } from '../storage/schema.ts'
import type { Tables, WriteTx } from '../storage/tables.ts'
import type { Lease } from './lease.ts'
import { attemptRows, slotAfter, type WebhookState } from './webhook-state.ts'

/**
 * Writes how far these webhooks have come, in one transaction that also proves the lease. What a client has changed meanwhile wins:
 * a moved cursor (a replay, a webhook enabled again) or an edited webhook discards what was found out with the former one.
 */
export const saveProgress = async (tables: Tables, lease: Lease, states: readonly WebhookState[]): Promise<void> => {
  const taken = states.map((state) => ({ state, position: state.position, pending: state.pending, verdict: state.verdict }))
  for (const { state } of taken) {
    state.pending = []
    state.dirty = false
  }
  const slots = await tables
    .write(async (tx) => {
      await lease.keep(tx)
      await tx.lock(taken.map(({ state }) => `webhook:${state.row.id}`))
      return saveAll(tx, taken)
    })
    .catch((error: unknown) => {
      for (const { state } of taken) state.dirty = true
      throw error
    })
  for (const { state, position } of taken) {
    state.stored = position
    state.nextSlot = slots.get(state)
  }
}

type Taken = Pick<WebhookState, 'position' | 'pending' | 'verdict'> & { readonly state: WebhookState }

/** A few statements for all of them: they are written several times a second. */
const saveAll = async (tx: WriteTx, taken: readonly Taken[]): Promise<Map<WebhookState, number>> => {
  if (taken.length === 0) return new Map()
  const ids = taken.map(({ state }) => state.row.id)
  const limit = ids.length
  const webhooks = new Map((await listAll(tx, 'webhooks', { where: isIn('id', ids), limit })).map((row) => [row.id, row]))
  const cursors = new Map(
    (await listAll(tx, 'webhook_cursors', { where: isIn('webhook_id', ids), limit })).map((row) => [row.webhook_id, row]),
  )
  const moved: Row<'webhook_cursors'>[] = []
  const changed: Row<'webhooks'>[] = []
  const attempts: Row<'deliveries'>[] = []
  const slots = new Map<WebhookState, number>()
  for (const { state, position, pending, verdict } of taken) {
    const { id } = state.row
    const firstSlot = state.nextSlot ?? (await storedSlot(tx, id))
    slots.set(state, firstSlot)
    const webhook = webhooks.get(id)
    if (!webhook) continue
    const cursor = cursors.get(id)
    const stands = cursor?.position === state.stored
    const edited = webhook.updated !== state.row.updated
    if (cursor && stands)
      moved.push({ ...cursor, position, ...(!edited && { attempts: state.failures, next_attempt: state.nextAttemptUs }) })
    if (verdict && !edited && stands) changed.push({ ...webhook, status: verdict.status, error: verdict.error })
    else if (webhook.status === 'created' && state.attempted) changed.push({ ...webhook, status: 'started' })
    attempts.push(...attemptRows(id, pending, firstSlot))
    slots.set(state, firstSlot + pending.length)
  }
  await tx.put('webhook_cursors', moved)
  await tx.put('webhooks', changed)
  await tx.put('deliveries', attempts)
  return slots
}

const storedSlot = async (tx: WriteTx, webhookId: string): Promise<number> =>
  slotAfter((await tx.list('deliveries', { columns: ['id', 'created'], where: eq('webhook_id', webhookId), limit: 1000 })).rows)
