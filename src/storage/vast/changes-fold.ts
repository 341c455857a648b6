import { everything, isIn } from '../../core/predicate.ts'
import type { Row } from '../schema.ts'
import type { ReadTx, WriteTx } from '../tables.ts'
import { commitIds, type Stamps } from './stamps.ts'

const LEASE = 'changes'
const LEASE_US = 120_000_000n
/** Fewer marks than this are left alone. */
const ENOUGH = 200
/** Marks that one transaction puts together. */
const MOST = 1000
/** A commit whose answer was lost looks for its mark for less than that (`commit.ts`). */
const KEPT_MS = 10 * 60_000

export interface FoldOptions {
  readonly holder: string
  readonly stamps: Stamps
  readonly nowUs: () => bigint
  readonly nowMs: () => number
  readonly read: <T>(work: (tx: ReadTx) => Promise<T>) => Promise<T>
  readonly write: <T>(work: (tx: WriteTx) => Promise<T>) => Promise<T>
}

/**
 * Puts the marks of `changes` together, one row per table for many, so that versions are read quickly. Versions stay as they are. Marks are touched
 * only when this process has known them for long: clocks of other replicas say nothing.
 */
export class ChangesFold {
  #known = new Map<string, number>()

  constructor(private readonly options: FoldOptions) {}

  /** One bounded piece of work; gives how many marks it put together. */
  async step(): Promise<number> {
    const { read, write, nowMs } = this.options
    const now = nowMs()
    const ids = await read(async (tx) => {
      if ((await tx.count('changes', everything, { atMost: ENOUGH })) < ENOUGH) return []
      const { rows } = await tx.list('changes', { columns: ['id'], where: everything, limit: 100 * MOST })
      return rows.map(({ id }) => id)
    })
    const before = this.#known
    this.#known = new Map(ids.map((id) => [id, before.get(id) ?? now]))
    const old = ids.filter((id) => now - (this.#known.get(id) ?? now) >= KEPT_MS).slice(0, MOST)
    return old.length < ENOUGH ? 0 : write((tx) => this.#fold(tx, old))
  }

  async #fold(tx: WriteTx, ids: readonly string[]): Promise<number> {
    const { holder, nowUs, stamps } = this.options
    await tx.lock([`lease:${LEASE}`])
    const lease = await tx.find('leases', [LEASE])
    const now = nowUs()
    if (lease && lease.holder !== holder && lease.expires > now) return 0
    const fence = lease?.holder === holder ? lease.fence : (lease?.fence ?? 0n) + 1n
    await tx.put('leases', [{ name: LEASE, holder, expires: now + LEASE_US, fence }])

    const { rows } = await tx.list('changes', { where: isIn('id', ids), limit: ids.length })
    const sums = new Map<string, bigint>()
    for (const { table_name: table, commits } of rows) sums.set(table, (sums.get(table) ?? 0n) + commits)
    await tx.delete('changes', isIn('id', ids))
    const idAt = commitIds(stamps.next([]))
    const folded = [...sums].map(([table, commits], i): Row<'changes'> => ({ id: idAt(i), table_name: table, time: now, commits }))
    await tx.insert('changes', folded)
    return rows.length
  }
}
