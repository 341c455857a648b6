import type { Clock } from '../core/clock.ts'
import { and, compare, eq } from '../core/predicate.ts'
import type { Tables, WriteTx } from '../storage/tables.ts'

/** The right to do one kind of background work, held by one process at a time. */
export interface Lease {
  readonly name: string
  readonly holder: string
  /** Grows with each new holder. */
  readonly fence: bigint
  /**
   * To be called in every transaction of the work: throws `LeaseLost` when somebody else has taken over, so that a holder that was
   * asleep for too long cannot write; otherwise the lease runs on from now.
   */
  keep(tx: WriteTx): Promise<void>
}

export class LeaseLost extends Error {
  constructor(name: string) {
    super(`The lease ${name} has been taken over`)
    this.name = 'LeaseLost'
  }
}

const TTL_US = 30_000_000n
const RENEW_MS = 10_000

/** undefined while another holder's lease runs. */
export const acquireLease = (tables: Tables, clock: Clock, name: string, holder: string): Promise<Lease | undefined> =>
  tables.write(async (tx) => {
    await tx.lock([`lease:${name}`])
    const row = await tx.find('leases', [name])
    const nowUs = clock.nowUs()
    if (row && row.holder !== holder && row.expires > nowUs) return undefined
    const fence = row?.holder === holder ? row.fence : (row?.fence ?? 0n) + 1n
    await tx.put('leases', [{ name, holder, expires: nowUs + TTL_US, fence }])
    return { name, holder, fence, keep: (work) => keep(work, clock, name, holder, fence) }
  })

const keep = async (tx: WriteTx, clock: Clock, name: string, holder: string, fence: bigint): Promise<void> => {
  const owned = and(eq('name', name), eq('holder', holder), eq('fence', fence))
  if ((await tx.update('leases', owned, { expires: clock.nowUs() + TTL_US })) === 0) throw new LeaseLost(name)
}

/** Keeps the lease while `work` runs outside transactions, maybe for longer than a lease lasts; its signal fires when that fails. */
export const keepingLease = async <T>(
  tables: Tables,
  lease: Lease,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
  renewMs = RENEW_MS,
): Promise<T> => {
  const lost = new AbortController()
  // One at a time: a store that is slower than the interval must not be asked more and more.
  let renewing = false
  const renew = async (): Promise<void> => {
    if (renewing) return
    renewing = true
    await tables.write((tx) => lease.keep(tx)).catch((error: unknown) => lost.abort(error))
    renewing = false
  }
  const timer = setInterval(renew, renewMs)
  try {
    return await work(AbortSignal.any([signal, lost.signal]))
  } finally {
    clearInterval(timer)
  }
}

/** Holders that are services begin with this; commands do not, and may hold a lease beside a service that starts. */
const SERVICE = 'service '

export const serviceHolder = (id: string): string => `${SERVICE}${id}`

/**
 * Ends the leases of former services, so that a restarted one goes on at once with what a killed one has left. Only for a process that
 * serves the store alone. A step of a former holder that is still on its way is refused by its fence.
 */
export const endServiceLeases = async (tables: Tables): Promise<void> => {
  // '!' follows the blank.
  const ofServices = and(compare('holder', '>=', SERVICE), compare('holder', '<', 'service!'))
  await tables.write((tx) => tx.update('leases', ofServices, { expires: 0n }))
}

/** Lets the next process begin at once. */
export const releaseLease = (tables: Tables, lease: Lease): Promise<void> =>
  tables.write(async (tx) => {
    await tx.update('leases', and(eq('name', lease.name), eq('holder', lease.holder), eq('fence', lease.fence)), { expires: 0n })
  })
