import { and, eq } from '../core/predicate.ts'
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
      const next = new Map<WebhookState, number>()
      for (const each of taken) next.set(each.state, await saveOne(tx, each))
      return next
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

const saveOne = async (tx: WriteTx, { state, position, pending, verdict }: Taken): Promise<number> => {
  const { id } = state.row
  const firstSlot = state.nextSlot ?? (await storedSlot(tx, id))
  const present = await tx.find('webhooks', [id])
  if (!present) return firstSlot
  const edited = present.updated !== state.row.updated
  const moved = await tx.update('webhook_cursors', and(eq('webhook_id', id), eq('position', state.stored)), {
    position,
    ...(!edited && { attempts: state.failures, next_attempt: state.nextAttemptUs }),
  })
  if (verdict && !edited && moved > 0) await tx.update('webhooks', eq('id', id), { status: verdict.status, error: verdict.error })
  else if (present.status === 'created' && state.attempted) await tx.update('webhooks', eq('id', id), { status: 'started' })
  await tx.put('deliveries', attemptRows(id, pending, firstSlot))
  return firstSlot + pending.length
}

const storedSlot = async (tx: WriteTx, webhookId: string): Promise<number> =>
  slotAfter((await tx.list('deliveries', { columns: ['id', 'created'], where: eq('webhook_id', webhookId), limit: 1000 })).rows)
