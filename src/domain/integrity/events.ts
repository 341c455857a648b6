import { compare, eq } from '../../core/predicate.ts'
import type { Row } from '../../storage/schema.ts'
import type { Order, ReadTx, Tables, WriteTx } from '../../storage/tables.ts'
import { lastSeq } from '../event-log.ts'
import { type Finding, fault } from './finding.ts'
import { inWindows, type Window, walk, within } from './walk.ts'

/** Each webhook has its place in the log, and nothing is kept for one that is gone. */
export const checkWebhooks = (tables: Tables): AsyncGenerator<Finding> =>
  inWindows(tables, { table: 'webhooks', size: 200 }, async (tx, webhooks, window) => {
    const ids = new Set(webhooks.map((row) => row.id))
    return [...(await checkCursors(tx, ids, window)), ...(await checkDeliveries(tx, ids, window))]
  })

const checkCursors = async (tx: ReadTx, ids: ReadonlySet<string>, window: Window): Promise<Finding[]> => {
  const findings: Finding[] = []
  const end = await lastSeq(tx)
  const left = new Set(ids)
  const tell = (id: string, problem: string) =>
    findings.push(fault('webhook-cursor', `webhook ${id}`, problem, (write) => mendCursor(write, id)))
  for await (const { webhook_id, position } of walk(tx, 'webhook_cursors', { where: within('webhook_id', window) })) {
    left.delete(webhook_id)
    if (!ids.has(webhook_id)) tell(webhook_id, 'has a place in the log, and is not there')
    // An empty log does not say how far it once came.
    else if (end > 0n && position > end) tell(webhook_id, `has come to event ${position} of ${end}`)
  }
  for (const id of left) tell(id, 'has no place in the log: nothing is delivered')
  return findings
}

const mendCursor = async (tx: WriteTx, id: string): Promise<void> => {
  await tx.lock([`webhook:${id}`])
  const end = await lastSeq(tx)
  const cursor = await tx.find('webhook_cursors', [id])
  if (!(await tx.find('webhooks', [id]))) await tx.delete('webhook_cursors', eq('webhook_id', id))
  else if (!cursor || (end > 0n && cursor.position > end))
    await tx.put('webhook_cursors', [{ webhook_id: id, position: end, attempts: 0, next_attempt: 0n }])
}

const checkDeliveries = async (tx: ReadTx, ids: ReadonlySet<string>, window: Window): Promise<Finding[]> => {
  const counts = new Map<string, number>()
  const orderBy: Order<'deliveries'>[] = [
    { column: 'webhook_id', direction: 'asc' },
    { column: 'seq', direction: 'asc' },
  ]
  for await (const { webhook_id } of walk(tx, 'deliveries', { columns: ['webhook_id'], where: within('webhook_id', window), orderBy }))
    if (!ids.has(webhook_id)) counts.set(webhook_id, (counts.get(webhook_id) ?? 0) + 1)
  return [...counts].map(([id, count]) =>
    fault('delivery-of-nobody', `webhook ${id}`, `is not there, and ${count} attempts of its deliveries are`, async (write) => {
      await write.lock([`webhook:${id}`])
      if (!(await write.find('webhooks', [id]))) await write.delete('deliveries', eq('webhook_id', id))
    }),
  )
}

const PAGE = 2000

/** Numbers of the log have no gap: rows go only from its beginning. */
export async function* checkEventLog(tables: Tables): AsyncGenerator<Finding> {
  let last: bigint | undefined
  for (;;) {
    const behind = last
    const { rows, first } = await tables.read(async (tx) => {
      const where = compare('seq', '>', behind ?? -(2n ** 63n))
      const rows: Pick<Row<'event_log'>, 'seq'>[] = []
      for await (const row of walk(tx, 'event_log', { columns: ['seq'], where })) if (rows.push(row) === PAGE) break
      const oldest = (await tx.list('event_log', { columns: ['seq'], where: compare('seq', '>', -(2n ** 63n)), limit: 1 })).rows[0]
      return { rows, first: oldest?.seq }
    })
    for (const { seq } of rows) {
      // What is behind the oldest row has been forgotten as it should be, maybe since the last page.
      if (last !== undefined && seq !== last + 1n && seq !== first)
        yield fault('event-log', `event ${last + 1n}`, `is not in the log, nor are those up to ${seq - 1n}`)
      last = seq
    }
    if (rows.length < PAGE) return
  }
}
