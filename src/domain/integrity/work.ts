import { and, compare, eq, isIn, type Predicate } from '../../core/predicate.ts'
import type { TableName } from '../../storage/schema.ts'
import type { Tables } from '../../storage/tables.ts'
import type { Finding } from './finding.ts'

interface Work {
  /** Of the worker that does it. */
  readonly lease: string
  readonly table: TableName
  readonly what: string
  /** What has waited since before then. */
  readonly waiting: (beforeUs: bigint) => Predicate
}

const KINDS: readonly Work[] = [
  {
    lease: 'deletion-requests',
    table: 'deletion_requests',
    what: 'delete requests',
    waiting: (beforeUs) => and(isIn('status', ['created', 'started']), compare('updated', '<', beforeUs)),
  },
  {
    lease: 'restores',
    table: 'deletions',
    what: 'restores',
    waiting: (beforeUs) => and(eq('status', 'restoring'), compare('restored', '<', beforeUs)),
  },
  {
    lease: 'media-removals',
    table: 'media_removals',
    what: 'objects whose bytes are to be removed',
    waiting: (beforeUs) => compare('created', '<', beforeUs),
  },
  {
    lease: 'object-copies',
    table: 'media_copies',
    what: 'copies',
    waiting: (beforeUs) => and(eq('status', 'created'), compare('updated', '<', beforeUs)),
  },
  {
    lease: 'allocation-sweep',
    table: 'objects',
    what: 'allocations that have run out',
    waiting: (beforeUs) => and(eq('state', 'allocated'), compare('expires', '<', beforeUs)),
  },
]

/** A worker that is there needs minutes. */
const PATIENCE_US = 3_600_000_000n
const MOST = 10_000

/** Background work that nobody does, and who was last to do it. */
export async function* checkWork(tables: Tables, nowUs: bigint): AsyncGenerator<Finding> {
  for (const { lease, table, what, waiting } of KINDS) {
    const { count, holder } = await tables.read(async (tx) => ({
      count: await tx.count(table, waiting(nowUs - PATIENCE_US), { atMost: MOST }),
      holder: await tx.find('leases', [lease]),
    }))
    if (count === 0) continue
    const held = !holder
      ? 'nobody ever held its lease'
      : holder.expires > nowUs
        ? `its lease is held by ${holder.holder}`
        : `its lease ran out ${holder.expires === 0n ? 'and was given back' : `${(nowUs - holder.expires) / 1_000_000n} s ago`}`
    const problem = `${count === MOST ? 'at least ' : ''}${count} ${what} have waited for more than an hour; ${held}`
    yield { rule: 'work-waits', severity: 'note', subject: lease, problem }
  }
}
