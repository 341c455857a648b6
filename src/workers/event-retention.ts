import type { Clock } from '../core/clock.ts'
import { and, compare, everything, isIn } from '../core/predicate.ts'
import { seqBefore } from '../domain/event-log.ts'
import type { ReadTx, Tables } from '../storage/tables.ts'
import type { Worker } from './worker.ts'

const BATCH = 500n
const MANY = 1_000_000

/** Removes events older than `retentionMs`, but none that an active webhook has still to look at. */
export const eventRetentionWorker = ({
  tables,
  clock,
  retentionMs,
}: {
  readonly tables: Tables
  readonly clock: Clock
  readonly retentionMs: number
}): Worker => ({
  name: 'event-retention',
  intervalMs: 60_000,
  step: (lease) =>
    tables.write(async (tx) => {
      await lease.keep(tx)
      const first = (await tx.readLog(-1n, 1))[0]
      if (!first) return false
      const old = await seqBefore(tx, clock.nowUs() - BigInt(retentionMs) * 1000n)
      const needed = await leastPosition(tx)
      const end = needed === undefined || old < needed ? old : needed
      if (end < first.seq) return false
      const last = first.seq + BATCH - 1n < end ? first.seq + BATCH - 1n : end
      await tx.delete('event_log', and(compare('seq', '>=', first.seq), compare('seq', '<=', last)))
      return last < end
    }),
})

/** Up to where every active webhook has come; undefined without any. */
const leastPosition = async (tx: ReadTx): Promise<bigint | undefined> => {
  const { rows } = await tx.list('webhooks', { columns: ['id'], where: isIn('status', ['created', 'started']), limit: MANY })
  if (rows.length === 0) return undefined
  const active = new Set(rows.map((row) => row.id))
  const cursors = await tx.list('webhook_cursors', { where: everything, limit: MANY })
  const positions = cursors.rows.filter((row) => active.has(row.webhook_id)).map((row) => row.position)
  return positions.reduce<bigint | undefined>((least, position) => (least === undefined || position < least ? position : least), undefined)
}
