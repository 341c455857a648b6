import { compare, everything } from '../core/predicate.ts'
import type { ReadTx } from '../storage/tables.ts'

/** The number of the newest entry of the ordered log; 0 for an empty one. */
export const lastSeq = (tx: ReadTx): Promise<bigint> => newest(tx, everything)

/** The number of the last entry from before this moment. */
export const seqBefore = (tx: ReadTx, us: bigint): Promise<bigint> => newest(tx, compare('time', '<', us))

const newest = async (tx: ReadTx, where: typeof everything): Promise<bigint> => {
  const { rows } = await tx.list('event_log', { columns: ['seq'], where, orderBy: [{ column: 'seq', direction: 'desc' }], limit: 1 })
  return rows[0]?.seq ?? 0n
}
