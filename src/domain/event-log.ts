import { compare, everything, type Predicate } from '../core/predicate.ts'
import type { Order, ReadTx } from '../storage/tables.ts'

const bySeq: Order<'event_log'> = { column: 'seq', direction: 'desc' }
const byTime: Order<'event_log'> = { column: 'time', direction: 'desc' }

/** The number of the newest entry of the ordered log; 0 for an empty one. */
export const lastSeq = (tx: ReadTx): Promise<bigint> => newest(tx, everything, [bySeq])

/** The number of the last entry from before this moment. */
export const seqBefore = (tx: ReadTx, us: bigint): Promise<bigint> => newest(tx, compare('time', '<', us), [byTime, bySeq])

const newest = async (tx: ReadTx, where: Predicate, orderBy: readonly Order<'event_log'>[]): Promise<bigint> => {
  const { rows } = await tx.list('event_log', { columns: ['seq'], where, orderBy, limit: 1 })
  return rows[0]?.seq ?? 0n
}
