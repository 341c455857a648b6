import { tableFacts } from '../table-facts.ts'
import { ChangeBuffer } from './change-buffer.ts'
import { pinned } from './column-terms.ts'
import { commitSurely } from './commit.ts'
import type { VastEngine } from './engine.ts'
import { flush } from './flush.ts'
import { collected } from './merged-queries.ts'
import { keyText } from './row-keys.ts'
import { ROW_ID, type SourceRow } from './row-source.ts'
import { LEASE, type Sequencing } from './sequencer.ts'
import { SnapshotSource } from './snapshot-source.ts'
import type { Stamps } from './stamps.ts'
import { isApplied } from './versions.ts'

/** With as many entries the outbox may hold more: then the oldest have to be found first. */
const MOST = 4000

const NO_COLUMNS: ReadonlySet<string> = new Set()

export interface NumberingOptions extends Sequencing {
  readonly engine: VastEngine
  readonly stamps: Stamps
  /** Waits before try `n` (1, 2 …) of a commit whose answer was lost. */
  readonly pause: (n: number) => Promise<void>
}

/**
 * What `sequence` does, in the four rounds of one transaction and without looks that a work would make: begin; the outbox and the last number; changes; commit.
 * False where it cannot be done like this (the outbox is long, or no number was ever given); rejects with `Conflict` when it collides.
 */
export const numberEntries = async ({ engine, stamps, holder, nowUs, pause }: NumberingOptions): Promise<boolean> => {
  const transaction = await engine.client.begin()
  try {
    const snapshot = new SnapshotSource(engine, transaction)
    const [entries, [lease]] = await Promise.all([
      collected(snapshot.rows('outbox', { columns: tableFacts('outbox').columnNames, where: [], limit: MOST, rowIds: true })),
      collected(snapshot.rows('leases', { columns: ['fence'], where: [pinned('name', LEASE)], rowIds: true })),
    ])
    if (entries.length === 0) return true
    if (!lease || entries.length === MOST) return false

    const handleOf = engine.handle.bind(engine)
    const changes = moved(entries, lease, { holder, nowUs })
    const stamp = stamps.next([])
    const marks = await flush({ transaction, handleOf, changes, locks: [], stamp, nowUs: nowUs() })
    const outside = new SnapshotSource(engine, engine.client.database)
    await commitSurely(transaction, { isDone: () => isApplied(outside, marks), pause })
    engine.committed(marks)
    return true
  } finally {
    if (transaction.active) await transaction.rollback().catch(() => undefined)
  }
}

/** The entries in the order of their ids, with the next numbers, out of one table and into the other. No version grows: nothing is new in the log. */
const moved = (entries: readonly SourceRow[], lease: SourceRow, { holder, nowUs }: Sequencing): ChangeBuffer => {
  const changes = new ChangeBuffer()
  let fence = BigInt(lease.fence as bigint)
  for (const { [ROW_ID]: rowId, ...entry } of entries.toSorted((a, b) => (String(a.id) < String(b.id) ? -1 : 1))) {
    fence += 1n
    changes.set('event_log', keyText([fence]), { rowId: undefined, row: { ...entry, seq: fence }, columns: NO_COLUMNS, basis: 0 })
    changes.set('outbox', keyText([entry.id]), { rowId, row: undefined, columns: NO_COLUMNS, basis: 0 })
  }
  const row = { name: LEASE, holder, expires: nowUs(), fence }
  const columns = new Set(['holder', 'expires', 'fence'])
  changes.set('leases', keyText([LEASE]), { rowId: lease[ROW_ID], row, columns, basis: 0 })
  return changes
}
